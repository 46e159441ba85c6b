//! What goes with the starts and stops of services: commands inside, and files that are copied in.

use std::collections::BTreeMap;

use moored::desired::{DesiredState, Service};
use moored::engine::model::CopiedFile;
use moored::journal::Outcome;
use moored::secret::Sensitive;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::Said;
use crate::support::hooks::hook;

/// A value that must be in no output.
const SECRET: &str = "pa55word-of-nobody";

fn bench() -> Bench {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("{}").unwrap();
    stock.stock(&bench);
    bench
}

/// A stack of one service `web`, changed by hand.
fn load(bench: &Bench, digit: char, image: &str, change: impl Fn(&mut Service)) -> DesiredState {
    let compose = format!("services: {{web: {{image: '{image}'}}}}\n");
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let mut desired = bench.load(&files, digit).unwrap();
    desired.secrets.push(Sensitive::new(SECRET));
    desired.services.values_mut().for_each(change);
    desired
}

fn with_hooks(service: &mut Service) {
    let long = "-".repeat(70);
    service.post_start = vec![hook(&["warm", &long, SECRET])];
    service.pre_stop = vec![hook(&["flush"])];
}

fn with_file(content: &str) -> impl Fn(&mut Service) {
    let file = CopiedFile {
        content: Sensitive::new(content),
        uid: 0,
        gid: 0,
        mode: 0o444,
    };
    move |service| {
        let place = "/run/settings".to_owned();
        service.spec.copied = BTreeMap::from([(place, file.clone())]);
    }
}

/// Passes; returns how it ended, with the calls that it took.
fn pass(bench: &Bench, desired: &DesiredState) -> (Option<Outcome>, Vec<String>) {
    bench.engine.world().calls.clear();
    let passed = bench.pass(desired).unwrap();
    let calls = bench.engine.world().calls.clone();
    (
        passed.outcome,
        calls.into_iter().map(|call| call.line).collect(),
    )
}

/// Passes with success; returns the calls.
#[track_caller]
fn succeed(bench: &Bench, desired: &DesiredState) -> Vec<String> {
    let (outcome, calls) = pass(bench, desired);
    assert_eq!(outcome, Some(Outcome::Succeeded));
    let second = bench.look(desired).plan;
    assert!(second.is_empty(), "{second}");
    calls
}

fn fails(bench: &Bench, container: &str, word: &str) {
    let said = Said {
        code: 3,
        stdout: b"on stdout\n".to_vec(),
        stderr: format!("it is {SECRET}\n"),
        hangs: false,
    };
    bench.engine.world().says(container, word, said);
}

#[test]
fn commands_follow_on_every_start_and_come_before_every_stop() {
    let bench = bench();
    let first = load(&bench, '1', "app:v1", with_hooks);
    let plan = bench.look(&first).plan.to_string();
    assert!(plan.contains("app:v1  post_start warm"), "{plan}");
    assert_eq!(
        succeed(&bench, &first),
        [
            "create_network shop_default",
            "create_container shop-web-1",
            "start_container shop-web-1",
            "exec warm in shop-web-1"
        ]
    );
    bench.engine.world().stop("shop-web-1");
    assert_eq!(
        succeed(&bench, &first),
        ["start_container shop-web-1", "exec warm in shop-web-1"]
    );
    let second = load(&bench, '2', "app:v2", with_hooks);
    let plan = bench.look(&second).plan.to_string();
    assert!(plan.contains("pre_stop flush  post_start warm"), "{plan}");
    assert_eq!(
        succeed(&bench, &second),
        [
            "create_container shop-web-1.new",
            "exec flush in shop-web-1",
            "stop_container shop-web-1",
            "rename_container shop-web-1",
            "rename_container shop-web-1.new",
            "start_container shop-web-1",
            "exec warm in shop-web-1",
            "remove_container shop-web-1.old"
        ]
    );
    let told = bench.told.lock().unwrap().join("\n");
    assert!(!told.contains(SECRET), "{told}");
}

