//! Keeps one of several entries of a list that mean the same: the last one, at the place of the
//! first.
//!
//! What means the same is the rule of compose-go (its `override/uncity.go`).

use std::collections::BTreeMap;

use super::pattern::{Step, display, fits, visit};
use super::refusal::Refusal;
use super::short;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::yaml::{Kind, Map, Node};

/// What an entry is known by.
#[derive(Clone, Copy)]
enum Identity {
    /// What stands before `=`.
    Key,
    /// The path in the container.
    Mount,
    /// The path of the device in the container.
    Device,
    /// The path of the file in the container; a bare name stands below this directory.
    File(&'static str),
    /// The path of the environment file.
    EnvFile,
    /// The port.
    Expose,
    /// Address, both ports and protocol; the text in the short form.
    Port,
}

const LISTS: [(&str, Identity); 29] = [
    ("networks.*.labels", Identity::Key),
    ("networks.*.ipam.options", Identity::Key),
    ("services.*.annotations", Identity::Key),
    ("services.*.build.args", Identity::Key),
    ("services.*.build.additional_contexts", Identity::Key),
    ("services.*.build.platform", Identity::Key),
    ("services.*.build.tags", Identity::Key),
    ("services.*.build.labels", Identity::Key),
    ("services.*.cap_add", Identity::Key),
    ("services.*.cap_drop", Identity::Key),
    ("services.*.configs", Identity::File("")),
    ("services.*.deploy.labels", Identity::Key),
    ("services.*.devices", Identity::Device),
    ("services.*.dns", Identity::Key),
    ("services.*.dns_opt", Identity::Key),
    ("services.*.dns_search", Identity::Key),
    ("services.*.environment", Identity::Key),
    ("services.*.env_file", Identity::EnvFile),
    ("services.*.expose", Identity::Expose),
    ("services.*.labels", Identity::Key),
    ("services.*.links", Identity::Key),
    ("services.*.networks.*.aliases", Identity::Key),
    ("services.*.networks.*.link_local_ips", Identity::Key),
    ("services.*.ports", Identity::Port),
    ("services.*.profiles", Identity::Key),
    ("services.*.secrets", Identity::File("/run/secrets")),
    ("services.*.sysctls", Identity::Key),
    ("services.*.tmpfs", Identity::Key),
    ("services.*.volumes", Identity::Mount),
];

/// Leaves one entry of each in the lists of a file.
pub(super) fn enforce(file: &mut Node) -> Result<(), Diagnostics> {
    let mut findings = Vec::new();
    visit(file, &mut |path, node| {
        if !matches!(node.kind, Kind::Seq(_)) {
            return Step::Inside;
        }
        if let Some((_, identity)) = LISTS.iter().find(|(pattern, _)| fits(path, pattern)) {
            one_of_each(*identity, path, node, &mut findings);
        }
        Step::Past
    });
    Diagnostics::check(findings)
}

fn one_of_each(
    identity: Identity,
    path: &[String],
    node: &mut Node,
    findings: &mut Vec<Diagnostic>,
) {
    let Kind::Seq(items) = &mut node.kind else {
        return;
    };
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        match identity.of(&item) {
            Ok(key) => {
                if let Some(earlier) = known.get(&key).and_then(|index| kept.get_mut(*index)) {
                    *earlier = item;
                } else {
                    known.insert(key, kept.len());
                    kept.push(item);
                }
            }
            Err(refusal) => {
                findings.push(refusal.at(&item, format_args!("{}[{index}]", display(path))));
            }
        }
    }
    *items = kept;
}

impl Identity {
    fn of(self, item: &Node) -> Result<String, Refusal> {
        match self {
            Self::Key => {
                let text = item.as_str().ok_or_else(|| {
                    Refusal::unlike(item, "a string", "put quotes around the value")
                })?;
                Ok(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
            }
            Self::Mount => mount(item),
            Self::Device => device(item),
            Self::File(directory) => file(item, directory),
            Self::EnvFile => match &item.kind {
                Kind::Map(map) => text_of(map, "path"),
                Kind::Str(path) => Ok(path.clone()),
                Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
                    Ok(String::new())
                }
            },
            Self::Expose => match &item.kind {
                Kind::Str(port) => Ok(port.clone()),
                Kind::Int(port) => Ok(port.to_string()),
                Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => Err(
                    Refusal::unlike(item, "a port", "write a port such as \"80\""),
                ),
            },
            Self::Port => port(item),
        }
    }
}

fn mount(item: &Node) -> Result<String, Refusal> {
    match &item.kind {
        Kind::Map(map) => text_of(map, "target"),
        Kind::Str(text) => short::parse_volume(text).map(|volume| volume.target),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
            Ok(String::new())
        }
    }
}

fn device(item: &Node) -> Result<String, Refusal> {
    match &item.kind {
        Kind::Map(map) => text_of(map, "target"),
        Kind::Str(text) => {
            let mut parts = text.split(':');
            let source = parts.next().unwrap_or_default();
            Ok(parts.next().unwrap_or(source).to_owned())
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
            Ok(String::new())
        }
    }
}

fn file(item: &Node, directory: &str) -> Result<String, Refusal> {
    match &item.kind {
        Kind::Str(source) => Ok(format!("{directory}/{source}")),
        Kind::Map(map) if map.contains_key("target") => text_of(map, "target"),
        Kind::Map(map) => {
            let source = map.get("source").and_then(Node::go_string);
            Ok(format!("{directory}/{}", source.unwrap_or_default()))
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
            let hint = "write a name, or {source: NAME, target: PATH}";
            Err(Refusal::unlike(item, "a name or a mapping", hint))
        }
    }
}

