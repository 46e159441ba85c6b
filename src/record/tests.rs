//! Tests of the record on a real database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

use super::{Journal, Record, schema};
use crate::desired::migrations::OnFailure;
use crate::journal::{Entry, Outcome};
use crate::plan::facts::Field;
use crate::plan::{
    Action, ContainerRef, Kind, Origin, Phase, Pin, Plan, Reason, Release, ReleaseId, Schema, Step,
};
use crate::source::CommitInfo;

fn plan(stack: &str, attempt: u64) -> Plan {
    let revision = "1".repeat(40).parse().unwrap();
    Plan {
        kind: Kind::Deploy,
        on_failure: OnFailure::Rollback,
        unreleased: None,
        stack: stack.to_owned().try_into().unwrap(),
        attempt,
        commit: CommitInfo {
            revision,
            subject: "one".to_owned(),
            author_name: "a".to_owned(),
            author_email: "a@example.org".to_owned(),
            committed_at: 0,
        },
        from: None,
        steps: Vec::new(),
        around: BTreeMap::new(),
        holds: Vec::new(),
        held_back: Vec::new(),
        differences: Vec::new(),
    }
}

fn end(journal: &mut Journal, outcome: Outcome) {
    journal
        .append(&Entry::Ended { outcome }, Timestamp::UNIX_EPOCH)
        .unwrap();
}

#[test]
fn stacks_count_their_attempts_apart() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    for stack in ["a", "b"] {
        let mut journal = record
            .begin(&plan(stack, 1), Timestamp::UNIX_EPOCH)
            .unwrap();
        end(&mut journal, Outcome::Succeeded);
    }
    let plan = plan("a", 1);
    assert!(
        record.begin(&plan, Timestamp::UNIX_EPOCH).is_err(),
        "the number is taken"
    );
    assert_eq!(record.history(&plan.stack).unwrap().next_attempt, 2);
}

#[test]
fn what_another_process_writes_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Record::open(dir.path()), Record::open(dir.path()));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let plan = plan("a", 1);
    let next = |record: &Record| record.history(&plan.stack).unwrap().next_attempt;
    assert_eq!((next(&ours), next(&theirs)), (1, 1));
    let mut journal = ours.begin(&plan, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((next(&ours), next(&theirs)), (2, 2));
    assert!(theirs.is_open(&plan.stack).unwrap());
    end(&mut journal, Outcome::Succeeded);
    assert!(!theirs.is_open(&plan.stack).unwrap());
    let seen = ours.history(&plan.stack).unwrap();
    let again = ours.history(&plan.stack).unwrap();
    assert!(
        Arc::ptr_eq(&seen, &again),
        "read once as long as nobody writes"
    );
}

#[test]
fn a_failure_holds_until_it_is_forgiven() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    let plan = plan("a", 1);
    let mut journal = record.begin(&plan, Timestamp::UNIX_EPOCH).unwrap();
    end(
        &mut journal,
        Outcome::Failed {
            error: "x".to_owned(),
        },
    );
    assert!(record.history(&plan.stack).unwrap().failed.is_some());
    assert!(record.forgive(&plan.stack, Timestamp::UNIX_EPOCH).unwrap());
    assert!(record.history(&plan.stack).unwrap().failed.is_none());
    assert!(!record.forgive(&plan.stack, Timestamp::UNIX_EPOCH).unwrap());
}

#[test]
fn an_open_attempt_is_ended_as_interrupted_and_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan("a", 1);
    drop(
        Record::open(dir.path())
            .unwrap()
            .begin(&plan, Timestamp::UNIX_EPOCH)
            .unwrap(),
    );
    let record = Record::open(dir.path()).unwrap();
    let ended = record
        .end_interrupted(&plan.stack, Timestamp::UNIX_EPOCH)
        .unwrap();
    assert_eq!(ended.len(), 1);
    let status = record.status(&plan.stack, 1).unwrap();
    assert_eq!(status.outcome, Some(Outcome::Interrupted));
    assert!(record.history(&plan.stack).unwrap().failed.is_none());
}

