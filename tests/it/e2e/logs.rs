//! What containers have written is shown in the order of time, stopped ones' too, and no secret of
//! it.

use super::stage::Stage;
use crate::support::docker_cli::docker;

/// Prints everything that it has in its environment, and waits.
const TELLS: &str =
    "echo \"begun $$$$ as $$(cat /image)\"; env; sleep 1; echo oops >&2; exec sleep 600";

/// Commits a stack of `web`, that tells its secrets, `worker`, with a terminal, and `mute`, of which
/// the engine keeps nothing.
fn commit(stage: &Stage, image: &str) {
    let manifest = stage.manifest(&[("web", image), ("mute", image), ("worker", image)], "");
    let compose = format!(
        "services:\n  web:\n    image: app\n    init: true\n    command: [sh, -c, '{TELLS}']\n  \
         mute:\n    image: app\n    init: true\n    logging: {{driver: none}}\n    \
         command: [sleep, '600']\n  worker:\n    image: app\n    init: true\n    tty: true\n    \
         command: [sh, -c, \"printf '\\\\033[1;31mred\\\\033[0m\\\\nof a terminal\\\\n'; exec sleep 600\"]\n"
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose.as_str()),
    ];
    stage.commit(image, &files);
}

#[test]
fn logs_are_shown_by_service_and_no_secret_with_them() {
    let stage = Stage::new("logs");
    let image = stage.sandbox.image("app", &[]);
    commit(&stage, &image);
    // Before the first release what Git says is asked.
    stage.moored(&["logs"]).exits(0);
    stage.reconcile();

    crate::support::docker_cli::eventually("it has said everything", || {
        stage.moored(&["logs", "web"]).out.contains("oops")
    });
    let both = stage.moored(&["logs"]).exits(0);
    let lines: Vec<&str> = both.out.lines().collect();
    assert!(lines.contains(&"worker-1  red"), "{both:?}");
    assert!(lines.contains(&"worker-1  of a terminal"), "{both:?}");
    assert!(lines.contains(&"web-1     oops"), "{both:?}");
    let mute = lines
        .iter()
        .find(|line| line.starts_with("mute-1    (its log can't be read: "));
    assert!(mute.is_some(), "{both:?}");
    assert!(
        lines.contains(&"web-1     CANARY_TOKEN=[hidden]"),
        "{both:?}"
    );
    let begun = lines
        .iter()
        .position(|line| line.starts_with("web-1     begun "));
    let oops = lines.iter().position(|line| line.ends_with("oops"));
    assert!(begun.is_some() && begun < oops, "{both:?}");

    let web = stage.moored(&["logs", "web", "--tail", "1"]).exits(0);
    assert_eq!(web.out, "oops\n");
    let timed = stage.moored(&["logs", "worker", "--timestamps"]).exits(0);
    assert!(
        timed.out.starts_with("20") && timed.out.contains("Z  red\n"),
        "{timed:?}"
    );
    let json = stage.moored(&["--format", "json", "logs", "web"]).exits(0);
    let last: serde_json::Value = serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["text"], &last["stream"]),
        (&"oops".into(), &"stderr".into())
    );
    assert_eq!(last["container"], stage.container("web"));
    let since = stage
        .moored(&["logs", "web", "--since", "2100-01-01T00:00"])
        .exits(0);
    assert_eq!(since.out, "");

    docker(&["stop", "--time", "0", &stage.container("web")]);
    stage.moored(&["logs", "web"]).exits(0).says(&["oops"]);
    let unknown = stage.moored(&["logs", "wbe"]).exits(64);
    unknown.says(&["has no service \"wbe\"", "there is: mute, web, worker"]);
    stage.moored(&["logs", "--tail", "x"]).exits(64);
    stage.moored(&["logs", "--since", "x"]).exits(64);
}

#[test]
fn logs_are_followed_over_a_restart_and_a_replacement() {
    let stage = Stage::new("follow");
    let first = stage.sandbox.image("one", &[]);
    let second = stage.sandbox.image("two", &[]);
    commit(&stage, &first);
    stage.reconcile();
    let mut reader = stage.start(&["logs", "web", "mute", "--follow"]);
    reader.says(&format!("as {first}"));
    let begun = |said: &str| said.matches("begun ").count();
    docker(&["restart", "--time", "0", &stage.container("web")]);
    crate::support::docker_cli::eventually("it goes on after the restart", || {
        begun(&reader.said()) == 2
    });
    commit(&stage, &second);
    stage.reconcile();
    reader.says(&format!("as {second}"));
    // The engine hands a long line on in pieces, all of one time.
    let write = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo after it";
    let write = format!("({write}) > /proc/1/fd/1");
    docker(&["exec", &stage.container("web"), "sh", "-c", &write]);
    reader.says("after it");
    let said = reader.said();
    assert!(said.matches('x').count() >= 40_000);
    let after = said.lines().find(|line| line.contains("after it"));
    assert!(after.is_some_and(|line| !line.contains("xx")), "{after:?}");
    assert_eq!(begun(&said), 3, "no line is shown twice:\n{said}");
    assert!(!said.contains(&stage.canary.value()));
    assert!(!reader.has_ended());
    reader.signal("TERM");
    reader.ends(std::time::Duration::from_secs(5));
}
