//! Takes over the example systems as their users run them before: by Docker Compose, with a `.env`
//! beside the Compose file and a proxy that somebody set up by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use super::adopt::compose;
use super::stage::{Ran, Stage};
use crate::support::arsvent::{Arsvent, FIRST, Side};
use crate::support::docker_cli::{ENDPOINT, docker, eventually};
use crate::support::http::{Prober, get};
use crate::support::put;
use crate::support::vehicles::{CANARY, Vehicle, as_pairs};

/// What was deployed before Moored brought its tables by itself.
const BEFORE: [&str; 2] = ["APP_SCHEMA=1", "MIGRATE_AT_START=1"];

/// A second installation on the same engine, which knows of nothing yet.
struct Newcomer<'a> {
    stage: &'a Stage,
    config: String,
    repository: PathBuf,
}

impl<'a> Newcomer<'a> {
    fn new(stage: &'a Stage) -> Self {
        let repository = stage.path("new/state");
        fs::create_dir_all(&repository).unwrap();
        let config = stage.path("new/config.yaml");
        let text = format!(
            "repository: {{url: '{}', poll: 30s}}\nstate_dir: {}\nengine: {ENDPOINT}\n\
             policy: {{bind_roots: ['{}']}}\n",
            repository.display(),
            stage.path("new/moored").display(),
            stage.dir.path().display()
        );
        put(&config, text);
        Self {
            stage,
            config: config.display().to_string(),
            repository,
        }
    }

    fn moored(&self, arguments: &[&str]) -> Ran {
        self.stage.moored_with(&self.config, arguments)
    }

    /// Writes a manifest for a project that runs, and does what is printed, word for word, but for
    /// what is left to say here: the plan.
    fn takes_over(&self, stack: &str, dir: &str) -> String {
        let at = self.repository.join(dir).display().to_string();
        let asked = ["init", &at, "--project", stack];
        let said = self.moored(&[&asked[..], &["--format", "json"]].concat());
        let said = said.exits(0).json();
        let manifest = fs::read_to_string(Path::new(&at).join("moored.yaml")).unwrap();
        assert!(!manifest.contains(CANARY), "{manifest}");
        let directory = said["directory"].as_str().unwrap().to_owned();
        for command in said["next"].as_array().unwrap() {
            let command = command.as_str().unwrap();
            if !command.starts_with("moored") {
                shell(&directory, command);
            }
        }
        let checked = self.moored(&["check", &directory]).exits(0);
        checked.says(&[" 0 errors"]);
        manifest
    }

    /// Adopts a project, and plans again.
    fn adopts(&self, stack: &str) {
        let only = ["--stack", stack];
        let plan = self.moored(&[&["plan"], &only[..]].concat());
        assert_eq!(
            verbs(&self.moored(&[&["plan", "--format", "json"], &only[..]].concat())),
            ["adopt", "record"],
            "{plan:?}"
        );
        self.moored(&["adopt", stack]).exits(0).says(&["adopted"]);
        self.moored(&[&["reconcile"], &only[..]].concat()).exits(0);
        let plan = self.moored(&[&["plan"], &only[..]].concat());
        plan.exits(0).says(&["nothing to do"]);
    }
}

/// Does a command that was printed for a person.
fn shell(directory: &str, command: &str) {
    let output = Command::new("sh")
        .args(["-euc", command])
        .current_dir(directory)
        .envs([
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.org"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.org"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
}

/// Returns the verbs of the only plan, which has no hold.
#[track_caller]
fn verbs(ran: &Ran) -> Vec<String> {
    let plan = ran.json();
    assert_eq!(plan[0]["error"], serde_json::Value::Null, "{plan}");
    assert_eq!(plan[0]["holds"], serde_json::json!([]), "{plan}");
    let steps = plan[0]["steps"].as_array().unwrap();
    let verb = |step: &serde_json::Value| step["verb"].as_str().unwrap().to_owned();
    steps.iter().map(verb).collect()
}

/// Returns id and start of each of these containers.
fn lives(containers: &[String]) -> Vec<String> {
    let look =
        |name: &String| docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name]);
    containers.iter().map(look).collect()
}

