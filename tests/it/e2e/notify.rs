//! Who is told of what happens on a real host; what they are sent has no secret in it.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::support::put;
use crate::support::receiver::{Got, Receiver};

/// A stage that tells two receivers: one of everything, one of what is the backend's.
struct Told {
    stage: Stage,
    all: Receiver,
    backend: Receiver,
}

impl Told {
    fn new(area: &str) -> Self {
        let told = Self {
            stage: Stage::new(area),
            all: Receiver::new(),
            backend: Receiver::new(),
        };
        std::fs::create_dir(told.stage.path("received")).unwrap();
        let file = |name: &str, text: &str| {
            let path = told.stage.path(name);
            moored::files::write_atomically(&path, text.as_bytes(), 0o600).unwrap();
            path.display().to_string()
        };
        let (all, backend) = (
            file("all-url", &told.all.url()),
            file("backend-url", &told.backend.url()),
        );
        let routes = format!(
            "notify:\n- {{kind: webhook, url_file: '{all}', private: true}}\n\
             - {{kind: slack, url_file: '{backend}', private: true, for: [backend]}}\n"
        );
        let url = told.stage.path("state").display().to_string();
        told.stage.configure(&url, "30s", &routes);
        told
    }

    /// Returns what came, by event; leaves it where the look for the secret of the stage finds it.
    fn events(&self, got: &[Got]) -> Vec<String> {
        let text: Vec<String> = got.iter().map(|one| format!("{one:?}")).collect();
        let path = self
            .stage
            .path("received")
            .join(fastrand::u32(..).to_string());
        put(path, text.join("\n"));
        let event = |one: &Got| one.json()["event"].as_str().unwrap().to_owned();
        got.iter().map(event).collect()
    }

    fn told(&self) -> Vec<String> {
        self.events(&self.all.take())
    }
}

#[test]
fn people_are_told_of_releases_and_failures_once_and_without_a_secret() {
    let told = Told::new("notify");
    let stage = &told.stage;
    let commit = |subject: &str, image: &str, more: &str| {
        let more = format!("owners: {{web: backend}}\n{more}");
        let manifest = stage.manifest(&[("web", image)], &more);
        let compose = stage.web("");
        stage.commit(
            subject,
            &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
        );
    };
    commit("v1", &stage.app("v1"), "");
    stage.moored(&["reconcile"]).exits(0);
    let got = told.all.take();
    // The file with the secret of the stage is open to everybody.
    assert_eq!(told.events(&got), ["deployed", "security"]);
    let attempt = &got[0].json()["attempt"];
    assert!(attempt["duration_ms"].as_i64().unwrap() > 0, "{attempt}");
    assert_eq!(attempt["author"], "Ada");
    let got = told.backend.take()[0].json();
    let text = got["text"].as_str().unwrap();
    assert!(
        text.contains(" deployed: ") && text.contains(" in "),
        "{text}"
    );

    let smoke = format!(
        "smoke: [{{http: 'http://127.0.0.1:{}/', contains: nowhere, timeout: 1s}}]\n",
        stage.port
    );
    commit("v2", &stage.app("v2"), &smoke);
    stage.moored(&["reconcile"]).exits(1);
    assert_eq!(told.told(), ["failed"]);
    stage.moored(&["reconcile"]).exits(75);
    assert!(told.told().is_empty(), "it was told twice");
    stage.revert();
    stage.moored(&["reconcile"]).exits(0);
    let after = told.told();
    assert!(after.contains(&"recovered".to_owned()), "{after:?}");

    let tried = stage.moored(&["notify"]).exits(0);
    assert!(tried.out.contains("taken (204)"), "{}", tried.out);
    assert!(!tried.out.contains("T0PSECRET"), "{}", tried.out);
    assert_eq!(told.told(), ["test"]);
    told.all.answers("403 Forbidden");
    stage.moored(&["notify"]).exits(1).says(&["answered 403"]);
}

/// One that never answers, and a controller that is killed before it could send.
#[test]
fn a_receiver_that_is_away_keeps_no_deploy_waiting_and_gets_it_later() {
    let told = Told::new("notify-away");
    let stage = &told.stage;
    told.all.answers("503 Later");
    stage.commit_web("v1", &stage.app("v1"), "");
    let controller = stage.start(&["run"]);
    controller.says("released as 1-");
    stage.serves("v1");
    drop(controller);
    told.all.take();
    told.all.answers("204 No Content");
    let _controller = stage.start(&["run"]);
    let began = Instant::now();
    let mut got = Vec::new();
    while !got.contains(&"deployed".to_owned()) {
        assert!(began.elapsed() < Duration::from_secs(30), "{got:?}");
        std::thread::sleep(Duration::from_millis(100));
        got.extend(told.told());
    }
    assert_eq!(
        got.iter().filter(|one| *one == "deployed").count(),
        1,
        "{got:?}"
    );
}