#[test]
fn crashes_in_a_row_at_one_revision_are_counted_until_they_are_forgiven() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let stack = plan("a", 1).stack;
    let begin = |digit: &str, kind: Kind| {
        let mut plan = plan("a", record.history(&stack).unwrap().next_attempt);
        plan.commit.revision = digit.repeat(40).parse().unwrap();
        plan.kind = kind;
        record.begin(&plan, now).unwrap()
    };
    let crash = |digit: &str, kind: Kind| {
        drop(begin(digit, kind));
        record.end_interrupted(&stack, now).unwrap();
        let crashed = record.history(&stack).unwrap().crashed.clone();
        crashed.map_or(0, |crashed| crashed.times)
    };
    assert_eq!(crash("1", Kind::Deploy), 1);
    assert_eq!(crash("1", Kind::Deploy), 2);
    // Another revision begins anew, and what a person asked for says nothing of it.
    assert_eq!(crash("2", Kind::Deploy), 1);
    assert_eq!(crash("2", Kind::ByHand), 1);
    assert_eq!(crash("2", Kind::Deploy), 2);
    assert!(!record.forgive(&stack, now).unwrap(), "it is not held");
    assert_eq!(crash("2", Kind::Deploy), 3);
    assert!(record.forgive(&stack, now).unwrap());
    assert_eq!(record.history(&stack).unwrap().crashed, None);
    assert_eq!(crash("2", Kind::Deploy), 1);
    end(&mut begin("2", Kind::Deploy), Outcome::Succeeded);
    assert_eq!(record.history(&stack).unwrap().crashed, None);
    assert_eq!(crash("2", Kind::Deploy), 1);
    // Mending the last release crashes for itself, and tells of it.
    assert_eq!(crash("1", Kind::Heal), 1);
    assert_eq!(crash("1", Kind::Heal), 2);
    end(&mut begin("1", Kind::Heal), Outcome::Succeeded);
    assert_eq!(record.history(&stack).unwrap().crashed, None);
}

/// Returns a plan of one restart that is owed to `web`.
fn restart(attempt: u64) -> Plan {
    let container = ContainerRef {
        id: "1".to_owned(),
        name: "a-web-1".to_owned(),
    };
    let service = "web".to_owned().try_into().unwrap();
    let owed = Reason {
        field: Field::Owed,
        git: None,
        release: None,
        live: None,
        origin: Origin::Pending,
    };
    let step = Step {
        number: 1,
        phase: Phase::Converge,
        action: Action::Restart { service, container },
        reasons: vec![owed],
        after: Vec::new(),
    };
    Plan {
        steps: vec![step],
        ..plan("a", attempt)
    }
}

#[test]
fn a_restart_that_is_taken_back_before_it_was_done_stays_owed() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let attempt = |number, kind, entries: &[Entry], outcome: Option<Outcome>| {
        let plan = Plan {
            kind,
            ..restart(number)
        };
        let mut journal = record.begin(&plan, now).unwrap();
        for entry in entries {
            journal.append(entry, now).unwrap();
        }
        match outcome {
            Some(outcome) => end(&mut journal, outcome),
            None => drop(record.end_interrupted(&plan.stack, now).unwrap()),
        }
        let owed = record.history(&plan.stack).unwrap().owed_restarts.clone();
        owed.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (step, error) = (1, "x".to_owned());
    let begun = Entry::Intent { step };
    let failed = Entry::Failed {
        step,
        error: error.clone(),
    };
    let (back, undone) = (Entry::UndoIntent { step }, Entry::Undone { step });
    let outcome = Outcome::RolledBack { error };
    assert_eq!(
        attempt(1, Kind::Deploy, std::slice::from_ref(&begun), None),
        ["web"],
        "killed"
    );
    let entries = [begun.clone(), failed, back, undone];
    assert_eq!(
        attempt(2, Kind::Deploy, &entries, Some(outcome)),
        ["web"],
        "it may not have been put down at all"
    );
    let entries = [begun, Entry::Done { step }];
    assert_eq!(
        attempt(3, Kind::Heal, &entries, Some(Outcome::Succeeded)),
        [""; 0]
    );
}

