//! Finds services that wait for one another.

use std::collections::{BTreeMap, BTreeSet};

use super::section;
use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// Returns the first circle of dependencies.
pub(super) fn find(project: &Node) -> Option<Diagnostic> {
    let services = section(project, "services")?;
    let mut graph: BTreeMap<&str, Vec<(&str, &Node)>> = BTreeMap::new();
    for entry in services {
        let dependencies = entry.value.at(&["depends_on"]).and_then(Node::as_map);
        let dependencies = dependencies.into_iter().flatten();
        let edges = dependencies.map(|one| (one.key.as_str(), &one.value));
        graph.insert(&entry.key, edges.collect());
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|name| walk(name, &graph, &mut done))
}

/// Walks from a service to what it depends on, without recursion: a chain may be long.
fn walk<'a>(
    from: &'a str,
    graph: &BTreeMap<&'a str, Vec<(&'a str, &'a Node)>>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Diagnostic> {
    let mut trail: Vec<(&str, usize)> = vec![(from, 0)];
    let mut open = BTreeSet::from([from]);
    while let Some((name, next)) = trail.last_mut() {
        let edge = graph.get(*name).and_then(|edges| edges.get(*next));
        *next += 1;
        let Some((dependency, at)) = edge else {
            done.insert(*name);
            open.remove(*name);
            trail.pop();
            continue;
        };
        if open.contains(dependency) {
            let circle = trail.iter().map(|(name, _)| *name);
            let circle: Vec<&str> = circle.skip_while(|name| name != dependency).collect();
            let message = format!(
                "services wait for one another: {} → {dependency}",
                circle.join(" → ")
            );
            let found = Diagnostic::new(at.location(), message);
            return Some(found.hint("take one of these dependencies out"));
        }
        if !done.contains(dependency) && graph.contains_key(dependency) {
            open.insert(dependency);
            trail.push((dependency, 0));
        }
    }
    None
}
