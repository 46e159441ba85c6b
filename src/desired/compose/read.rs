//! Reads the Compose files of a stack, in the order of compose-go: parse, interpolate, merge,
//! check, type.

use std::collections::BTreeMap;

use super::clashes;
use super::fields::Fields;
use super::project::{Found, Project, Variables};
use super::{interpolate, keys, merge, resources, service};
use crate::desired::manifest::DEFAULT;
use crate::desired::{Service, ServiceName, Wanted};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::engine::model::{Network, Volume};
use crate::source::RepoPath;
use crate::yaml::{self, Map, Node};

/// What the Compose files of a stack say.
pub(in crate::desired) struct Composed {
    pub(in crate::desired) services: BTreeMap<ServiceName, Service>,
    pub(in crate::desired) networks: BTreeMap<String, Wanted<Network>>,
    pub(in crate::desired) volumes: BTreeMap<String, Wanted<Volume>>,
    pub(in crate::desired) found: Found,
}

/// Reads and merges the files; `texts` in order, later ones over earlier ones.
pub(in crate::desired) fn tree(
    texts: &[(RepoPath, Vec<u8>)],
    variables: &Variables,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Node, Diagnostics> {
    let mut merged: Option<Node> = None;
    let mut findings = Vec::new();
    let lookup = |name: &str| variables.get(name);
    for (path, text) in texts {
        let file = path.as_str();
        // Several documents in a file are read like several files.
        let documents = match yaml::parse_documents(file, text) {
            Ok(documents) => documents,
            Err(Diagnostics(found)) => {
                findings.extend(found);
                continue;
            }
        };
        for (_, mut node) in documents {
            if let Err(Diagnostics(found)) =
                interpolate::interpolate(file, &mut node, &lookup, warnings)
            {
                findings.extend(found);
                continue;
            }
            merge::canonical(&mut node);
            match &mut merged {
                Some(base) => merge::merge(base, node),
                None => merged = Some(node),
            }
        }
    }
    match merged {
        Some(mut merged) if findings.is_empty() => {
            merge::settle_tags(&mut merged);
            Ok(merged)
        }
        None if findings.is_empty() => {
            let files: Vec<&str> = texts.iter().map(|(path, _)| path.as_str()).collect();
            Err(Diagnostic::file(&files.join(", "), "there are no services").into())
        }
        Some(_) | None => Err(Diagnostics(findings)),
    }
}

/// Gives the merged tree its types.
pub(in crate::desired) fn compose(
    tree: &Node,
    mut project: Project<'_>,
) -> Result<Composed, Diagnostics> {
    let mut findings = Vec::new();
    let mut fields = Fields {
        findings: &mut findings,
    };
    let empty = Map::default();
    let top = fields
        .map_or_nothing(tree, "a Compose file")
        .unwrap_or(&empty);
    fields.keys(top, "Compose file", &keys::TOP, &keys::TOP_LATER);
    if let Some(name) = top.get("name")
        && name
            .as_str()
            .is_some_and(|name| name != project.stack.as_str())
    {
        project.warn(
            name,
            "name is left out: the stack's name in moored.yaml counts",
        );
    }
    project.networks = resources::networks(top.get("networks"), project.stack, &mut fields);
    project.volumes = resources::volumes(top.get("volumes"), project.stack, &mut fields);
    let services = services(tree, top, &project, &mut fields);
    check_dependencies(top, &services, &mut fields);
    clashes::check(top, project.stack, &services, &mut fields);
    check_manifest(&project, top, &mut fields);
    if !findings.is_empty() {
        return Err(Diagnostics(findings));
    }
    let used = |name: &str| {
        services
            .values()
            .any(|one: &Service| one.spec.networks.contains_key(name))
    };
    let networks = by_name(&project.networks, |network| &network.name);
    let networks = networks
        .into_iter()
        .filter(|(name, _)| used(name))
        .collect();
    let volumes = by_name(&project.volumes, |volume| &volume.name);
    Ok(Composed {
        services,
        networks,
        volumes,
        found: project.found.into_inner(),
    })
}

fn by_name<T: Clone>(
    by_key: &BTreeMap<String, Wanted<T>>,
    name: fn(&T) -> &String,
) -> BTreeMap<String, Wanted<T>> {
    let named = by_key.values().map(|wanted| match wanted {
        Wanted::Own(one) | Wanted::External(one) => (name(one).clone(), wanted.clone()),
    });
    named.collect()
}

fn services(
    tree: &Node,
    top: &Map,
    project: &Project<'_>,
    fields: &mut Fields<'_>,
) -> BTreeMap<ServiceName, Service> {
    let mut services = BTreeMap::new();
    let Some(map) = top
        .get("services")
        .and_then(|node| fields.map(node, "services"))
    else {
        if fields.findings.is_empty() {
            let hint = "a stack that runs nothing is refused; to end one, take its directory out of \
                        the repository and remove its containers by hand";
            fields.refuse_with_hint(tree, "there are no services", hint);
        }
        return services;
    };
    if map.is_empty() {
        fields.refuse(tree, "there are no services");
    }
    for entry in map {
        match ServiceName::try_from(entry.key.clone()) {
            Ok(name) => {
                if let Some(service) = service::read(&name, &entry.value, project, fields) {
                    services.insert(name, service);
                }
            }
            Err(why) => fields.refuse(&entry.value, why),
        }
    }
    services
}

/// Refuses dependencies on services that are not there, and circles of them.
fn check_dependencies(
    top: &Map,
    services: &BTreeMap<ServiceName, Service>,
    fields: &mut Fields<'_>,
) {
    let place = |service: &ServiceName| {
        let services = top.get("services")?;
        let deep = services.at(&[service.as_str(), "depends_on"]);
        deep.or_else(|| services.at(&[service.as_str()]))
    };
    for (name, service) in services {
        for (dependency, how) in &service.depends_on {
            let (Some(at), false) = (place(name), services.contains_key(dependency)) else {
                continue;
            };
            let known = top.get("services").and_then(Node::as_map);
            if !how.required || known.is_some_and(|map| map.contains_key(dependency.as_str())) {
                continue;
            }
            let message =
                format!("services.{name} depends on \"{dependency}\", which is not a service");
            match suggestion(
                dependency.as_str(),
                services.keys().map(ServiceName::as_str),
            ) {
                Some(hint) => fields.refuse_with_hint(at, message, hint),
                None => fields.refuse(at, message),
            }
        }
    }
    let circle = services.keys().find_map(|name| circle_from(name, services));
    if let Some(circle) = circle
        && let Some(at) = circle.first().and_then(|name| place(name))
    {
        let names: Vec<&str> = circle.iter().map(|name| name.as_str()).collect();
        fields.refuse(
            at,
            format!(
                "services depend on one another in a circle: {}",
                names.join(" → ")
            ),
        );
    }
}

/// Returns the way from a service back to itself over its dependencies.
fn circle_from<'a>(
    start: &'a ServiceName,
    services: &'a BTreeMap<ServiceName, Service>,
) -> Option<Vec<&'a ServiceName>> {
    let mut came_from: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
    let mut waiting = vec![start];
    while let Some(name) = waiting.pop() {
        for next in services
            .get(name)
            .into_iter()
            .flat_map(|service| service.depends_on.keys())
        {
            if next == start {
                let mut way = vec![start];
                let mut at = name;
                while at != start {
                    way.push(at);
                    at = came_from.get(at).copied().unwrap_or(start);
                }
                way.push(start);
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, name);
                waiting.push(next);
            }
        }
    }
    None
}