#[test]
fn old_attempts_go_and_the_last_release_stays() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    let stack = plan("a", 1).stack;
    for attempt in 1..=6 {
        let plan = plan("a", attempt);
        let mut journal = record.begin(&plan, Timestamp::UNIX_EPOCH).unwrap();
        if attempt == 5 {
            let id = crate::plan::ReleaseId {
                attempt,
                revision: plan.commit.revision.clone(),
            };
            let (services, images, files) = ([].into(), [].into(), [].into());
            let release = Release {
                id,
                services,
                images,
                files,
                host_placed: [].into(),
                proxy: None,
                schema: Schema::default(),
                backups: BTreeMap::new(),
                jobs: BTreeSet::new(),
                backups_said: None,
                expires: None,
            };
            record
                .record_release(&stack, &release, Timestamp::UNIX_EPOCH)
                .unwrap();
        }
        end(&mut journal, Outcome::Succeeded);
    }
    schema::prune(&record.lock(), "a", 2).unwrap();
    let kept: Vec<u64> = record
        .attempts(&stack, 10)
        .unwrap()
        .iter()
        .map(|one| one.number)
        .collect();
    assert_eq!(kept, [6, 5, 4, 3]);
    assert_eq!(record.last_release(&stack).unwrap().unwrap().id.attempt, 5);
}

/// Makes a database as version 1 of the format left it, with one attempt.
fn old_database(dir: &std::path::Path) {
    let connection = Connection::open(dir.join(schema::FILE_NAME)).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    let rows = format!(
        "INSERT INTO meta VALUES ('instance', 'abc');
         INSERT INTO attempts VALUES ('a', 1, '{}', 's', 'a', 0, '', '{{\"restarts\":{{}},\"starts\":[]}}');
         INSERT INTO entries VALUES ('a', 1, 1, 0, '{{\"entry\":\"began\",\"steps\":0}}');
         PRAGMA user_version = 1;",
        "1".repeat(40)
    );
    connection.execute_batch(&rows).unwrap();
}

#[test]
fn an_older_format_is_brought_forward() {
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path());
    let record = Record::open_existing(dir.path()).unwrap().unwrap();
    assert_eq!(record.instance(), "abc", "the same installation");
    let stack = plan("a", 1).stack;
    assert_eq!(record.attempts(&stack, 10).unwrap().len(), 1);
    assert_eq!(record.pins().unwrap().len(), 0);
    let version = |record: &Record| -> i64 {
        let connection = record.lock();
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    };
    assert_eq!(version(&record), schema::VERSION);
    assert_eq!(
        usize::try_from(schema::VERSION),
        Ok(schema::MIGRATIONS.len())
    );
    // Once more finds nothing to do.
    assert_eq!(version(&Record::open(dir.path()).unwrap()), schema::VERSION);
}

#[test]
fn processes_that_find_an_old_format_at_once_agree() {
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path());
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                let record = Record::open(dir.path()).unwrap();
                assert_eq!(record.instance(), "abc");
            });
        }
    });
}

#[test]
fn a_pin_is_kept_until_it_is_lifted() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record::open(dir.path()).unwrap();
    let (stack, other) = (plan("a", 1).stack, plan("b", 1).stack);
    let pin = |attempt, by: Option<&str>| Pin {
        release: ReleaseId {
            attempt,
            revision: "1".repeat(40).parse().unwrap(),
        },
        since: Timestamp::from_second(1_767_225_600).unwrap(),
        by: by.map(str::to_owned),
    };
    record.set_pin(&stack, &pin(1, None)).unwrap();
    record.set_pin(&stack, &pin(2, Some("ada"))).unwrap();
    let again = Record::open(dir.path()).unwrap();
    assert_eq!(again.pin(&stack).unwrap(), Some(pin(2, Some("ada"))));
    assert_eq!(again.pin(&other).unwrap(), None);
    assert_eq!(
        again.history(&stack).unwrap().pin,
        Some(pin(2, Some("ada")))
    );
    assert_eq!(again.lift_pin(&other).unwrap(), None);
    assert_eq!(again.lift_pin(&stack).unwrap(), Some(pin(2, Some("ada"))));
    assert_eq!(record.pins().unwrap().len(), 0);
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Record::open(dir.path()).unwrap());
    let connection = Connection::open(dir.path().join(schema::FILE_NAME)).unwrap();
    connection
        .pragma_update(None, "user_version", schema::VERSION + 1)
        .unwrap();
    let refused = Record::open(dir.path())
        .err()
        .map(|error| error.to_string());
    assert!(refused.is_some_and(|error| error.contains("newer version")));
}
