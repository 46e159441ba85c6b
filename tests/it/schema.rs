//! The published JSON Schema of `moored.yaml` has the keys that the loader has, takes everything
//! that we show, and refuses what the loader refuses by its form.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use moored::desired::manifest;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema() -> Value {
    let text = std::fs::read_to_string(root().join("docs/moored.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

/// Returns the keys that the loader knows where a text has one that nobody knows.
fn known_keys(yaml: &str) -> BTreeSet<String> {
    let text = format!("stack: a\n{yaml}\n").replace('?', "zzqx: 1");
    let refused = manifest::parse("m", text.as_bytes()).unwrap_err();
    let hint = refused.to_string();
    let keys = hint.split_once("known keys here: ");
    let (_, keys) = keys.unwrap_or_else(|| panic!("no keys in: {hint}"));
    keys.trim().split(", ").map(str::to_owned).collect()
}

#[test]
fn the_schema_has_the_keys_of_the_loader() {
    let schema = schema();
    for (yaml, place) in [
        ("?", ""),
        ("env: {a: {?}}", "/$defs/env"),
        (
            "env: {a: {require: [{?}]}}",
            "/$defs/env/properties/require/items/oneOf/1",
        ),
        ("on_file_change: {a: {?}}", "/$defs/on_file_change/oneOf/1"),
        ("files: [{?}]", "/properties/files/items"),
        ("proxy: {?}", "/properties/proxy"),
        ("proxy: {nginx: {?}}", "/properties/proxy/properties/nginx"),
        ("proxy: {caddy: {?}}", "/properties/proxy/properties/caddy"),
        ("strategy: {a: {?}}", "/$defs/strategy/oneOf/1"),
        ("maintenance: {?}", "/properties/maintenance"),
        ("backups: {a: {?}}", "/$defs/backup"),
        ("backups: {a: {keep: {?}}}", "/$defs/backup/properties/keep"),
        (
            "backups: {a: {floors: {?}}}",
            "/$defs/backup/properties/floors",
        ),
        (
            "backups: {a: {drill: {?}}}",
            "/$defs/backup/properties/drill",
        ),
        (
            "backups: {a: {postgres: {?}}}",
            "/$defs/backup/properties/postgres",
        ),
        (
            "backups: {a: {command: {?}}}",
            "/$defs/backup/properties/command",
        ),
        ("migrations: [{?}]", "/$defs/migration"),
        ("jobs: {a: {?}}", "/$defs/job"),
        ("suspend: {reason: a, ?}", "/properties/suspend"),
        ("ready: [{?}]", "/$defs/ready"),
        ("smoke: [{?}]", "/$defs/smoke"),
        ("smoke: [{latency: {?}}]", "/$defs/smoke/properties/latency"),
    ] {
        let object = schema.pointer(place).unwrap_or_else(|| panic!("{place}"));
        let keys = object["properties"].as_object().unwrap().keys().cloned();
        assert_eq!(keys.collect::<BTreeSet<_>>(), known_keys(yaml), "{place}");
        assert_eq!(object["additionalProperties"], false, "{place}");
    }
}

fn manifests(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.ends_with(manifest::FILE_NAME) {
            found.push(path);
        }
    }
}

fn read(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_schema_takes_every_manifest_that_we_have() {
    let validator = validator();
    let mut found = Vec::new();
    for dir in [
        "desired-state-examples",
        "tests/scenarios",
        "tests/diagnostics/valid",
    ] {
        manifests(&root().join(dir), &mut found);
    }
    assert!(found.len() > 100, "where have they gone?");
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        // Some scenarios show how one is refused.
        if manifest::parse("m", text.as_bytes()).is_err() {
            continue;
        }
        let value = read(&text);
        let wrong: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(wrong, [""; 0], "{}", path.display());
    }
}

#[test]
fn the_schema_refuses_what_the_loader_refuses() {
    let validator = validator();
    for text in [
        "images: {}",
        "stack: Shop",
        "stack: a\nimags: {}",
        "stack: a\nbackups: {db: {sqlite: /a, to: /b, offsite: x}}",
        "stack: a\nbackups: {db: {sqlite: /a, files: [/c], to: /b}}",
        "stack: a\nbackups: {db: {to: /b}}",
        "stack: a\nvariables: {TAG: 1.10}",
        "stack: a\nenv: {web: {files: [x.env]}}",
        "stack: a\non_failure: retry",
        "stack: a\nstrategy: {web: rolling}",
        "stack: a\nready: [{service: web}]",
        "stack: a\nready: [{service: web, tcp: 80, exec: [a]}]",
        "stack: a\nproxy: {nginx: {configs: {a: /a}, marker: /m}}",
        "stack: a\nsmoke: [{http: 'ftp://h/'}]",
        "stack: a\njobs: {a: {service: web, run: [a], when: never}}",
        "stack: a\nmaintenance: {flag: ON}",
    ] {
        assert!(manifest::parse("m", text.as_bytes()).is_err(), "{text}");
        assert!(!validator.is_valid(&read(text)), "{text}");
    }
}

/// What the schema takes and the loader refuses all the same: what is between two values, and the
/// finer points of a text.
const BEYOND_A_SCHEMA: [&str; 10] = [
    "17-backup-twice",
    "55-soak-huge",
    "55-soak-without-unit",
    "files-to-the-root",
    "files-to-with-dots",
    "on-file-change-signal-that-kills",
    "proxy-config-target-is-a-directory",
    "proxy-config-target-twice",
    "proxy-marker-with-credentials",
    "strategy-drain-too-long",
];

#[test]
fn the_schema_refuses_every_broken_manifest_that_we_have() {
    let validator = validator();
    let mut found = Vec::new();
    let invalid = root().join("tests/diagnostics/invalid");
    manifests(&invalid, &mut found);
    let mut taken = Vec::new();
    let mut refused = 0;
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let by_loader = manifest::parse("m", text.as_bytes()).is_err();
        let value = serde_yaml::from_str::<Value>(&text);
        let by_schema = value.is_ok_and(|value| !validator.is_valid(&value));
        if by_loader && by_schema {
            refused += 1;
        } else if by_loader {
            let name = path.strip_prefix(&invalid).unwrap().iter().next().unwrap();
            taken.push(name.to_str().unwrap().to_owned());
        }
    }
    taken.sort();
    assert_eq!(taken, BEYOND_A_SCHEMA);
    assert!(refused > 30, "{refused}");
}
