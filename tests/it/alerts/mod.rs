//! Who is told what, and how often: passes on an engine in memory, and what they put into the outbox.

mod courier;

use std::collections::BTreeMap;
use std::sync::Arc;

use moored::alerts::{Alerts, Heard};
use moored::config::Config;
use moored::desired::DesiredState;
use moored::events::{Event, Events};
use moored::host::View;
use moored::pass::{ByStack, PassError, Passed};
use moored::record::Record;
use moored::routes::Route;
use moored::secret::Sensitive;
use moored::source::SourceError;
use moored::stacks::LoadError;
use serde_json::Value;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;

/// Everybody, and those whose business is one thing each.
const ROUTES: &str = "
- {kind: webhook, url_file: /r/all}
- {kind: webhook, url_file: /r/infra, for: [infrastructure]}
- {kind: webhook, url_file: /r/backend, for: [backend]}
- {kind: slack, url_file: /r/frontend, for: [frontend]}
- {kind: webhook, url_file: /r/security, for: [security]}
- {kind: webhook, url_file: /r/deployed, on: [deployed], stacks: [shop]}
- {kind: webhook, url_file: /r/other, stacks: [other]}
";

fn routes(text: &str) -> Vec<Route> {
    serde_yaml::from_str(text).unwrap()
}

/// A host whose stack has an `api` of the backend's, a `web` of the front end's and a `db` of nobody.
struct Told {
    bench: Bench,
    heard: Heard,
    routes: &'static str,
}

const MANIFEST: &str = "stack: shop\nowners: {api: backend, web: frontend}\ndrift: report\n\
    backups:\n  rows: {sqlite: /bench/data/app.db, to: /bench/backups}\n";

