//! Killed anywhere in a real deploy with page, backup and migration: the next pass ends with one
//! release that serves, every row, and no page.

use std::time::Duration;

use super::kill::dice;
use super::play::Play;
use crate::support::http::{Writer, lost_or_doubled};
use crate::support::vehicles::{CANARY, System};

/// Returns how often each system is killed: `MOOREDTEST_KILLS` when the tests are compiled.
fn kills() -> u32 {
    option_env!("MOOREDTEST_KILLS").map_or(10, |count| count.parse().expect("a number"))
}

/// Kills deploys of new versions, most of which migrate, until that was done often enough.
#[expect(
    clippy::print_stderr,
    reason = "shown only when the test fails: what it takes to play it again"
)]
fn killed_again_and_again(play: &Play) {
    let (stage, system) = (&play.stage, &play.system);
    let mut random = dice();
    play.first("v1", &[]);
    let writer = Writer::start(&match system.system {
        // Past the proxy: the page must not be the reason why no row is lost.
        System::Moltfund => system.api_url("/api/entries"),
        System::VEdfinance => system.url("/api/entries"),
    });
    let (mut schema, mut killed, mut version) = (1, 0, 1);
    while killed < kills() {
        version += 1;
        let tag = format!("v{version}");
        schema += u32::from(random.u32(0..4) > 0);
        play.images(&tag, &[&format!("APP_SCHEMA={schema}"), "MIGRATE=slow:0.3"]);
        play.commit(&tag, &[]);
        for _ in 0..=random.u32(0..3) {
            let command = if random.bool() { "run" } else { "reconcile" };
            let after = Duration::from_millis(random.u64(0..4500));
            killed += 1;
            eprintln!("kill {killed}: {tag} at schema {schema}, {command} after {after:?}");
            let mut running = stage.start(&[command]);
            std::thread::sleep(after);
            running.kill();
            let said = running.said();
            assert!(!said.contains(CANARY), "{said}");
        }
        let pass = stage.moored(&["reconcile"]);
        if pass.code == Some(75) {
            // Three times in a row is too often for a controller on its own.
            pass.says(&["killed 3 times", "safe mode"]);
            stage.moored(&["retry"]).exits(0);
            stage.reconcile();
        } else {
            pass.exits(0);
        }
        play.serves(&tag);
        assert_eq!(system.schema(), schema);
        play.quiet();
    }
    let stored = writer.stop();
    assert!(stored.len() > 20, "{}", stored.len());
    assert_eq!(lost_or_doubled(&stored, &system.rows()), [""; 0]);
    let name = match system.system {
        System::Moltfund => "prod",
        System::VEdfinance => "postgres",
    };
    stage.moored(&["backup", "verify", name]).exits(0);
}

#[test]
fn moltfund_is_killed_at_random_instants() {
    killed_again_and_again(&Play::moltfund("kmoltfund"));
}

#[test]
fn v_edfinance_is_killed_at_random_instants() {
    killed_again_and_again(&Play::v_edfinance("kedfinance"));
}
