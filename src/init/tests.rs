//! What is written for projects of several shapes.

use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::engine::model::{ContainerSpec, ContainerState};
use crate::source::WorkTree;

/// A directory of a host with a project in it.
struct Host {
    dir: TempDir,
}

impl Host {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::files::write_atomically(&path, text.as_bytes(), 0o644).unwrap();
        }
        Self { dir }
    }

    fn at(&self, path: &str) -> PathBuf {
        match path {
            "" => self.dir.path().to_owned(),
            _ => self.dir.path().join(path),
        }
    }

    /// Returns a project in a directory, of the files that are named.
    fn project(&self, directory: &str, files: &[&str]) -> Project {
        let env = self.at(directory).join(".env");
        Project {
            name: "shop".to_owned(),
            directory: self.at(directory),
            files: files.iter().map(|file| self.at(file)).collect(),
            variable_files: Some(env)
                .filter(|path| path.is_file())
                .into_iter()
                .collect(),
            containers: BTreeMap::new(),
        }
    }

    fn target(&self, dir: &str) -> Target {
        Target {
            dir: self.at(dir),
            work_tree: None,
        }
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "/HOST")
    }

    /// Tells everything that is proposed.
    fn proposed(&self, project: &Project, target: &Target) -> String {
        let proposal = propose(project, target).unwrap_or_else(|error| panic!("{error}"));
        all_guesses_can_be_read(&proposal.manifest);
        config::parse("config.yaml", proposal.settings.as_bytes()).unwrap();
        let paths = |paths: &[PathBuf]| -> String {
            let each = paths.iter().map(|path| format!(" {}", path.display()));
            each.collect()
        };
        let copies = proposal.copy.iter();
        let copies = copies.map(|(from, to)| format!(" {} -> {}", from.display(), to.display()));
        let text = format!(
            "{}=== settings\n{}=== commit{}\n=== copy{}\n=== stay{}\n",
            proposal.manifest,
            proposal.settings,
            paths(&proposal.commit),
            copies.collect::<String>(),
            paths(&proposal.stay)
        );
        self.shown(&text)
    }
}

use crate::config;

/// Takes the `#` away from every line of a guess: what is left is a manifest.
fn all_guesses_can_be_read(text: &str) {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') || code.starts_with("  ") => code,
        Some(_) | None => line,
    });
    let lines: Vec<&str> = lines.collect();
    let text = lines.join("\n") + "\n";
    manifest::parse("moored.yaml", text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
}

fn live(image: &str) -> Container {
    Container {
        id: "c".to_owned(),
        name: "c".to_owned(),
        image_id: "i".to_owned(),
        spec: Arc::new(ContainerSpec {
            image: image.to_owned(),
            ..ContainerSpec::default()
        }),
        state: ContainerState::Running,
        health: None,
        pid: None,
        restart_count: 0,
        started_at: String::new(),
        oom_killed: false,
        ended_by_itself: false,
        addresses: BTreeMap::new(),
    }
}

fn running(mut project: Project, images: &[(&str, &str)]) -> Project {
    for (service, image) in images {
        project
            .containers
            .insert((*service).to_owned(), live(image));
    }
    project
}

#[test]
fn a_small_project_gets_a_small_manifest() {
    let host = Host::with(&[("compose.yaml", "services: {web: {image: 'shop:v1'}}\n")]);
    let project = host.project("", &["compose.yaml"]);
    insta::assert_snapshot!(host.proposed(&project, &host.target("")));
}

const SHOP: &str = "services:
  front:
    image: nginx:1.27
    ports: ['80:80', '443:443']
    volumes: ['./front/site.conf:/etc/nginx/conf.d/site.conf:ro', './front/sites:/etc/nginx/sites']
  api:
    image: registry.example/shop/api:${TAG:?}
    env_file: [api.env]
    environment: {DATABASE_URL: 'postgres://shop:${DB_PASSWORD}@db/shop'}
    depends_on: [db]
    volumes: ['./data:/data']
    healthcheck: {test: [CMD, 'true']}
  db:
    image: postgres:16
    environment: {POSTGRES_USER: shop, POSTGRES_DB: '${DB_NAME}', POSTGRES_PASSWORD: '${DB_PASSWORD}'}
    volumes: ['rows:/var/lib/postgresql/data']
volumes: {rows: {}}
";

