//! On an empty host everything that is missing is named at once, and doing what it says, command by
//! command, is all that it takes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use super::registry_login::login;
use super::stage::Stage;
use crate::support::arsvent::{Arsvent, FIRST};
use crate::support::docker_cli::{ENDPOINT, docker};
use crate::support::put;
use crate::support::registry::Registry;
use crate::support::registry_gate::{Gate, Wants};
use crate::support::vehicles::{CANARY, Vehicle, as_pairs};

/// A person who asks, and does what is said.
struct Asked(Vec<Value>);

impl Asked {
    #[track_caller]
    fn on(stage: &Stage) -> Self {
        let ran = stage.moored(&["--format", "json", "doctor"]);
        let json = ran.json();
        let asked = Self(json["checks"].as_array().unwrap().clone());
        let is_well = asked.of("missing").is_empty();
        assert_eq!(ran.code, Some(i32::from(!is_well)), "{ran:?}");
        asked
    }

    /// Returns the subjects of this verdict.
    fn of(&self, verdict: &str) -> Vec<&str> {
        let of_it = self.0.iter().filter(|check| check["verdict"] == verdict);
        of_it
            .map(|check| check["subject"].as_str().unwrap())
            .collect()
    }

    /// Returns whether a check has this text in one of its fields.
    fn has(&self, field: &str, text: &str) -> bool {
        let mut fields = self.0.iter().filter_map(|check| check[field].as_str());
        fields.any(|found| found.contains(text))
    }

    /// Returns what mends a subject.
    #[track_caller]
    fn remedy(&self, subject: &str) -> &str {
        let mut checks = self.0.iter();
        let check = checks.find(|check| check["subject"] == subject && !check["remedy"].is_null());
        let check = check.unwrap_or_else(|| panic!("nothing of {subject} in {:#?}", self.0));
        check["remedy"].as_str().unwrap()
    }

    /// Does what mends a subject, in the directory of the repository.
    #[track_caller]
    fn mend(&self, stage: &Stage, subject: &str) {
        let remedy = self.remedy(subject);
        let done = Command::new("sh")
            .args(["-c", remedy])
            .current_dir(stage.path("state"))
            .status()
            .unwrap();
        assert!(done.success(), "{remedy}");
    }
}

fn settings(stage: &Stage, engine: &str, roots: &str, more: &str) {
    let text = format!(
        "repository: {{url: '{}', poll: 30s}}\nstate_dir: {}\nengine: {engine}\n\
         policy: {{bind_roots: ['{roots}']}}\n{more}",
        stage.path("state").display(),
        stage.path("moored").display(),
    );
    put(stage.path("config.yaml"), text);
}

/// A host without anything of moltfund, whose API is at a registry that wants a login.
struct Empty {
    stage: Stage,
    system: Vehicle,
    gate: Gate,
    password: String,
    _registry: Registry,
}

impl Empty {
    fn new() -> Self {
        let stage = Stage::new("doctor");
        let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
        fs::remove_dir_all(&system.root).unwrap();
        system.image("web", "v1.2.0", &[]);
        let (registry, password) = (Registry::start(), stage.canary.value());
        let gate = Gate::before(&registry);
        gate.wants(Wants::Token("ada".to_owned(), password.clone()));
        let api = system.image("api", "v1.2.0", &["APP_SCHEMA=1"]);
        registry.push(&api, &private(&stage));
        docker(&["rmi", "--force", &api]);
        Self {
            stage,
            system,
            gate,
            password,
            _registry: registry,
        }
    }

    fn root(&self, below: &str) -> String {
        self.system.root.join(below).display().to_string()
    }

    fn commit(&self) {
        let mut files = self.system.files();
        files.retain(|file| file.0 != "moored.yaml");
        let manifest = self.system.manifest("v1.2.0");
        let image = self.gate.reference(&private(&self.stage));
        files.push((
            "moored.yaml".to_owned(),
            format!("{manifest}images: {{api: '{image}'}}\n"),
        ));
        self.stage.commit("first", &as_pairs(&files));
    }

