//! Nothing is read or written at places of the host that the settings do not open, whatever a
//! manifest names and wherever links lead.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use moored::desired::DesiredState;
use moored::execute;
use moored::journal::Outcome;
use moored::plan::Hold;
use proptest::prelude::*;
use tokio::sync::watch;

use crate::support::bench::{Bench, Files, files_below, run};
use crate::support::by_hand::HostYaml;
use crate::support::put;

/// A host with `closed` beside `bench`, and a link from the one into the other.
fn host() -> Bench {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    put(bench.settings_file(), "the settings");
    symlink(closed(&bench), bench.place("out")).unwrap();
    bench
}

fn closed(bench: &Bench) -> PathBuf {
    bench.settings_file().parent().unwrap().to_owned()
}

fn files(manifest: &str) -> Files {
    Files::from(
        [
            (
                "compose.yaml",
                "services: {web: {image: 'app:v1', volumes: ['./a.conf:/a.conf']}}\n",
            ),
            ("a.conf", "placed\n"),
            ("more/b.conf", "placed\n"),
            ("moored.yaml", manifest),
        ]
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())),
    )
}

fn load(bench: &Bench, manifest: &str) -> DesiredState {
    bench.load(&files(manifest), '1').unwrap()
}

fn nothing_is_touched(bench: &Bench) {
    let left = files_below(&closed(bench));
    let settings = ("config.yaml".to_owned(), b"the settings".to_vec());
    assert_eq!(left, BTreeMap::from([settings]));
    assert_eq!(std::fs::read_dir(closed(bench)).unwrap().count(), 1);
}

