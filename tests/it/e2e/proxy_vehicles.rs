//! The example systems with their proxy under Git: nginx in a container, and the host's.

use std::fs;

use super::play::Play;
use super::stage::Stage;
use crate::support::arsvent::{Arsvent, FIRST, Side, shown_certificate};
use crate::support::docker_cli::{docker, eventually};
use crate::support::host_proxy::{certificate, free_port};
use crate::support::http::{Prober, Writer, get, lost_or_doubled};
use crate::support::load::{Load, LoadReport, LoadSpec};
use crate::support::vehicles::{CANARY, as_pairs};

/// Words of a plan that touches containers, visitors or data.
const MORE_THAN_THE_PROXY: [&str; 6] =
    ["replace", "restart", "maintain", "backup", "stop", "create"];

impl Play {
    /// Commits moltfund's nginx with a change.
    fn commit_site(&self, message: &str, from: &str, to: &str) -> String {
        let text = self.system.file("nginx/site.conf");
        assert!(text.contains(from), "no {from:?} in {text}");
        let text = text.replace(from, to);
        self.stage.commit(message, &[("nginx/site.conf", &text)])
    }

    fn marker(&self) -> String {
        let answer = self.system.get("/__moored").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Returns ids and start times of all containers.
    fn containers(&self) -> String {
        let names = self.stage.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let format = ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}"];
        docker(&[&format, names.as_slice()].concat())
    }
}