    fn log_in(&self, host: &str) {
        let path = self.stage.path("docker.json");
        put(&path, login(host, "ada", &self.password).to_string());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Nothing at all; then settings that name what is not there, and neither engine nor commit.
    fn has_nothing(&self) -> String {
        let stage = &self.stage;
        let nowhere = stage.path("none/config.yaml").display().to_string();
        let ran = stage.moored_with(&nowhere, &["doctor"]).exits(1);
        ran.says(&["is not there", "install -D -m 600 config.example.yaml"]);

        let named = |name: &str| stage.path(name).display().to_string();
        let (keys, logins, signers) = (named("age.key"), named("docker.json"), named("signers"));
        let more = format!(
            "age_identity: {keys}\nregistries: {{config: {logins}}}\n\
             approvals: {{x: {{signers: [a@example.org], allowed_signers: {signers}}}}}\n"
        );
        let socket = format!("unix://{}", named("none.sock"));
        settings(stage, &socket, "/srv", &more);
        let asked = Asked::on(stage);
        assert!(!stage.path("moored").exists(), "a look makes nothing");
        for (subject, remedy) in [
            (&keys, "age-keygen -o "),
            (&logins, "docker login"),
            (&signers, "install -D -m 644 /dev/null "),
            (&socket, "docker"),
            (&named("state"), "git push origin HEAD:main"),
        ] {
            assert!(asked.remedy(subject).contains(remedy), "{subject}");
        }
        socket
    }

    /// A commit, and still no engine: what the stack needs is told all the same.
    fn has_a_commit(&self, socket: &str) {
        let asked = Asked::on(&self.stage);
        let missing = asked.of("missing");
        let needed = [".env", "data", "data/uploads", "maintenance"].map(|one| self.root(one));
        for subject in needed.iter().map(String::as_str).chain([socket]) {
            assert!(missing.contains(&subject), "{subject}: {missing:?}");
        }
        assert!(asked.has("subject", &self.gate.host()), "{:#?}", asked.0);
        assert!(asked.has("remedy", PERMIT), "{:#?}", asked.0);
        self.stage.moored(&["doctor"]).exits(1).says(&[
            &format!("→ mkdir -p {}", self.root("data/uploads")),
            &format!("→ install -D -m 600 .env.example {}", self.root(".env")),
        ]);
    }

    /// The engine, what the settings name and permit, and a login that is not the right one at
    /// first.
    fn has_an_engine(&self) {
        let host = self.gate.host();
        self.log_in("other.example");
        let logins = self.stage.path("docker.json");
        let more = format!("registries: {{config: {}}}\n", logins.display());
        settings(&self.stage, ENDPOINT, &self.root(""), &more);
        let asked = Asked::on(&self.stage);
        assert!(!asked.has("remedy", PERMIT), "{:#?}", asked.0);
        assert_eq!(asked.remedy(&host), format!("docker login {host}"));
        self.log_in(&host);
    }

    /// Makes the files and directories by what it says; then a key is missing by its name.
    fn has_its_files(&self) {
        let asked = Asked::on(&self.stage);
        for check in &asked.0 {
            let remedy = check["remedy"].as_str().unwrap_or_default();
            if remedy.starts_with("mkdir -p ") || remedy.starts_with("install -D ") {
                asked.mend(&self.stage, check["subject"].as_str().unwrap());
            }
        }
        let env = self.root(".env");
        let mode = fs::metadata(&env).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = Asked::on(&self.stage);
        let missing = asked.of("missing");
        assert_eq!(missing.len(), 1, "{:#?}", asked.0);
        assert!(
            asked.has("found", "the variable \"JWT_SECRET\" must be set"),
            "{:#?}",
            asked.0
        );
        let text = fs::read_to_string(&env).unwrap();
        let filled = format!("JWT_SECRET={CANARY}");
        put(&env, text.replace("JWT_SECRET=", &filled));
    }

    /// Everybody may read the secrets, and somebody has the port.
    fn is_nearly_well(&self) {
        let env = self.root(".env");
        fs::set_permissions(&env, fs::Permissions::from_mode(0o644)).unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.stage.dir.path(), open).unwrap();
        let taken = TcpListener::bind(("127.0.0.1", self.system.api_port)).unwrap();
        let asked = Asked::on(&self.stage);
        let port = format!("port 127.0.0.1:{}/tcp", self.system.api_port);
        assert_eq!(asked.of("missing"), [port.as_str()], "{:#?}", asked.0);
        assert_eq!(asked.remedy(&env), format!("chmod 600 {env}"));
        asked.mend(&self.stage, &env);
        drop(taken);
    }
}

