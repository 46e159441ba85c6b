//! The documentation says everything that the sources have, and nothing that they don't.

use std::collections::BTreeSet;
use std::path::Path;

use moored::config;
use moored::desired::manifest;

use super::{files, none, read};

/// Returns the string literals of a piece of code.
fn literals(code: &str) -> BTreeSet<String> {
    let parts = code.split('"').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Returns what stands between two texts.
pub(super) fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to}")).0
}

/// Fails unless every one of `words` stands in a document, as code.
fn documented(document: &str, words: &BTreeSet<String>) {
    assert!(!words.is_empty(), "nothing to look for in {document}");
    let text = read(document);
    let missing = words
        .iter()
        .filter(|word| !text.contains(&format!("`{word}`")));
    let findings: Vec<String> = missing
        .map(|word| format!("{document}: does not have `{word}`"))
        .collect();
    none(&findings);
}

/// Takes the known keys out of the message that refuses an unknown one.
fn known_keys(message: &str) -> BTreeSet<String> {
    let keys = message
        .split_once("known keys here: ")
        .unwrap_or_else(|| panic!("no keys in: {message}"))
        .1;
    keys.trim().split(", ").map(str::to_owned).collect()
}

/// A key that resembles no other.
const STRANGE: &str = "zzqx";

fn manifest_keys(text: &str) -> BTreeSet<String> {
    let refused = manifest::parse("m", text.as_bytes()).unwrap_err();
    known_keys(&refused.to_string())
}

fn config_keys(text: &str) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    moored::files::write_atomically(&file, text.as_bytes(), 0o600).unwrap();
    known_keys(&config::load(&file).unwrap_err().to_string())
}

#[test]
fn every_key_of_the_manifest_is_documented() {
    let keys = manifest_keys(&format!("stack: a\n{STRANGE}: 1\n"));
    assert!(keys.contains("images"), "{keys:?}");
    documented("docs/manifest.md", &keys);
    let text = read("docs/manifest.md");
    for key in &keys {
        assert!(text.contains(&format!("### `{key}`\n")), "no section {key}");
    }
    let of_env = manifest_keys(&format!("stack: a\nenv: {{web: {{{STRANGE}: 1}}}}\n"));
    documented("docs/manifest.md", &of_env);
    let code = read("src/desired/manifest.rs");
    let later = literals(between(&code, "const LATER:", "];"));
    documented("docs/manifest.md", &later);
    for (file, name) in [
        ("manifest", "OnFileChange"),
        ("manifest", "DriftPolicy"),
        ("maintenance", "During"),
        ("migrations", "OnFailure"),
        ("migrations", "JobTime"),
    ] {
        let code = read(&format!("src/desired/{file}.rs"));
        let values = variants(between(&code, &format!("pub enum {name} {{"), "\n}"));
        let values = values.iter().map(|value| kebab(value).replace('-', "_"));
        documented("docs/manifest.md", &values.collect());
    }
}

