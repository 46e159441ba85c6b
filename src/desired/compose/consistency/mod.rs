//! Checks that the parts of a project fit together.
//!
//! Source: `loader/validate.go` of compose-go, and the check of container names in Compose's
//! `config`.

mod build;
mod cycle;
mod limits;

use std::collections::BTreeMap;

use super::profiles::Disabled;
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::yaml::{Kind, Map, Node};

/// Checks the active services of a project against one another and against the rest of it.
pub(super) fn check(project: &mut Node, disabled: &Disabled) -> Result<(), Diagnostics> {
    let mut checks = Checks {
        project,
        disabled,
        findings: Vec::new(),
    };
    checks.all();
    Diagnostics::check(checks.findings)?;
    limits::settle_replicas(project);
    Ok(())
}

/// A service that is looked at.
#[derive(Clone, Copy)]
struct Service<'a> {
    name: &'a str,
    node: &'a Node,
}

impl<'a> Service<'a> {
    /// Returns the value at a path of keys, unless it is null.
    fn get(self, path: &[&str]) -> Option<&'a Node> {
        self.node.at(path).filter(|node| !node.is_null())
    }

    fn text(self, path: &[&str]) -> Option<&'a str> {
        self.get(path)
            .and_then(Node::as_str)
            .filter(|text| !text.is_empty())
    }

    fn items(self, path: &[&str]) -> &'a [Node] {
        self.get(path).and_then(Node::as_seq).unwrap_or_default()
    }

    fn entries(self, path: &[&str]) -> impl Iterator<Item = &'a crate::yaml::Entry> {
        self.get(path).and_then(Node::as_map).into_iter().flatten()
    }
}

struct Checks<'a> {
    project: &'a Node,
    disabled: &'a Disabled,
    findings: Vec<Diagnostic>,
}

impl<'a> Checks<'a> {
    fn all(&mut self) {
        let services = section(self.project, "services");
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for entry in services.into_iter().flatten() {
            let service = Service {
                name: &entry.key,
                node: &entry.value,
            };
            self.source(service);
            self.build(service);
            self.networks(service);
            self.health(service);
            self.dependencies(service);
            self.objects(service);
            self.limits(service);
            self.watch(service);
            self.mounts(service);
            if let Some(name) = service.text(&["container_name"])
                && let Some(other) = names.insert(name, service.name)
            {
                let message =
                    format!("the container name {name} is that of service {other} already");
                self.refuse(
                    service,
                    &["container_name"],
                    &message,
                    "leave it out, or choose another one",
                );
            }
        }
        self.secrets();
        self.findings.extend(cycle::find(self.project));
    }

    /// Notes what is wrong at a value of a service, or at the service when it has none there.
    fn refuse(&mut self, service: Service<'_>, path: &[&str], message: &str, hint: &str) {
        let at = service.node.at(path).unwrap_or(service.node);
        let message = format!("service {}: {message}", service.name);
        let found = Diagnostic::new(at.location(), message);
        self.findings.push(found.hint(hint));
    }

    fn source(&mut self, service: Service<'_>) {
        let given = service.text(&["image"]).is_some()
            || service.get(&["build"]).is_some()
            || service.get(&["provider"]).is_some();
        if !given {
            let message = "has neither an image nor a build context";
            self.refuse(service, &[], message, "add: image: NAME:TAG");
        }
    }

    fn networks(&mut self, service: Service<'_>) {
        let mut networks = service.entries(&["networks"]).peekable();
        if service.text(&["network_mode"]).is_some() && networks.peek().is_some() {
            let message = "network_mode and networks can't both be set";
            self.refuse(service, &["network_mode"], message, "take one of them out");
        }
        for network in networks {
            let path = ["networks", &network.key];
            // Compose drops the key as an extension, and then misses the network.
            if network.key.starts_with("x-") {
                let message = format!(
                    "{} can't be connected to: `x-` begins an extension",
                    network.key
                );
                self.refuse(service, &path, &message, "give the network another name");
                continue;
            }
            self.defined(service, "network", "networks", &network.key, &path);
        }
    }

    fn health(&mut self, service: Service<'_>) {
        let test = service.items(&["healthcheck", "test"]);
        let Some(first) = test.first().and_then(Node::as_str) else {
            return;
        };
        if !["CMD", "CMD-SHELL", "NONE"].contains(&first) {
            let message = format!("healthcheck.test begins with \"{first}\"");
            let hint =
                "begin the list with CMD, CMD-SHELL or NONE, or write the test as one string";
            self.refuse(service, &["healthcheck", "test"], &message, hint);
        }
    }

    fn dependencies(&mut self, service: Service<'_>) {
        for dependency in service.entries(&["depends_on"]) {
            let name = dependency.key.as_str();
            if self.service(name).is_some() {
                continue;
            }
            let disabled = self.disabled.get(name);
            let required = dependency.value.at(&["required"]);
            let is_required = !matches!(required.map(|node| &node.kind), Some(Kind::Bool(false)));
            let path = ["depends_on", name];
            if disabled.is_none() {
                self.undefined(service, "service", "services", name, &path);
            } else if is_required {
                let message = format!("depends on service {name}, which no active profile has");
                let hint = "give both the same profiles, or write required: false";
                self.refuse(service, &path, &message, hint);
            }
        }
    }

