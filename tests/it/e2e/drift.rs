//! Drift made by hand: reported with old and new value, changed by nobody but a pass.

use super::stage::Stage;
use crate::support::docker_cli::docker;
use crate::support::put;

/// Commits `web`, and a `worker` that mounts a file of the repository.
fn commit_pair(stage: &Stage, image: &str, more: &str) {
    let manifest = stage.manifest(&[("web", image), ("worker", image)], more);
    let compose = stage.web(
        "    environment: {GREETING: hello}\n  worker:\n    image: app\n    \
         command: [serve-file, /files]\n    stop_grace_period: 1s\n    \
         volumes: ['./files:/files:ro']\n",
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
        ("files/greeting", "hello\n"),
    ];
    stage.commit("two services", &files);
}

/// Reports the drift, checks that looking changed nothing, and heals it.
#[track_caller]
fn reported_and_healed(stage: &Stage, texts: &[&str]) {
    let before = stage.snapshot();
    stage
        .moored(&["drift"])
        .exits(2)
        .says(texts)
        .says(&["drift"]);
    stage.moored(&["plan"]).exits(2);
    stage.moored(&["status"]).exits(0);
    stage.unchanged(&before);
    stage.reconcile();
    stage.moored(&["drift"]).exits(0);
    stage.serves("v1");
    assert_eq!(stage.answer().unwrap()["greeting"], "hello");
    // What keeps a revision from being put in place for ever is not what is tested here.
    stage.commit("next", &[]);
}

/// Runs a container by hand in the place of `web`, with all the labels that it has.
fn by_hand(stage: &Stage, image: &str, options: &[&str]) {
    let name = stage.container("web");
    let format = "{{range $key, $value := .Config.Labels}}{{$key}}={{$value}}\n{{end}}";
    let labels = stage.inspect("web", format);
    docker(&["rm", "--force", &name]);
    let network = format!("{}_default", stage.stack);
    let port = format!("127.0.0.1:{}:8080", stage.port);
    let mut arguments = vec!["run", "--detach", "--name", &name, "--network", &network];
    arguments.extend([
        "--network-alias",
        "web",
        "--publish",
        &port,
        "--stop-timeout",
        "1",
    ]);
    arguments.extend(["--health-cmd", "x", "--health-interval", "300ms"]);
    for label in labels.lines().filter(|line| !line.is_empty()) {
        arguments.extend(["--label", label]);
    }
    arguments.extend(options);
    arguments.push(image);
    docker(&arguments);
}

#[test]
fn a_container_that_was_stopped_removed_or_paused() {
    let stage = Stage::new("stopped");
    commit_pair(&stage, &stage.app("v1"), "");
    stage.reconcile();
    let (id, worker) = (stage.id("web"), stage.id("worker"));

    docker(&["stop", &stage.container("web")]);
    reported_and_healed(&stage, &["web", "state", "running", "exited"]);
    assert_eq!(stage.id("web"), id, "starting it is enough");

    docker(&["pause", &stage.container("web")]);
    reported_and_healed(&stage, &["web", "state", "running", "paused"]);
    assert_eq!(stage.inspect("web", "{{.State.Status}}"), "running");

    docker(&["rm", "--force", &stage.container("web")]);
    reported_and_healed(&stage, &["web", "container", "present", "missing"]);

    docker(&[
        "rename",
        &stage.container("web"),
        &format!("{}x", stage.container("web")),
    ]);
    reported_and_healed(&stage, &["web", "name", &stage.container("web")]);
    assert_eq!(stage.names().len(), 2);
    assert_eq!(stage.id("worker"), worker, "the other one is left alone");
}

#[test]
fn a_container_that_was_run_by_hand_with_something_else() {
    let stage = Stage::new("byhand");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    commit_pair(&stage, &v1, "");
    stage.reconcile();

    by_hand(&stage, &v1, &["--env", "GREETING=goodbye"]);
    reported_and_healed(&stage, &["env GREETING", "hello", "goodbye"]);

    by_hand(&stage, &v2, &["--env", "GREETING=hello"]);
    reported_and_healed(&stage, &["web", "image", &v1, &v2]);

    by_hand(
        &stage,
        &v1,
        &["--env", "GREETING=hello", "--env", "EXTRA=surprise"],
    );
    // What Git does not know may be a secret: that it is there is said, its value is not.
    let drift = stage.moored(&["drift"]).exits(2).says(&["env EXTRA"]);
    assert!(!drift.out.contains("surprise"), "{}", drift.out);
    reported_and_healed(&stage, &["env EXTRA"]);
}

