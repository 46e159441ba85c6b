//! How soon a service that is ready is known to be ready, and what is said of one that can't be.

use std::time::{Duration, Instant};

use super::stage::Stage;

/// Returns a service with a health check whose first verdict by the engine takes 30 s.
fn slow_check(name: &str, test: &str, more: &str) -> String {
    format!(
        "  {name}:\n    image: app\n    stop_grace_period: 1s\n    environment: {{READY_AFTER_MS: \
         '300'}}\n    healthcheck: {{test: {test}, interval: 30s, timeout: 5s, retries: 3}}\n{more}"
    )
}

#[test]
fn a_ready_service_is_known_long_before_the_engines_first_look() {
    let stage = Stage::new("ready");
    let app = stage.app("v1");
    let services = [
        slow_check("db", "[CMD, /standin, check]", ""),
        slow_check(
            "web",
            "[CMD, /standin, check]",
            "    depends_on: {db: {condition: service_healthy}}\n",
        ),
    ];
    let compose = format!("services:\n{}", services.concat());
    let manifest = stage.manifest(&[("db", &app), ("web", &app)], "");
    stage.commit(
        "v1",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
    let began = Instant::now();
    stage.reconcile();
    let took = began.elapsed();
    assert_eq!(stage.inspect("db", "{{.State.Health.Status}}"), "starting");
    // Two services of 300 ms, one after the other.
    assert!(took < Duration::from_secs(6), "{took:?}");
    let planned = stage.moored(&["plan"]).exits(0);
    assert!(planned.out.contains("nothing"), "{}", planned.out);
}

#[test]
fn a_check_that_can_not_be_run_is_left_to_the_engine() {
    let stage = Stage::new("noshell");
    let app = stage.app("v1");
    // There is no shell in this image.
    let check = slow_check("web", "[CMD-SHELL, 'true']", "").replace("30s", "300ms");
    let manifest = stage.manifest(&[("web", &app)], "");
    let compose = format!("services:\n{check}");
    stage.commit(
        "v1",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["web is not up", "its health check fails"]);
}