#[test]
fn a_change_of_moltfunds_nginx_is_loaded_and_proved_and_no_container_notices() {
    let play = Play::moltfund("mnginx");
    play.first("v1.2.0", &[]);
    play.quiet();
    let (containers, first) = (play.containers(), play.marker());
    assert!(first.starts_with("1-"), "{first}");
    assert_eq!(play.system.get("/hello").unwrap().status, 404);

    let prober = Prober::start(&play.system.url("/"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    let own = "    location = /hello { return 200 \"hello\"; }\n    location /api/";
    let commit = play.commit_site("nginx: hello", "    location /api/", own);
    let planned = play.stage.moored(&["plan"]).exits(2);
    let planned = planned.says(&["test", "switch", "record", "/etc/nginx/conf.d/site.conf"]);
    for word in MORE_THAN_THE_PROXY {
        let line = format!("  {word} ");
        assert!(!planned.out.contains(&line), "{}", planned.out);
    }
    play.stage.reconcile();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let record = prober.stop();
    assert_eq!(record.statuses(), [200], "{record:?}");
    assert_eq!(play.containers(), containers);
    assert_eq!(play.system.get("/hello").unwrap().body, "hello");
    assert_eq!(play.marker(), format!("2-{}", &commit[..7]));
    play.quiet();

    // Back by a revert, which is a release of its own.
    let commit = play.stage.revert();
    play.stage.reconcile();
    assert_eq!(play.system.get("/hello").unwrap().status, 404);
    assert_eq!(play.marker(), format!("3-{}", &commit[..7]));
    assert_eq!(play.containers(), containers);
    play.quiet();
}

#[test]
fn a_bad_nginx_of_moltfund_is_refused_before_anything_changes() {
    let play = Play::moltfund("mbadnginx");
    play.first("v1.2.0", &[]);
    play.quiet();
    let marker = play.marker();
    let before = play.stage.snapshot();
    let file = play.system.root.join("nginx/site.conf");
    let live = fs::read_to_string(&file).unwrap();

    let prober = Prober::start(&play.system.url("/"));
    play.commit_site("nginx: a typing error", "proxy_pass $web", "prxy_pass $web");
    play.fails(&[
        "unknown directive \"prxy_pass\"",
        "/etc/nginx/conf.d/site.conf:",
    ]);
    assert_eq!(prober.stop().statuses(), [200]);
    play.stage.unchanged(&before);
    assert_eq!(fs::read_to_string(&file).unwrap(), live);
    assert_eq!(play.marker(), marker);
    assert_eq!(play.system.get("/").unwrap().status, 200);
    // Why is said wherever somebody looks.
    for command in ["plan", "status", "drift"] {
        play.stage.moored(&[command]).says(&["unknown directive"]);
    }
    play.stage
        .moored(&["drift"])
        .exits(2)
        .says(&["site.conf", "pending"]);
    play.whole();

    play.stage.revert();
    play.stage.reconcile();
    assert_eq!(play.system.get("/").unwrap().status, 200);
    play.quiet();
}

#[test]
fn moltfund_changes_to_tls_with_a_certificate_from_the_disk() {
    let play = Play::moltfund("mtls");
    play.first("v1.2.0", &[]);
    let ids = ["api", "web"].map(|it| play.stage.id(it));
    let tls = free_port();
    let certificates = play.system.root.join("certs");
    fs::create_dir(&certificates).unwrap();
    let renew = || {
        certificate(&certificates);
        for (made, name) in [("cert", "fullchain.pem"), ("key", "privkey.pem")] {
            fs::rename(certificates.join(made), certificates.join(name)).unwrap();
        }
    };
    let shown = || shown_certificate(tls, "moltfund.example");
    let on_disk = || fs::read_to_string(certificates.join("fullchain.pem")).unwrap();

    // As the example's README says it, before the certificate is there.
    let ports = format!("ports: [\"127.0.0.1:{tls}:443\", ");
    let mount = format!("volumes:\n      - {}:/certs:ro\n", certificates.display());
    let compose = play.system.file("compose.yaml");
    let (before, proxy) = compose.split_once("  nginx-proxy:\n").unwrap();
    let proxy = proxy.replace("ports: [", &ports);
    let proxy = proxy.replace("volumes:\n", &mount);
    let compose = format!("{before}  nginx-proxy:\n{proxy}");
    let site = play.system.file("nginx/site.conf");
    let with_tls = "    listen 80 default_server;\n    listen 443 ssl;\n    \
                    ssl_certificate /certs/fullchain.pem;\n    \
                    ssl_certificate_key /certs/privkey.pem;\n";
    let site = site.replace("    listen 80 default_server;\n", with_tls);
    let files = [
        ("compose.yaml", compose.as_str()),
        ("nginx/site.conf", &site),
    ];
    play.stage.commit("tls", &files);
    let containers = play.containers();
    play.fails(&["/certs/fullchain.pem"]);
    assert_eq!(play.containers(), containers);
    assert_eq!(play.system.get("/").unwrap().status, 200);

    renew();
    play.stage.moored(&["retry"]).exits(0);
    play.stage.reconcile();
    play.serves("v1.2.0");
    assert!(shown().contains(on_disk().trim()));
    assert_eq!(["api", "web"].map(|it| play.stage.id(it)), ids);
    play.quiet();

    // Renewed in place: the next pass loads it, and no container notices.
    let containers = play.containers();
    renew();
    assert!(!shown().contains(on_disk().trim()));
    play.stage.reconcile();
    assert!(shown().contains(on_disk().trim()));
    assert_eq!(play.containers(), containers);
    play.quiet();
}

/// Both stacks of arsvent on a stage.
struct Both {
    stage: Stage,
    system: Arsvent,
}

impl Both {
    /// Sets up both stacks with the first version in each.
    fn new(area: &str) -> Self {
        let stage = Stage::new(area);
        let system = Arsvent::new(&stage.sandbox, &stage.stack, stage.dir.path());
        let both = Self { stage, system };
        both.system.images(FIRST, &["APP_SCHEMA=1"]);
        both.stage.commit("both", &as_pairs(&both.system.files()));
        both.stage.reconcile();
        for side in both.sides() {
            assert_eq!(side.versions(), [FIRST, FIRST]);
            assert_eq!(side.insert("first").status, 201);
        }
        both.quiet();
        both
    }

    fn sides(&self) -> [&Side; 2] {
        [&self.system.production, &self.system.staging]
    }

    /// Returns a file of the state repository as it is.
    fn file(&self, path: &str) -> String {
        fs::read_to_string(self.stage.path("state").join(path)).unwrap()
    }

    /// Commits files with changes; all of them must have what is changed.
    #[track_caller]
    fn edit(&self, message: &str, path: &str, edits: &[(&str, &str)]) -> String {
        let mut text = self.file(path);
        for (from, to) in edits {
            assert!(text.contains(from), "no {from:?} in {path}");
            text = text.replace(from, to);
        }
        self.stage.commit(message, &[(path, &text)])
    }

    /// Checks that nothing is left to do, for either stack, and nothing half-made.
    #[track_caller]
    fn quiet(&self) {
        self.stage
            .moored(&["plan"])
            .exits(0)
            .says(&["nothing to do"]);
        self.stage.moored(&["drift"]).exits(0);
        for side in self.sides() {
            let there = side.containers();
            let names: Vec<&str> = there.iter().filter_map(|it| it.split(' ').next()).collect();
            let wanted =
                ["backend", "frontend", "redis"].map(|it| format!("{}-{it}-1", side.stack));
            assert_eq!(names, wanted);
            assert!(there.iter().all(|it| it.ends_with(" running")), "{there:?}");
            assert!(!self.system.flag(side).exists(), "the page is on");
        }
        assert!(!self.stage.said().contains(CANARY), "a secret was said");
    }
}

#[test]
fn a_deploy_of_staging_does_not_touch_production() {
    let both = Both::new("aside");
    let (production, staging) = (&both.system.production, &both.system.staging);
    for (side, name) in [
        (production, "arsvent.example"),
        (staging, "staging.arsvent.example"),
    ] {
        assert!(side.marker().starts_with("1-"));
        let answer = both.system.over_tls(name, "/api/entries");
        assert!(answer.contains("\"entries\":1"), "{answer}");
        // Its cache works: a miss, then a hit.
        for wanted in ["MISS", "HIT"] {
            let answer = side.get("/content-asset/logo.png");
            assert_eq!(answer.header("x-cache"), Some(wanted), "{answer:?}");
        }
    }
    let containers = production.containers();
    let config = fs::read_to_string(both.system.config(production)).unwrap();

    both.system.images("sha-2", &["APP_SCHEMA=2"]);
    let prober = Prober::start(&production.url("/api/health"));
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    both.edit("staging: sha-2", &staging.manifest(), &[(FIRST, "sha-2")]);
    both.stage.reconcile();
    assert_eq!(staging.versions(), ["sha-2", "sha-2"]);
    let (record, report) = (prober.stop(), load.stop());
    assert_eq!(record.statuses(), [200], "{record:?}");
    nobody_noticed(&report, &[FIRST]);
    assert_eq!(production.versions(), [FIRST, FIRST]);
    assert_eq!(production.containers(), containers);
    assert!(production.marker().starts_with("1-"));
    assert_eq!(
        fs::read_to_string(both.system.config(production)).unwrap(),
        config
    );
    both.quiet();
    // Two releases of one, and one of the other.
    for (side, releases) in [(staging, 2), (production, 1)] {
        let log = both
            .stage
            .path(&format!("moored/stacks/{}/releases.log", side.stack));
        assert_eq!(fs::read_to_string(log).unwrap().lines().count(), releases);
    }
}

#[test]
fn visitors_of_arsvent_see_the_page_while_it_migrates_and_never_else() {
    let both = Both::new("apage");
    let production = &both.system.production;
    both.system
        .images("sha-2", &["APP_SCHEMA=2", "MIGRATE=slow:1"]);
    let writer = Writer::start(&production.url("/api/entries"));
    let prober = Prober::start(&production.url("/"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    both.edit(
        "production: sha-2",
        &production.manifest(),
        &[(FIRST, "sha-2")],
    );
    let mut pass = both.stage.start(&["reconcile"]);
    eventually("the page is on", || production.get("/").status == 503);
    let answer = production.get("/");
    if answer.status == 503 {
        assert_eq!(answer.body, both.file("maintenance/maintenance.html"));
        assert_eq!(answer.header("retry-after"), Some("120"));
        assert!(both.system.flag(production).exists());
    }
    // The other stack's visitors see nothing of it.
    assert_eq!(both.system.staging.get("/").status, 200);
    let ended = pass.ends(std::time::Duration::from_secs(60));
    assert_eq!(ended, Some(0), "{}", pass.said());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (record, stored) = (prober.stop(), writer.stop());
    assert_eq!(record.statuses(), [200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), [FIRST, "sha-2"]);
    let database = both.system.database(production);
    let database = rusqlite::Connection::open(database).unwrap();
    let mut rows = database
        .prepare("SELECT text FROM entries ORDER BY id")
        .unwrap();
    let rows: Result<Vec<String>, _> = rows.query_map([], |row| row.get(0)).unwrap().collect();
    assert_eq!(lost_or_doubled(&stored, &rows.unwrap()), [""; 0]);
    both.quiet();
    let backups = both.system.root.join("backups/backend-db");
    let backups = fs::read_dir(backups).unwrap();
    let taken = backups.filter(|it| it.as_ref().unwrap().path().extension() == Some("db".as_ref()));
    assert_eq!(taken.count(), 1);
}

#[test]
fn the_hosts_nginx_is_under_git() {
    let both = Both::new("anginx");
    let (production, staging) = (&both.system.production, &both.system.staging);
    let containers = [production.containers(), staging.containers()];
    let others = staging.marker();
    let own = "    location = /hello { return 200 \"hello\"; }\n    location /api/";
    let source = production.source();
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let commit = both.edit("nginx: hello", &source, &[("    location /api/", own)]);
    both.stage.reconcile();
    nobody_noticed(&load.stop(), &[FIRST]);
    assert_eq!(production.get("/hello").body, "hello");
    assert_eq!(production.marker(), format!("2-{}", &commit[..7]));
    assert_eq!(staging.marker(), others);
    both.quiet();

    // A certificate that was renewed on the disk is nobody's commit, and nobody's drift.
    let name = "arsvent.example";
    assert!(both.system.shows_certificate(name));
    both.system.renew(name);
    assert!(!both.system.shows_certificate(name));
    both.stage
        .moored(&["plan"])
        .exits(2)
        .says(&["certificate ", "fullchain.pem", "switch"]);
    both.stage.reconcile();
    assert!(both.system.shows_certificate(name));
    both.quiet();

    // A zone that staging's file has already, and one that is no directive.
    let live = fs::read_to_string(both.system.config(production)).unwrap();
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
        both.edit("nginx: bad", &source, &[(from, to)]);
        both.stage.moored(&["reconcile"]).exits(1).says(&[why]);
        both.stage.moored(&["reconcile"]).exits(75);
        assert_eq!(
            fs::read_to_string(both.system.config(production)).unwrap(),
            live
        );
        assert_eq!(production.marker(), marker);
        both.stage.moored(&["drift"]).exits(2).says(&[why]);
        both.stage.revert();
        both.stage.reconcile();
    }
    assert_eq!([production.containers(), staging.containers()], containers);
    both.quiet();
}

#[test]
fn a_tag_bump_of_arsvent_fails_no_request() {
    let both = Both::new("agreen");
    let production = &both.system.production;
    both.system.images("sha-2", &["APP_SCHEMA=1"]);
    both.system.images("sha-3", &["APP_SCHEMA=1"]);
    // The frontend alone, as the example is.
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let frontend = (format!("frontend:{FIRST}"), "frontend:sha-2");
    both.edit(
        "frontend: sha-2",
        &production.manifest(),
        &[(&frontend.0, frontend.1)],
    );
    both.stage
        .moored(&["plan"])
        .exits(2)
        .says(&["switch", "drain", "hand-over"]);
    both.stage.reconcile();
    settled();
    nobody_noticed(&load.stop(), &[FIRST, "sha-2"]);
    assert_eq!(production.versions(), [FIRST, "sha-2"]);
    both.quiet();

    // Both, where migrations leave the version before its data.
    let api = Load::start(&production.url("/api/health"), &quick());
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    let edits = [
        ("during: migrate", "during: never"),
        ("    stop: [backend]\n", ""),
        ("compatible: false", "compatible: true"),
        ("    restore_on_failed_migration: true\n", ""),
        (&format!("backend:{FIRST}"), "backend:sha-3"),
        ("frontend:sha-2", "frontend:sha-3"),
    ];
    both.edit("both: sha-3", &production.manifest(), &edits);
    both.stage.reconcile();
    settled();
    nobody_noticed(&api.stop(), &[FIRST, "sha-3"]);
    nobody_noticed(&load.stop(), &["sha-2", "sha-3"]);
    assert_eq!(production.versions(), ["sha-3", "sha-3"]);
    both.quiet();

    // And back, from images that are on the host.
    let api = Load::start(&production.url("/api/health"), &quick());
    both.edit(
        "back",
        &production.manifest(),
        &[("backend:sha-3", &format!("backend:{FIRST}"))],
    );
    both.stage.reconcile();
    settled();
    nobody_noticed(&api.stop(), &[FIRST, "sha-3"]);
    assert!(
        get(&production.url("/api/entries"))
            .unwrap()
            .body
            .contains("\"entries\":1")
    );
    both.quiet();
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
    std::thread::sleep(std::time::Duration::from_millis(300));
}

/// Checks that no request failed, and who answered.
#[track_caller]
fn nobody_noticed(report: &LoadReport, versions: &[&str]) {
    assert_eq!(report.failures, 0, "{report:?}");
    assert!(report.requests > 100, "{report:?}");
    let seen: Vec<&str> = report.versions.iter().map(String::as_str).collect();
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    assert_eq!(seen, versions, "{report:?}");
}