fn private(stage: &Stage) -> String {
    format!("{}:v1.2.0", stage.sandbox.name("private"))
}

const PERMIT: &str = "permit it in the settings: policy: {bind_roots: ";

#[test]
fn each_missing_thing_of_the_first_set_up_is_named_and_mended() {
    let host = Empty::new();
    let stage = &host.stage;
    let socket = host.has_nothing();
    host.commit();
    host.has_a_commit(&socket);
    host.has_an_engine();
    host.has_its_files();
    host.is_nearly_well();
    let asked = Asked::on(stage);
    assert_eq!(asked.of("missing"), [""; 0], "{:#?}", asked.0);
    assert_eq!(asked.of("warn"), [""; 0], "{:#?}", asked.0);
    let well = stage.moored(&["doctor"]).exits(0);
    well.says(&["0 missing, 0 to look at"]);
    assert!(!stage.path("moored").exists(), "a look makes nothing");

    stage.reconcile();
    let asked = Asked::on(stage);
    assert_eq!(asked.of("missing"), [""; 0], "{:#?}", asked.0);
    stage.moored(&["doctor", "--stack", "none"]).exits(1);
    assert!(!stage.said().contains(CANARY));
}

#[test]
fn settings_that_others_may_write_and_a_stack_that_makes_no_sense_are_told() {
    let stage = Stage::new("unwell");
    let image = stage.app("v1");
    let manifest = stage.manifest(&[("web", &image)], "sok: 1s\n");
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &stage.web("")),
    ];
    stage.commit("odd", &files);
    let config = stage.path("config.yaml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let asked = Asked::on(&stage);
    let path = config.display().to_string();
    assert_eq!(asked.remedy(&path), format!("chmod go-w {path}"));
    assert!(
        asked
            .of("missing")
            .iter()
            .any(|one| one.starts_with("moored.yaml:"))
    );
    asked.mend(&stage, &path);
    put(&config, "repository: {url: 7\n");
    let asked = Asked::on(&stage);
    assert!(asked.of("missing")[0].starts_with(&path), "{:#?}", asked.0);
}

#[test]
fn the_proxy_of_the_host_is_there_and_reads_the_files() {
    let stage = Stage::new("front");
    let system = Arsvent::new(&stage.sandbox, &stage.stack, stage.dir.path());
    system.images(FIRST, &["APP_SCHEMA=1"]);
    stage.commit("both", &as_pairs(&system.files()));
    let asked = Asked::on(&stage);
    for check in &asked.0 {
        if check["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.starts_with("mkdir -p "))
        {
            asked.mend(&stage, check["subject"].as_str().unwrap());
        }
    }
    let asked = Asked::on(&stage);
    assert_eq!(asked.of("missing"), [""; 0], "{:#?}", asked.0);
    assert!(asked.has("found", "is installed, and its configuration is valid"));

    let main = &system.nginx.main;
    let text = fs::read_to_string(main).unwrap();
    let sites = "conf.d/*.conf;";
    assert!(text.contains(sites), "{text}");
    put(main, text.replace(sites, "elsewhere/*.conf;"));
    let asked = Asked::on(&stage);
    assert!(
        asked.has("found", "nginx does not read it"),
        "{:#?}",
        asked.0
    );
    put(main, text.replace("events", "evnts"));
    let asked = Asked::on(&stage);
    assert!(
        asked.has("found", "the configuration is invalid"),
        "{:#?}",
        asked.0
    );
    put(main, &text);

    stage.reconcile();
    let asked = Asked::on(&stage);
    assert_eq!(asked.of("missing"), [""; 0], "{:#?}", asked.0);
}
