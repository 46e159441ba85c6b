//! The documentation tells in which file of `tests/differential` each key of Compose is compared
//! with Docker Compose.
//!
//! `INSTA_UPDATE=always cargo test --test it tidy` writes what it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_yaml::Value;

use super::documents::between;
use super::{files, read};

const DOCUMENT: &str = "docs/compose-conformance.md";

/// What stands before and after what is written here.
const FROM: &str = "<!-- keys: written by tests/it/tidy/compared.rs -->\n";
const TO: &str = "<!-- end of keys -->\n";

/// Keys below which stand names that the file chooses, and nothing that has one of its own.
const NAMES: [&str; 9] = [
    "annotations",
    "aux_addresses",
    "driver_opts",
    "environment",
    "extra_hosts",
    "labels",
    "options",
    "storage_opt",
    "sysctls",
];

/// Keys below which stand names that the file chooses, with keys of their own.
const NAMED: [&str; 3] = ["depends_on", "networks", "ulimits"];

/// Files by what a key is of and the key, with a point before each part that is below another.
type Keys = BTreeMap<(&'static str, String), BTreeSet<String>>;

/// Returns the keys below a value that is of `path`.
fn keys(value: &Value, path: &str) -> BTreeSet<String> {
    let key = path.rsplit('.').next().unwrap_or(path);
    match value {
        Value::Sequence(items) if !items.is_empty() => {
            items.iter().flat_map(|item| keys(item, path)).collect()
        }
        Value::Mapping(entries) if !entries.is_empty() && !NAMES.contains(&key) => {
            let entries = entries.iter();
            let below = entries.flat_map(|(name, value)| {
                if !NAMED.contains(&key) {
                    keys(value, &format!("{path}.{}", name.as_str().unwrap()))
                } else if value.is_mapping() {
                    keys(value, &format!("{path}.*"))
                } else {
                    [path.to_owned()].into()
                }
            });
            below.collect()
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => [path.to_owned()].into(),
    }
}

/// Returns all keys of `tests/differential`.
fn compared() -> Keys {
    let mut found = Keys::new();
    for file in files("tests/differential") {
        if !file.is("yaml") {
            continue;
        }
        let name = Path::new(&file.path).file_name().unwrap();
        let document: Value = serde_yaml::from_str(&file.text).unwrap();
        for (section, of) in [
            ("services", "service"),
            ("networks", "network"),
            ("volumes", "volume"),
            ("configs", "config"),
            ("secrets", "secret"),
        ] {
            let all = document.get(section).and_then(Value::as_mapping);
            let each = all.into_iter().flat_map(serde_yaml::Mapping::values);
            for (key, value) in each.filter_map(Value::as_mapping).flatten() {
                for path in keys(value, key.as_str().unwrap()) {
                    let files = found.entry((of, path)).or_default();
                    files.insert(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    found
}

/// Returns the keys that a service can have.
fn of_services() -> BTreeSet<String> {
    let code = read("src/desired/compose/schema/service.rs");
    let keys = between(&code, "const SERVICE: Rule", "required:");
    let lines = keys.lines().map(str::trim_start);
    let keys = lines.filter_map(|line| Some(line.strip_prefix("(\"")?.split_once('"')?.0));
    keys.map(str::to_owned).collect()
}

/// Returns what stands in the document.
fn told() -> String {
    let keys = compared();
    let mut text = "| of a | key | file |\n|---|---|---|\n".to_owned();
    for ((of, key), files) in &keys {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        // These are in nearly all of them.
        let files = if files.len() > 5 {
            "most".to_owned()
        } else {
            format!("`{}`", files.join("`, `"))
        };
        writeln!(text, "| {of} | `{key}` | {files} |").unwrap();
    }
    let mut others = of_services();
    assert!(others.contains("image") && others.contains("working_dir"));
    let services = keys.keys().filter(|(of, _)| *of == "service");
    let tops: BTreeSet<&str> = services
        .filter_map(|(_, key)| key.split('.').next())
        .collect();
    others.retain(|key| !tops.contains(key.as_str()));
    let others: Vec<String> = others.into_iter().collect();
    let others = others.join("`, `");
    writeln!(
        text,
        "\nKeys of a service that none of them has: `{others}`."
    )
    .unwrap();
    text
}

#[test]
fn the_documentation_tells_where_each_key_is_compared() {
    let document = read(DOCUMENT);
    let stands = between(&document, FROM, TO);
    let told = told();
    if stands == told {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of the other snapshots"
    )]
    let writes = std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always");
    assert!(
        writes,
        "{DOCUMENT}: not what tests/differential has; INSTA_UPDATE=always writes it:\n{told}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let whole = document.replace(&format!("{FROM}{stands}{TO}"), &format!("{FROM}{told}{TO}"));
    moored::files::write_atomically(&path, whole.as_bytes(), 0o644).unwrap();
}
