//! From `main` to staging to production, and nothing else on the way.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Site;
use super::front::nobody_noticed;
use crate::support::arsvent::{FIRST, Side};
use crate::support::docker_cli::{docker, eventually};
use crate::support::http::Prober;
use crate::support::load::{Load, LoadSpec};
use crate::support::registry::free_port;
use crate::support::webhook::{send, signed};
use crate::systems::row::Row;

/// Longest time until something is begun that is begun at once, on a machine that is not idle.
const AT_ONCE: Duration = Duration::from_secs(6);

impl Site {
    /// Waits until an attempt is begun after so many; returns how long that took.
    #[track_caller]
    fn begins(&self, attempts: u64) -> Duration {
        let began = Instant::now();
        eventually("it begins", || self.stage.journal_rows().0 > attempts);
        began.elapsed()
    }

    /// Waits until nobody has asked the Git server for a second and a half.
    fn rests(&self) {
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(1500) {
            if !self.stage.remote().take_requests().is_empty() {
                since = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What must stay as it is: containers, what nginx has loaded, and the releases.
fn untouched(site: &Site, of: &Side) -> (Vec<String>, String, String) {
    let log = site.release_file(of, "releases.log");
    (of.containers(), of.marker(), log)
}

#[test]
fn staging_follows_main() {
    let _row = Row::begin("arsvent", "staging follows main");
    let site = Site::both("main");
    let (production, staging) = (&site.system.production, &site.system.staging);
    let before = untouched(&site, production);
    site.system.images("sha-2", &["APP_SCHEMA=1"]);
    site.system.images("sha-3", &["APP_SCHEMA=1"]);

    // Within one poll.
    let poll = Duration::from_secs(2);
    site.follow("2s", "");
    let mut controller = site.stage.start(&["run"]);
    let attempts = site.stage.journal_rows().0;
    site.bump(staging, FIRST, "sha-2", &[]);
    let waited = site.begins(attempts);
    assert!(waited < poll + AT_ONCE, "{waited:?}");
    staging.serves("sha-2");
    controller.says("released as ");
    controller.signal("TERM");
    controller.ends(Duration::from_secs(30));

    // At once by a webhook.
    let (port, secret) = (free_port(), "a secret that is long enough for a webhook");
    let file = site.stage.path("webhook-secret");
    moored::files::write_atomically(&file, secret.as_bytes(), 0o600).unwrap();
    let file = file.display();
    let listens = format!("listen: 127.0.0.1:{port}\nwebhook: {{secret_file: '{file}'}}\n");
    site.follow("1h", &listens);
    let controller = site.stage.start(&["run"]);
    controller.says("listens on");
    site.rests();
    let attempts = site.stage.journal_rows().0;
    site.bump(staging, "sha-2", "sha-3", &[]);
    site.rests();
    assert_eq!(site.stage.journal_rows().0, attempts, "nobody has told it");
    let body = "{\"ref\": \"refs/heads/main\"}";
    assert_eq!(send(("127.0.0.1", port), &signed(secret, body)), 202);
    let waited = site.begins(attempts);
    assert!(waited < AT_ONCE, "{waited:?}");
    staging.serves("sha-3");
    controller.says("released as ");
    drop(controller);

    assert_eq!(production.versions(), [FIRST, FIRST]);
    assert_eq!(untouched(&site, production), before);
}

#[test]
fn promote() {
    let _row = Row::begin("arsvent", "promote");
    let site = Site::both("promote");
    let (production, staging) = (&site.system.production, &site.system.staging);
    site.system.images("sha-2", &["APP_SCHEMA=2"]);
    site.bump(staging, FIRST, "sha-2", &[]);
    site.stage.reconcile();
    staging.serves("sha-2");
    assert_eq!(production.versions(), [FIRST, FIRST]);
    // What staging runs, as the engine has it.
    let ids = |side: &Side| {
        ["backend", "frontend"].map(|service| {
            docker(&[
                "inspect",
                "--format",
                "{{.Image}}",
                &side.container(service),
            ])
        })
    };
    let digests = ids(staging).map(|id| {
        let all = docker(&["inspect", "--format", "{{json .RepoDigests}}", &id]);
        let (_, digest) = all.split_once('@').unwrap();
        digest.split('"').next().unwrap().to_owned()
    });

    let manifest = site.file(&production.manifest());
    let promote = ["promote", "staging", "production", "--format", "json"];
    let json = site.stage.moored(&promote).exits(0).json();
    assert_eq!(json["way"], "pushed", "{json}");
    site.stage.pull();
    let changed = site.stage.git(&["diff", "--name-only", "HEAD^"]);
    assert_eq!(changed, production.manifest());
    let mut wanted = manifest;
    for (service, digest) in ["backend", "frontend"].into_iter().zip(&digests) {
        let pinned = format!("{service}:sha-2@{digest}");
        wanted = wanted.replace(&format!("{service}:{FIRST}"), &pinned);
    }
    assert_eq!(site.file(&production.manifest()), wanted);
    let message = site.stage.git(&["log", "-1", "--format=%B"]);
    assert!(
        message.contains(&format!("Well in {}", staging.stack)),
        "{message}"
    );

    site.stage.reconcile();
    production.serves("sha-2");
    assert_eq!(ids(production), ids(staging));
    assert_eq!(site.data(production), (vec!["first".to_owned()], 2));
    let release = site.release_file(production, "releases.log");
    let last: Vec<&str> = release.lines().last().unwrap().split('\t').collect();
    assert_eq!(last[3], "sha-2", "{release}");
    site.quiet();
}

#[test]
fn immutable() {
    let _row = Row::begin("arsvent", "immutable");
    let site = Site::production("immutable");
    let (stage, production) = (&site.stage, &site.system.production);
    // As config.example.yaml has it.
    stage.permit("mutable_tags: refuse");
    let before = stage.snapshot();
    site.bump(production, FIRST, "latest", &[]);
    for command in ["plan", "reconcile"] {
        stage
            .moored(&[command])
            .exits(75)
            .says(&["latest", "mutable_tags"]);
    }
    stage.unchanged(&before);
    stage.revert();
    stage.reconcile();
    let latest = format!("{}backend:latest", site.system.own.base());
    let refused = stage.moored(&["bump", "backend", &latest]);
    refused.exits(75).says(&["mutable_tags"]);

    // Somebody pushes another image under the tag that runs.
    let backend = production.container("backend");
    let id = docker(&["inspect", "--format", "{{.Image}}", &backend]);
    site.system
        .images(FIRST, &["APP_SCHEMA=1", "GREETING=another"]);
    let tag = format!("{}backend:{FIRST}", site.system.own.base());
    // The push from this very host has taken the tag along.
    docker(&["tag", &id, &tag]);
    a_day_goes_by(&site);
    for (command, code) in [("plan", 2), ("reconcile", 0)] {
        let told = stage.moored(&[command]).exits(code);
        told.says(&[&tag, "its tag stands for another image by now"]);
    }
    stage.unchanged(&before);
    // It is not deployed even where a container has to be made again.
    docker(&["rm", "--force", &backend]);
    stage.reconcile();
    production.serves(FIRST);
    assert_eq!(docker(&["inspect", "--format", "{{.Image}}", &backend]), id);
}

/// Lets what registries said be of the day before yesterday: they are asked once a day.
fn a_day_goes_by(site: &Site) {
    let database = Connection::open(site.stage.path("moored/moored.db")).unwrap();
    let older = "UPDATE meta SET value = json_set(value, '$.at', \
                 json_extract(value, '$.at') - 172800) WHERE key LIKE 'asked %'";
    assert!(database.execute(older, []).unwrap() >= 2);
}

#[test]
fn isolation() {
    let _row = Row::begin("arsvent", "isolation");
    let site = Site::both("isolation");
    let (production, staging) = (&site.system.production, &site.system.staging);
    shares_nothing(&site);
    let before = untouched(&site, production);
    let config = fs::read_to_string(site.system.config(production)).unwrap();
    let data = site.data(production);

    let settings = ["APP_SCHEMA=2", "MIGRATE=slow:0.5"];
    site.system.images("sha-2", &settings);
    let prober = Prober::start(&production.url("/api/health"));
    let load = Load::start(&production.url("/"), &LoadSpec::default());
    site.bump(staging, FIRST, "sha-2", &[]);
    site.stage.reconcile();
    staging.serves("sha-2");
    let (record, report) = (prober.stop(), load.stop());
    assert_eq!(record.statuses(), [200], "{record:?}");
    nobody_noticed(&report, &[FIRST]);
    assert_eq!(production.versions(), [FIRST, FIRST]);
    assert_eq!(untouched(&site, production), before);
    assert_eq!(
        fs::read_to_string(site.system.config(production)).unwrap(),
        config
    );
    assert_eq!((site.data(production), site.data(staging).1), (data, 2));
    assert_eq!(
        site.backups(production).len(),
        0,
        "nothing of its is backed up"
    );
    assert_eq!(site.backups(staging).len(), 1);
    site.quiet();
}

/// Checks that no network, mount, port or secret of one stack is also of the other.
fn shares_nothing(site: &Site) {
    let (production, staging) = (&site.system.production, &site.system.staging);
    let of = |side: &Side, template: &str| -> Vec<String> {
        let names = ["backend", "frontend", "redis"].map(|it| side.container(it));
        let told = names.map(|it| docker(&["inspect", "--format", template, &it]));
        let words = told.iter().flat_map(|it| it.split_whitespace());
        words.map(str::to_owned).collect()
    };
    for (what, template) in [
        (
            "networks",
            "{{range .NetworkSettings.Networks}}{{.NetworkID}} {{end}}",
        ),
        ("mounts", "{{range .Mounts}}{{.Source}} {{end}}"),
        (
            "ports",
            "{{range .HostConfig.PortBindings}}{{range .}}{{.HostPort}} {{end}}{{end}}",
        ),
    ] {
        let (ours, theirs) = (of(production, template), of(staging, template));
        assert!(ours.len() >= 2 && theirs.len() >= 2, "{what}: {ours:?}");
        assert!(
            ours.iter().all(|one| !theirs.contains(one)),
            "{what}: {ours:?} {theirs:?}"
        );
    }
    let secret = "{{range .Config.Env}}{{println .}}{{end}}";
    let secret = |side: &Side| {
        let all = docker(&["inspect", "--format", secret, &side.container("backend")]);
        let found = all.lines().find(|line| line.starts_with("SESSION_SECRET="));
        found.unwrap().to_owned()
    };
    assert_ne!(secret(production), secret(staging));
    // What one keeps in its redis is not in the other's.
    let redis = |side: &Side, command: &[&str]| {
        let own = side.container("redis");
        docker(&[&["exec", &own, "redis-cli"], command].concat())
    };
    assert_eq!(redis(staging, &["set", "of", "staging"]), "OK");
    assert_eq!(redis(production, &["dbsize"]), "0");
    assert_eq!(redis(staging, &["get", "of"]), "staging");
}
