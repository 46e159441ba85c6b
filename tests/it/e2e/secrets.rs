//! Secrets of the host's files reach the container, and nothing else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::stage::{Ran, Stage};
use crate::sops::encrypted;
use crate::support::docker_cli::docker;
use crate::support::put;

/// Values that must not turn up: short and long, under names that tell and names that do not.
const CANARIES: [&str; 5] = [
    "canary-one-4f1d8a1b92e07c35",
    "cnry2x",
    "canary-three-77b1e0",
    "canary-four-in-a-command",
    "canary-five-in-a-label",
];

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for canary in CANARIES {
        let found = bytes
            .windows(canary.len())
            .position(|window| window == canary.as_bytes());
        let around = found.map(|at| {
            let from = at.saturating_sub(120);
            String::from_utf8_lossy(&bytes[from..(at + 40).min(bytes.len())]).into_owned()
        });
        assert_eq!(around, None, "{canary} in {what}");
    }
}

fn clean_files(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            clean_files(&path);
        } else {
            clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

fn clean_output(stage: &Stage, ran: &Ran) {
    clean("stdout", ran.out.as_bytes());
    clean("stderr", ran.err.as_bytes());
    clean_files(&stage.path("moored"));
}

/// Commits a stack whose service reads one file of the host for its environment, and one for
/// `${...}`.
fn commit(stage: &Stage, image: &str) {
    let (web, variables) = (stage.path("web.env"), stage.path("variables.env"));
    let more = format!(
        "env: {{web: {{files: ['{}']}}}}\nvariable_files: ['{}']\n",
        web.display(),
        variables.display()
    );
    let manifest = stage.manifest(&[("web", image)], &more);
    let compose = stage.web(
        "    environment: {FROM_VARIABLE: '${PLAIN_NAME}'}\n    labels: {told: '${LABEL_TOKEN}'}\n  \
         job: {image: app, command: [print, '--password=${DB_PASSWORD}'], restart: 'no'}\n",
    );
    let manifest = manifest.replace("  web:", &format!("  job: {image}\n  web:"));
    stage.commit(
        "with secrets",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
}

fn write_files(stage: &Stage, salt: &str) {
    let [one, two, three, four, five] = CANARIES;
    put(
        stage.path("web.env"),
        format!("SESSION_KEY={one}{salt}\nNAME={two}{salt}\n"),
    );
    let variables =
        format!("PLAIN_NAME={three}{salt}\nDB_PASSWORD={four}{salt}\nLABEL_TOKEN={five}{salt}\n");
    put(stage.path("variables.env"), variables);
}

#[test]
fn no_output_and_no_file_of_ours_has_a_secret() {
    let stage = Stage::new("secrets");
    write_files(&stage, "");
    // A variable that the image has, too: its own value is public, the host's is not.
    commit(&stage, &stage.app_with("v1", &["ENV NAME=public"]));
    for command in ["plan", "reconcile"] {
        let ran = stage.moored(&["-vv", command]);
        clean_output(&stage, &ran);
    }
    stage.reconcile().says(&["nothing to do"]);
    let environment = stage.inspect("web", "{{json .Config.Env}}");
    for canary in &CANARIES[..3] {
        assert!(
            environment.contains(canary),
            "the container has it: {environment}"
        );
    }
    assert_eq!(
        docker(&["logs", &stage.container("job")]),
        format!("--password={}", CANARIES[3])
    );

    // A change of the secrets, and drift of them by hand.
    write_files(&stage, "-changed");
    for format in ["text", "json"] {
        for command in ["plan", "drift", "status", "history", "snapshot"] {
            clean_output(&stage, &stage.moored(&[command, "--format", format]));
        }
    }
    stage
        .moored(&["drift"])
        .exits(2)
        .says(&["env SESSION_KEY", "env NAME", "(hidden)"]);
    clean_output(&stage, &stage.moored(&["-vv", "reconcile"]).exits(0));
    assert!(
        stage
            .inspect("web", "{{json .Config.Env}}")
            .contains("-changed")
    );
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn a_secret_in_an_error_of_the_engine_is_hidden() {
    let stage = Stage::new("error");
    write_files(&stage, "");
    let image = stage.app("v1");
    commit(&stage, &image);
    // The engine says the name of a program that it can't start.
    let compose = stage.web("    entrypoint: ['/${DB_PASSWORD}']\n");
    let manifest = std::fs::read_to_string(stage.path("state/moored.yaml")).unwrap();
    let manifest = manifest.replace(&format!("  job: {image}\n"), "");
    stage.commit(
        "no such program",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
    let ran = stage
        .moored(&["-vv", "reconcile"])
        .exits(1)
        .says(&["[hidden]"]);
    clean_output(&stage, &ran);
    clean_output(
        &stage,
        &stage.moored(&["history", "--format", "json"]).exits(0),
    );
    clean_output(&stage, &stage.moored(&["status"]).exits(0));
}

/// The awkward value of [`super::canary`], in what programs and the engine say of it, in every
/// form that we say it in. The look for it is at the end of every test.
#[test]
fn a_secret_that_is_quoted_is_hidden() {
    let stage = Stage::new("quoted");
    let image = stage.app("v1");
    let file = stage.path("canary.env");
    let more = format!("variable_files: ['{}']\n", file.display());
    let manifest = stage.manifest(&[("web", &image)], &more);
    for (what, broken) in [
        // Several lines in the last words of the container.
        ("said", "    environment: {PORT: '${CANARY_KEY}'}\n"),
        // The engine quotes it as Go does.
        ("quoted", "    entrypoint: ['/${CANARY_KEY}']\n"),
    ] {
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &stage.web(broken)),
        ];
        stage.commit(what, &files);
        let ran = stage.moored(&["-vv", "reconcile", "--format", "json"]);
        ran.exits(1).says(&["[hidden]"]);
        for format in ["json", "yaml", "text", "markdown"] {
            for command in ["history", "status", "plan", "drift", "snapshot"] {
                stage.moored(&[command, "--format", format]);
            }
        }
        stage
            .moored(&["history", "--format", "json"])
            .says(&["[hidden]"]);
    }
}

#[test]
fn an_environment_file_that_is_not_there_changes_nothing() {
    let stage = Stage::new("envfile");
    write_files(&stage, "");
    commit(&stage, &stage.app("v1"));
    stage.reconcile();
    let before = stage.snapshot();
    std::fs::remove_file(stage.path("web.env")).unwrap();
    let path = stage.path("web.env").display().to_string();
    stage.moored(&["reconcile"]).exits(65).says(&[&path]);
    std::fs::create_dir(stage.path("web.env")).unwrap();
    stage
        .moored(&["reconcile"])
        .exits(65)
        .says(&[&path, "not a regular file"]);
    stage.unchanged(&before);
}

/// The key of these tests, as the host's settings have it.
fn with_key(stage: &Stage) {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sops/age.key");
    std::fs::copy(key, stage.path("age.key")).unwrap();
    chmod(&stage.path("age.key"), 0o600);
    let url = stage.path("state").display().to_string();
    let key = stage.path("age.key").display().to_string();
    stage.configure(&url, "30s", &format!("age_identity: {key}\n"));
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Commits three services: one has an encrypted file of variables, one an encrypted secret, one
/// neither.
fn commit_encrypted(stage: &Stage, image: &str, salt: &str) {
    let [one, two, three, ..] = CANARIES;
    let variables = format!("SESSION_KEY={one}{salt}\nNAME='{two}$HOME'\n");
    let variables = encrypted("web.env", &variables, &[]);
    let token = encrypted("token", &format!("{three}{salt}\n"), &[]);
    let images = [("web", image), ("reader", image), ("plain", image)];
    let manifest = stage.manifest(
        &images,
        "env: {web: {secrets: [secrets/web.sops.env], require: [SESSION_KEY]}}\n",
    );
    let compose = stage.web(
        "  reader: {image: app, secrets: [token], stop_grace_period: 1s}\n  \
         plain: {image: app, stop_grace_period: 1s}\n\
         secrets: {token: {file: secrets/token.sops}}\n",
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
        ("secrets/web.sops.env", &variables),
        ("secrets/token.sops", &token),
    ];
    stage.commit(&format!("secrets {salt}"), &files);
}

#[test]
fn an_encrypted_file_reaches_the_container_and_a_rotation_only_its_services() {
    let stage = Stage::new("sops");
    let image = stage.app("v1");
    commit_encrypted(&stage, &image, "");
    stage
        .moored(&["reconcile"])
        .exits(65)
        .says(&["can't be decrypted: the host has no age key"]);
    assert_eq!(stage.names(), [""; 0]);
    with_key(&stage);
    chmod(&stage.path("age.key"), 0o644);
    stage
        .moored(&["reconcile"])
        .exits(65)
        .says(&["age.key: is open to everybody"]);
    chmod(&stage.path("age.key"), 0o600);
    for command in ["plan", "reconcile"] {
        clean_output(&stage, &stage.moored(&["-vv", command]));
    }
    let environment = stage.inspect("web", "{{json .Config.Env}}");
    for wanted in [
        format!("SESSION_KEY={}\"", CANARIES[0]),
        format!("NAME={}$HOME\"", CANARIES[1]),
    ] {
        assert!(environment.contains(&wanted), "{environment}");
    }
    let token = stage.path("token");
    let copied = format!("{}:/run/secrets/token", stage.container("reader"));
    docker(&["cp", &copied, &token.display().to_string()]);
    let given = std::fs::read_to_string(&token).unwrap();
    assert_eq!(given, format!("{}\n", CANARIES[2]));
    stage.reconcile().says(&["nothing to do"]);

    // The same values, encrypted again.
    let ids = || ["web", "reader", "plain"].map(|service| stage.id(service));
    let before = ids();
    commit_encrypted(&stage, &image, "");
    clean_output(&stage, &stage.reconcile());
    assert_eq!(ids(), before);

    commit_encrypted(&stage, &image, "-rotated");
    let plan = stage.moored(&["plan"]).exits(2);
    clean_output(&stage, &plan);
    let plan = plan.says(&["env SESSION_KEY (changed)", "content of /run/secrets/token"]);
    assert!(!plan.out.contains("plain"), "{}", plan.out);
    clean_output(&stage, &stage.moored(&["-vv", "reconcile"]).exits(0));
    let after = ids();
    assert_ne!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2], before[2]);
    for format in ["text", "json"] {
        for command in ["status", "history", "drift"] {
            clean_output(&stage, &stage.moored(&[command, "--format", format]));
        }
    }
}

#[test]
fn a_file_that_was_altered_or_is_for_others_changes_nothing() {
    let stage = Stage::new("sealed");
    with_key(&stage);
    commit_encrypted(&stage, &stage.app("v1"), "");
    stage.reconcile();
    let before = stage.snapshot();
    let file = stage.path("state/secrets/web.sops.env");
    let text = std::fs::read_to_string(&file).unwrap();
    for (altered, says) in [
        (text.replacen("NAME=", "NAMES=", 1), "NAMES has a value"),
        (format!("SESSION_KEY={}\n", CANARIES[0]), "is not encrypted"),
        (text.replace("sops_age_", "sops_pgp_"), "for PGP alone"),
    ] {
        stage.commit("altered", &[("secrets/web.sops.env", &altered)]);
        let ran = stage.moored(&["reconcile"]).exits(65);
        clean_output(&stage, &ran.says(&["secrets/web.sops.env", says]));
        stage.unchanged(&before);
    }
    stage.commit("back", &[("secrets/web.sops.env", &text)]);
    stage.reconcile();
    stage.unchanged(&before);
}
