//! The same as in `crash` for a deploy of a service with data: maintenance page, writers stopped,
//! backup, migration, replace, checks, record. The data is a real `SQLite` file to which the
//! service writes whenever anything is done on the host, and which its migration changes.
//!
//! However a story is disturbed, it ends with the old release serving, the new one serving, or
//! held with the reason; and then a person gets out of it by what the reason says. No row that a
//! visitor was told is kept is lost, and code never runs on data that it does not work with.

mod story;

use std::collections::BTreeSet;

use moored::backup;
use moored::desired::DesiredState;
use moored::execute;
use moored::journal::Outcome;
use moored::pass::Passed;
use moored::plan::{self, Context, Hold, Restoring, Weight};
use tokio::sync::watch;

use crate::support::bench::{Bench, files_below, key, run};
use crate::support::fake_engine::Faults;
use story::{CANARY, End, Migration, STORIES, Story};

/// Passes until there is nothing to do.
fn settle(bench: &Bench, desired: &DesiredState, case: &str) -> Vec<Passed> {
    bench.engine.faults(Faults::none());
    bench.clock.kill_in(0);
    let mut done = Vec::new();
    for _ in 0..4 {
        let passed = bench.pass(desired).unwrap();
        let empty = passed.looked.plan.is_empty();
        done.push(passed);
        if empty {
            return done;
        }
    }
    panic!("{case}: still at it:\n{}", done[3].looked.plan);
}

/// Checks what must hold on every host where everything is settled, and says how it ended.
fn check(bench: &Bench, story: &Story, desired: &DesiredState, case: &str) -> End {
    let plan = bench.look(desired).plan;
    assert!(plan.is_empty(), "{case}: the second plan:\n{plan}");
    let record = bench.record();
    let attempts = record.attempts(&desired.stack, 100).unwrap();
    for attempt in &attempts {
        let ended = attempt.status.outcome.is_some();
        assert!(ended, "{case}: attempt {} is open", attempt.number);
    }
    let world = bench.engine.world();
    let ledger = world.ledger.clone().unwrap();
    assert_eq!(ledger.wrongs, Vec::<String>::new(), "{case}");
    assert_eq!(ledger.lost(), Vec::<i64>::new(), "{case}: rows are lost");
    for call in &world.calls {
        let ours = call.instances.iter().all(|one| one == record.instance());
        assert!(ours, "{case}: touches what is not ours: {}", call.line);
    }
    let containers: BTreeSet<String> = world
        .containers
        .values()
        .map(|kept| {
            format!(
                "{} {} {}",
                kept.shown.name, kept.shown.spec.image, kept.shown.state
            )
        })
        .collect();
    drop(world);
    let serves = |image: &str| {
        let all = [
            format!("shop-app-1 {image} running"),
            "shop-proxy-1 other:v1 running".into(),
        ];
        containers == all.into()
    };
    let left: Vec<String> = [bench.place(""), bench.project()]
        .iter()
        .flat_map(|part| files_below(part).into_keys())
        .filter(|path| path.contains(".partial") || path.contains(".moored-"))
        .collect();
    assert_eq!(
        left,
        Vec::<String>::new(),
        "{case}: unfinished files are left"
    );
    let backups = files_below(&bench.place("backups"));
    let whole = backups
        .keys()
        .filter(|file| backups.contains_key(&format!("{file}.json")));
    assert!(
        whole.count() >= 1,
        "{case}: no backup: {:?}",
        backups.keys()
    );
    let page = bench.place("site/ON").exists();
    let held = plan.weight() == Some(Weight::Blocking);
    let released = record.last_release(&desired.stack).unwrap().unwrap();
    let released = released.id.revision.as_str().to_owned();
    let data = ledger.version();
    canary(bench, case, &[plan.to_string()]);
    if !page && serves("app:v2") && data == 2 && released.starts_with('2') {
        return End::New;
    }
    let old_works = data == 1 || (data == 2 && story.compatible);
    if !page && serves("app:v1") && old_works && !released.starts_with('2') {
        return End::Old;
    }
    assert!(
        held,
        "{case}: neither old nor new nor held: page {page}, data {data}, released {released:.3}, \
         {containers:?}\n{plan}"
    );
    End::Held
}