fn stack(bench: &Bench, api: &str, web: &str, digit: char) -> DesiredState {
    let compose = format!(
        "services:\n  db: {{image: 'app:v1'}}\n  api: {{image: '{api}'}}\n  web: {{image: '{web}'}}\n"
    );
    let files = Files::from([
        ("moored.yaml".to_owned(), MANIFEST.into()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    bench.load(&files, digit).unwrap()
}

impl Told {
    fn new() -> Self {
        let bench = Bench::new();
        let stock = "images: {'bad:v1': {health: unhealthy}}";
        let stock: HostYaml = serde_yaml::from_str(stock).unwrap();
        stock.stock(&bench);
        Self {
            bench,
            heard: Heard::default(),
            routes: ROUTES,
        }
    }

    fn record(&self) -> Record {
        self.bench.record()
    }

    fn view(&self) -> View {
        let view = self.bench.view();
        let config = Config {
            notify: routes(self.routes),
            ..view.config
        };
        View { config, ..view }
    }

    /// Notes a result as a process that has just started.
    fn note(&self, result: &Result<ByStack<Passed>, PassError>) -> BTreeMap<String, Vec<Value>> {
        let mut alerts = Alerts::open(self.record(), self.heard.clone()).unwrap();
        let noted = alerts.note(&self.view(), result, true).unwrap();
        let backups = alerts.note_backups(&self.view(), result).unwrap();
        let sent = self.sent();
        assert_eq!(noted || backups, !sent.is_empty());
        // Once more changes nothing.
        assert!(!alerts.note(&self.view(), result, true).unwrap());
        sent
    }

    /// Does a pass and notes it; returns what each route is sent.
    fn pass(&self, desired: &DesiredState) -> BTreeMap<String, Vec<Value>> {
        self.note(&Ok(self.passed(desired)))
    }

    fn passed(&self, desired: &DesiredState) -> ByStack<Passed> {
        [("production".to_owned(), self.bench.pass(desired))].into()
    }

    /// Takes what is in the outbox, by the last part of the route.
    fn sent(&self) -> BTreeMap<String, Vec<Value>> {
        let record = self.record();
        let mut sent: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for route in record.routes_with_messages().unwrap() {
            let name = route.strip_prefix("/r/").unwrap();
            for waiting in record.waiting_for(&route).unwrap() {
                let message = serde_json::from_str(&waiting.message).unwrap();
                sent.entry(name.to_owned()).or_default().push(message);
                record.take_out(waiting.id).unwrap();
            }
        }
        sent
    }

    fn tells(&self, event: Event) {
        self.heard.hear(Events::none()).tell(event);
    }
}

/// Returns which events each route is sent, in a line each.
fn events(sent: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
    let lines = sent.iter().map(|(route, messages)| {
        let events = messages.iter().map(|one| one["event"].as_str().unwrap());
        format!("{route}: {}", events.collect::<Vec<_>>().join(" "))
    });
    lines.collect()
}

fn text(sent: &BTreeMap<String, Vec<Value>>, route: &str) -> String {
    let message = sent[route].last().unwrap();
    message["text"].as_str().unwrap().to_owned()
}

fn away() -> Result<ByStack<Passed>, PassError> {
    let error = SourceError::Unsupported {
        url: "x".to_owned(),
        reason: "y".to_owned(),
    };
    Err(PassError::Load(LoadError::Source(error)))
}

#[test]
fn a_release_is_told_with_its_version_and_how_long_it_took() {
    let told = Told::new();
    let sent = told.pass(&stack(&told.bench, "app:v1", "app:v1", '1'));
    assert_eq!(
        events(&sent),
        [
            "all: deployed",
            "backend: deployed",
            "deployed: deployed",
            "frontend: deployed",
            "infra: deployed"
        ]
    );
    insta::assert_snapshot!(text(&sent, "deployed"), @r#"v1 released as 1-1111111 ("state 1", A) in 18.0 s"#);
    let message = &sent["deployed"][0];
    assert_eq!(message["attempt"]["version"], "v1");
    assert_eq!(message["attempt"]["duration_ms"], 18_000);
    assert_eq!(message["attempt"]["author"], "A");
    assert_eq!(message["attempt"]["images"]["api"], "app:v1");
    assert_eq!(
        message["for"],
        serde_json::json!(["infrastructure", "backend", "frontend"])
    );
    // Who has nothing to do with what was changed is not told of it.
    let sent = told.pass(&stack(&told.bench, "app:v2", "app:v1", '2'));
    assert_eq!(
        events(&sent),
        ["all: deployed", "backend: deployed", "deployed: deployed"]
    );
    // Nothing is told of nothing.
    let sent = told.pass(&stack(&told.bench, "app:v2", "app:v1", '2'));
    assert!(sent.is_empty(), "{sent:?}");
}

#[test]
fn a_failure_is_told_once_and_so_is_its_end() {
    let told = Told::new();
    told.pass(&stack(&told.bench, "app:v1", "app:v1", '1'));
    let bad = stack(&told.bench, "bad:v1", "app:v1", '2');
    let sent = told.pass(&bad);
    assert_eq!(events(&sent), ["all: failed", "backend: failed"]);
    insta::assert_snapshot!(text(&sent, "backend"), @r#"attempt 2 of 2222222 ("state 2", A) rolled back after 7.0 s: step 2, ready api: api is not up: its health check fails"#);
    for _ in 0..2 {
        assert!(told.pass(&bad).is_empty());
    }
    // Another commit that fails too is another failure, and not the end of the first.
    let sent = told.pass(&stack(&told.bench, "bad:v1", "app:v1", '3'));
    assert_eq!(events(&sent), ["all: failed", "backend: failed"]);
    let good = stack(&told.bench, "app:v2", "app:v1", '4');
    let sent = told.pass(&good);
    assert_eq!(
        events(&sent),
        [
            "all: deployed recovered",
            "backend: deployed recovered",
            "deployed: deployed"
        ]
    );
    insta::assert_snapshot!(text(&sent, "backend"), @"well again; over is: attempt 3 failed");
    assert!(told.pass(&good).is_empty());
}

#[test]
fn what_a_killed_controller_did_is_told_by_the_next_one() {
    let told = Told::new();
    let good = stack(&told.bench, "app:v1", "app:v1", '1');
    // It was killed before it could tell.
    told.passed(&good);
    let sent = told.pass(&good);
    assert!(
        events(&sent).contains(&"all: deployed".to_owned()),
        "{sent:?}"
    );
    assert!(told.pass(&good).is_empty());
}

#[test]
fn drift_of_a_service_is_told_to_its_owners_alone() {
    let told = Told::new();
    let good = stack(&told.bench, "app:v1", "app:v1", '1');
    told.pass(&good);
    let env = |env: BTreeMap<String, Option<Sensitive>>| {
        let mut world = told.bench.engine.world();
        let web = &mut world.find_mut("shop-web-1").unwrap().shown;
        std::mem::replace(&mut Arc::make_mut(&mut web.spec).env, env)
    };
    let by_hand = Some(Sensitive::new("1"));
    let before = env([("BY_HAND".to_owned(), by_hand)].into());
    let sent = told.pass(&good);
    assert_eq!(events(&sent), ["all: drift", "frontend: drift"]);
    assert!(told.pass(&good).is_empty());
    env(before);
    assert_eq!(
        events(&told.pass(&good)),
        ["all: recovered", "frontend: recovered"]
    );
}

#[test]
fn a_failed_backup_is_told_to_who_keeps_the_host() {
    let told = Told::new();
    let good = stack(&told.bench, "app:v1", "app:v1", '1');
    told.pass(&good);
    let (stack, name) = (
        good.stack.clone(),
        good.backups.keys().next().unwrap().clone(),
    );
    let failed = Event::BackupFailed {
        stack: stack.clone(),
        name: name.clone(),
        error: "no space left".to_owned(),
    };
    told.tells(failed.clone());
    let sent = told.pass(&good);
    assert_eq!(
        events(&sent),
        ["all: backup_failed", "infra: backup_failed"]
    );
    insta::assert_snapshot!(text(&sent, "infra"), @"backup rows failed: no space left; those that there are stay");
    // It fails again and again, and passes in between find nothing.
    told.tells(failed);
    assert!(told.pass(&good).is_empty());
    // A drill is another thing.
    told.tells(Event::Drilled {
        stack: stack.clone(),
        name: name.clone(),
        file: "x".to_owned(),
    });
    assert!(told.pass(&good).is_empty());
    told.tells(Event::BackedUp {
        stack,
        name,
        file: "x".to_owned(),
        size: 1,
    });
    assert_eq!(
        events(&told.pass(&good)),
        ["all: recovered", "infra: recovered"]
    );
}

#[test]
fn what_passes_by_itself_is_told_when_it_lasts() {
    let told = Told::new();
    let good = stack(&told.bench, "app:v1", "app:v1", '1');
    told.pass(&good);
    assert!(told.note(&away()).is_empty());
    // It was over in time.
    assert!(told.pass(&good).is_empty());
    assert!(told.note(&away()).is_empty());
    told.bench.clock.advance(601);
    let sent = told.note(&away());
    // Whoever is told of one stack is told of what concerns all of them.
    assert_eq!(
        events(&sent),
        [
            "all: unreachable",
            "infra: unreachable",
            "other: unreachable"
        ]
    );
    assert!(told.note(&away()).is_empty());
    let sent = told.pass(&good);
    assert_eq!(
        events(&sent),
        ["all: recovered", "infra: recovered", "other: recovered"]
    );
}

#[test]
fn a_refusal_of_the_settings_is_told_to_who_looks_after_trust() {
    let mut told = Told::new();
    let files = Files::from([
        (
            "moored.yaml".to_owned(),
            "stack: shop\nowners: {api: backend}\n".into(),
        ),
        (
            "compose.yaml".to_owned(),
            "services:\n  api: {image: 'app:v1', privileged: true}\n".into(),
        ),
    ]);
    let asks = told.bench.load(&files, '1').unwrap();
    assert_eq!(
        events(&told.pass(&asks)),
        ["all: security", "security: security"]
    );
    assert!(told.pass(&asks).is_empty());
    // Another commit that asks for it is told again.
    let asks = told.bench.load(&files, '2').unwrap();
    assert_eq!(
        events(&told.pass(&asks)),
        ["all: security", "security: security"]
    );
    // A stack that is not of this host any more is forgotten.
    told.routes = "[{kind: webhook, url_file: /r/all, on: [recovered, security]}]";
    assert!(told.note(&Ok(BTreeMap::new())).is_empty());
    assert!(told.record().conditions().unwrap().is_empty());
}

#[test]
fn what_is_exposed_is_told_and_secrets_are_not() {
    let told = Told::new();
    let mut good = stack(&told.bench, "app:v1", "app:v1", '1');
    good.secrets.push(Sensitive::new("hunter2hunter2"));
    good.commit.subject = "the password is hunter2hunter2\u{1b}[31m".to_owned();
    good.exposed.push(moored::diagnostic::Diagnostic::file(
        "/etc/shop/web.env",
        "has DB_PASSWORD in it, and everybody on this host may read it",
    ));
    let sent = told.pass(&good);
    assert_eq!(events(&sent)[0], "all: deployed security");
    let all = format!("{sent:?}");
    assert!(!all.contains("hunter2") && !all.contains('\u{1b}'), "{all}");
    assert!(all.contains("web.env"), "{all}");
    good.exposed.clear();
    assert_eq!(
        events(&told.pass(&good)),
        ["all: recovered", "security: recovered"]
    );
    assert!(told.pass(&good).is_empty());
}

#[test]
fn what_has_a_secret_in_it_is_told_once_too() {
    let told = Told::new();
    let mut good = stack(&told.bench, "app:v1", "app:v1", '1');
    told.pass(&good);
    good.secrets.push(Sensitive::new("production-db"));
    good.exposed.push(moored::diagnostic::Diagnostic::file(
        "/etc/shop/production-db.env",
        "has DB_PASSWORD in it, and everybody on this host may read it",
    ));
    let first = events(&told.pass(&good));
    assert_eq!(first, ["all: security", "security: security"]);
    assert!(told.pass(&good).is_empty());
}

#[test]
fn the_end_of_a_lifetime_is_told_once() {
    let mut told = Told::new();
    told.bench.permits.expires = moored::permits::Grant::Everybody;
    let files = Files::from([
        (
            "moored.yaml".to_owned(),
            "stack: shop\nexpires: 2026-01-01T01:00Z\n".into(),
        ),
        (
            "compose.yaml".to_owned(),
            "services:\n  api: {image: 'app:v1'}\n".into(),
        ),
    ]);
    let ends = told.bench.load(&files, '1').unwrap();
    told.pass(&ends);
    told.bench.clock.advance(2 * 3600);
    let sent = told.pass(&ends);
    assert_eq!(events(&sent), ["all: expired", "infra: expired"]);
    assert!(text(&sent, "infra").starts_with("its lifetime was over at 2026-01-01 01:00 UTC"));
    assert!(told.pass(&ends).is_empty());
}
