//! The two systems by themselves: their images, their application, their proxy and their data are
//! what the tests of the deploy transaction take them for.

use std::fs;
use std::time::Duration;

use super::stage::Stage;
use crate::support::docker_cli::{Sandbox, docker, eventually, try_docker};
use crate::support::http::{Prober, Writer, get, lost_or_doubled};
use crate::support::put;
use crate::support::vehicles::{CANARY, Vehicle, as_pairs, images, without};

/// The application migrates by itself here: these tests are about the systems, not the steps.
const BY_ITSELF: [&str; 2] = ["APP_SCHEMA=1", "MIGRATE_AT_START=1"];

/// Commits a system with what any version of the manifest knows.
fn commit(stage: &Stage, system: &Vehicle, tag: &str, later: &[&str]) {
    let mut manifest = system.manifest(tag);
    for key in later {
        manifest = without(&manifest, key);
    }
    let mut files = system.files();
    files.retain(|file| file.0 != "moored.yaml");
    files.push(("moored.yaml".to_owned(), manifest));
    stage.commit(tag, &as_pairs(&files));
}

const LATER: [&str; 9] = [
    "time_zone",
    "backups",
    "migrations",
    "jobs",
    "ready",
    "smoke",
    "on_failure",
    "checklist",
    "maintenance",
];

#[test]
fn moltfund_runs_behind_its_proxy() {
    let stage = Stage::new("moltfund");
    let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
    for tag in ["v1.2.0", "v1.2.1"] {
        system.image("api", tag, &BY_ITSELF);
        system.image("web", tag, &[]);
    }
    commit(&stage, &system, "v1.2.0", &LATER);
    stage.reconcile();
    eventually("the site answers", || {
        let answer = system.get("/");
        answer.is_some_and(|answer| answer.body.contains(r#""version":"v1.2.0""#))
    });
    assert_eq!(system.insert("first").unwrap().status, 201);
    let uploads = fs::read_to_string(system.root.join("data/uploads/picture.png"));
    assert_eq!(uploads.unwrap(), "a picture");

    let writer = Writer::start(&system.url("/api/entries"));
    commit(&stage, &system, "v1.2.1", &LATER);
    stage.reconcile();
    eventually("the new version answers", || {
        system.version().as_deref() == Some("v1.2.1")
    });
    eventually("the proxy has found it", || {
        let health = system.get("/api/health");
        health.is_some_and(|health| health.body.contains("v1.2.1"))
    });
    let stored = writer.stop();
    assert!(!stored.is_empty());
    let rows = system.rows();
    assert_eq!(lost_or_doubled(&stored, &rows), [""; 0]);
    assert_eq!(rows[0], "first");
    assert_eq!(system.schema(), 1);
    let told = get(&system.api_url("/api/entries"))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(told["entries"], rows.len());
}

#[test]
fn the_proxy_of_moltfund_shows_the_page_while_the_flag_is_there() {
    let stage = Stage::new("page");
    let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
    system.image("api", "v1.2.0", &BY_ITSELF);
    system.image("web", "v1.2.0", &[]);
    commit(&stage, &system, "v1.2.0", &LATER);
    stage.reconcile();
    eventually("the site answers", || {
        system.get("/").is_some_and(|answer| answer.status == 200)
    });
    assert_eq!(system.get("/maintenance.html").unwrap().status, 404);

    let prober = Prober::start(&system.url("/"));
    std::thread::sleep(Duration::from_millis(300));
    let page = system.file("maintenance/maintenance.html");
    put(system.root.join("maintenance/maintenance.html"), &page);
    put(system.flag(), "");
    for answer in [
        system.get("/").unwrap(),
        system.get("/api/entries").unwrap(),
        system.insert("lost").unwrap(),
    ] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.body, page);
        assert_eq!(answer.header("retry-after"), Some("120"));
    }
    assert_eq!(system.get("/api/health").unwrap().status, 200);
    assert_eq!(system.get("/maintenance.html").unwrap().status, 404);
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(system.flag()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let record = prober.stop();
    assert_eq!(record.statuses(), [200, 503, 200]);
    assert_eq!(record.versions(), ["v1.2.0"]);
    let closed = record.longest_without(200);
    assert!(closed.as_millis() >= 250, "{closed:?}");
    assert!(record.count(503) >= 3);
    assert_eq!(system.rows(), [""; 0]);
}

#[test]
fn v_edfinance_keeps_its_rows_in_postgres() {
    let stage = Stage::new("edfinance");
    let system = Vehicle::v_edfinance(&stage.sandbox, &stage.stack, stage.dir.path());
    for tag in ["v1.0.0", "v1.1.0"] {
        system.image("api", tag, &BY_ITSELF);
    }
    let later = &LATER[..LATER.len() - 1];
    commit(&stage, &system, "v1.0.0", later);
    stage.reconcile();
    assert_eq!(system.version().as_deref(), Some("v1.0.0"));
    assert_eq!(system.insert("first").unwrap().status, 201);
    let integrity = "/api/debug/diagnostics/verify-integrity";
    let verified = system.get(integrity).unwrap().json().unwrap();
    assert_eq!(
        (&verified["ok"], &verified["entries"]),
        (&true.into(), &1.into())
    );

    let writer = Writer::start(&system.url("/api/entries"));
    commit(&stage, &system, "v1.1.0", later);
    stage.reconcile();
    docker(&["restart", &system.container("postgres")]);
    eventually("the database is back", || {
        system
            .insert("second")
            .is_some_and(|answer| answer.status == 201)
    });
    let stored = writer.stop();
    let rows = system.rows();
    assert_eq!(lost_or_doubled(&stored, &rows), [""; 0]);
    assert_eq!(system.version().as_deref(), Some("v1.1.0"));

    // What a backup does in this container.
    let postgres = system.container("postgres");
    let dumped = "pg_dump -U \"$POSTGRES_USER\" -Fc \"$POSTGRES_DB\" >/tmp/dump && \
                  pg_restore -f /dev/null /tmp/dump && echo whole";
    assert_eq!(docker(&["exec", &postgres, "sh", "-c", dumped]), "whole");
    // The password counts over the network.
    let api = system.container("api");
    let wrong = "postgres://edfinance:wrong@postgres/edfinance";
    let refused = try_docker(&["exec", &api, "psql", wrong, "-c", "SELECT 1"]).unwrap_err();
    assert!(
        refused.contains("password authentication failed"),
        "{refused}"
    );
    // A row that is gone is noticed.
    system.query("DELETE FROM entries WHERE text = 'first'");
    let verified = system.get(integrity).unwrap().json().unwrap();
    assert_eq!(verified["ok"], false, "{verified}");
    assert!(!verified.to_string().contains(CANARY));
}

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