/// Returns what each plan does, and to what, once everything is adopted and nothing is held.
#[track_caller]
fn steps(ran: &Ran) -> Vec<String> {
    let plans = ran.json();
    let mut told = Vec::new();
    for plan in plans.as_array().unwrap() {
        assert_eq!(plan["holds"], serde_json::json!([]), "{plan}");
        for step in plan["steps"].as_array().unwrap() {
            let text = |key: &str| step[key].as_str().unwrap().to_owned();
            told.push(format!("{} {}", text("verb"), text("subject")));
        }
    }
    told
}

#[test]
fn moltfund_is_taken_over_from_its_clone_on_the_host() {
    let stage = Stage::new("tmoltfund");
    let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
    system.image("api", "v1.2.0", &BEFORE);
    system.image("web", "v1.2.0", &[]);
    // The clone on the host: its tag and its secrets in `.env`, which the API gets whole.
    let root = system.root.clone();
    let values = fs::read_to_string(root.join(".env")).unwrap();
    put(root.join(".env"), format!("{values}IMAGE_TAG=v1.2.0\n"));
    put(root.join("compose.yaml"), system.file("compose.yaml"));
    let more = "services: {api: {env_file: [.env]}}\n";
    put(root.join("compose.override.yaml"), more);
    fs::create_dir(root.join("nginx")).unwrap();
    let site = system.file("nginx/site.conf");
    put(
        root.join("nginx/site.conf"),
        site.replace("@moored.marker@", "by hand"),
    );
    let project = ["--project-directory", root.to_str().unwrap()];
    compose(
        &stage,
        false,
        &[&project[..], &["up", "--detach", "--wait"]].concat(),
    );
    eventually("the site answers", || {
        system.get("/").is_some_and(|answer| answer.status == 200)
    });
    assert_eq!(system.insert("before").unwrap().status, 201);
    let before = stage.snapshot();
    let containers = ["api", "web", "nginx-proxy"].map(|service| system.container(service));
    let old = lives(&containers);

    let newcomer = Newcomer::new(&stage);
    let manifest = newcomer.takes_over(&stage.stack, "");
    assert!(manifest.contains("sqlite: "), "{manifest}");
    newcomer.adopts(&stage.stack);
    stage.unchanged(&before);

    // The example itself, with what is new in it: a marker and a page.
    stage.commit("the example", &as_pairs(&system.files()));
    stage.moored(&["adopt"]).exits(0).says(&["adopted api"]);
    let plan = stage.moored(&["plan", "--format", "json"]).exits(2);
    // The page is placed before, and what nginx reads in the switch.
    let expected = [
        "test nginx",
        "place files",
        "switch nginx",
        "smoke stack",
        "smoke stack",
        "record release",
    ];
    assert_eq!(steps(&plan), expected);
    stage.unchanged(&before);
    stage.reconcile().says(&["released as 2-"]);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    stage.unchanged(&before);
    assert_eq!(lives(&containers), old);
    let marker = system.get("/__moored").unwrap().body;
    assert!(marker.starts_with("2-"), "{marker}");
    assert_eq!(system.rows(), ["before"]);

    // The first deploy is one like any other.
    system.image("api", "v1.3.0", &["APP_SCHEMA=2"]);
    system.image("web", "v1.3.0", &[]);
    stage.commit("v1.3.0", &[("moored.yaml", &system.manifest("v1.3.0"))]);
    stage
        .reconcile()
        .says(&["backup", "migrate", "released as 3-"]);
    assert_eq!(system.version().as_deref(), Some("v1.3.0"));
    assert_eq!(system.schema(), 2);
    assert_eq!(system.rows(), ["before"]);
    let new = lives(&containers);
    assert_ne!(new[0], old[0]);
    assert_eq!(new[2], old[2], "the proxy has nothing new");
}