#[test]
fn a_change_of_what_follows_on_a_start_restarts() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", |_| {}));
    // Before a stop it is the one of Git that runs, and a change of it is nothing to do.
    let only_before = |service: &mut Service| service.pre_stop = vec![hook(&["flush"])];
    let (outcome, calls) = pass(&bench, &load(&bench, '2', "app:v1", only_before));
    assert_eq!((outcome, calls.len()), (None, 0));
    let both = load(&bench, '3', "app:v1", with_hooks);
    let plan = bench.look(&both).plan.to_string();
    assert!(
        plan.contains("restart  web      post_start (set)"),
        "{plan}"
    );
    assert!(!plan.contains(SECRET), "{plan}");
    assert_eq!(
        succeed(&bench, &both),
        [
            "exec flush in shop-web-1",
            "restart_container shop-web-1",
            "exec warm in shop-web-1"
        ]
    );
}

#[test]
fn a_command_after_a_start_that_fails_takes_the_release_back() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", with_hooks));
    let second = load(&bench, '2', "app:v2", with_hooks);
    fails(&bench, "app:v2", "warm");
    let (outcome, calls) = pass(&bench, &second);
    let Some(Outcome::RolledBack { error }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(error.contains("post_start: warm"), "{error}");
    assert!(error.contains("ended with exit code 3"), "{error}");
    assert!(
        error.contains("on stdout") && !error.contains(&SECRET[..4]),
        "{error}"
    );
    // The one before has had its commands again.
    let end = ["start_container shop-web-1", "exec warm in shop-web-1"];
    assert_eq!(calls[calls.len() - 2..], end);
}

#[test]
fn a_command_before_a_stop_that_fails_leaves_what_runs() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", with_hooks));
    let id = bench
        .engine
        .world()
        .find("shop-web-1")
        .unwrap()
        .shown
        .id
        .clone();
    fails(&bench, "app:v1", "flush");
    let (outcome, calls) = pass(&bench, &load(&bench, '2', "app:v2", with_hooks));
    assert!(
        matches!(outcome, Some(Outcome::RolledBack { .. })),
        "{outcome:?}"
    );
    // Nothing is done to what has run all along, its commands included.
    assert_eq!(
        calls,
        [
            "create_container shop-web-1.new",
            "exec flush in shop-web-1",
            "remove_container shop-web-1.new"
        ]
    );
    let world = bench.engine.world();
    let there = &world.find("shop-web-1").unwrap().shown;
    assert_eq!((&there.id, there.is_running()), (&id, true));
    drop(world);
    // The way out: Git says another one.
    let other = |service: &mut Service| service.pre_stop = vec![hook(&["other"])];
    let calls = succeed(&bench, &load(&bench, '3', "app:v2", other));
    assert!(
        calls.contains(&"exec other in shop-web-1".to_owned()),
        "{calls:#?}"
    );
}

#[test]
fn a_command_before_a_restart_that_fails_leaves_what_runs() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", with_hooks));
    fails(&bench, "app:v1", "flush");
    let other = |service: &mut Service| {
        with_hooks(service);
        service.post_start = vec![hook(&["other"])];
    };
    let (outcome, calls) = pass(&bench, &load(&bench, '2', "app:v1", other));
    let back = matches!(outcome, Some(Outcome::RolledBack { .. }));
    assert!(back, "{outcome:?}");
    assert_eq!(calls, ["exec flush in shop-web-1"]);
}

#[test]
fn one_beyond_the_number_has_its_commands_before_it_goes() {
    let bench = bench();
    let mut two = load(&bench, '1', "app:v1", with_hooks);
    let web = two.services.values().next().unwrap().clone();
    two.services
        .insert("web#2".to_owned().try_into().unwrap(), web);
    succeed(&bench, &two);
    let calls = succeed(&bench, &load(&bench, '2', "app:v1", with_hooks));
    assert_eq!(
        calls,
        [
            "exec flush in shop-web-2",
            "stop_container shop-web-2",
            "remove_container shop-web-2"
        ]
    );
}

