//! Pulls and questions that reach a registry.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moored::registries::Logins;
use moored::secret::Redactor;

use super::*;

use crate::support::docker_cli::{docker, try_docker};
use crate::support::put;
use crate::support::registry::{PASSWORD, Registry, USER, free_port};
use crate::support::registry_gate::{Gate, Wants};

/// A registry with one image, and its reference and digest.
fn stocked(sandbox: &Sandbox) -> (Registry, String, String) {
    let registry = Registry::start();
    let image = sandbox.image("app", &[]);
    let name = format!("{}:v1", sandbox.name("pulled"));
    let digest = registry.push(&image, &name);
    docker(&["rmi", &image]);
    let reference = registry.reference(&name);
    (registry, reference, digest)
}

#[tokio::test]
async fn a_pull_by_digest_gives_the_image_its_tag() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (_registry, reference, digest) = stocked(&sandbox);
    assert_eq!(engine.registry_digest(&reference).await.unwrap(), digest);
    assert!(
        engine.image(&reference).await.unwrap().is_none(),
        "not here yet"
    );

    let seen = Mutex::new(Vec::new());
    engine
        .pull(&reference, &digest, &|sum| seen.lock().unwrap().push(sum))
        .await
        .unwrap();
    let seen = seen.into_inner().unwrap();
    let last = seen.last().expect("bytes were reported");
    assert!(last.done == last.total && last.total > 100_000, "{last:?}");
    assert!(seen.is_sorted_by_key(|sum| sum.done), "{seen:?}");

    let image = engine.image(&reference).await.unwrap().expect("tagged");
    let repository = reference.strip_suffix(":v1").unwrap();
    assert_eq!(image.repo_digests, [format!("{repository}@{digest}")]);
    let tags = docker(&["image", "inspect", "-f", "{{.RepoTags}}", &reference]);
    assert_eq!(tags, format!("[{reference}]"));
    engine
        .pull(&reference, &digest, &|_| {})
        .await
        .expect("again");
}

#[tokio::test]
async fn a_tag_that_moved_does_not_change_what_is_pulled() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (registry, reference, digest) = stocked(&sandbox);
    let newer = sandbox.image("newer", &["ENV A=b"]);
    let moved = registry.push(&newer, &format!("{}:v1", sandbox.name("pulled")));
    assert_ne!(moved, digest);
    assert_eq!(engine.registry_digest(&reference).await.unwrap(), moved);
    engine.pull(&reference, &digest, &|_| {}).await.unwrap();
    let image = engine.image(&reference).await.unwrap().expect("tagged");
    assert!(image.env.is_empty(), "the older one");
    engine.pull(&reference, &moved, &|_| {}).await.unwrap();
    let image = engine.image(&reference).await.unwrap().expect("tagged");
    assert_eq!(image.env, map(&[("A", "b")]), "the tag follows the pull");
}

#[tokio::test]
async fn a_reference_by_digest_gets_no_tag() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (_registry, reference, digest) = stocked(&sandbox);
    let pinned = format!("{}@{digest}", reference.strip_suffix(":v1").unwrap());
    assert_eq!(engine.registry_digest(&pinned).await.unwrap(), digest);
    engine.pull(&pinned, &digest, &|_| {}).await.unwrap();
    assert_eq!(
        docker(&["image", "inspect", "-f", "{{.RepoTags}}", &pinned]),
        "[]"
    );
    assert!(try_docker(&["image", "inspect", &reference]).is_err());
    let other = format!("sha256:{}", "0".repeat(64));
    expect_error!(engine.pull(&pinned, &other, &|_| {}).await, Refused);
}

#[tokio::test]
async fn what_the_registry_does_not_have_is_not_found() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (registry, reference, _) = stocked(&sandbox);
    let missing = format!("{reference}-typo");
    let said = expect_error!(engine.registry_digest(&missing).await, NotFound);
    assert!(said.contains(&missing), "{said}");
    let elsewhere = registry.reference("nothing/here:v1");
    expect_error!(engine.registry_digest(&elsewhere).await, NotFound);
    let digest = format!("sha256:{}", "0".repeat(64));
    expect_error!(engine.pull(&reference, &digest, &|_| {}).await, NotFound);
    assert!(
        engine.image(&reference).await.unwrap().is_none(),
        "no tag either"
    );
}

#[tokio::test]
async fn a_registry_that_does_not_answer() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (mut registry, reference, digest) = stocked(&sandbox);
    registry.stop();
    let said = expect_error!(engine.registry_digest(&reference).await, Registry);
    assert!(said.contains("connection refused"), "{said}");
    expect_error!(engine.pull(&reference, &digest, &|_| {}).await, Registry);
    let nobody = format!("127.0.0.1:{}/app:v1", free_port());
    expect_error!(engine.registry_digest(&nobody).await, Registry);
    let unknown_host = "registry.invalid/app:v1";
    expect_error!(engine.registry_digest(unknown_host).await, Registry);
    expect_error!(engine.pull(unknown_host, &digest, &|_| {}).await, Registry);
}

