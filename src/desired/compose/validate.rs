//! Checks single values of the merged files that the schema can't say
//! (compose-go's `validation` package).

use std::net::IpAddr;

use super::pattern::{Step, display, fits, visit};
use super::refusal::Refusal;
use crate::diagnostic::Diagnostics;
use crate::yaml::{Kind, Map, Node};

#[derive(Clone, Copy)]
enum Check {
    /// An external volume says nothing else.
    Volume,
    /// One source of the content, and only one.
    Content(&'static [&'static str]),
    /// An address that is one.
    Port,
    /// A path that is there.
    Path,
    /// A number of devices or their names.
    Devices,
}

const CHECKS: [(&str, Check); 7] = [
    ("volumes.*", Check::Volume),
    (
        "configs.*",
        Check::Content(&["file", "environment", "content"]),
    ),
    ("secrets.*", Check::Content(&["file", "environment"])),
    ("services.*.ports.*", Check::Port),
    ("services.*.develop.watch.*.path", Check::Path),
    (
        "services.*.deploy.resources.reservations.devices.*",
        Check::Devices,
    ),
    ("services.*.gpus.*", Check::Devices),
];

/// Checks the merged files.
pub(super) fn check(file: &mut Node) -> Result<(), Diagnostics> {
    let mut findings = Vec::new();
    visit(file, &mut |path, node| {
        let Some((_, check)) = CHECKS.iter().find(|(pattern, _)| fits(path, pattern)) else {
            return Step::Inside;
        };
        if let Err((at, refusal)) = check.run(node) {
            findings.push(refusal.at(at, display(path)));
        }
        Step::Past
    });
    Diagnostics::check(findings)
}

const IP: &str = "write an address such as 127.0.0.1, or take host_ip out for all addresses";

type Verdict<'a> = Result<(), (&'a Node, Refusal)>;

impl Check {
    fn run(self, node: &Node) -> Verdict<'_> {
        match (self, &node.kind) {
            (Self::Volume, Kind::Map(map)) => volume(map),
            (Self::Content(keys), Kind::Map(map)) => content(node, map, keys),
            (Self::Content(keys), Kind::Null) => content(node, &Map::default(), keys),
            (Self::Port, Kind::Map(map)) => port(map),
            (Self::Devices, Kind::Map(map)) => devices(map),
            (Self::Path, Kind::Str(path)) if path.is_empty() => Err((
                node,
                Refusal::new("the path is empty", "write a path such as ./src"),
            )),
            (Self::Volume | Self::Content(_) | Self::Port | Self::Devices | Self::Path, _) => {
                Ok(())
            }
        }
    }
}

fn volume(map: &Map) -> Verdict<'_> {
    if !matches!(
        map.get("external").map(|node| &node.kind),
        Some(Kind::Bool(true))
    ) {
        return Ok(());
    }
    let other = map.iter().find(|entry| {
        !["name", "external"].contains(&entry.key.as_str()) && !entry.key.starts_with("x-")
    });
    match other {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "the volume is external, so that {} can't be said of it",
                other.key
            );
            let hint = format!("take {} or external: true out", other.key);
            Err((&other.value, Refusal::new(why, hint)))
        }
    }
}

fn content<'a>(node: &'a Node, map: &Map, keys: &[&str]) -> Verdict<'a> {
    let given: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| map.contains_key(key))
        .collect();
    match given.as_slice() {
        [] if map.contains_key("driver") || map.contains_key("external") => Ok(()),
        [] => {
            let why = format!("one of {} must be set", keys.join(", "));
            Err((node, Refusal::new(why, "add file: PATH, or external: true")))
        }
        [_] => Ok(()),
        [one, _, ..] => {
            let why = format!("only one of {} can be set", given.join(", "));
            Err((
                node,
                Refusal::new(why, format!("keep one of them, such as {one}")),
            ))
        }
    }
}

fn port(map: &Map) -> Verdict<'_> {
    let Some(node) = map.get("host_ip") else {
        return Ok(());
    };
    match node.as_str() {
        Some(text) if text.parse::<IpAddr>().is_ok() => Ok(()),
        Some(text) => {
            let why = format!("\"{text}\" is not an IP address");
            Err((node, Refusal::new(why, IP)))
        }
        None => {
            let why = format!("host_ip must be a string, not {}", node.kind_name());
            Err((node, Refusal::new(why, IP)))
        }
    }
}

fn devices(map: &Map) -> Verdict<'_> {
    match (map.get("count"), map.get("device_ids")) {
        (Some(_), Some(names)) => {
            let why = "count and device_ids can't both be set";
            let hint = "take count out to name devices, or device_ids to take any";
            Err((names, Refusal::new(why, hint)))
        }
        (Some(_) | None, _) => Ok(()),
    }
}