#[test]
fn a_command_that_does_not_end_has_a_deadline() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", |_| {}));
    let said = Said {
        hangs: true,
        ..Said::default()
    };
    bench.engine.world().says("app:v2", "warm", said);
    let (outcome, _) = pass(&bench, &load(&bench, '2', "app:v2", with_hooks));
    let Some(Outcome::RolledBack { error }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(error.contains("had not ended after 5m"), "{error}");
}

#[test]
fn in_a_first_release_a_failed_command_is_owed_until_it_has_run() {
    let bench = bench();
    fails(&bench, "app:v1", "warm");
    let (outcome, _) = pass(&bench, &load(&bench, '1', "app:v1", with_hooks));
    assert!(
        matches!(outcome, Some(Outcome::Failed { .. })),
        "{outcome:?}"
    );
    bench.engine.world().said.clear();
    // Another commit that changes nothing of the service.
    let calls = succeed(&bench, &load(&bench, '2', "app:v1", with_hooks));
    assert_eq!(
        calls,
        [
            "exec flush in shop-web-1",
            "restart_container shop-web-1",
            "exec warm in shop-web-1"
        ]
    );
}

#[test]
fn files_are_copied_in_before_every_start() {
    let bench = bench();
    let content = format!("password={SECRET}");
    let first = load(&bench, '1', "app:v1", with_file(&content));
    assert_eq!(
        succeed(&bench, &first),
        [
            "create_network shop_default",
            "create_container shop-web-1",
            "copy_into shop-web-1",
            "start_container shop-web-1"
        ]
    );
    // Somebody has written over it.
    let mut world = bench.engine.world();
    world.stop("shop-web-1");
    world.files_in.values_mut().for_each(Vec::clear);
    drop(world);
    assert_eq!(
        succeed(&bench, &first),
        ["copy_into shop-web-1", "start_container shop-web-1"]
    );
    let world = bench.engine.world();
    let there: Vec<&Vec<u8>> = world.files_in.values().collect();
    assert_eq!(there, [content.as_bytes()]);
}

#[test]
fn another_content_replaces_and_is_never_shown() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", with_file("one")));
    let second = load(&bench, '2', "app:v1", with_file(SECRET));
    let plan = bench.look(&second).plan.to_string();
    assert!(
        plan.contains("content of /run/settings (changed)"),
        "{plan}"
    );
    let calls = succeed(&bench, &second);
    assert!(calls.contains(&"create_container shop-web-1.new".to_owned()));
    assert!(
        calls.contains(&"copy_into shop-web-1".to_owned()),
        "{calls:#?}"
    );
    let told = bench.told.lock().unwrap().join("\n");
    assert!(!told.contains(SECRET), "{told}");
    // The same content at another commit.
    let (outcome, _) = pass(&bench, &load(&bench, '3', "app:v1", with_file(SECRET)));
    assert_eq!(outcome, None);
    let calls = succeed(&bench, &load(&bench, '4', "app:v1", |_| {}));
    assert!(calls.contains(&"create_container shop-web-1.new".to_owned()));
}

#[test]
fn a_release_that_fails_goes_back_to_the_content_before() {
    let bench = bench();
    succeed(&bench, &load(&bench, '1', "app:v1", with_file("one")));
    let second = load(&bench, '2', "app:v2", with_file("two"));
    bench
        .engine
        .faults(crate::support::fake_engine::Faults::fail_on("copy_into"));
    let (outcome, _) = pass(&bench, &second);
    assert!(
        matches!(outcome, Some(Outcome::RolledBack { .. })),
        "{outcome:?}"
    );
    bench
        .engine
        .faults(crate::support::fake_engine::Faults::none());
    let world = bench.engine.world();
    let there = world.find("shop-web-1").unwrap().shown.id.clone();
    let place = (there, "/run/settings".to_owned());
    assert_eq!(world.files_in[&place], b"one");
}