    fn objects(&mut self, service: Service<'_>) {
        for mount in service.items(&["volumes"]) {
            let source = mount
                .at(&["source"])
                .and_then(Node::as_str)
                .unwrap_or_default();
            if mount.at(&["type"]).and_then(Node::as_str) == Some("volume") && !source.is_empty() {
                self.defined_at(service, "volume", "volumes", source, mount);
            }
        }
        for (what, section, path) in [
            ("build secret", "secrets", &["build", "secrets"][..]),
            ("config", "configs", &["configs"]),
            ("secret", "secrets", &["secrets"]),
        ] {
            for item in service.items(path) {
                let source = item
                    .at(&["source"])
                    .and_then(Node::as_str)
                    .unwrap_or_default();
                self.defined_at(service, what, section, source, item);
            }
        }
        for model in service.entries(&["models"]) {
            self.defined(
                service,
                "model",
                "models",
                &model.key,
                &["models", &model.key],
            );
        }
    }

    fn watch(&mut self, service: Service<'_>) {
        for watch in service.items(&["develop", "watch"]) {
            let text = |key| watch.at(&[key]).and_then(Node::as_str).unwrap_or_default();
            if text("target").is_empty() && !["rebuild", "restart"].contains(&text("action")) {
                let message = format!("service {}: develop.watch needs a target", service.name);
                let found = Diagnostic::new(watch.location(), message);
                self.findings
                    .push(found.hint("add: target: PATH in the container"));
            }
        }
    }

    fn mounts(&mut self, service: Service<'_>) {
        let mut taken: BTreeMap<String, &Node> = BTreeMap::new();
        let tmpfs = service.items(&["tmpfs"]).iter().filter_map(|item| {
            let text = item.as_str()?;
            Some((text.split(':').next().unwrap_or_default(), item))
        });
        let single = service.get(&["tmpfs"]).and_then(|item| {
            let text = item.as_str()?;
            Some((text.split(':').next().unwrap_or_default(), item))
        });
        let volumes = service
            .items(&["volumes"])
            .iter()
            .filter_map(|item| Some((item.at(&["target"])?.as_str()?, item)));
        for (target, item) in single.into_iter().chain(tmpfs).chain(volumes) {
            let Some(other) = taken.insert(target.to_owned(), item) else {
                continue;
            };
            let message = format!(
                "service {}: {target} is mounted already in {}",
                service.name,
                other.location()
            );
            let found = Diagnostic::new(item.location(), message);
            self.findings
                .push(found.hint("take one of the two out, or give it another target"));
        }
    }

    fn secrets(&mut self) {
        for secret in section(self.project, "secrets").into_iter().flatten() {
            let is_set = |key: &str| {
                secret
                    .value
                    .at(&[key])
                    .and_then(Node::as_str)
                    .is_some_and(|text| !text.is_empty())
            };
            let external = secret.value.at(&["external"]).map(|node| &node.kind);
            if matches!(external, Some(Kind::Bool(true))) || is_set("file") || is_set("environment")
            {
                continue;
            }
            let message = format!(
                "secret {} has neither a file nor an environment variable",
                secret.key
            );
            let found = Diagnostic::new(secret.value.location(), message);
            self.findings
                .push(found.hint("add: file: PATH, or environment: VARIABLE"));
        }
    }

    fn service(&self, name: &str) -> Option<&'a Node> {
        section(self.project, "services")?.get(name)
    }

    fn defined(
        &mut self,
        service: Service<'_>,
        what: &str,
        section_name: &str,
        name: &str,
        path: &[&str],
    ) {
        if section(self.project, section_name).is_none_or(|map| !map.contains_key(name)) {
            self.undefined(service, what, section_name, name, path);
        }
    }

    fn defined_at(
        &mut self,
        service: Service<'_>,
        what: &str,
        section_name: &str,
        name: &str,
        at: &Node,
    ) {
        let here = Service {
            name: service.name,
            node: at,
        };
        self.defined(here, what, section_name, name, &[]);
    }

    fn undefined(
        &mut self,
        service: Service<'_>,
        what: &str,
        section_name: &str,
        name: &str,
        path: &[&str],
    ) {
        let known = section(self.project, section_name);
        let keys = known.into_iter().flatten().map(|entry| entry.key.as_str());
        let hint = suggestion(name, keys)
            .unwrap_or_else(|| format!("add it at the top level: {section_name}: {{{name}: …}}"));
        let message = format!("{what} {name} is not defined");
        self.refuse(service, path, &message, &hint);
    }
}

fn section<'a>(project: &'a Node, name: &str) -> Option<&'a Map> {
    project.at(&[name]).and_then(Node::as_map)
}