#[test]
fn limits_networks_and_files_that_were_changed_in_place() {
    let stage = Stage::new("inplace");
    commit_pair(&stage, &stage.app("v1"), "");
    stage.reconcile();
    let web = stage.id("web");

    let worker = stage.container("worker");
    docker(&["update", "--memory", "32m", "--memory-swap", "64m", &worker]);
    reported_and_healed(&stage, &["worker", "memory", "32 MiB"]);
    assert_eq!(stage.inspect("worker", "{{.HostConfig.Memory}}"), "0");

    docker(&["update", "--restart", "always", &worker]);
    reported_and_healed(&stage, &["worker", "restart", "always"]);

    let network = format!("{}_default", stage.stack);
    docker(&["network", "disconnect", &network, &worker]);
    reported_and_healed(
        &stage,
        &["worker", &format!("network {network}"), "not connected"],
    );
    let networks = stage.inspect("worker", "{{json .NetworkSettings.Networks}}");
    assert!(
        networks.contains(&network) && networks.contains("\"worker\""),
        "{networks}"
    );

    let stranger = stage.sandbox.name("net");
    docker(&["network", "create", &stranger]);
    docker(&["network", "connect", &stranger, &worker]);
    reported_and_healed(&stage, &["worker", &format!("network {stranger}")]);
    let networks = stage.inspect("worker", "{{json .NetworkSettings.Networks}}");
    assert!(!networks.contains(&stranger), "{networks}");

    let file = format!("moored/stacks/{}/project/files/greeting", stage.stack);
    put(stage.path(&file), "edited by hand\n");
    reported_and_healed(&stage, &["worker", "file files/greeting"]);
    assert_eq!(
        std::fs::read_to_string(stage.path(&file)).unwrap(),
        "hello\n"
    );
    std::fs::remove_file(stage.path(&file)).unwrap();
    reported_and_healed(&stage, &["worker", "file files/greeting"]);
    let url = "http://127.0.0.1:8080/greeting";
    assert_eq!(docker(&["exec", &worker, "/standin", "get", url]), "hello");
    assert_eq!(stage.id("web"), web, "the other one is left alone");
}

#[test]
fn a_network_that_was_taken_away_comes_back() {
    let stage = Stage::new("nonet");
    commit_pair(&stage, &stage.app("v1"), "");
    stage.reconcile();
    let network = format!("{}_default", stage.stack);
    for service in ["web", "worker"] {
        docker(&[
            "network",
            "disconnect",
            "--force",
            &network,
            &stage.container(service),
        ]);
    }
    docker(&["network", "rm", &network]);
    stage.moored(&["drift"]).exits(2).says(&["not connected"]);
    stage.reconcile();
    stage.moored(&["plan"]).exits(0);
    let url = "http://web:8080/health";
    docker(&["exec", &stage.container("worker"), "/standin", "get", url]);
}

#[test]
fn drift_that_is_only_to_be_reported_stays() {
    let stage = Stage::new("report");
    commit_pair(&stage, &stage.app("v1"), "drift: report\n");
    stage.reconcile();
    docker(&["stop", &stage.container("web")]);
    let before = stage.snapshot();
    stage
        .moored(&["reconcile"])
        .exits(0)
        .says(&["web: changed by hand", "only reported"]);
    stage.moored(&["drift"]).exits(2).says(&["exited"]);
    stage.unchanged(&before);
}

#[test]
fn a_second_container_with_the_labels_of_a_service_is_told() {
    let stage = Stage::new("copy");
    let v1 = stage.app("v1");
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    let labels = stage.inspect(
        "web",
        "{{range $k, $v := .Config.Labels}}--label {{$k}}={{$v}}\n{{end}}",
    );
    let copy = format!("{}-copy", stage.container("web"));
    let mut arguments = vec!["run", "-d", "--name", &copy];
    arguments.extend(labels.split_whitespace());
    arguments.push(&v1);
    docker(&arguments);
    stage
        .moored(&["drift"])
        .exits(2)
        .says(&[&copy, "docker rm -f"]);
    stage.moored(&["reconcile"]).exits(0);
    assert!(stage.names().contains(&copy), "it is told, not touched");
    docker(&["rm", "-f", &copy]);
    stage.moored(&["drift"]).exits(0);
}