#[test]
fn what_is_found_by_looking_is_proposed_and_no_value_of_a_file_is_told() {
    let values = "TAG=v1.2.0\nDB_PASSWORD=hunter2-hunter2\nDB_NAME=hidden_name\n";
    let host = Host::with(&[
        ("shop/docker-compose.yml", SHOP),
        ("shop/.env", values),
        ("shop/api.env", "TOKEN=canary\n"),
        ("shop/front/site.conf", "server {}\n"),
        ("shop/front/sites/a.conf", "server {}\n"),
        ("shop/front/sites/README", "no configuration\n"),
        ("shop/data/prod.db", "SQLite format 3\0and so on"),
        ("shop/data/Thumbs.db", "something else that is not one"),
    ]);
    let project = host.project("shop", &["shop/docker-compose.yml"]);
    let said = host.proposed(&project, &host.target("shop"));
    for hidden in ["hunter2", "hidden_name", "canary"] {
        assert!(!said.contains(hidden), "{said}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_runs_tells_the_values_and_images_that_no_file_has() {
    let text = "services:
  api: {image: 'registry.example/api:${TAG:?}'}
  web: {image: 'registry.example/web:${TAG:?}'}
  old: {image: 'old:v1'}
  own: {build: .}
  extra: {image: 'extra:v1', profiles: [by-hand]}
  other: {image: 'other:v1', profiles: [never]}
";
    let host = Host::with(&[("compose.yaml", text)]);
    let images = [
        ("api", "registry.example/api:1.10"),
        ("web", "registry.example/web:1.10"),
        ("old", "old:v0"),
        ("own", "shop-own"),
        ("extra", "extra:v1"),
    ];
    let project = running(host.project("", &["compose.yaml"]), &images);
    insta::assert_snapshot!(host.proposed(&project, &host.target("")));
}

#[test]
fn a_manifest_of_its_own_directory_names_files_above_it() {
    let host = Host::with(&[
        (
            "app/compose.yaml",
            "services: {web: {extends: {file: base.yaml, service: web}}}\n",
        ),
        ("app/base.yaml", "services: {web: {image: 'shop:v1'}}\n"),
        (
            "app/more.yaml",
            "services: {web: {ports: ['127.0.0.1:8080:80']}}\n",
        ),
        ("app/.git/HEAD", "ref: refs/heads/next\n"),
    ]);
    let project = host.project("app", &["app/compose.yaml", "app/more.yaml"]);
    let target = Target {
        dir: host.at("app/staging"),
        work_tree: Some(WorkTree {
            root: host.at("app"),
            branch: Some("next".to_owned()),
            origin: Some("ssh://git@git.example.org/ops/state.git".to_owned()),
        }),
    };
    insta::assert_snapshot!(host.proposed(&project, &target));
}

#[test]
fn a_manifest_of_another_repository_has_the_files_copied() {
    let host = Host::with(&[
        (
            "opt/shop/compose.yaml",
            "include: [parts/db.yaml]\nservices: {web: {image: 'shop:v1', volumes: ['./data:/data', '/var/log:/logs', '/run/docker.sock:/run/docker.sock'], cap_add: [NET_ADMIN], privileged: true}}\n",
        ),
        (
            "opt/shop/parts/db.yaml",
            "services: {db: {image: 'postgres:16'}}\n",
        ),
        ("opt/shop/parts/.env", "A=1\n"),
        ("state/README", "the state of our hosts\n"),
    ]);
    let images = [("web", "shop:v1"), ("db", "postgres:16")];
    let project = running(
        host.project("opt/shop", &["opt/shop/compose.yaml"]),
        &images,
    );
    let target = Target {
        dir: host.at("state/shop"),
        work_tree: Some(WorkTree {
            root: host.at("state"),
            branch: None,
            origin: None,
        }),
    };
    insta::assert_snapshot!(host.proposed(&project, &target));
}

#[test]
fn what_can_not_be_is_refused_by_name() {
    let one = "services: {web: {image: 'shop:v1'}}\n";
    let host = Host::with(&[
        ("app/compose.yaml", one),
        ("more.yaml", one),
        ("unset.yaml", "services: {web: {image: 'shop:${TAG:?}'}}\n"),
        ("bad.yaml", "services: {web: {imag: a}}\n"),
    ]);
    let refused = |project: &Project, dir: &str| {
        let error = propose(project, &host.target(dir)).err().unwrap();
        host.shown(&error.to_string())
    };
    let all = [
        refused(
            &host.project("app", &["app/compose.yaml", "app/gone.yaml"]),
            "app",
        ),
        refused(
            &host.project("app", &["app/compose.yaml", "more.yaml"]),
            "app",
        ),
        refused(&host.project("", &["bad.yaml"]), ""),
        refused(&host.project("", &["unset.yaml"]), ""),
        refused(
            &Project {
                name: "Shop".to_owned(),
                ..host.project("app", &["app/compose.yaml"])
            },
            "app",
        ),
        refused(
            &Project {
                variable_files: vec![host.at("gone.env")],
                ..host.project("app", &["app/compose.yaml"])
            },
            "app",
        ),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}