fn canary(bench: &Bench, case: &str, more: &[String]) {
    let mut outputs = bench.told.lock().unwrap().clone();
    outputs.extend(more.iter().cloned());
    for name in ["moored.db", "moored.db-wal"] {
        let bytes = std::fs::read(bench.state_dir().join(name)).unwrap_or_default();
        outputs.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for output in outputs {
        if let Some(at) = output.find(CANARY) {
            let around = output[..at].chars().rev().take(200).collect::<Vec<_>>();
            let around: String = around.into_iter().rev().collect();
            panic!("{case}: the canary is after:\n{around}");
        }
    }
}

/// Does what a hold tells a person to do, and goes back to version 1.
fn get_out(bench: &Bench, story: &Story, desired: &DesiredState, case: &str) {
    let reverted = story.load(bench, "app:v1", '4');
    let holds = |desired: &DesiredState| bench.look(desired).plan.holds;
    let mut all = holds(desired);
    let stuck = all.iter().any(|hold| matches!(hold, Hold::Stuck { .. }));
    if stuck {
        assert!(forgive(bench, desired), "{case}: {all:?}");
    }
    all.extend(holds(&reverted));
    let said: Vec<String> = all.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    if let Some((_, command)) = said.split_once("moored backup restore ") {
        let words: Vec<&str> = command.split([' ', ';', '\n']).collect();
        let outcome = restore(bench, desired, words[0], words[1]);
        assert_eq!(
            outcome,
            Outcome::Succeeded,
            "{case}: the restore, after: {said}"
        );
    }
    settle(bench, &reverted, &format!("{case}, reverted"));
    let end = check(
        bench,
        story,
        &reverted,
        &format!("{case}, reverted after: {said}"),
    );
    assert_eq!(
        end,
        End::Old,
        "{case}: after the way out: {said}\n{}",
        bench.look(&reverted).plan
    );
}

fn forgive(bench: &Bench, desired: &DesiredState) -> bool {
    let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
    bench.record().forgive(&desired.stack, now).unwrap()
}

/// `moored backup restore NAME FILE`.
fn restore(bench: &Bench, desired: &DesiredState, name: &str, file: &str) -> Outcome {
    let looked = bench.look(desired);
    let (name, backup) = desired
        .backups
        .iter()
        .find(|(known, _)| known.as_str() == name)
        .unwrap();
    let record = bench.record();
    let catalogue = backup::catalogue(&backup.to, record.instance(), &desired.stack, name).unwrap();
    let listed = catalogue.find(file).unwrap();
    let schema = serde_json::from_value(listed.manifest.origin.schema.clone()).unwrap();
    let wish = Restoring {
        name,
        backup,
        file,
        schema,
        safety: true,
    };
    let key = key();
    let context = Context {
        instance: record.instance(),
        key: &key,
        now: bench.clock.seconds(),
        policy: &bench.policy(),
    };
    let plan = plan::restore(desired, &looked.observed, &looked.history, &context, &wish);
    let (_keep, stop) = watch::channel(false);
    let done = run(execute::execute(&plan, &bench.hands(stop)));
    done.unwrap()
}

/// How long an undisturbed deploy takes, in looks at the clock and in calls.
struct Length {
    ticks: i64,
    calls: usize,
}

fn undisturbed(name: &str, story: &Story) -> Length {
    let bench = story.host();
    let desired = story.after(&bench);
    let began = bench.clock.seconds();
    bench.pass(&desired).unwrap();
    let length = Length {
        ticks: bench.clock.seconds() - began,
        calls: bench.engine.world().calls.len(),
    };
    settle(&bench, &desired, name);
    let end = check(&bench, story, &desired, name);
    assert_eq!(end, story.ends, "{name}:\n{}", bench.look(&desired).plan);
    if end == End::Held {
        get_out(&bench, story, &desired, name);
    }
    length
}

/// Disturbs a deploy, lets it settle, and checks how it ended.
fn disturbed(case: &str, story: &Story, disturb: impl Fn(&Bench)) -> End {
    let bench = story.host();
    let desired = story.after(&bench);
    disturb(&bench);
    drop(bench.pass_or_die(&desired));
    settle(&bench, &desired, case);
    let end = check(&bench, story, &desired, case);
    let failed = bench.record().attempts(&desired.stack, 100).unwrap();
    let failed = failed.iter().filter(|one| {
        one.revision == desired.commit.revision
            && one
                .status
                .outcome
                .as_ref()
                .is_some_and(|outcome| outcome.error().is_some())
            && !matches!(
                one.status.outcome,
                Some(Outcome::Postponed { .. } | Outcome::Unsettled { .. })
            )
    });
    assert!(
        failed.count() <= 1,
        "{case}: a failed revision is tried again"
    );
    match end {
        End::Held => get_out(&bench, story, &desired, case),
        End::Old => try_again(&bench, story, &desired, case),
        End::New => {}
    }
    end
}

/// Whatever was in the way is mended, and a person asks for another try.
fn try_again(bench: &Bench, story: &Story, desired: &DesiredState, case: &str) {
    let mended = Story {
        migration: Migration::Works,
        fails: None,
        ..*story
    };
    let case = format!("{case}, tried again");
    bench.engine.world().said.clear();
    mended.stock_jobs(bench);
    forgive(bench, desired);
    settle(bench, desired, &case);
    let end = check(bench, &mended, desired, &case);
    assert_eq!(end, End::New, "{case}");
}

/// Collects what goes wrong, so that a run shows all of it.
#[derive(Default)]
struct Wrongs(Vec<String>);

impl Wrongs {
    fn expect(&mut self, case: &str, allowed: &[End], end: impl FnOnce() -> End) {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(end));
        match caught {
            Ok(end) if allowed.contains(&end) => {}
            Ok(end) => self
                .0
                .push(format!("{case}: ends {end:?}, not {allowed:?}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
                self.0.push(format!("{case}: {}", text.unwrap_or_default()));
            }
        }
    }

    fn none(self) {
        assert!(
            self.0.is_empty(),
            "{} wrongs:\n{}",
            self.0.len(),
            self.0.join("\n---\n")
        );
    }
}

/// A kill or a lost engine changes nothing about how it ends; but a release that would have been
/// taken back with its data may be held instead, because nobody knows how the time between went.
fn after_a_kill(story: &Story) -> Vec<End> {
    match story.ends {
        End::Old => vec![End::Old, End::Held],
        end @ (End::New | End::Held) => vec![end],
    }
}

#[test]
fn stories_end_as_the_table_says() {
    let mut wrongs = Wrongs::default();
    for (name, story) in &STORIES {
        wrongs.expect(name, &[story.ends], || {
            undisturbed(name, story);
            story.ends
        });
    }
    wrongs.none();
}

/// Without a fix another try ends as the first one: what the first has done to the data is known
/// still.
#[test]
fn another_try_of_what_is_held_ends_held() {
    let mut wrongs = Wrongs::default();
    for (name, story) in STORIES.iter().filter(|(_, story)| story.ends == End::Held) {
        wrongs.expect(name, &[End::Held], || {
            let bench = held(story);
            let desired = story.after(&bench);
            assert!(forgive(&bench, &desired));
            settle(&bench, &desired, name);
            let end = check(&bench, story, &desired, name);
            get_out(&bench, story, &desired, name);
            end
        });
    }
    wrongs.none();
}

#[test]
fn killed_between_any_two_journal_entries() {
    let mut wrongs = Wrongs::default();
    for (name, story) in &STORIES {
        for n in 1..=undisturbed(name, story).ticks {
            let case = format!("{name}, killed at look {n} at the clock");
            wrongs.expect(&case, &after_a_kill(story), || {
                disturbed(&case, story, |bench| bench.clock.kill_in(n))
            });
        }
    }
    wrongs.none();
}

#[test]
fn killed_before_and_after_every_call() {
    let mut wrongs = Wrongs::default();
    for (name, story) in &STORIES {
        for n in 1..=undisturbed(name, story).calls {
            for (word, fault) in [
                ("before", Faults::kill_before as fn(usize) -> Faults),
                ("after", Faults::kill_after),
            ] {
                let case = format!("{name}, killed {word} call {n}");
                wrongs.expect(&case, &after_a_kill(story), || {
                    disturbed(&case, story, |bench| bench.engine.faults(fault(n)))
                });
            }
        }
    }
    wrongs.none();
}

#[test]
fn the_engine_goes_away_after_every_call_or_its_answer_is_lost() {
    let mut wrongs = Wrongs::default();
    for (name, story) in &STORIES {
        for n in 1..=undisturbed(name, story).calls {
            for (word, fault) in [
                ("cut after", Faults::die_after_call as fn(usize) -> Faults),
                ("lost the answer of", Faults::lose_answer),
            ] {
                let case = format!("{name}, {word} call {n}");
                wrongs.expect(&case, &after_a_kill(story), || {
                    disturbed(&case, story, |bench| bench.engine.faults(fault(n)))
                });
            }
        }
    }
    wrongs.none();
}

/// A host that is held after the first try.
fn held(story: &Story) -> Bench {
    let bench = story.host();
    bench.pass(&story.after(&bench)).unwrap();
    bench.engine.world().calls.clear();
    bench
}

/// What a person does to a host that is held.
type Act<'a> = &'a dyn Fn(&Bench);

/// Disturbs what a person does to get out of a hold.
fn out_disturbed(case: &str, story: &Story, act: Act<'_>, disturb: impl Fn(&Bench)) -> End {
    let bench = held(story);
    let desired = story.after(&bench);
    disturb(&bench);
    drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
        || act(&bench),
    )));
    bench.clock.kill_in(0);
    // As a person whose first try was disturbed.
    settle(&bench, &desired, case);
    let end = check(&bench, story, &desired, case);
    if end == End::Held {
        get_out(&bench, story, &desired, case);
    }
    end
}

