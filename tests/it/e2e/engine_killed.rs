//! The engine is killed in the middle of a deploy and comes back: old release, new release, or a
//! hold that says so, and nothing half-made.

use std::time::Duration;

use super::kill::dice;
use super::stage::Stage;
use crate::support::put;
use crate::support::second_engine::SecondEngine;

/// A subnet that the other engine of this machine never takes.
const NETWORK: &str = "networks: {default: {ipam: {config: [{subnet: 10.225.0.0/24}]}}}\n";

/// How often it is killed.
const KILLS: usize = 6;

#[test]
#[expect(
    clippy::print_stderr,
    reason = "shown only when the test fails: what it takes to play it again"
)]
fn an_engine_that_is_killed_in_the_middle_of_a_deploy() {
    let mut random = dice();
    let stage = Stage::new("enginekill");
    let mut engine = SecondEngine::start();
    let images = [stage.app("v1"), stage.app("v2")];
    for image in &images {
        engine.take(image);
    }
    let settings = format!(
        "repository: {{url: '{}'}}\nstate_dir: {}\nengine: {}\npolicy: {{file_roots: ['{}']}}\n",
        stage.path("state").display(),
        stage.path("moored").display(),
        engine.endpoint(),
        stage.path("").display()
    );
    put(stage.path("config.yaml"), settings);
    let commit = |image: &str| {
        let worker = "  worker:\n    image: worker\n    command: [sleep, '600']\n    \
                      stop_grace_period: 1s\n    depends_on: {web: {condition: service_healthy}}\n";
        let manifest = stage.manifest(&[("web", image), ("worker", image)], "");
        let compose = stage.web("    restart: unless-stopped\n") + worker + NETWORK;
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        stage.commit(image, &files);
    };
    commit(&images[0]);
    stage.reconcile();
    stage.serves("v1");
    let (mut runs, mut wanted) = (0, 0);
    for kill in 0..KILLS {
        wanted = 1 - wanted;
        commit(&images[wanted]);
        let after = Duration::from_millis(random.u64(100..2500));
        eprintln!("kill {kill} after {after:?}");
        let mut pass = stage.start(&["reconcile"]);
        std::thread::sleep(after);
        engine.kill();
        std::thread::sleep(Duration::from_millis(random.u64(0..500)));
        engine.start_again();
        pass.ends(Duration::from_secs(180));
        // The next pass goes on from what is there. An engine that was killed while it started a
        // container may refuse to start that one for ever ("task … already exists"): that pass
        // fails, and the one after it keeps the release before.
        let mut passes = 0;
        let (settled, plan) = loop {
            let settled = stage.moored(&["reconcile"]);
            let plan = stage.moored(&["plan", "--format", "json"]);
            let steps = plan.json()[0]["steps"].as_array().map(Vec::len);
            if steps == Some(0) {
                break (settled, plan);
            }
            passes += 1;
            assert!(passes < 3, "{settled:?}\n{plan:?}\n{}", pass.said());
        };
        match plan.code {
            Some(0) => runs = wanted,
            Some(75) => {
                assert_eq!(plan.json()[0]["holds"][0]["hold"], "failed-revision");
                if plan.out.contains("port is already allocated") {
                    // An engine that was killed while it started a container may keep the port for
                    // a container that is gone, until it is started anew: nobody else can have it.
                    engine.kill();
                    engine.start_again();
                    stage.moored(&["retry"]).exits(0);
                    stage.reconcile();
                    runs = wanted;
                } else {
                    wanted = runs;
                }
            }
            _ => panic!("{settled:?}\n{plan:?}\n{}", pass.said()),
        }
        let running = engine.docker(&["ps", "--all", "--format", "{{.Names}} {{.Image}}"]);
        let mut running: Vec<&str> = running.lines().collect();
        running.sort_unstable();
        let whole = ["web", "worker"].map(|it| format!("{} {}", stage.container(it), images[runs]));
        assert_eq!(running, whole, "{settled:?}\n{}", pass.said());
        stage.serves(["v1", "v2"][runs]);
        if wanted == runs {
            commit(&images[runs]);
            stage.reconcile();
        }
    }
}