#[tokio::test]
async fn bad_references_are_not_sent() {
    let engine = engine();
    let said = expect_error!(engine.registry_digest("Bad Name").await, Refused);
    assert!(said.contains("Bad Name"), "{said}");
    expect_error!(
        engine.pull("app:v1", "sha256:short", &|_| {}).await,
        Refused
    );
}

/// The engine, with the logins of a file in Docker's form.
fn engine_with(logins: &serde_json::Value) -> (Docker, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    put(&file, logins.to_string());
    let logins = Logins::new(Some(file), Redactor::default());
    (engine().with_logins(logins), dir)
}

#[tokio::test]
async fn a_login_opens_its_registry() {
    let sandbox = Sandbox::new("eng");
    let (open, reference, digest) = stocked(&sandbox);
    let closed = open.with_password();
    let reference = reference.replace(&open.host(), &closed.host());
    let said = expect_error!(engine().registry_digest(&reference).await, Denied);
    assert!(said.contains("asked without a login"), "{said}");
    expect_error!(engine().pull(&reference, &digest, &|_| {}).await, Denied);

    let login = |password: &str| {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        serde_json::json!({"auths": {closed.host(): {"auth": auth}}})
    };
    let (wrong, _dir) = engine_with(&login("wrong-horse-battery"));
    let said = expect_error!(wrong.registry_digest(&reference).await, Denied);
    assert!(said.contains("asked with the login of"), "{said}");
    assert!(!said.contains("wrong-horse-battery"), "{said}");
    expect_error!(wrong.pull(&reference, &digest, &|_| {}).await, Denied);
    assert!(wrong.image(&reference).await.unwrap().is_none());

    let (right, _dir) = engine_with(&login(PASSWORD));
    assert_eq!(right.registry_digest(&reference).await.unwrap(), digest);
    right.pull(&reference, &digest, &|_| {}).await.unwrap();
    assert!(right.image(&reference).await.unwrap().is_some());
}

#[tokio::test]
async fn an_identity_token_is_a_login_too() {
    let sandbox = Sandbox::new("eng");
    let (registry, reference, digest) = stocked(&sandbox);
    let gate = Gate::before(&registry);
    let reference = reference.replace(&registry.host(), &gate.host());
    gate.wants(Wants::IdentityToken("an-identity".to_owned()));
    let entry = |token: &str| {
        let entry = serde_json::json!({"auth": "MDA6", "identitytoken": token});
        serde_json::json!({"auths": {gate.host(): entry}})
    };
    let (wrong, _dir) = engine_with(&entry("another"));
    expect_error!(wrong.registry_digest(&reference).await, Denied);
    let (right, _dir) = engine_with(&entry("an-identity"));
    assert_eq!(right.registry_digest(&reference).await.unwrap(), digest);
    right.pull(&reference, &digest, &|_| {}).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_digest_make_no_image() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (registry, reference, digest) = stocked(&sandbox);
    let gate = Gate::before(&registry);
    let reference = reference.replace(&registry.host(), &gate.host());
    gate.spoil(true);
    let said = expect_error!(engine.pull(&reference, &digest, &|_| {}).await, Registry);
    assert!(said.contains("verification failed"), "{said}");
    assert!(engine.image(&reference).await.unwrap().is_none());
    gate.spoil(false);
    engine.pull(&reference, &digest, &|_| {}).await.unwrap();
    assert!(engine.image(&reference).await.unwrap().is_some());
}

#[tokio::test]
async fn a_registry_that_limits_is_left_in_peace_for_as_long_as_it_says() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (registry, reference, digest) = stocked(&sandbox);
    let (gate, other) = (Gate::before(&registry), Gate::before(&registry));
    let elsewhere = reference.replace(&registry.host(), &other.host());
    let reference = reference.replace(&registry.host(), &gate.host());
    gate.limit(Some("retry-after: 1.5s, allowed: 9/minute"));
    let said = expect_error!(engine.registry_digest(&reference).await, TooMany);
    assert!(said.contains("is not asked again for 2 s"), "{said}");
    gate.limit(None);
    let asked = gate.seen().len();
    expect_error!(engine.registry_digest(&reference).await, TooMany);
    expect_error!(engine.pull(&reference, &digest, &|_| {}).await, TooMany);
    assert_eq!(gate.seen().len(), asked, "{:?}", gate.seen());
    assert_eq!(engine.registry_digest(&elsewhere).await.unwrap(), digest);
    let mut answer = engine.registry_digest(&reference).await;
    while let Err(EngineError::TooMany { again, .. }) = answer {
        assert!(again.as_millis() <= 1500, "{again:?}");
        tokio::time::sleep(again).await;
        answer = engine.registry_digest(&reference).await;
    }
    assert_eq!(answer.unwrap(), digest);
    assert!(gate.asked() > 0);
}
