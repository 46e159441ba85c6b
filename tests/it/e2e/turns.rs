//! What Compose files say of the turns of a container's life: commands after its start and before
//! its stop, files that are copied in, networks that change, tags that move.

use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually, try_docker};
use crate::support::put;
use crate::support::registry::Registry;

/// An image with a shell, whose containers serve the files of `/www`.
fn image(stage: &Stage) -> String {
    let serve = "ENTRYPOINT [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/\"]";
    stage.sandbox.image("box", &[serve])
}

fn commit(stage: &Stage, message: &str, compose: &str) {
    let manifest = format!("stack: {}\nsoak: 200ms\n", stage.stack);
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose),
        ("host.env", ""),
    ];
    stage.commit(message, &files);
}

fn read(stage: &Stage, service: &str, path: &str) -> String {
    docker(&["exec", &stage.container(service), "cat", path])
}

#[test]
fn commands_run_after_a_start_and_before_a_stop_with_all_that_they_may_say() {
    let stage = Stage::new("hooks");
    let image = image(&stage);
    let compose = |say: &str, label: &str| {
        format!(
            "services:\n  web:\n    image: {image}\n    stop_grace_period: 0s\n    labels: {{n: '{label}'}}\n    \
             volumes: ['log:/log']\n    post_start:\n      - command: [sh, -c, 'echo {say} $$WHO $$(pwd) >> /log/all']\n        \
             working_dir: /log\n        environment: [WHO=ada]\n        user: '0'\n    pre_stop:\n      \
             - command: [sh, -c, 'echo bye >> /log/all']\nvolumes: {{log: }}\n"
        )
    };
    let all = || read(&stage, "web", "/log/all");
    commit(&stage, "first", &compose("one", "1"));
    stage.moored(&["plan"]).exits(2).says(&["post_start sh"]);
    stage.reconcile();
    let hello = "one ada /log";
    assert_eq!(all(), hello);
    stage.reconcile().says(&["nothing to do"]);

    docker(&["stop", "--time", "0", &stage.container("web")]);
    stage.reconcile();
    assert_eq!(all(), format!("{hello}\n{hello}"), "a start by us");

    commit(&stage, "replaced", &compose("one", "2"));
    stage.reconcile();
    assert_eq!(all(), format!("{hello}\n{hello}\nbye\n{hello}"));

    let id = stage.id("web");
    commit(&stage, "another command", &compose("two", "2"));
    stage.reconcile().says(&["post_start (changed)"]);
    assert_eq!(stage.id("web"), id, "only restarted");
    assert!(all().ends_with("bye\ntwo ada /log"), "{}", all());
    stage.reconcile().says(&["nothing to do"]);

    // It fails: what was there before is there again, and has had its command.
    let fails = compose("two", "3").replace("echo two", "echo out; echo no >&2; exit 7; echo two");
    commit(&stage, "fails", &fails);
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["ended with exit code 7", "rolled back"]);
    assert_eq!(stage.id("web"), id);
    assert_eq!(stage.inspect("web", "{{.State.Running}}"), "true");
}

#[test]
fn a_file_without_a_file_of_the_host_is_copied_in() {
    let stage = Stage::new("copied");
    let image = image(&stage);
    let compose = |content: &str| {
        format!(
            "services:\n  web:\n    image: {image}\n    stop_grace_period: 0s\n    configs:\n      \
             - {{source: app, target: /etc/app/settings, uid: '5', gid: '6', mode: 0440}}\n\
             configs: {{app: {{content: 'mode={content}'}}}}\n"
        )
    };
    commit(&stage, "first", &compose("one"));
    stage.reconcile();
    assert_eq!(read(&stage, "web", "/etc/app/settings"), "mode=one");
    let listed = docker(&[
        "exec",
        &stage.container("web"),
        "ls",
        "-ln",
        "/etc/app/settings",
    ]);
    assert!(
        listed.starts_with("-r--r-----") && listed.contains("5        6"),
        "{listed}"
    );
    stage.reconcile().says(&["nothing to do"]);

    let first = stage.id("web");
    commit(&stage, "second", &compose("two"));
    stage
        .reconcile()
        .says(&["content of /etc/app/settings (changed)"]);
    assert_eq!(read(&stage, "web", "/etc/app/settings"), "mode=two");
    assert_ne!(stage.id("web"), first);
    stage.reconcile().says(&["nothing to do"]);

    // Somebody writes over it; the next start by us mends it.
    let name = stage.container("web");
    docker(&["exec", &name, "sh", "-c", "echo broken > /etc/app/settings"]);
    docker(&["stop", "--time", "0", &name]);
    stage.reconcile();
    assert_eq!(read(&stage, "web", "/etc/app/settings"), "mode=two");
}

/// Two services in a network with this setting, one of them published, and one in another network.
fn networked(stage: &Stage, image: &str, mtu: &str, more: &str) -> String {
    format!(
        "services:\n  web:\n    image: {image}\n    stop_grace_period: 0s\n    ports: ['127.0.0.1:{}:8080']\n    \
             depends_on: [db]\n    networks: {{back: {{aliases: [www]}}, front: }}\n  db:\n    image: {image}\n    \
             stop_grace_period: 0s\n    networks: [back]\n    volumes: [/data]\n  apart:\n    image: {image}\n    \
             stop_grace_period: 0s\n    networks: [front]\n\
             networks: {{front: , back: {{driver_opts: {{com.docker.network.driver.mtu: '{mtu}'}}{more}}}}}\n",
        stage.port()
    )
}

