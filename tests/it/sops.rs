//! What SOPS itself encrypts is decrypted to the same here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use moored::sops::{Environment, Identities, environment, whole};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::put;

/// SOPS, as `scripts/test` fetches it.
const SOPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peer/sops");

/// A key whose secret half is public.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sops/age.key");

/// Runs SOPS in a directory; returns what it printed.
#[track_caller]
pub(crate) fn sops(dir: &Path, arguments: &[&str]) -> String {
    assert!(Path::new(SOPS).exists(), "scripts/test fetches it");
    let output = Command::new(SOPS)
        .arg("--disable-version-check")
        .args(arguments)
        .current_dir(dir)
        .env("SOPS_AGE_KEY_FILE", KEY)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sops {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Encrypts a text under a name whose end tells its form.
pub(crate) fn encrypted(name: &str, text: &str, options: &[&str]) -> String {
    let recipient = "age1wlvz30nacwm9ez7kdkmgmupsjqs3gu4ajmnhktxf720a0dnlla2s70lm36";
    let dir = tempfile::tempdir().unwrap();
    put(dir.path().join(name), text);
    let arguments = [&["encrypt", "--age", recipient], options, &[name]].concat();
    sops(dir.path(), &arguments)
}

fn identities() -> Identities {
    let text = std::fs::read(KEY).unwrap();
    Identities::parse(KEY, &text).ok().unwrap()
}

/// What a person may write into one value.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-zA-Z0-9+/=]{1,40}",
        "[ -~äß€😀]{0,30}",
        "[a-z\\\\\"'$#]{0,12}",
        "-?[0-9]{1,12}(\\.[0-9]{1,6})?",
        prop_oneof![
            Just("true"),
            Just("no"),
            Just("null"),
            Just("~"),
            Just("2026-01-02")
        ]
        .prop_map(str::to_owned),
    ]
}

fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = "[A-Z][A-Z0-9_]{0,12}(_unencrypted|_secret)?";
    proptest::collection::btree_map(name, value(), 1..6)
}

/// Which values are encrypted.
fn options() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec!["--encrypted-suffix", "_secret"]),
        1 => Just(vec!["--unencrypted-regex", "^[A-M]"]),
        1 => Just(vec!["--encrypted-regex", "(?i)[a-m].*_"]),
    ]
}

/// Each case starts SOPS twice.
fn few() -> TestRunner {
    TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    })
}

#[test]
fn environment_files_are_as_sops_decrypts_them() {
    let run = |(variables, options): (BTreeMap<String, String>, Vec<&str>)| {
        let lines = variables.iter();
        let lines = lines.map(|(name, value)| format!("# {name}\n{name}={value}\n"));
        let text = lines.collect::<Vec<_>>().concat();
        let sealed = encrypted("a.env", &text, &options);
        let read = environment("a.env", sealed.as_bytes(), &identities());
        let Ok(Environment::Lines(lines)) = read else {
            panic!("{}\n{sealed}", read.err().unwrap());
        };
        let lines = lines.expose().lines().filter(|line| !line.is_empty());
        let wanted = text.lines().filter(|line| !line.starts_with('#'));
        prop_assert!(lines.eq(wanted), "{}", text);
        Ok(())
    };
    few().run(&(variables(), options()), run).unwrap();
}

#[test]
fn values_of_json_and_yaml_are_as_sops_decrypts_them() {
    let run = |(variables, options, yaml): (BTreeMap<String, String>, Vec<&str>, bool)| {
        // JSON is YAML, and SOPS prints its own form of either.
        let name = if yaml { "a.yaml" } else { "a.json" };
        let text = serde_json::to_string(&variables).unwrap();
        let sealed = encrypted(name, &text, &options);
        let read = environment(name, sealed.as_bytes(), &identities());
        let Ok(Environment::Values(values)) = read else {
            panic!("{}\n{sealed}", read.err().unwrap());
        };
        let values = values.into_iter();
        let values = values.map(|one| (one.name, one.text.expose().to_owned()));
        prop_assert_eq!(values.collect::<BTreeMap<_, _>>(), variables);
        Ok(())
    };
    let input = (variables(), options(), any::<bool>());
    few().run(&input, run).unwrap();
}

#[test]
fn files_as_a_whole_are_as_sops_decrypts_them() {
    let run = |text: String| {
        let sealed = encrypted("a.key", &text, &[]);
        let read = whole("a.key.sops", sealed.as_bytes(), &identities());
        let read = read.unwrap_or_else(|found| panic!("{found}\n{sealed}"));
        prop_assert_eq!(read.expose(), text);
        Ok(())
    };
    few().run(&"[\\PC\n\t]{1,200}", run).unwrap();
    // SOPS keeps YAML around a YAML file.
    let sealed = encrypted("site.yaml", "a: b\n", &["--input-type", "binary"]);
    let read = whole("site.yaml.sops", sealed.as_bytes(), &identities());
    assert_eq!(read.ok().unwrap().expose(), "a: b\n");
}

/// Typed values, lists, comments and what is left open.
#[test]
fn values_that_are_no_text_are_as_sops_has_them() {
    let text = "# first\nA: 010\nB: 0x1F # of them\nC: -0.5\nD: 1_000\nE: no\nF: TRUE\nG: 1e-3\n\
                H: |-\n  two\n  lines\nI_unencrypted: 010\nJ_unencrypted: 123.25\n\
                K_unencrypted: false\n# last\n";
    let sealed = encrypted("a.yaml", text, &[]);
    let dir = tempfile::tempdir().unwrap();
    put(dir.path().join("a.yaml"), &sealed);
    let printed = sops(
        dir.path(),
        &["decrypt", "--output-type", "dotenv", "a.yaml"],
    );
    let Ok(Environment::Values(values)) = environment("a.yaml", sealed.as_bytes(), &identities())
    else {
        panic!("{sealed}");
    };
    let ours: Vec<String> = values
        .iter()
        .map(|one| format!("{}={}", one.name, one.text.expose().replace('\n', "\\n")))
        .collect();
    let theirs: Vec<&str> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(ours, theirs);
}
