//! Registries that want a login, another one, or to be left in peace. The password is the secret
//! of the stage, so that it may turn up nowhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::stage::Stage;
use crate::support::docker_cli::docker;
use crate::support::put;
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::support::registry_gate::{Gate, Wants, basic};

/// A user whose login has both letters that the two alphabets of base64 write differently.
const ODD_USER: &str = "ada>>>>>?????";

/// Pushes a version and takes it off the host; returns its name in any registry with its images.
fn push(stage: &Stage, registry: &Registry, version: &str) -> String {
    let image = stage.app(version);
    let name = format!("{}:{version}", stage.sandbox.name("private"));
    registry.push(&image, &name);
    docker(&["rmi", "--force", &image]);
    name
}

/// Commits a stack of one service `web` without any secret in it.
fn commit(stage: &Stage, image: &str) {
    let manifest = stage.manifest(&[("web", image)], "env: {}\n");
    let compose = stage.web("");
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose.as_str()),
    ];
    stage.commit(image, &files);
}

/// Writes Docker's file, and settings that name it.
fn log_in(stage: &Stage, text: &serde_json::Value) -> PathBuf {
    let path = stage.path("docker.json");
    put(&path, text.to_string());
    let url = stage.path("state").display().to_string();
    let more = format!("registries: {{config: '{}'}}\n", path.display());
    stage.configure(&url, "30s", &more);
    path
}

/// Docker's file with one login in it.
pub(super) fn login(host: &str, user: &str, password: &str) -> serde_json::Value {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    serde_json::json!({"auths": {host: {"auth": auth}}})
}

#[test]
fn a_private_image_is_pulled_with_the_login_for_its_registry() {
    let stage = Stage::new("login");
    let registry = Registry::start();
    let gate = Gate::before(&registry);
    let password = stage.canary.value();
    gate.wants(Wants::Token(ODD_USER.to_owned(), password.clone()));
    let v1 = push(&stage, &registry, "v1");
    let v2 = push(&stage, &registry, "v2");
    commit(&stage, &gate.reference(&v1));
    let untouched = stage.snapshot();
    let denied = "does not let this host have image";
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[denied, "the host's settings name none"]);
    let file = log_in(&stage, &login("other.example", ODD_USER, &password));
    let none_for_it = format!("has none for {}", gate.host());
    stage
        .moored(&["plan"])
        .exits(75)
        .says(&[denied, &none_for_it]);
    let wrong = format!("{password}x");
    log_in(&stage, &login(&gate.host(), ODD_USER, &wrong));
    let asked_with = format!("asked with the login of {}", file.display());
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[denied, &asked_with]);
    stage.unchanged(&untouched);

    log_in(&stage, &login(&gate.host(), ODD_USER, &password));
    stage.reconcile();
    stage.serves("v1");
    let sent = Some(basic(ODD_USER, &password));
    let seen = gate.seen();
    assert!(seen.iter().any(|seen| seen.authorization == sent));

    // The password is changed at the registry: what runs goes on, and needs no registry.
    let before = stage.snapshot();
    gate.wants(Wants::Token(ODD_USER.to_owned(), "another".to_owned()));
    commit(&stage, &gate.reference(&v2));
    stage.moored(&["reconcile"]).exits(75).says(&[&asked_with]);
    stage.unchanged(&before);
    stage.serves("v1");
    // No retry is needed when it is right again.
    gate.wants(Wants::Token(ODD_USER.to_owned(), password));
    stage.reconcile();
    stage.serves("v2");
}

