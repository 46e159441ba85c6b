//! nginx of the host, under Git, and change-overs that nobody notices.

use std::fs;
use std::time::Duration;

use super::Site;
use crate::support::arsvent::FIRST;
use crate::support::load::{Load, LoadReport, LoadSpec};
use crate::systems::row::Row;

#[test]
fn nginx() {
    let _row = Row::begin("arsvent", "nginx");
    let site = Site::both("nginx");
    let (production, staging) = (&site.system.production, &site.system.staging);
    let containers = [production.containers(), staging.containers()];
    for (side, name) in [
        (production, "arsvent.example"),
        (staging, "staging.arsvent.example"),
    ] {
        let answer = site.system.over_tls(name, "/api/entries");
        assert!(answer.contains("\"entries\":1"), "{answer}");
        // Its cache works: a miss, then a hit.
        for wanted in ["MISS", "HIT"] {
            let answer = side.get("/content-asset/logo.png");
            assert_eq!(answer.header("x-cache"), Some(wanted), "{answer:?}");
        }
    }

    let others = staging.marker();
    let own = "    location = /hello { return 200 \"hello\"; }\n    location /api/";
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let change = [("    location /api/", own)];
    let commit = site.edit("nginx: hello", &production.source(), &change);
    site.stage.reconcile();
    nobody_noticed(&load.stop(), &[FIRST]);
    assert_eq!(production.get("/hello").body, "hello");
    assert_eq!(production.marker(), format!("2-{}", &commit[..7]), "proved");
    assert_eq!(staging.marker(), others);
    site.quiet();

    loads_a_renewed_certificate(&site);
    refuses_mistakes(&site);
    assert_eq!([production.containers(), staging.containers()], containers);
    site.quiet();
}

/// A certificate that was renewed on the disk is nobody's commit, and nobody's drift.
fn loads_a_renewed_certificate(site: &Site) {
    let name = "arsvent.example";
    assert!(site.system.shows_certificate(name));
    site.system.renew(name);
    assert!(!site.system.shows_certificate(name));
    let planned = site.stage.moored(&["plan"]).exits(2);
    planned.says(&["certificate ", "fullchain.pem", "switch"]);
    site.stage.reconcile();
    assert!(site.system.shows_certificate(name));
    site.quiet();
}

/// A zone that staging's file has already, what is no directive, and a server name that gets lost.
fn refuses_mistakes(site: &Site) {
    let production = &site.system.production;
    let live = fs::read_to_string(site.system.config(production)).unwrap();
    let marker = production.marker();
    for (from, to, why) in [
        (
            "keys_zone=arsvent:10m",
            "keys_zone=arsvent_staging:10m",
            "duplicate zone",
        ),
        (
            "proxy_connect_timeout",
            "proxy_conect_timeout",
            "unknown directive",
        ),
        (
            "server_name arsvent.example;\n    ssl",
            "server_name new.example;\n    ssl",
            "arsvent.example",
        ),
    ] {
        site.edit("nginx: bad", &production.source(), &[(from, to)]);
        site.fails(&[why]);
        let now = fs::read_to_string(site.system.config(production)).unwrap();
        assert_eq!((now, production.marker()), (live.clone(), marker.clone()));
        site.stage.moored(&["drift"]).exits(2).says(&[why]);
        site.stage.revert();
        site.stage.reconcile();
    }
}

#[test]
fn blue_green() {
    let _row = Row::begin("arsvent", "blue/green");
    let site = Site::production("green");
    let production = &site.system.production;
    site.system.images("sha-2", &["APP_SCHEMA=1"]);
    site.system.images("sha-3", &["APP_SCHEMA=1"]);
    // The frontend alone, as the example is.
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let first = format!("frontend:{FIRST}");
    site.bump(production, &first, "frontend:sha-2", &[]);
    let planned = site.stage.moored(&["plan"]).exits(2);
    planned.says(&["switch", "drain", "hand-over"]);
    site.stage.reconcile();
    settled();
    nobody_noticed(&load.stop(), &[FIRST, "sha-2"]);
    assert_eq!(production.versions(), [FIRST, "sha-2"]);
    site.quiet();

    // Both, where migrations leave the version before its data.
    let api = Load::start(&production.url("/api/health"), &quick());
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let first = format!("backend:{FIRST}");
    let more = [
        ("frontend:sha-2", "frontend:sha-3"),
        ("during: migrate", "during: never"),
        ("    stop: [backend]\n", ""),
        ("compatible: false", "compatible: true"),
        ("    restore_on_failed_migration: true\n", ""),
    ];
    site.bump(production, &first, "backend:sha-3", &more);
    site.stage.reconcile();
    settled();
    nobody_noticed(&api.stop(), &[FIRST, "sha-3"]);
    nobody_noticed(&load.stop(), &["sha-2", "sha-3"]);
    assert_eq!(production.versions(), ["sha-3", "sha-3"]);
    site.quiet();

    // And back, from images that are on the host.
    let api = Load::start(&production.url("/api/health"), &quick());
    site.bump(production, "backend:sha-3", &first, &[]);
    site.stage.reconcile();
    settled();
    nobody_noticed(&api.stop(), &[FIRST, "sha-3"]);
    assert_eq!(site.data(production), (vec!["first".to_owned()], 1));
    site.quiet();
}

/// Visitors of a path that has neither slow answers nor downloads beside it.
fn quick() -> LoadSpec {
    LoadSpec {
        slow_every: 0,
        long: false,
        ..LoadSpec::default()
    }
}

/// Lets the last visitors come.
fn settled() {
    std::thread::sleep(Duration::from_millis(300));
}

/// Checks that no request failed, and who answered.
#[track_caller]
pub(super) fn nobody_noticed(report: &LoadReport, versions: &[&str]) {
    assert_eq!(report.failures, 0, "{report:?}");
    assert!(report.requests > 100, "{report:?}");
    let seen: Vec<&str> = report.versions.iter().map(String::as_str).collect();
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    assert_eq!(seen, versions, "{report:?}");
}