#[test]
fn a_network_is_changed_with_the_same_containers_in_it() {
    let stage = Stage::new("networks");
    let image = stage.app("v1");
    let compose = |mtu: &str, more: &str| networked(&stage, &image, mtu, more);
    let back = format!("{}_back", stage.stack);
    let network = |template: &str| docker(&["network", "inspect", "--format", template, &back]);
    let ids = || ["web", "db", "apart"].map(|service| stage.id(service));
    let reaches = |from: &str, to: &str| {
        let url = format!("http://{to}:8080/");
        try_docker(&["exec", &stage.container(from), "/standin", "get", &url])
    };
    let kept = |what: &str| {
        let place = format!("{}:/data/row", stage.container("db"));
        try_docker(&["cp", what, &place]).unwrap();
    };
    commit(&stage, "first", &compose("1400", ""));
    stage.reconcile();
    let (before, first) = (ids(), network("{{.Id}}"));
    let apart = stage.inspect("apart", "{{.State.StartedAt}}");
    let row = stage.path("row");
    put(&row, "kept");
    kept(&row.display().to_string());
    reaches("web", "db").unwrap();

    commit(&stage, "another mtu", &compose("1300", ""));
    stage.moored(&["plan"]).exits(2).says(&[
        "remake",
        &back,
        "driver_opts com.docker.network.driver.mtu",
        "stop",
    ]);
    stage.reconcile();
    assert_ne!(network("{{.Id}}"), first);
    assert!(network("{{json .Options}}").contains("1300"));
    assert_eq!(ids(), before, "the same containers");
    assert_eq!(
        stage.inspect("apart", "{{.State.StartedAt}}"),
        apart,
        "left alone"
    );
    let row = docker(&[
        "exec",
        &stage.container("db"),
        "/standin",
        "cat",
        "/data/row",
    ]);
    assert_eq!(row, "kept");
    for (from, to) in [
        ("web", "db"),
        ("db", "www"),
        ("db", "web"),
        ("apart", "web"),
    ] {
        reaches(from, to).unwrap_or_else(|error| panic!("{from} does not reach {to}: {error}"));
    }
    assert!(reaches("apart", "db").is_err(), "not in that network");
    eventually("the published port", || {
        std::net::TcpStream::connect(("127.0.0.1", stage.port())).is_ok()
    });
    stage.reconcile().says(&["nothing to do"]);

    // Addresses that Git gives.
    commit(
        &stage,
        "a subnet",
        &compose("1300", ", ipam: {config: [{subnet: 10.213.77.0/24}]}"),
    );
    stage.reconcile();
    assert!(network("{{json .IPAM.Config}}").contains("10.213.77.0/24"));
    reaches("web", "db").unwrap();
    stage.reconcile().says(&["nothing to do"]);

    // A stranger in it.
    let stranger = stage.sandbox.name("stranger");
    docker(&[
        "run",
        "--detach",
        "--name",
        &stranger,
        "--network",
        &back,
        &image,
    ]);
    let second = network("{{.Id}}");
    commit(&stage, "internal", &compose("1300", ", internal: true"));
    stage.moored(&["reconcile"]).says(&[&stranger, "are in it"]);
    assert_eq!(network("{{.Id}}"), second, "held");
    docker(&["rm", "--force", &stranger]);
    stage.reconcile();
    assert_eq!(network("{{.Internal}}"), "true");

    // It can't be made: everything is as before.
    stage.permit("drivers: [no-such-driver]");
    let third = network("{{.Internal}} {{json .Options}}");
    commit(
        &stage,
        "impossible",
        &compose("1300", ", driver: no-such-driver"),
    );
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    assert_eq!(network("{{.Internal}} {{json .Options}}"), third);
    assert_eq!(ids(), before);
    reaches("web", "db").unwrap();
}

#[test]
fn a_tag_that_moves_is_followed_where_the_pull_policy_says_so() {
    let stage = Stage::new("policy");
    let mut registry = Registry::start();
    let push = |version: &str| {
        let image = stage.app(version);
        let name = format!("{}:live", stage.sandbox.name("moving"));
        registry.push(&image, &name);
        docker(&["rmi", "--force", &image]);
        registry.reference(&name)
    };
    let image = push("v1");
    docker(&["pull", "--quiet", &image]);
    stage.commit_web("always", &image, "    pull_policy: always\n");
    stage.reconcile();
    stage.serves("v1");
    stage.reconcile().says(&["nothing to do"]);

    let here = docker(&["inspect", "--format", "{{.Id}}", &image]);
    push("v2");
    // The push took the tag from this host.
    docker(&["tag", &here, &image]);
    stage.moored(&["plan"]).exits(2).says(&["pull", "image id"]);
    stage.reconcile();
    stage.serves("v2");
    stage.reconcile().says(&["nothing to do"]);

    registry.stop();
    stage.reconcile().says(&["the one that is here stays"]);
    stage.serves("v2");
}