#[test]
fn v_edfinance_is_taken_over_with_its_database() {
    let stage = Stage::new("tedfinance");
    let system = Vehicle::v_edfinance(&stage.sandbox, &stage.stack, stage.dir.path());
    system.image("api", "v1.0.0", &BEFORE);
    // Values by --env-file, as the panel gives them; the tag is one of them.
    let root = system.root.clone();
    put(root.join("env/tag.env"), "IMAGE_TAG=v1.0.0\n");
    put(root.join("compose.yaml"), system.file("compose.yaml"));
    let mut project = vec!["--project-directory".to_owned(), root.display().to_string()];
    for name in ["api", "postgres", "tag"] {
        let file = root.join(format!("env/{name}.env"));
        project.extend(["--env-file".to_owned(), file.display().to_string()]);
    }
    project.extend(["up", "--detach", "--wait"].map(str::to_owned));
    let up: Vec<&str> = project.iter().map(String::as_str).collect();
    compose(&stage, false, &up);
    assert_eq!(system.insert("before").unwrap().status, 201);
    let before = stage.snapshot();
    let containers = ["api", "postgres"].map(|service| system.container(service));
    let old = lives(&containers);

    let newcomer = Newcomer::new(&stage);
    let manifest = newcomer.takes_over(&stage.stack, "");
    let backup = "postgres: {service: postgres, database: edfinance, user: edfinance}";
    assert!(manifest.contains(backup), "{manifest}");
    newcomer.adopts(&stage.stack);
    stage.unchanged(&before);

    // The example says the very same: there is nothing but to write it down.
    stage.commit("the example", &as_pairs(&system.files()));
    let plan = stage.moored(&["plan", "--format", "json"]).exits(2);
    assert_eq!(verbs(&plan), ["adopt", "record"]);
    stage.moored(&["adopt"]).exits(0).says(&["adopted api"]);
    stage.reconcile().says(&["released as 2-"]);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    stage.unchanged(&before);
    assert_eq!(lives(&containers), old);
    assert_eq!(system.rows(), ["before"]);

    system.image("api", "v1.1.0", &["APP_SCHEMA=2"]);
    stage.commit("v1.1.0", &[("moored.yaml", &system.manifest("v1.1.0"))]);
    stage
        .reconcile()
        .says(&["backup", "migrate", "released as 3-"]);
    assert_eq!(system.version().as_deref(), Some("v1.1.0"));
    assert_eq!(system.schema(), 2);
    assert_eq!(system.rows(), ["before"]);
    assert_eq!(lives(&containers)[1], old[1], "the database goes on");
}

/// Returns the text of a file of an example.
fn file<'a>(files: &'a [(String, String)], path: &str) -> &'a str {
    let found = files.iter().find(|file| file.0 == path);
    &found.unwrap_or_else(|| panic!("no {path}")).1
}

/// Returns the value of a key in a manifest, wherever it stands.
fn value(manifest: &str, key: &str) -> String {
    let mut lines = manifest.lines().map(str::trim);
    let value = lines.find_map(|line| line.strip_prefix(&format!("{key}: ")));
    value.unwrap_or_else(|| panic!("no {key}")).to_owned()
}

