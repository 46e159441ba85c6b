//! An empty host becomes moltfund's: `moored doctor` names what is missing, and what mends it.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::e2e::play::Play;
use crate::support::put;
use crate::support::registry::{PASSWORD, USER};
use crate::support::vehicles::CANARY;
use crate::systems::row::Row;

/// What `moored doctor` misses.
struct Missing(Vec<Value>);

impl Missing {
    #[track_caller]
    fn on(play: &Play) -> Self {
        let ran = play.stage.moored(&["doctor", "--format", "json"]);
        let checks = ran.json()["checks"].as_array().unwrap().clone();
        let missing = checks.into_iter();
        let missing: Vec<Value> = missing.filter(|it| it["verdict"] == "missing").collect();
        let code = i32::from(!missing.is_empty());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        Self(missing)
    }

    /// Returns the command that mends a subject.
    #[track_caller]
    fn remedy(&self, subject: &str) -> &str {
        let found = self.0.iter().find(|check| check["subject"] == subject);
        let found = found.unwrap_or_else(|| panic!("nothing of {subject} in {:#?}", self.0));
        found["remedy"].as_str().unwrap()
    }
}

/// Runs a command in a clone of the state repository.
#[track_caller]
fn run(play: &Play, command: &str) {
    let done = Command::new("sh")
        .args(["-c", command])
        .current_dir(play.stage.path("state"))
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{command}");
}

#[test]
fn first_set_up() {
    let _row = Row::begin("moltfund", "first set-up");
    let mut play = Play::moltfund("m-set-up").published();
    // The state repository, a registry that wants a login, and nothing on the host.
    fs::remove_dir_all(&play.system.root).unwrap();
    play.images("v1.2.0", &["APP_SCHEMA=1"]);
    let closed = play.system.own.registry.as_ref().unwrap().with_password();
    let registry = closed.host();
    play.system.own.registry = Some(closed);
    play.commit("v1.2.0", &[]);
    let logins = play.stage.path("docker");
    let file = logins.join("config.json").display().to_string();
    let settings = format!("registries: {{config: {file}}}\n");
    play.stage.follow("30s", &settings);

    // All of it is named at once, and each by what mends it.
    let missing = Missing::on(&play);
    let root = play.system.root.display().to_string();
    for path in ["data", "data/uploads", "maintenance", ".env"] {
        missing.remedy(&format!("{root}/{path}"));
    }
    for check in &missing.0 {
        let subject = check["subject"].as_str().unwrap();
        if subject.starts_with(&root) {
            run(&play, check["remedy"].as_str().unwrap());
        }
    }
    let login = format!("docker --config {} login REGISTRY", logins.display());
    assert_eq!(missing.remedy(&file), login);
    let login = format!(
        "docker --config {} login --username {USER} --password {PASSWORD} {registry} >/dev/null 2>&1",
        logins.display()
    );
    run(&play, &login);

    // The copy of the example has no secret in it yet.
    let missing = Missing::on(&play);
    let [only] = missing.0.as_slice() else {
        panic!("{:#?}", missing.0);
    };
    assert!(
        only["found"].as_str().unwrap().contains("JWT_SECRET"),
        "{only}"
    );
    let env = play.system.root.join(".env");
    let text = fs::read_to_string(&env).unwrap();
    put(
        &env,
        text.replace("JWT_SECRET=", &format!("JWT_SECRET={CANARY}-jwt")),
    );

    let missing = Missing::on(&play);
    assert!(missing.0.is_empty(), "{:#?}", missing.0);
    play.stage.reconcile();
    play.runs("v1.2.0");
    assert_eq!(play.system.insert("first").unwrap().status, 201);
    assert_eq!(play.system.rows(), ["first"]);
    play.quiet();
    assert!(Missing::on(&play).0.is_empty());
}