/// The path of a directory, by a name that stands for one here.
fn directory() -> impl Strategy<Value = String> {
    let first = prop_oneof![
        3 => Just("/bench"),
        1 => Just("/bench/out"),
        1 => Just("/bench/data"),
        1 => Just("CLOSED"),
        1 => Just("STATE"),
        1 => Just("/bench/../closed"),
    ];
    let below = prop_oneof![Just(""), Just("/x"), Just("/config.yaml"), Just("/key")];
    (first, below).prop_map(|(first, below)| format!("{first}{below}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_manifest_has_anything_written_where_the_settings_do_not_open(
        to in directory(),
        flag in prop::option::of(directory()),
        own in prop::option::of(directory()),
        backup in prop::option::of((directory(), directory())),
        wide in any::<bool>(),
    ) {
        let mut bench = host();
        if wide {
            bench.permits.file_roots.push("/".into());
            bench.permits.file_roots.extend([bench.state_dir(), closed(&bench)]);
        }
        let line = |line: Option<String>| line.unwrap_or_default();
        let flag = flag.map(|flag| format!("maintenance: {{flag: {flag}/ON, page: a.conf, on: test}}\n"));
        let own = own.map(|own| format!("project_directory: {own}\n"));
        let backup = backup.map(|(from, to)| {
            format!("backups: {{all: {{files: [{from}], to: {to}/kept, before_deploy: true}}}}\n")
        });
        let placed = format!("files: [{{from: a.conf, to: {to}/a.conf}}, {{from: more, to: {to}/more/}}]\n");
        let manifest = ["stack: shop\n", &placed, &line(flag), &line(own), &line(backup)].concat();
        let mut names = ["CLOSED", "STATE", "/bench/out"].iter();
        let is_closed = names.any(|name| manifest.contains(name));
        let manifest = manifest
            .replace("CLOSED", &closed(&bench).display().to_string())
            .replace("STATE", &bench.state_dir().display().to_string());
        let key = bench.state_dir().join("key");
        put(&key, "the key");
        if let Ok(desired) = bench.load(&files(&manifest), '1') {
            let passed = bench.pass(&desired);
            let held = passed.as_ref().is_ok_and(|passed| {
                let mut holds = passed.looked.plan.holds.iter();
                holds.any(|hold| matches!(hold, Hold::NotPermitted(_)))
            });
            // A place can't even be looked at where a file is in its way.
            prop_assert!(wide || passed.is_err() || held == is_closed, "{manifest}");
            if held {
                prop_assert_eq!(passed.unwrap().outcome, None);
                prop_assert!(bench.engine.world().calls.is_empty());
            }
        }
        // Below `/` everything but Moored's own is open then.
        if !wide {
            nothing_is_touched(&bench);
        }
        prop_assert_eq!(std::fs::read(bench.settings_file()).unwrap(), b"the settings");
        prop_assert_eq!(std::fs::read(&key).unwrap(), b"the key");
        prop_assert!(!bench.state_dir().join("x").exists());
    }
}

#[test]
fn everything_is_named_at_once_with_what_would_permit_it() {
    let bench = host();
    let manifest = "stack: shop\n\
        env: {web: {files: [/var/ada/web.env]}}\n\
        variable_files: [/var/ada/vars.env]\n\
        files:\n- {from: a.conf, to: /var/x/cron/a}\n- {from: more, to: /var/x/more/}\n\
        maintenance: {flag: /var/x/page/ON, page: a.conf}\n\
        backups:\n  db: {sqlite: /var/x/db/a.db, to: /var/x/kept}\n";
    let mut bench = bench;
    for name in ["web", "vars"] {
        let path = PathBuf::from(format!("/var/ada/{name}.env"));
        bench.host.0.insert(path, b"A=1\n".to_vec());
    }
    let passed = bench.pass(&load(&bench, manifest)).unwrap();
    assert_eq!(passed.outcome, None);
    let said = passed.looked.plan.to_string();
    for expected in [
        "manifest (moored.yaml:2:21): env: /var/ada/web.env of the host (permitted by policy: {file_roots: [/var/ada]})",
        "manifest (moored.yaml:3:18): variable_files: /var/ada/vars.env of the host",
        "manifest (moored.yaml:5:22): files: /var/x/cron/a of the host (permitted by policy: {file_roots: [/var/x/cron]})",
        "manifest (moored.yaml:6:20): files: /var/x/more/b.conf of the host (permitted by policy: {file_roots: [/var/x/more]})",
        "manifest (moored.yaml:7:21): maintenance: /var/x/page/ON of the host",
        "manifest (moored.yaml:9:16): backups: /var/x/db/a.db of the host (permitted by policy: {file_roots: [/var/x/db/a.db]})",
        "manifest (moored.yaml:9:36): backups: /var/x/kept of the host",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_link_that_is_turned_after_the_plan_was_made_is_not_followed() {
    let bench = host();
    std::fs::create_dir(bench.place("turned")).unwrap();
    let manifest = "stack: shop\nfiles: [{from: a.conf, to: /bench/turned/x/a.conf}]\n";
    let desired = load(&bench, manifest);
    let looked = bench.look(&desired);
    assert!(looked.plan.holds.is_empty(), "{}", looked.plan);
    std::fs::remove_dir(bench.place("turned")).unwrap();
    symlink(closed(&bench), bench.place("turned")).unwrap();
    let (_keep, stop) = watch::channel(false);
    let hands = bench.hands(stop);
    let ended = run(execute::execute(&looked.plan, &hands)).unwrap();
    let error = ended.error().unwrap_or_default();
    assert!(error.contains("do not permit it"), "{ended:?}");
    nothing_is_touched(&bench);
}

#[test]
fn what_a_release_has_placed_goes_only_from_where_it_may_be() {
    let mut bench = host();
    let there = closed(&bench).join("cron");
    bench.permits.file_roots.push(there.clone());
    let manifest = format!(
        "stack: shop\nfiles: [{{from: a.conf, to: {}/a}}]\n",
        there.display()
    );
    let first = bench.pass(&load(&bench, &manifest)).unwrap();
    assert_eq!(first.outcome, Some(Outcome::Succeeded));
    assert!(there.join("a").exists());
    bench.permits.file_roots.pop();
    let without = bench.load(&files("stack: shop\n"), '2').unwrap();
    let held = bench.pass(&without).unwrap();
    assert_eq!(held.outcome, None);
    let said = held.looked.plan.to_string();
    assert!(said.contains("file_roots: ["), "{said}");
    assert!(there.join("a").exists());
    bench.permits.file_roots.push(there.clone());
    let passed = bench.pass(&without).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    assert!(!there.join("a").exists());
}