#[test]
fn a_credential_helper_says_the_login() {
    let stage = Stage::new("helper");
    let registry = Registry::start();
    let gate = Gate::before(&registry);
    let password = stage.canary.value();
    gate.wants(Wants::Password(USER.to_owned(), password.clone()));
    let v1 = push(&stage, &registry, "v1");
    commit(&stage, &gate.reference(&v1));
    put(stage.path("password"), &password);
    std::fs::create_dir(stage.path("bin")).unwrap();
    let helper = stage.path("bin/docker-credential-mooredtest");
    let script = format!(
        "#!/bin/sh\nread -r registry\nsecret=$(cat '{}')\n\
         if [ -e '{}' ]; then echo \"broken: $secret\"; exit 2; fi\n\
         if [ \"$1\" != get ] || [ \"$registry\" != '{}' ]; then\n\
         echo 'credentials not found in native keychain'; exit 1\nfi\n\
         printf '{{\"ServerURL\":\"%s\",\"Username\":\"{USER}\",\"Secret\":\"%s\"}}\\n' \
         \"$registry\" \"$secret\"\n",
        stage.path("password").display(),
        stage.path("broken").display(),
        gate.host(),
    );
    put(&helper, script);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();

    let missing = serde_json::json!({"credsStore": "mooredtest-that-nobody-has"});
    log_in(&stage, &missing);
    stage
        .moored(&["reconcile"])
        .exits(69)
        .says(&["docker-credential-mooredtest-that-nobody-has", &gate.host()]);
    log_in(
        &stage,
        &serde_json::json!({"credHelpers": {gate.host(): "mooredtest"}}),
    );
    put(stage.path("broken"), "");
    stage
        .moored(&["reconcile"])
        .exits(69)
        .says(&["docker-credential-mooredtest", "ended with exit status: 2"]);
    assert!(gate.seen().is_empty(), "{:?}", gate.seen());
    std::fs::remove_file(stage.path("broken")).unwrap();
    stage.reconcile();
    stage.serves("v1");
}

#[test]
fn a_login_goes_to_no_other_registry() {
    let stage = Stage::new("stranger");
    let registry = Registry::start();
    let (ours, theirs) = (Gate::before(&registry), Gate::before(&registry));
    let password = stage.canary.value();
    ours.wants(Wants::Password(USER.to_owned(), password.clone()));
    // It asks everybody for a password, ours too.
    theirs.wants(Wants::Password(USER.to_owned(), "unknown".to_owned()));
    let name = push(&stage, &registry, "v1");
    let file = login(&ours.host(), USER, &password);
    log_in(&stage, &file);
    let images = [
        ("web", ours.reference(&name)),
        ("stranger", theirs.reference(&name)),
    ];
    let images = images
        .each_ref()
        .map(|(service, image)| (*service, image.as_str()));
    let manifest = stage.manifest(&images, "env: {}\n");
    let compose = stage.web("  stranger: {image: app}\n");
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose.as_str()),
    ];
    stage.commit("both", &files);
    let none_for_it = format!("has none for {}", theirs.host());
    stage.moored(&["reconcile"]).exits(75).says(&[&none_for_it]);
    let sent = Some(basic(USER, &password));
    assert!(ours.seen().iter().any(|seen| seen.authorization == sent));
    assert!(!theirs.seen().is_empty());
    for seen in theirs.seen() {
        assert_eq!(seen.authorization, None, "{}", seen.line);
        assert!(!seen.body.contains(&password) && !seen.line.contains(&password));
    }
}

#[test]
fn a_registry_that_limits_postpones_and_touches_nothing() {
    let stage = Stage::new("limit");
    let registry = Registry::start();
    let gate = Gate::before(&registry);
    let v1 = push(&stage, &registry, "v1");
    let v2 = push(&stage, &registry, "v2");
    commit(&stage, &gate.reference(&v1));
    stage.reconcile();
    let (before, rows) = (stage.snapshot(), stage.journal_rows());
    gate.limit(Some("You have reached your pull rate limit."));
    commit(&stage, &gate.reference(&v2));
    let left = format!("{} is not asked again for", gate.host());
    stage.moored(&["reconcile"]).exits(69).says(&[
        "can't be looked up for now",
        "toomanyrequests",
        &left,
    ]);
    stage.unchanged(&before);
    assert_eq!(stage.journal_rows(), rows);
    // What runs needs no registry.
    docker(&["rm", "--force", &stage.container("web")]);
    commit(&stage, &gate.reference(&v1));
    stage.reconcile();
    stage.serves("v1");
    gate.limit(None);
    commit(&stage, &gate.reference(&v2));
    stage.reconcile();
    stage.serves("v2");
}

#[test]
fn the_password_file_of_a_registry_of_its_own() {
    let stage = Stage::new("htpasswd");
    let open = Registry::start();
    let closed = open.with_password();
    let v1 = push(&stage, &open, "v1");
    commit(&stage, &closed.reference(&v1));
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["does not let this host have image", "asked without a login"]);
    let host = closed.host();
    log_in(&stage, &login(&host, USER, "wrong-horse-battery"));
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["does not let this host have image", "asked with the login"]);
    log_in(&stage, &login(&host, USER, PASSWORD));
    stage.reconcile();
    stage.serves("v1");
}
