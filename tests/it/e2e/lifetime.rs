//! A test instance: a stack from a branch, with a lifetime, that goes when it is over and comes back
//! with its data when Git puts its end off.

use moored::clock::{Clock as _, SystemClock};

use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};

#[test]
fn a_test_instance_from_a_branch_goes_when_its_time_is_over_and_keeps_its_data() {
    let stage = Stage::new("lifetime");
    let url = stage.path("state").display().to_string();
    stage.configure(&url, "1h", "stacks: [{dir: test, branch: feature}]\n");
    stage.permit("expires: true");
    stage.git(&["checkout", "--quiet", "-b", "feature"]);
    let image = stage.app("v1");
    let compose = format!(
        "{}    volumes: ['rows:/rows']\nvolumes: {{rows: {{}}}}\n",
        stage.web("")
    );
    let commit = |expires: &str| {
        let manifest = stage.manifest(&[("web", &image)], &format!("expires: {expires}\n"));
        let files = [
            ("test/moored.yaml", manifest.as_str()),
            ("test/compose.yaml", compose.as_str()),
        ];
        stage.commit(expires, &files);
    };
    let theirs = stage.sandbox.name("theirs");
    docker(&["run", "-d", "--name", &theirs, &image]);
    let at = SystemClock.now() + jiff::SignedDuration::from_secs(12);
    commit(&at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let controller = stage.start(&["run"]);
    controller.says("released as 1-");
    stage.serves("v1");
    let status = stage.moored(&["status"]).exits(0);
    assert!(status.out.contains("  expires  "), "{}", status.out);
    // Nobody tells it: it wakes by itself.
    let label = format!("label=com.docker.compose.project={}", stage.stack);
    eventually("the stack is gone", || {
        docker(&["ps", "-aq", "--filter", &label]).is_empty()
    });
    let networks = || docker(&["network", "ls", "-q", "--filter", &label]);
    eventually("its network is gone", || networks().is_empty());
    let volume = format!("{}_rows", stage.stack);
    assert_eq!(docker(&["volume", "ls", "-q", "--filter", &label]), volume);
    assert!(docker(&["ps", "--format", "{{.Names}}"]).contains(&theirs));
    controller.says(&format!("docker volume rm {volume}"));
    let status = stage.moored(&["status"]).exits(0);
    assert!(status.out.contains("  expired  "), "{}", status.out);
    drop(controller);

    stage.moored(&["reconcile"]).exits(0);
    assert!(docker(&["ps", "-aq", "--filter", &label]).is_empty());
    commit("2099-01-01");
    stage.moored(&["reconcile"]).exits(0);
    stage.serves("v1");
    // A slip: what is over already is not done.
    commit("2020-01-01");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["which is over"]);
    stage.serves("v1");
}
