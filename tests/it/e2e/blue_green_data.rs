//! Change-overs with more to them: a migration, and a connection that does not end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::blue_green_site::{Front, Says, Site};
use super::play::Play;
use crate::support::docker_cli::docker;
use crate::support::http::{Prober, Writer, lost_or_doubled};
use crate::support::load::LoadSpec;
use crate::support::vehicles::as_pairs;

#[test]
fn a_connection_that_does_not_end_is_waited_for_and_then_cut() {
    let site = Site::new("bgdrain", Front::NginxInside, &["web"]);
    let (v1, v2) = (site.stage.app("v1"), site.stage.app("v2"));
    let says = Says {
        drain: "3s",
        ..Says::default()
    };
    site.commit(&[&v1], &says);
    site.reconcile();
    let visitors = site.visitors(&LoadSpec {
        long: false,
        ..LoadSpec::default()
    });
    let mut long = TcpStream::connect(site.address()).unwrap();
    long.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(long, "GET /stream?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut one = [0];
    long.read_exact(&mut one).unwrap();
    site.commit(&[&v2], &says);
    let began = Instant::now();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        drop(long.read_to_end(&mut all));
        (
            Instant::now(),
            String::from_utf8_lossy(&all).ends_with("0\r\n\r\n"),
        )
    });
    site.reconcile();
    assert!(began.elapsed() > Duration::from_secs(3));
    let (ended, whole) = reader.join().unwrap();
    assert!(ended - began > Duration::from_secs(3) && !whole);
    site.quiet(&["v2"]);
    visitors.noticed_nothing();
}

/// Commits moltfund with an API that changes over, and a page only while it migrates.
fn commit_with_change_over(play: &Play, tag: &str) {
    let system = &play.system;
    let (api, proxy) = (system.api_port, system.proxy_port);
    let edits = [
        ("during: deploy", "during: migrate".to_owned()),
        (
            "on_failure:",
            "strategy: {api: blue-green}\non_failure:".to_owned(),
        ),
        ("timeout: 5m", "timeout: 20s".to_owned()),
        // Through the proxy, past the page: the two containers have no port in common.
        (
            "/api/debug/diagnostics/verify-integrity\", json: {/ok: true}",
            "/api/health\"".to_owned(),
        ),
        (
            &format!("127.0.0.1:{api}/api"),
            format!("127.0.0.1:{proxy}/api"),
        ),
        (
            &format!("ports: [\"127.0.0.1:{api}:4000\"]"),
            "expose: [\"4000\"]".to_owned(),
        ),
        ("http://api:4000", "http://@moored.api:4000@".to_owned()),
    ];
    let mut files = system.files();
    for (path, text) in &mut files {
        if path == "moored.yaml" {
            *text = system.manifest(tag);
        }
    }
    let edited = ["moored.yaml", "compose.yaml", "nginx/site.conf"];
    for (from, to) in edits {
        let mut found = false;
        let files = files.iter_mut();
        for (_, text) in files.filter(|file| edited.contains(&file.0.as_str())) {
            found |= text.contains(from);
            *text = text.replace(from, &to);
        }
        assert!(found, "nothing has {from:?}");
    }
    play.stage.commit(tag, &as_pairs(&files));
}

#[test]
fn a_migration_before_a_change_over_has_its_page_and_goes_back_with_its_data() {
    let play = Play::moltfund("bgmigrate");
    let (stage, system) = (&play.stage, &play.system);
    play.images("v1", &["APP_SCHEMA=1"]);
    commit_with_change_over(&play, "v1");
    stage.reconcile();
    play.serves("v1");

    let writer = Writer::start(&system.url("/api/entries"));
    let prober = Prober::start(&system.url("/api/entries"));
    play.images("v2", &["APP_SCHEMA=2"]);
    commit_with_change_over(&play, "v2");
    stage.moored(&["plan"]).exits(2).says(&[
        "maintain",
        "stop",
        "backup",
        "run",
        "switch",
        "hand-over",
    ]);
    stage.reconcile();
    play.serves("v2");
    assert_eq!(system.schema(), 2);
    play.quiet();

    // It migrates, and is never ready: data, code and proxy go back as one.
    let before = docker(&["inspect", "--format", "{{.Id}}", &stage.container("api")]);
    play.images("v3", &["APP_SCHEMA=3", "NEVER_READY=1"]);
    commit_with_change_over(&play, "v3");
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    play.serves("v2");
    assert_eq!(system.schema(), 2);
    let after = docker(&["inspect", "--format", "{{.Id}}", &stage.container("api")]);
    assert_eq!(after, before);
    play.whole();

    let (record, stored) = (prober.stop(), writer.stop());
    assert_eq!(record.statuses(), [200, 503, 200, 503, 200], "{record:?}");
    assert_eq!(lost_or_doubled(&stored, &system.rows()), [""; 0]);
}
