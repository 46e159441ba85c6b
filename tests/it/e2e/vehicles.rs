//! The stand-in application by itself: its migrations go wrong as the tests of the deploy
//! transaction take them to.

use std::time::Duration;

use crate::support::docker_cli::{Sandbox, docker};
use crate::support::vehicles::images;

#[test]
fn migrations_go_wrong_as_they_are_told_to() {
    let sandbox = Sandbox::new("mishap");
    let image = sandbox.name("api:v2");
    images("ledger_image", &[&image, "APP_SCHEMA=2"]);
    let data = tempfile::tempdir().unwrap();
    let mount = format!("{}:/data", data.path().display());
    let name = sandbox.name("run");
    let run = |how: &str, command: &str| {
        let head = ["run", "--name", &name, "--volume", &mount, how, &image];
        docker(&[&head, ["sh", "-c", command].as_slice()].concat())
    };
    // Each on data of version 1: the mishap, the exit code, the schema afterwards.
    let mishaps = [
        ("ok", "0", "2"),
        ("slow:0.2", "0", "2"),
        ("noisy", "0", "2"),
        ("tell", "0", "2"),
        ("fail-before", "1", "1"),
        ("half", "1", "1 dirty"),
        ("fail-after", "1", "2"),
        ("kill-self", "139", "1"),
        ("hang", "137", "1"),
    ];
    for (mishap, code, _) in mishaps {
        let command = format!(
            "export DATABASE=sqlite:/data/{mishap}.db
             APP_SCHEMA=1 /standin migrate && MIGRATE={mishap} exec /standin migrate"
        );
        run("--detach", &command);
        if mishap == "hang" {
            // Its transaction is open, and it does not mind being told to stop.
            std::thread::sleep(Duration::from_millis(700));
            docker(&["kill", "--signal", "TERM", &name]);
            std::thread::sleep(Duration::from_millis(200));
            let running = docker(&["inspect", "--format", "{{.State.Running}}", &name]);
            assert_eq!(running, "true");
            docker(&["kill", &name]);
        }
        assert_eq!(docker(&["wait", &name]), code, "{mishap}");
        docker(&["rm", &name]);
    }
    let look = mishaps.map(|it| format!("DATABASE=sqlite:/data/{}.db /standin schema", it.0));
    let schemas = run("--rm", &look.join("; "));
    assert_eq!(
        schemas.lines().collect::<Vec<_>>(),
        mishaps.map(|it| it.2),
        "{mishaps:?}"
    );
}