fn port(item: &Node) -> Result<String, Refusal> {
    match &item.kind {
        Kind::Int(port) => Ok(port.to_string()),
        Kind::Str(text) => Ok(text.clone()),
        Kind::Map(map) => {
            if !map.contains_key("target") {
                return Err(Refusal::new("the entry has no target", "add target: 80"));
            }
            // Compose takes 80 and "80" for two different ports.
            let part = |key: &str, default: &str| match map.get(key) {
                None => default.to_owned(),
                Some(value) => {
                    let text = value.go_string().unwrap_or_default();
                    format!("{} {text}", value.kind_name())
                }
            };
            Ok(format!(
                "{}:{}:{}/{}",
                part("host_ip", "a string 0.0.0.0"),
                part("published", ""),
                part("target", ""),
                part("protocol", "a string tcp")
            ))
        }
        Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) => Ok(String::new()),
    }
}

fn text_of(map: &Map, key: &str) -> Result<String, Refusal> {
    let value = map.get(key).ok_or_else(|| missing(key))?;
    value.as_str().map(str::to_owned).ok_or_else(|| {
        let why = format!("{key} must be a string, not {}", value.kind_name());
        Refusal::new(why, format!("write {key}: {}", example(key)))
    })
}

fn missing(key: &str) -> Refusal {
    let hint = format!("add {key}: {}", example(key));
    Refusal::new(format!("the entry has no {key}"), hint)
}

/// Returns a value that a key of an entry may have.
fn example(key: &str) -> &'static str {
    match key {
        "path" => "./web.env",
        _ => "/data",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn of_service(text: &str) -> (Node, Result<(), Diagnostics>) {
        let text = format!("services: {{a: {text}}}");
        let mut node = parse("c.yaml", text.as_bytes()).unwrap();
        let result = enforce(&mut node);
        (node.at(&["services", "a"]).unwrap().clone(), result)
    }

    #[test]
    fn the_last_one_stays_at_the_place_of_the_first() {
        for (text, expected) in [
            ("environment: [A=1, B=2, A=3, B]", "environment: [A=3, B]"),
            ("profiles: [a, b, a]", "profiles: [a, b]"),
            ("expose: [80, '80', 81]", "expose: ['80', 81]"),
            (
                "volumes: ['aa:/x', 'bb:/x/', './c:/y:ro']",
                "volumes: ['bb:/x/', './c:/y:ro']",
            ),
            (
                "volumes: ['aa:/x', {type: tmpfs, target: /x}]",
                "volumes: [{type: tmpfs, target: /x}]",
            ),
            (
                "devices: ['/a:/x', '/b:/x:r', '/c']",
                "devices: ['/b:/x:r', '/c']",
            ),
            (
                "secrets: [s, {source: t, target: /run/secrets/s}, {source: s}]",
                "secrets: [{source: s}]",
            ),
            (
                "configs: [s, {source: t, target: /s}]",
                "configs: [{source: t, target: /s}]",
            ),
            (
                "env_file: [a, {path: a, required: false}]",
                "env_file: [{path: a, required: false}]",
            ),
            ("ports: ['80', 80, '80:80']", "ports: [80, '80:80']"),
            (
                "ports: [{target: 80}, {target: 80, protocol: tcp, mode: host}, {target: 80, protocol: udp}]",
                "ports: [{target: 80, protocol: tcp, mode: host}, {target: 80, protocol: udp}]",
            ),
            (
                "ports: [{target: 80, published: 1}, {target: 80, published: '1'}]",
                "ports: [{target: 80, published: 1}, {target: 80, published: '1'}]",
            ),
            ("command: [a, a]", "command: [a, a]"),
            ("x-a: [1, 1]", "x-a: [1, 1]"),
        ] {
            let (node, result) = of_service(&format!("{{{text}}}"));
            assert!(result.is_ok(), "{text}");
            let expected = parse("e", format!("{{{expected}}}").as_bytes()).unwrap();
            assert!(node.same_value(&expected), "{text}: {node:?}");
        }
    }

    #[test]
    fn what_has_no_identity_is_refused_at_its_place() {
        let refused = |text: &str| {
            let (_, result) = of_service(text);
            let Err(Diagnostics(found)) = result else {
                panic!("{text}");
            };
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        insta::assert_snapshot!(refused("{sysctls: [a=1, 2]}"), @"
        c.yaml:1:31: services.a.sysctls[1]: expected a string, not an integer
          hint: put quotes around the value
        ");
        insta::assert_snapshot!(refused("{ports: [{published: '1'}]}"), @"
        c.yaml:1:24: services.a.ports[0]: the entry has no target
          hint: add target: 80
        ");
        insta::assert_snapshot!(refused("{volumes: ['aa::/b', {type: bind}]}"), @"
        c.yaml:1:26: services.a.volumes[0]: nothing stands before or after a colon
          hint: write SOURCE:TARGET or SOURCE:TARGET:OPTIONS, such as ./data:/data:ro
        c.yaml:1:36: services.a.volumes[1]: the entry has no target
          hint: add target: /data
        ");
        insta::assert_snapshot!(refused("{expose: [1.5]}"), @r#"
        c.yaml:1:25: services.a.expose[0]: expected a port, not a number
          hint: write a port such as "80"
        "#);
        insta::assert_snapshot!(refused("{env_file: [{required: true}], secrets: [1]}"), @"
        c.yaml:1:27: services.a.env_file[0]: the entry has no path
          hint: add path: ./web.env
        c.yaml:1:56: services.a.secrets[0]: expected a name or a mapping, not an integer
          hint: write a name, or {source: NAME, target: PATH}
        ");
    }
}