#[test]
fn the_way_out_of_a_hold_may_be_disturbed_too() {
    let mut wrongs = Wrongs::default();
    for (name, story) in STORIES.iter().filter(|(_, story)| story.ends == End::Held) {
        let restoring = |bench: &Bench| {
            let desired = story.after(bench);
            let said = bench.look(&desired).plan.to_string();
            let (_, command) = said.split_once("moored backup restore ").unwrap();
            let words: Vec<&str> = command.split([' ', ';', '\n']).collect();
            restore(bench, &desired, words[0], words[1]);
        };
        let fixing = |bench: &Bench| {
            let mended = Story {
                migration: Migration::Works,
                fails: None,
                ..*story
            };
            mended.stock_jobs(bench);
            bench.engine.world().said.clear();
            drop(bench.pass_or_die(&mended.load(bench, "app:v2-fixed", '5')));
        };
        let acts: [(&str, Act<'_>); 2] = [("restore", &restoring), ("fix", &fixing)];
        for (act_name, act) in acts {
            let bench = held(story);
            act(&bench);
            let calls = bench.engine.world().calls.len();
            let told = bench.told.lock().unwrap().join("\n");
            assert!(calls > 2, "{name}, {act_name}: {calls} {told}");
            for n in 1..=calls {
                for (word, fault) in [
                    ("fails", Faults::fail_call as fn(usize) -> Faults),
                    ("kills after", Faults::kill_after),
                    ("is cut after", Faults::die_after_call),
                ] {
                    let case = format!("{name}, {act_name}, call {n} {word}");
                    wrongs.expect(&case, &[End::Held, End::Old, End::New], || {
                        out_disturbed(&case, story, act, |bench| bench.engine.faults(fault(n)))
                    });
                }
            }
        }
    }
    wrongs.none();
}

#[test]
fn every_call_fails_once() {
    let mut wrongs = Wrongs::default();
    for (name, story) in &STORIES {
        for n in 1..=undisturbed(name, story).calls {
            let case = format!("{name}, call {n} fails");
            let all = [End::Old, End::New, End::Held];
            wrongs.expect(&case, &all, || {
                disturbed(&case, story, |bench| {
                    bench.engine.faults(Faults::fail_call(n));
                })
            });
        }
    }
    wrongs.none();
}
