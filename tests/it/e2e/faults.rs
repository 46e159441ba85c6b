//! What is in the way of a deploy: processes that do not end, ports and names that are taken,
//! registries that are away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::play::Play;
use crate::support::docker_cli::docker;
use crate::support::registry::free_port;

#[test]
fn a_name_a_port_and_a_registry_in_the_way_leave_what_serves_alone() {
    let play = Play::v_edfinance("inway");
    let (stage, system) = (&play.stage, &play.system);

    // Somebody else's container has our name: it stays, and the first deploy waits.
    let name = system.container("api");
    play.images("v1", &["APP_SCHEMA=1", "IGNORE_TERM=1"]);
    let image = play.system.image("api", "foreign", &[]);
    docker(&["run", "--detach", "--name", &name, &image, "sleep", "600"]);
    let id = docker(&["inspect", "--format", "{{.Id}}", &name]);
    play.commit("v1", &[]);
    stage
        .moored(&["plan"])
        .exits(75)
        .says(&["is taken by a container that is not ours"]);
    play.pass().exits(75).says(&[&name]);
    assert_eq!(
        docker(&["inspect", "--format", "{{.Id}} {{.State.Running}}", &name]),
        format!("{id} true")
    );
    docker(&["rm", "--force", &name]);
    stage.reconcile();
    play.serves("v1");
    system.insert("first").unwrap();
    play.quiet();

    // A registry that is away: nothing is touched, and it is tried again.
    let before = stage.snapshot();
    let away = (
        "backups:\n",
        "images:\n  api: 127.0.0.1:1/api:v2\nbackups:\n",
    );
    play.commit("v1", &[away]);
    for _ in 0..2 {
        play.pass().exits(69).says(&["127.0.0.1:1/api:v2"]);
    }
    stage.unchanged(&before);
    assert_eq!(play.backups().len(), 0);

    // A port that is taken: the new container can't start, the old one serves again.
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (ours, other) = (
        format!("127.0.0.1:{}:4000", system.api_port),
        format!("127.0.0.1:{port}:4000"),
    );
    play.commit("v1", &[(&ours, &other)]);
    play.fails(&["rolled back"]);
    play.serves("v1");
    assert_eq!(system.rows(), ["first"]);
    play.whole();
    drop(taken);

    // A process that does not mind SIGTERM is ended all the same, in its time.
    play.images("v3", &["APP_SCHEMA=2"]);
    play.commit("v3", &[]);
    let began = Instant::now();
    stage.reconcile();
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    play.serves("v3");
    assert_eq!(
        (system.rows(), system.schema()),
        (vec!["first".to_owned()], 2)
    );
    play.quiet();
}