/// Refuses what the manifest says about services that are not there.
fn check_manifest(project: &Project<'_>, top: &Map, fields: &mut Fields<'_>) {
    let services = top.get("services").and_then(Node::as_map);
    let known: Vec<&str> = services
        .into_iter()
        .flatten()
        .map(|entry| entry.key.as_str())
        .collect();
    let manifest = project.manifest;
    let rules = manifest.on_file_change.keys();
    let rules = rules.map(|name| ("on_file_change", name.as_str()));
    let strategies = manifest.strategy.keys();
    let rules = rules.chain(strategies.map(|name| ("strategy", name.as_str())));
    let rules = rules.filter(|(_, name)| *name != DEFAULT);
    let named = manifest.images.keys().map(|name| ("images", name.as_str()));
    let named = named.chain(manifest.env.keys().map(|name| ("env", name.as_str())));
    for (key, name) in named.chain(rules) {
        if known.contains(&name) {
            continue;
        }
        let Some(at) = project.manifest_place(&[key, name]) else {
            continue;
        };
        let message = format!("{key}.{name}: there is no service \"{name}\" in the Compose files");
        match suggestion(name, known.iter().copied()) {
            Some(hint) => fields.refuse_with_hint(at, message, hint),
            None => fields.refuse(at, message),
        }
    }
}