/// Runs a side of arsvent as it was before: with its own override file, values by --env-file, and
/// an nginx that was set up by hand.
fn run_side(stage: &Stage, system: &Arsvent, side: &Side, more: &str) {
    let (app, env) = (system.root.join("app"), system.root.join("env"));
    let files = system.files();
    let manifest = file(&files, &side.manifest());
    let of_service = |service: &str| env.join(format!("{service}{more}.env"));
    for data in ["BACKEND_DATA", "REDIS_DATA"] {
        fs::create_dir_all(value(manifest, data)).unwrap();
    }
    let names = [
        "BACKEND_PORT",
        "FRONTEND_PORT",
        "BACKEND_DATA",
        "REDIS_DATA",
    ];
    let values = names.map(|name| format!("{name}={}\n", value(manifest, name)));
    let values_file = env.join(format!("{}.values.env", side.dir));
    put(
        &values_file,
        format!("{}IMAGE_TAG={FIRST}\n", values.concat()),
    );
    let services = ["backend", "frontend"].map(|service| {
        let image = value(manifest, service).replace(FIRST, "${IMAGE_TAG:?}");
        let env = of_service(service).display().to_string();
        format!("  {service}: {{image: '{image}', env_file: ['{env}']}}\n")
    });
    let override_file = app.join(format!("{}.yaml", side.dir));
    put(&override_file, format!("services:\n{}", services.concat()));
    let options = [
        ("--file", &app.join("compose.yaml")),
        ("--file", &override_file),
        ("--env-file", &of_service("backend")),
        ("--env-file", &values_file),
    ];
    let mut up = vec!["--project-name", &side.stack];
    for (option, path) in options {
        up.extend([option, path.to_str().unwrap()]);
    }
    up.extend(["up", "--detach", "--wait"]);
    compose(stage, false, &up);
    let here = |port: &str| format!("127.0.0.1:{}", value(manifest, port));
    let config = file(&files, &side.source())
        .replace("@moored.backend:4000@", &here("BACKEND_PORT"))
        .replace("@moored.frontend:80@", &here("FRONTEND_PORT"))
        .replace("@moored.marker@", "by hand");
    put(system.config(side), config);
    assert!(system.nginx.reload());
    eventually("the site answers", || {
        get(&side.url("/")).is_ok_and(|answer| answer.status == 200)
    });
    assert_eq!(side.insert("before").status, 201);
}

#[test]
fn both_sides_of_arsvent_are_taken_over() {
    let stage = Stage::new("tarsvent");
    let system = Arsvent::new(&stage.sandbox, &stage.stack, stage.dir.path());
    system.images(FIRST, &BEFORE);
    fs::create_dir(system.root.join("app")).unwrap();
    let files = system.files();
    let compose_file = file(&files, "compose.yaml");
    put(system.root.join("app/compose.yaml"), compose_file);
    run_side(&stage, &system, &system.production, "");
    run_side(&stage, &system, &system.staging, ".staging");
    let before = stage.snapshot();

    let sides = [&system.production, &system.staging];
    let newcomer = Newcomer::new(&stage);
    // One repository for both, which is there already.
    let repository = newcomer.repository.display().to_string();
    shell(&repository, "git init --quiet --initial-branch main");
    for side in sides {
        let manifest = newcomer.takes_over(&side.stack, side.dir);
        assert!(manifest.contains(&format!("backend:{FIRST}")), "{manifest}");
    }
    for side in sides {
        newcomer.adopts(&side.stack);
    }
    stage.unchanged(&before);

    // The example itself, with what is new in it: the files of the host's nginx.
    stage.commit("the example", &as_pairs(&files));
    for side in sides {
        stage.moored(&["adopt", &side.stack]).exits(0);
    }
    let plan = stage.moored(&["plan", "--format", "json"]).exits(2);
    let each = [
        "test nginx",
        "switch nginx",
        "smoke stack",
        "record release",
    ];
    assert_eq!(steps(&plan), [each, each].concat());
    stage.reconcile();
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    stage.unchanged(&before);
    for side in sides {
        assert_eq!(side.versions(), [FIRST; 2]);
    }

    // The first deploy is one like any other: the page while it migrates, and the other side is
    // not touched.
    let next = "sha-4be01aa";
    system.images(next, &["APP_SCHEMA=1"]);
    let staging = system.staging.containers();
    let path = system.production.manifest();
    let manifest = file(&files, &path);
    let prober = Prober::start(&system.production.url("/"));
    stage.commit(next, &[(&path, &manifest.replace(FIRST, next))]);
    stage.reconcile().says(&["released as 3-"]);
    assert_eq!(prober.stop().statuses(), [200, 503, 200]);
    assert_eq!(system.production.versions(), [next; 2]);
    assert_eq!(system.staging.containers(), staging);
    let rows = Connection::open(system.database(&system.production)).unwrap();
    let rows = rows.query_row("SELECT group_concat(text) FROM entries", [], |row| {
        row.get(0)
    });
    assert_eq!(rows, Ok("before".to_owned()));
}
