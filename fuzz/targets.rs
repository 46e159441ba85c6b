//! What each fuzz target does with its input, and what has to hold.
//!
//! `cargo fuzz run TARGET` (with a nightly compiler) looks for inputs that break it;
//! `tests/it/fuzz_corpus.rs` replays `corpus/TARGET/` on stable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use moored::desired::compose::files::Files;
use moored::desired::compose::load::{self, Request};
use moored::desired::compose::short;
use moored::desired::compose::{env_file, interpolate, print};
use moored::yaml::{Kind, Node, parse, parse_documents};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("yaml", yaml),
    ("interpolation", interpolation),
    ("env_file", env_file),
    ("ports", ports),
    ("volumes", volumes),
    ("durations", durations),
    ("bytes", bytes),
    ("commands", commands),
    ("model", model),
];

/// Gives an input to the target of a name.
pub(crate) fn run(name: &str, input: &[u8]) {
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        panic!("there is no target {name}");
    };
    target(input);
}

/// Variables that an input may name.
fn variable(name: &str) -> Option<String> {
    match name {
        "SET" => Some("value".to_owned()),
        "EMPTY" => Some(String::new()),
        "PORT" => Some("80".to_owned()),
        "DOLLAR" => Some("a$b${SET}".to_owned()),
        _ => None,
    }
}

/// Reads YAML: every value has a place, and finding the same twice gives the same.
fn yaml(input: &[u8]) {
    let Ok(documents) = parse_documents("input.yaml", input) else {
        return;
    };
    for (position, node) in &documents {
        assert!(position.line >= 1 && position.column >= 1);
        placed(node);
    }
    if let Ok(again) = parse_documents("input.yaml", input) {
        for ((_, one), (_, other)) in documents.iter().zip(&again) {
            assert!(one.same_value(other));
        }
    }
}

fn placed(node: &Node) {
    assert!(node.position.line >= 1 && node.position.column >= 1);
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(placed),
        Kind::Map(map) => map.iter().for_each(|entry| placed(&entry.value)),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
    }
}

/// Puts variables into a string: what holds no `$` stays as it is.
fn interpolation(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let Ok(mut node) = parse("input.yaml", b"services: {web: {image: x}}") else {
        return;
    };
    replace(&mut node, text);
    let mut warnings = Vec::new();
    let done = interpolate::interpolate("input.yaml", &mut node, &variable, &mut warnings);
    if !text.contains('$') {
        assert!(done.is_ok() && warnings.is_empty());
        let image = node.at(&["services", "web", "image"]);
        assert_eq!(image.and_then(Node::as_str), Some(text));
    }
}

fn replace(node: &mut Node, text: &str) {
    match &mut node.kind {
        Kind::Str(value) => text.clone_into(value),
        Kind::Map(map) => map
            .iter_mut()
            .for_each(|entry| replace(&mut entry.value, text)),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {}
    }
}

/// Reads an environment file in both formats: no name is empty or holds an equals sign.
fn env_file(input: &[u8]) {
    let both = [
        env_file::parse("input.env", input, &variable),
        env_file::parse_raw("input.env", input, &variable),
    ];
    for entries in both.into_iter().flatten() {
        assert!(entries.iter().all(|(name, _)| !name.contains('=')));
    }
}

/// Reads a port: no more than there are, and one that is published reads back as printed.
fn ports(input: &[u8]) {
    let Some(ports) = text(input).and_then(|text| short::parse_ports(text).ok()) else {
        return;
    };
    assert!(!ports.is_empty() && ports.len() <= 1 << 16);
    let published = ports.iter().filter(|port| !port.published.is_empty());
    for port in published.take(3) {
        assert_eq!(
            short::parse_ports(&port.to_string()),
            Ok(vec![port.clone()])
        );
    }
}

/// Reads a volume: the path in the container is clean.
fn volumes(input: &[u8]) {
    let Some(volume) = text(input).and_then(|text| short::parse_volume(text).ok()) else {
        return;
    };
    assert!(!volume.target.contains("//") && !volume.target.is_empty());
    assert!(!(volume.is_bind && volume.source.is_none()));
}

/// Reads a time: what is printed reads back as the same.
fn durations(input: &[u8]) {
    if let Some(time) = text(input).and_then(|text| short::parse_duration(text).ok()) {
        assert!(time >= 0);
        assert_eq!(
            short::parse_duration(&short::format_duration(time)),
            Ok(time)
        );
    }
}

/// Reads a size: never less than nothing, and its digits read back as the same.
fn bytes(input: &[u8]) {
    if let Some(size) = text(input).and_then(|text| short::parse_bytes(text).ok()) {
        assert!(size >= 0);
        // Go computes with floats of 53 bits.
        if size < 1 << 53 {
            assert_eq!(short::parse_bytes(&size.to_string()), Ok(size));
        }
    }
}

/// Splits a command: no more words than characters.
fn commands(input: &[u8]) {
    let Some(line) = text(input) else { return };
    if let Ok(words) = short::split_command(line) {
        assert!(words.len() <= line.chars().count());
    }
}

/// Loads a whole project of one file; what is printed of it loads, and then stays the same.
fn model(input: &[u8]) {
    let Some(printed) = load(input) else { return };
    // A dollar in a key is doubled each time, as Compose does.
    if printed.contains('$') {
        return;
    }
    // Once more first: Compose forgets an empty `network_mode`, and adds a network then.
    let Some(again) = load(printed.as_bytes()) else {
        return;
    };
    assert_eq!(load(again.as_bytes()), Some(again));
}

fn load(input: &[u8]) -> Option<String> {
    let request = Request {
        files: vec![PathBuf::from("/project/compose.yaml")],
        project_directory: PathBuf::from("/project"),
        project: Some("project".to_owned()),
        profiles: vec!["*".to_owned()],
        images: std::collections::BTreeMap::new(),
        home: None,
    };
    let files = InMemory(BTreeMap::from([("/project/compose.yaml", input)]));
    let model = load::load(&request, &variable, &files).ok()?;
    print::json(&model.tree).ok()
}

struct InMemory<'a>(BTreeMap<&'static str, &'a [u8]>);

impl Files for InMemory<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let content = path.to_str().and_then(|path| self.0.get(path));
        Ok(content.map(|content| content.to_vec()))
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/project")
    }

    fn name(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

fn text(input: &[u8]) -> Option<&str> {
    str::from_utf8(input).ok()
}
