//! A journal that was torn by a power cut: wherever the write-ahead log ends, what opens is a
//! prefix of what was written.

use moored::journal::Entry;
use moored::record::Record;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;

/// The entries of an attempt as they are stored, read with nothing of ours.
fn entries(dir: &std::path::Path) -> Vec<String> {
    let database = rusqlite::Connection::open(dir.join("moored.db")).unwrap();
    let mut statement = database
        .prepare("SELECT entry FROM entries ORDER BY attempt, seq")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_torn_log_opens_with_a_prefix_of_the_entries() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        (
            "compose.yaml".to_owned(),
            b"services: {web: {image: 'app:v1'}}\n".to_vec(),
        ),
    ]);
    let desired = bench.load(&files, '1').unwrap();
    // Open while the log is copied: closing the last connection would empty it.
    let keep = bench.record();
    bench.pass(&desired).unwrap();
    let whole = entries(&bench.state_dir());
    assert!(whole.len() > 8, "{whole:?}");
    let database = std::fs::read(bench.state_dir().join("moored.db")).unwrap();
    let log = std::fs::read(bench.state_dir().join("moored.db-wal")).unwrap();
    drop(keep);

    let mut seen = 0;
    for end in (0..=log.len()).step_by(701).chain([log.len()]) {
        let dir = tempfile::tempdir_in(bench.state_dir()).unwrap();
        crate::support::put(dir.path().join("moored.db"), &database);
        crate::support::put(dir.path().join("moored.db-wal"), &log[..end]);
        let record = Record::open(dir.path()).unwrap_or_else(|error| panic!("{end}: {error}"));
        let stack = desired.stack.clone();
        let attempts = record.attempts(&stack, 10).unwrap();
        let there = entries(dir.path());
        assert_eq!(there, whole[..there.len()], "cut at {end}");
        assert!(there.len() >= seen, "cut at {end}: less than before");
        seen = there.len();
        // What is there replays, and a controller can go on from it.
        for attempt in attempts {
            assert!(attempt.status.steps.is_some(), "cut at {end}");
        }
        let now = jiff::Timestamp::UNIX_EPOCH;
        record.end_interrupted(&stack, now).unwrap();
    }
    assert_eq!(seen, whole.len(), "the whole log has all");
    let first: Entry = serde_json::from_str(&whole[0]).unwrap();
    assert!(matches!(first, Entry::Began { .. }));
}
