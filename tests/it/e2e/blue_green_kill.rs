//! Killed at each step of a change-over under load: visitors go on being answered, and the next
//! pass ends in what Git says by then.

use std::time::{Duration, Instant};

use super::blue_green_site::{Front, Says, Site};
use super::kill::dice;
use crate::support::load::LoadSpec;

/// Returns how often each is killed: `MOOREDTEST_KILLS` when the tests are compiled.
fn kills() -> u64 {
    option_env!("MOOREDTEST_KILLS").map_or(5, |count| count.parse().expect("a number"))
}

/// Kills a pass when it has written so many journal entries, or at its end.
fn killed_after(site: &Site, entries: u64, more: Duration) -> bool {
    let before = site.stage.journal_rows().1;
    let mut pass = site.stage.start(&["reconcile"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let reached = loop {
        if site.stage.journal_rows().1 >= before + entries {
            break true;
        }
        if pass.has_ended() {
            break false;
        }
        assert!(Instant::now() < deadline, "{}", pass.said());
        std::thread::sleep(Duration::from_millis(2));
    };
    std::thread::sleep(more);
    pass.kill();
    reached
}

#[expect(
    clippy::print_stderr,
    reason = "shown only when the test fails: what it takes to play it again"
)]
fn killed_at_each_step(area: &str, front: Front) {
    let mut random = dice();
    let site = Site::new(area, front, &["web"]);
    let images = [site.stage.app("v1"), site.stage.app("v2")];
    let versions = ["v1", "v2"];
    let says = Says {
        drain: "5s",
        ..Says::default()
    };
    site.commit(&[&images[0]], &says);
    site.reconcile();
    let before = site.stage.journal_rows().1;
    site.commit(&[&images[1]], &says);
    site.reconcile();
    // What a whole change-over writes: each of its steps twice.
    let whole = site.stage.journal_rows().1 - before;
    let visitors = site.visitors(&LoadSpec {
        at_most: Duration::from_secs(1200),
        ..LoadSpec::default()
    });
    let mut now = 1;
    for kill in 0..kills() {
        let next = 1 - now;
        site.commit(&[&images[next]], &says);
        // Each part of it has its turn, the instant within is by chance.
        let (part, next_part) = (kill * whole / kills(), (kill + 1) * whole / kills());
        let entries = 1 + random.u64(part..next_part.max(part + 1));
        let more = Duration::from_millis(random.u64(0..60));
        let reverted = random.bool();
        eprintln!(
            "kill {kill}: after entry {entries} of {whole} and {more:?}, reverted: {reverted}"
        );
        killed_after(&site, entries.min(whole), more);
        visitors.go_on();
        if reverted {
            site.revert();
        } else {
            now = next;
        }
        site.reconcile();
        site.quiet(&[versions[now]]);
    }
    visitors.noticed_nothing();
}

#[test]
fn killed_at_each_step_behind_nginx_in_a_container() {
    killed_at_each_step("bgkill", Front::NginxInside);
}

#[test]
fn killed_at_each_step_behind_nginx_of_the_host() {
    killed_at_each_step("bgkillhost", Front::NginxOnHost);
}
