//! Guesses what else a manifest could say, by looking at images, ports and mounts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Project;
use super::data;
use super::draft::{Guess, path, scalar};
use super::place::Placed;
use crate::config;
use crate::desired::{DesiredState, Service};
use crate::engine::model::MountSource;
use crate::policy;

/// Returns everything that can be guessed.
pub(super) fn all(project: &Project, state: &DesiredState, placed: &Placed) -> Vec<Guess> {
    let looked = Looked {
        project,
        state,
        placed,
    };
    let backups = looked.backups();
    let migrations = looked.migrations();
    let all = [
        looked.ready(),
        looked.proxy(),
        backups,
        migrations,
        looked.maintenance(),
    ];
    all.into_iter().flatten().collect()
}

struct Looked<'a> {
    project: &'a Project,
    state: &'a DesiredState,
    placed: &'a Placed,
}

/// A program that is known by the name of its image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Postgres,
    Nginx,
    Caddy,
    /// Others that keep data or pass on visitors, and have no code of the project.
    Ready,
}

impl Looked<'_> {
    /// Returns the services by name, each once.
    fn services(&self) -> impl Iterator<Item = (&str, &Service)> {
        let all = self.state.services.iter();
        let first = all.filter(|(name, _)| name.number() == 1);
        first.map(|(name, service)| (name.service(), service))
    }

    fn of(&self, program: Program) -> impl Iterator<Item = (&str, &Service)> {
        self.services()
            .filter(move |(_, service)| program_of(&service.spec.image) == Some(program))
    }

    /// Returns the services that are the project's own programs.
    fn own(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.services()
            .filter(|(_, service)| program_of(&service.spec.image).is_none())
    }

    fn ready(&self) -> Option<Guess> {
        let mut lines = Vec::new();
        for (name, service) in self.services() {
            let spec = &service.spec;
            let asked = spec.healthcheck.as_ref().is_some_and(|it| !it.is_none());
            let port = spec.ports.iter().find(|port| port.protocol == "tcp");
            if let Some(port) = port.filter(|_| !asked) {
                lines.push(format!(
                    "  - {{service: {}, tcp: {}}}",
                    scalar(name),
                    port.target
                ));
            }
        }
        let first = "ready:".to_owned();
        (!lines.is_empty()).then(|| Guess {
            why: why(&[
                "Published, without a health check: a deploy could wait until the port is open, or better",
                "until a page answers ({http: /health, port: 80}): docs/manifest.md#ready",
            ]),
            lines: [first].into_iter().chain(lines).collect(),
            commit: Vec::new(),
        })
    }

    fn proxy(&self) -> Option<Guess> {
        let kinds = [("nginx", Program::Nginx), ("caddy", Program::Caddy)];
        for (kind, program) in kinds {
            for (name, service) in self.of(program) {
                let configs = self.configs(program, service);
                if configs.is_empty() {
                    continue;
                }
                let mut lines = vec![
                    "proxy:".to_owned(),
                    format!("  {kind}:"),
                    format!("    service: {}", scalar(name)),
                    "    configs:".to_owned(),
                ];
                lines.extend(configs.iter().map(|(named, _, target)| {
                    format!("      {}: {}", scalar(named), scalar(target))
                }));
                lines.push("    marker: /__moored".to_owned());
                return Some(Guess {
                    why: vec![
                        format!(
                            "{name} has its configuration from here. Moored can test, reload and prove it, once it has a"
                        ),
                        "location with @moored.marker@ in it: docs/proxy.md".to_owned(),
                    ],
                    lines,
                    commit: configs.into_iter().map(|(_, source, _)| source).collect(),
                });
            }
        }
        None
    }

    /// Returns the files of the project that a proxy reads: how the manifest names them, where they
    /// are, and where the proxy has them.
    fn configs(&self, program: Program, service: &Service) -> Vec<(String, PathBuf, String)> {
        let home = match program {
            Program::Nginx => "/etc/nginx",
            Program::Caddy => "/etc/caddy",
            Program::Postgres | Program::Ready => return Vec::new(),
        };
        let mut found = Vec::new();
        for (target, mount) in &service.spec.mounts {
            let MountSource::Bind { path: source, .. } = &mount.source else {
                continue;
            };
            let source = Path::new(source);
            if !Path::new(target).starts_with(home) || !source.starts_with(&self.project.directory)
            {
                continue;
            }
            if source.is_file() {
                found.push((source.to_owned(), target.clone()));
                continue;
            }
            let entries = std::fs::read_dir(source).into_iter().flatten().flatten();
            let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            below.sort();
            for path in below {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_config = name.ends_with(".conf") || name.contains("Caddyfile");
                if is_config && path.is_file() {
                    found.push((path.clone(), format!("{target}/{name}")));
                }
            }
        }
        let named = found.into_iter().filter_map(|(source, target)| {
            let named = self.placed.named(&source)?;
            Some((named, source, target))
        });
        named.collect()
    }

    fn backups(&self) -> Option<Guess> {
        let mut lines = Vec::new();
        for (name, service) in self.of(Program::Postgres) {
            let user = setting(service, "POSTGRES_USER", "postgres", "USER");
            let default = user.as_str();
            let database = setting(service, "POSTGRES_DB", default, "DATABASE");
            lines.extend([
                format!("  {}:", scalar(name)),
                format!(
                    "    postgres: {{service: {}, database: {}, user: {}}}",
                    scalar(name),
                    scalar(&database),
                    scalar(&user)
                ),
            ]);
            lines.extend(self.schedule(name));
        }
        for database in self.databases() {
            let name = database.file_stem().unwrap_or_default().to_string_lossy();
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                .collect::<String>()
                .to_ascii_lowercase();
            let key = format!("  {}:", scalar(&name));
            if lines.contains(&key) {
                continue;
            }
            lines.extend([key, format!("    sqlite: {}", path(&database))]);
            lines.extend(self.schedule(&name));
        }
        let first = "backups:".to_owned();
        (!lines.is_empty()).then(|| Guess {
            why: why(&[
                "Databases that were found. `to` should be a directory of another disk, and keep the backups of",
                "nothing else: docs/manifest.md#backups",
            ]),
            lines: [first].into_iter().chain(lines).collect(),
            commit: Vec::new(),
        })
    }

    /// Returns the files of databases that the project's own programs have.
    fn databases(&self) -> BTreeSet<PathBuf> {
        let own = self.own();
        let mounted: Vec<&str> = own
            .flat_map(|(_, service)| policy::sources_of(&service.spec))
            .collect();
        data::sqlite_in(mounted.into_iter().map(Path::new))
    }

    fn schedule(&self, name: &str) -> [String; 4] {
        let to = self.own_place("backups").join(name);
        [
            format!("    to: {}", path(&to)),
            "    schedule: '0 3 * * *'".to_owned(),
            "    before_deploy: true".to_owned(),
            "    keep: {last: 3, daily: 7, weekly: 4, monthly: 6}".to_owned(),
        ]
    }

    /// Returns a place of the host beside the project, which no other stack from there has.
    fn own_place(&self, name: &str) -> PathBuf {
        let (stack, directory) = (self.state.stack.as_str(), &self.state.project_directory);
        if directory.starts_with(config::DEFAULT_STATE_DIR) {
            Path::new("/srv").join(stack).join(name)
        } else if directory.file_name().is_some_and(|own| own == stack) {
            directory.join(name)
        } else {
            directory.join(format!("{name}-{stack}"))
        }
    }

    /// Guesses who migrates: who mounts the database, else who waits for it.
    fn migrations(&self) -> Option<Guess> {
        let files = self.databases();
        let mounts = |(_, service): &(&str, &Service)| {
            let mut mounted = policy::sources_of(&service.spec);
            mounted.any(|place| files.iter().any(|file| file.starts_with(place)))
        };
        let waits = |(_, service): &(&str, &Service)| {
            let mut needs = service.depends_on.keys();
            needs.any(|name| {
                self.of(Program::Postgres)
                    .any(|one| one.0 == name.service())
            })
        };
        let found = self.own().find(mounts).or_else(|| self.own().find(waits));
        let name = scalar(found?.0);
        Some(Guess {
            why: why(&[
                "The command that changes tables for a new version: it runs after a backup, while nothing",
                "writes: docs/manifest.md#migrations",
            ]),
            lines: vec![
                "migrations:".to_owned(),
                format!(
                    "  - {{service: {name}, run: [npx, prisma, migrate, deploy], stop: [{name}]}}"
                ),
            ],
            commit: Vec::new(),
        })
    }

    fn maintenance(&self) -> Option<Guess> {
        let is_web = |(_, service): &(&str, &Service)| {
            let mut ports = service.spec.ports.iter();
            ports.any(|port| ["80", "443"].contains(&port.published.as_str()))
        };
        let mut proxies = self.of(Program::Nginx).chain(self.of(Program::Caddy));
        if !self.services().any(|one| is_web(&one)) && proxies.next().is_none() {
            return None;
        }
        let flag = self.own_place("maintenance").join("MAINTENANCE_ON");
        Some(Guess {
            why: why(&[
                "A page for visitors while a deploy works. The proxy has to look for the flag:",
                "docs/manifest.md#maintenance",
            ]),
            lines: vec![
                "maintenance:".to_owned(),
                format!("  flag: {}", path(&flag)),
                "  page: maintenance.html".to_owned(),
                "  probe: http://127.0.0.1/".to_owned(),
            ],
            commit: Vec::new(),
        })
    }
}

fn why(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Returns a variable of a service; what a file of the host says is not told.
fn setting(service: &Service, name: &str, default: &str, hidden: &str) -> String {
    match service.spec.env.get(name) {
        Some(Some(value)) if service.committed_env.contains(name) => value.expose().to_owned(),
        Some(_) => hidden.to_owned(),
        None => default.to_owned(),
    }
}

/// Returns which program an image has, by its name without registry and tag.
fn program_of(image: &str) -> Option<Program> {
    let name = image.split('@').next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["postgres", "postgis", "pgvector", "timescale"]) {
        Some(Program::Postgres)
    } else if has(&["nginx"]) {
        Some(Program::Nginx)
    } else if has(&["caddy"]) {
        Some(Program::Caddy)
    } else if has(&[
        "redis",
        "valkey",
        "mysql",
        "mariadb",
        "mongo",
        "memcached",
        "rabbitmq",
        "traefik",
    ]) {
        Some(Program::Ready)
    } else {
        None
    }
}
