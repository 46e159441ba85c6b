//! Writes the settings that a host needs for a project: which repository, and what the project asks
//! for that the default does not permit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Project;
use super::draft::{list, path, scalar};
use super::place::Target;
use crate::config;
use crate::desired::{DesiredState, default_container_name};
use crate::engine::model::Port;
use crate::permits::{Permits, Touch};
use crate::policy::{Policy, RealPaths, Refusal, Seen, Setting, Who, sources_of};

/// Returns the text of the settings.
pub(super) fn text(
    project: &Project,
    state: &DesiredState,
    target: &Target,
    root: &Path,
) -> String {
    let mut lines = vec![
        "# The host's settings: /etc/moored/config.yaml. Every key: docs/config.md".to_owned(),
        "repository:".to_owned(),
    ];
    lines.extend(repository(target, root));
    let asked = asked(project, state);
    if !asked.is_empty() {
        lines.push(format!(
            "# What {} asks for beyond the default: docs/policy.md",
            state.stack
        ));
        lines.push("policy:".to_owned());
        lines.extend(asked.iter().map(|(key, value)| format!("  {key}: {value}")));
    }
    let ports = ports(state);
    if !ports.is_empty() {
        lines.push("# Everything may publish any port. To permit no others than today:".to_owned());
        let policy = if asked.is_empty() { "policy: {" } else { "  " };
        let end = if asked.is_empty() { "}" } else { "" };
        lines.push(format!("#{policy}publish: [{}]{end}", ports.join(", ")));
    }
    lines.join("\n") + "\n"
}

fn repository(target: &Target, root: &Path) -> Vec<String> {
    let tree = target.work_tree.as_ref();
    let Some(tree) = tree else {
        let dir = root.display();
        return vec![
            format!(
                "  # {dir} is no repository yet: this is where it will be once `git init` was run there."
            ),
            format!("  url: {}", path(root)),
        ];
    };
    let mut lines = Vec::new();
    match &tree.origin {
        Some(origin) => lines.push(format!("  url: {}", scalar(origin))),
        None => lines.push(format!("  url: {}", path(root))),
    }
    let branch = tree.branch.as_deref().filter(|branch| *branch != "main");
    lines.extend(branch.map(|branch| format!("  branch: {}", scalar(branch))));
    let origin = tree.origin.as_deref().unwrap_or_default();
    if origin.starts_with("ssh://") {
        lines.push(
            "  # A deploy key that may read, and write for `moored rollback`: docs/config.md"
                .to_owned(),
        );
        lines.push(
            "  auth: {ssh_key: /etc/moored/id_ed25519, known_hosts: /etc/moored/known_hosts}"
                .to_owned(),
        );
    }
    lines
}

/// Returns what has to be permitted: the keys of `policy` and their values.
fn asked(project: &Project, state: &DesiredState) -> BTreeMap<String, String> {
    let mut permits = Permits::default();
    permits.bind_roots.extend(root_of(project, state, &permits));
    let refusals = refusals(state, &policy_of(&permits));
    let settings = refusals.iter().flat_map(|one| &one.setting);
    let mut entries: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in settings.map(Setting::parts) {
        let inner = value.get(1..value.len().saturating_sub(1));
        let of_key = entries.entry(key).or_default();
        of_key.insert(inner.unwrap_or_default().to_owned());
    }
    let more = entries.remove("bind_roots").unwrap_or_default();
    permits
        .bind_roots
        .extend(more.into_iter().map(PathBuf::from));
    let mut found = BTreeMap::new();
    if permits != Permits::default() {
        // A list takes the place of the default.
        let roots = permits.bind_roots.iter();
        let roots: Vec<String> = roots.map(|root| root.display().to_string()).collect();
        found.insert("bind_roots".to_owned(), format!("[{}]", list(&roots)));
    }
    for (key, values) in entries {
        let inner: Vec<String> = values.into_iter().collect();
        let (open, close) = if key == "capabilities" {
            ('{', '}')
        } else {
            ('[', ']')
        };
        found.insert(key.to_owned(), format!("{open}{}{close}", inner.join(", ")));
    }
    found
}

/// Returns the project's directory where anything of it would not be permitted.
fn root_of(project: &Project, state: &DesiredState, permits: &Permits) -> Option<PathBuf> {
    let policy = policy_of(permits);
    let specs = state.services.values().map(|service| &service.spec);
    let mounted = specs.flat_map(sources_of).map(Path::new);
    let others = state.host_files.iter().map(PathBuf::as_path);
    let mut of_project = mounted
        .chain(others)
        .filter(|path| path.starts_with(&project.directory));
    let refused = |path: &Path| {
        let real = RealPaths::of(path.to_str());
        let touch = (path, Touch::BackUp);
        policy
            .file(state.stack.as_str(), "", touch, &real)
            .is_some()
    };
    of_project.any(refused).then(|| project.directory.clone())
}

/// Returns what the settings would refuse.
fn refusals(state: &DesiredState, policy: &Policy) -> Vec<Refusal> {
    let stack = state.stack.as_str();
    let specs = state.services.values().map(|service| &service.spec);
    let files = state.host_files.iter();
    let paths = specs.flat_map(sources_of);
    let paths = paths.chain(files.clone().filter_map(|path| path.to_str()));
    let real = RealPaths::of(paths);
    // Containers of the same stack are no others, whatever they are called.
    let own = state.services.iter().map(|(name, service)| {
        let own = service.container_name.clone();
        own.unwrap_or_else(|| default_container_name(&state.stack, name))
    });
    let own: BTreeSet<String> = own.collect();
    let seen = Seen {
        real: &real,
        own: &own,
    };
    let mut found = Vec::new();
    for (name, service) in &state.services {
        let who = Who {
            stack,
            service: Some(name.service()),
        };
        found.extend(policy.container(who, &service.spec, seen));
    }
    for path in files {
        found.extend(policy.file(stack, "", (path, Touch::Read), &real));
    }
    found
}

fn policy_of(permits: &Permits) -> Policy {
    Policy::new(
        permits,
        Path::new(config::DEFAULT_STATE_DIR),
        config::DEFAULT_ENGINE,
    )
}

/// Returns the ports that are published, as `publish` has them.
fn ports(state: &DesiredState) -> Vec<String> {
    let specs = state.services.values().map(|service| &service.spec);
    let ports = specs.flat_map(|spec| &spec.ports);
    let ports: BTreeSet<String> = ports
        .filter(|port| !port.published.is_empty())
        .map(Port::host)
        .collect();
    let is_number = |port: &str| port.chars().all(|c| c.is_ascii_digit());
    let ports = ports.into_iter();
    ports
        .map(|port| {
            if is_number(&port) {
                port
            } else {
                scalar(&port)
            }
        })
        .collect()
}