#[test]
fn every_key_inside_a_key_of_the_manifest_is_documented() {
    let text = read("docs/manifest.md");
    let keys = |yaml: &str| manifest_keys(&format!("stack: a\n{yaml}\n"));
    let mut findings = Vec::new();
    for (section, yaml) in [
        (
            "on_file_change",
            format!("on_file_change: {{a: {{{STRANGE}: 1}}}}"),
        ),
        ("env", format!("env: {{a: {{{STRANGE}: 1}}}}")),
        (
            "env",
            format!("env: {{a: {{require: [{{{STRANGE}: 1}}]}}}}"),
        ),
        ("files", format!("files: [{{{STRANGE}: 1}}]")),
        ("proxy", format!("proxy: {{{STRANGE}: 1}}")),
        ("proxy", format!("proxy: {{nginx: {{{STRANGE}: 1}}}}")),
        ("strategy", format!("strategy: {{a: {{{STRANGE}: 1}}}}")),
        ("maintenance", format!("maintenance: {{{STRANGE}: 1}}")),
        ("backups", format!("backups: {{a: {{{STRANGE}: 1}}}}")),
        (
            "backups",
            format!("backups: {{a: {{keep: {{{STRANGE}: 1}}}}}}"),
        ),
        (
            "backups",
            format!("backups: {{a: {{floors: {{{STRANGE}: 1}}}}}}"),
        ),
        (
            "backups",
            format!("backups: {{a: {{drill: {{{STRANGE}: 1}}}}}}"),
        ),
        (
            "backups",
            format!("backups: {{a: {{postgres: {{{STRANGE}: 1}}}}}}"),
        ),
        (
            "backups",
            format!("backups: {{a: {{command: {{{STRANGE}: 1}}}}}}"),
        ),
        ("migrations", format!("migrations: [{{{STRANGE}: 1}}]")),
        ("jobs", format!("jobs: {{a: {{{STRANGE}: 1}}}}")),
        ("ready", format!("ready: [{{{STRANGE}: 1}}]")),
        ("smoke", format!("smoke: [{{{STRANGE}: 1}}]")),
        ("smoke", format!("smoke: [{{latency: {{{STRANGE}: 1}}}}]")),
        ("suspend", format!("suspend: {{{STRANGE}: 1}}")),
    ] {
        let body = between(&text, &format!("### `{section}`\n"), "\n### ");
        for key in keys(&yaml) {
            let named = [format!("`{key}"), format!("{key}: "), format!("`{key}`")];
            if !named.iter().any(|name| body.contains(name)) {
                findings.push(format!("docs/manifest.md: {section} does not have {key}"));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_key_of_the_settings_is_documented() {
    let url = "url: /srv/state";
    let top = config_keys(&format!("repository: {{{url}}}\n{STRANGE}: 1\n"));
    let of_repository = config_keys(&format!("repository: {{{url}, {STRANGE}: 1}}\n"));
    assert!(top.contains("state_dir") && of_repository.contains("poll"));
    let text = read("docs/config.md");
    let section = |key: &str| assert!(text.contains(&format!("### `{key}`\n")), "no section {key}");
    for key in top.iter().filter(|key| *key != "repository") {
        section(key);
    }
    for key in &of_repository {
        section(&format!("repository.{key}"));
    }
    let code = read("src/config/mod.rs");
    let later = literals(between(&code, "const LATER:", "];"));
    documented("docs/config.md", &later);
    for inside in [
        format!("stacks: [{{{STRANGE}: 1}}]"),
        format!("stacks: [{{dir: a, verify: {{{STRANGE}: 1}}}}]"),
        format!("webhook: {{{STRANGE}: 1}}"),
        format!("windows: {{a: {{{STRANGE}: 1}}}}"),
        format!("windows: {{a: {{freeze: [{{{STRANGE}: 1}}]}}}}"),
        format!("approvals: {{a: {{{STRANGE}: 1}}}}"),
        format!("registries: {{{STRANGE}: 1}}"),
    ] {
        let keys = config_keys(&format!("repository: {{{url}}}\n{inside}\n"));
        documented("docs/config.md", &keys);
    }
    let of_policy = config_keys(&format!(
        "repository: {{{url}}}\npolicy: {{{STRANGE}: 1}}\n"
    ));
    assert!(of_policy.contains("bind_roots"), "{of_policy:?}");
    documented("docs/policy.md", &of_policy);
    for name in ["Auth"] {
        let body = between(&code, &format!("pub enum {name} {{"), "\n}");
        let fields = body.lines().filter(|line| line.starts_with("        "));
        let fields = fields.filter_map(|line| Some(line.trim().split_once(": ")?.0));
        let fields = fields.filter(|field| !field.contains(['/', '#', '(']));
        for field in fields {
            assert!(text.contains(field), "docs/config.md: no {field}");
        }
    }
}

#[test]
fn every_compose_key_that_is_refused_is_documented() {
    let code = read("src/desired/mapping/service.rs");
    let rows = between(&code, "const REFUSED:", "];");
    // Each row is a key and what to do instead.
    let keys = rows.split('"').skip(1).step_by(4).map(str::to_owned);
    let keys: BTreeSet<String> = keys.collect();
    assert!(keys.contains("provider"), "{keys:?}");
    documented("docs/manifest.md", &keys);
}

/// Returns the variants in the body of an enum.
fn variants(body: &str) -> BTreeSet<String> {
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            let name = line.split([' ', ',', '(', '{']).next();
            name.unwrap_or(line).to_owned()
        })
        .collect()
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[test]
fn every_hold_is_explained() {
    let code = read("src/plan/hold.rs");
    let holds = variants(between(&code, "pub enum Hold {", "\n}"));
    assert!(holds.contains("FailedRevision"));
    let weights = read("src/plan/weight.rs");
    let text = read("docs/operations.md");
    let mut findings = Vec::new();
    for hold in &holds {
        let weight = ["Blocking", "Passing", "Notice"]
            .into_iter()
            .find(|weight| {
                let arms = between(&weights, "pub fn weight(&self)", "\n    }\n");
                let arm = arms.split("=> Weight::").collect::<Vec<_>>();
                arm.windows(2).any(|pair| {
                    let mut words = pair[0].split_whitespace();
                    words.any(|word| word == format!("Self::{hold}")) && pair[1].starts_with(weight)
                })
            });
        let weight = weight.unwrap().to_lowercase();
        let row = format!("| `{}` | {weight} | ", kebab(hold));
        if !text.contains(&row) {
            findings.push(format!("docs/operations.md: no row {row}"));
        }
    }
    none(&findings);
}

#[test]
fn every_exit_code_and_outcome_is_explained() {
    let text = read("docs/operations.md");
    let code = read("src/cli/exit.rs");
    let codes = between(&code, "impl From<Exit> for ExitCode", "\n}");
    let codes: BTreeSet<&str> = codes
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.rsplit_once(" => "))
        .map(|(_, code)| code)
        // That of a command which was run is its own.
        .filter(|code| *code != "code")
        .collect();
    assert_eq!(codes.len(), 7, "{codes:?}");
    for code in codes {
        assert!(text.contains(&format!("\n| {code} | ")), "no code {code}");
    }
    let code = read("src/journal.rs");
    let words = literals(between(&code, "pub fn word(&self)", "\n    }\n"));
    assert!(words.contains("rolled back"));
    for word in words {
        assert!(text.contains(&format!("\n| {word} | ")), "no {word}");
    }
}

fn verbs() -> BTreeSet<String> {
    let code = read("src/plan/display.rs");
    let verbs = literals(between(&code, "pub fn verb(&self)", "\n    }\n"));
    assert!(verbs.contains("replace"));
    verbs
}

#[test]
fn printed_plans_use_verbs_that_exist() {
    let verbs = verbs();
    documented("docs/operations.md", &verbs);
    let mut seen = 0;
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/operations.md",
        "src/plan/display.rs",
    ] {
        let text = read(path);
        let is_code = path.starts_with("src/");
        let lines = text.lines();
        for line in lines.filter(|line| !is_code || line.starts_with("//!")) {
            let words: Vec<&str> = line.trim_start_matches("//!").split_whitespace().collect();
            let phases = [
                "prepare", "guard", "migrate", "converge", "verify", "switch", "settle",
            ];
            let words = match words.as_slice() {
                [phase, rest @ ..] if phases.contains(phase) => rest,
                all => all,
            };
            let [number, verb, _, ..] = words else {
                continue;
            };
            if line.contains("  ") && number.parse::<u32>().is_ok() {
                assert!(verbs.contains(*verb), "{path}: no verb {verb}: {line}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "only {seen} steps were found");
}

#[test]
fn the_readme_names_both_scripts_and_every_subcommand_is_known() {
    let readme = read("README.md");
    for script in ["./scripts/demo", "./scripts/test"] {
        assert!(readme.contains(script));
    }
    let code = read("src/cli/args.rs");
    let commands = variants(between(&code, "enum Command {", "\n}"));
    let commands: BTreeSet<String> = commands.iter().map(|name| name.to_lowercase()).collect();
    let mut findings = Vec::new();
    for file in files("docs").iter().chain(&files("README.md")) {
        for line in file.text.lines() {
            for rest in line.split("`moored ").skip(1) {
                let command: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                if !command.is_empty() && !commands.contains(&command) {
                    findings.push(format!("{}: no command {command}", file.path));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn the_architecture_names_every_room_and_only_tests_that_exist() {
    let text = read("ARCHITECTURE.md");
    let sources = files("src");
    let rooms: BTreeSet<&str> = sources.iter().filter_map(super::Source::room).collect();
    for room in rooms {
        let named = [
            format!("`src/{room}/`"),
            format!("`src/{room}.rs`"),
            format!("`{room}`"),
        ];
        assert!(named.iter().any(|name| text.contains(name)), "no {room}");
    }
    let tests: String = files("tests/it/tidy")
        .iter()
        .map(|file| file.text.as_str())
        .collect();
    for rest in text.split("`tidy::").skip(1) {
        let name = rest.split('`').next().unwrap();
        assert!(tests.contains(&format!("fn {name}()")), "no test {name}");
    }
    let lines = text.lines().count();
    assert!(
        lines <= 110,
        "ARCHITECTURE.md has {lines} lines: at most two pages"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut findings = Vec::new();
    let roots = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ];
    let all = roots
        .iter()
        .flat_map(|path| files(path))
        .chain(files("docs"));
    for file in all.chain(files("desired-state-examples")) {
        if !file.is("md") {
            continue;
        }
        for rest in file.text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                root.join(&file.path)
            } else {
                root.join(&file.path).parent().unwrap().join(path)
            };
            let there = target.exists()
                && (anchor.is_empty() || anchors(&target).contains(&anchor.to_owned()));
            if !there {
                findings.push(format!("{}: leads nowhere: {link}", file.path));
            }
        }
    }
    none(&findings);
}

/// Returns the anchors of a document's headings, as forges make them.
fn anchors(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
