use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::document;

fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, Diagnostic> {
    document::read("w", yaml.as_bytes(), &[])
}

fn window(yaml: &str) -> Window {
    read(yaml).unwrap()
}

fn refused<T: DeserializeOwned>(yaml: &str) -> String {
    let Err(error) = read::<T>(yaml) else {
        panic!("{yaml} is taken");
    };
    error.to_string()
}

/// Says whether it is open, and when it opens.
fn at(window: &Window, now: &str) -> String {
    let now: Timestamp = now.parse().unwrap();
    match window.closed(now) {
        None => "open".to_owned(),
        Some(Closed {
            freeze,
            opens,
            opens_at,
        }) => {
            assert_eq!(opens.is_some(), opens_at.is_some());
            assert!(opens_at.is_none_or(|at| at > now && window.closed(at).is_none()));
            let freeze = freeze
                .map(|reason| format!("{reason}: "))
                .unwrap_or_default();
            format!("{freeze}{}", opens.unwrap_or_else(|| "never".to_owned()))
        }
    }
}

/// Each row is a window, a moment in UTC, and what is said then. 2026-11-16 is a Monday; Berlin is
/// an hour ahead in winter and two in summer, from 2026-03-29 01:00 to 2026-10-25 01:00 UTC.
#[test]
fn hours_are_those_of_the_zone() {
    const WORK: &str = "{deploy: 'Mon-Thu 08:00-18:00', zone: Europe/Berlin}";
    const NIGHT: &str = "{deploy: 'Fri-Mon 22:00-04:00', zone: Europe/Berlin}";
    const GAP: &str = "{deploy: 'Sun 02:15-02:45', zone: Europe/Berlin}";
    for (yaml, now, said) in [
        (WORK, "2026-11-16T06:59:59Z", "Mon 2026-11-16 08:00 CET"),
        (WORK, "2026-11-16T07:00:00Z", "open"),
        (WORK, "2026-11-16T16:59:59Z", "open"),
        (WORK, "2026-11-16T17:00:00Z", "Tue 2026-11-17 08:00 CET"),
        (WORK, "2026-11-20T12:00:00Z", "Mon 2026-11-23 08:00 CET"),
        // In summer the same hour of the clock is another one of the world.
        (WORK, "2026-07-06T05:59:59Z", "Mon 2026-07-06 08:00 CEST"),
        (WORK, "2026-07-06T06:00:00Z", "open"),
        // The weekend of the change: Friday in winter, Monday in summer, and the other way round.
        (WORK, "2026-03-27T12:00:00Z", "Mon 2026-03-30 08:00 CEST"),
        (WORK, "2026-10-23T12:00:00Z", "Mon 2026-10-26 08:00 CET"),
        // Over midnight, and over the end of the week.
        (NIGHT, "2026-11-17T02:59:59Z", "open"),
        (NIGHT, "2026-11-17T03:00:00Z", "Fri 2026-11-20 22:00 CET"),
        (NIGHT, "2026-11-16T20:59:59Z", "Mon 2026-11-16 22:00 CET"),
        // An hour that the change leaves out is the one after it.
        (GAP, "2026-03-29T01:14:59Z", "Sun 2026-03-29 03:15 CEST"),
        (GAP, "2026-03-29T01:15:00Z", "open"),
        (GAP, "2026-03-29T01:45:00Z", "Sun 2026-04-05 02:15 CEST"),
        // Of an hour that comes twice the first counts.
        (GAP, "2026-10-25T00:15:00Z", "open"),
        (GAP, "2026-10-25T00:45:00Z", "Sun 2026-11-01 02:15 CET"),
        (GAP, "2026-10-25T01:20:00Z", "Sun 2026-11-01 02:15 CET"),
    ] {
        assert_eq!(at(&window(yaml), now), said, "{yaml} at {now}");
    }
}

#[test]
fn hours_are_read_as_they_are_written() {
    for (deploy, now, said) in [
        ("08:00-18:00", "2026-11-21T08:00:00Z", "open"),
        ("Sat 00:00-24:00", "2026-11-21T23:59:59Z", "open"),
        (
            "Sat 00:00-24:00",
            "2026-11-22T00:00:00Z",
            "Sat 2026-11-28 00:00 UTC",
        ),
        (
            "sat 10:00-11:00,Sun  10:00-11:00",
            "2026-11-21T12:00:00Z",
            "Sun 2026-11-22 10:00 UTC",
        ),
        ("Sat-Sat 10:00-11:00", "2026-11-21T10:30:00Z", "open"),
    ] {
        let window = window(&format!("{{deploy: '{deploy}', zone: UTC}}"));
        assert_eq!(at(&window, now), said, "{deploy} at {now}");
    }
    for deploy in [
        "",
        "Mon",
        "Mon-Thu",
        "Mon 8:00-18:00",
        "Mon 08:00",
        "Mon 08:00-08:00",
        "Mon 24:00-25:00",
        "Mon 08:00-24:01",
        "Mon 08:60-09:00",
        "Mon 08:00-+9:00",
        "Mo 08:00-09:00",
        "Mon,Tue 08:00-09:00",
        "Mon 08:00-09:00 CET",
    ] {
        let said = refused::<Window>(&format!("{{deploy: '{deploy}'}}"));
        assert!(said.contains("is not days and hours such as"), "{said}");
    }
    let said = refused::<Window>("{deploy: '08:00-09:00', zone: Mars/Phobos}");
    assert!(said.contains("is not a time zone"), "{said}");
}

#[test]
fn a_freeze_is_stronger_than_the_hours() {
    let yaml = "
deploy: Mon-Thu 08:00-18:00
zone: Europe/Berlin
freeze:
- {from: 2026-12-21, to: 2027-01-03, reason: year end}
- {from: '2026-11-17 12:00', to: 2026-11-17T12:30Z, reason: fair}
";
    let window = window(yaml);
    for (now, said) in [
        ("2026-11-17T10:59:59Z", "open"),
        ("2026-11-17T11:00:00Z", "fair: Tue 2026-11-17 13:30 CET"),
        ("2026-11-17T12:30:00Z", "open"),
        ("2026-12-17T16:59:59Z", "open"),
        // Over the weekend before it, and to the first day of work after its last day.
        ("2026-12-17T17:00:00Z", "Mon 2027-01-04 08:00 CET"),
        ("2026-12-22T10:00:00Z", "year end: Mon 2027-01-04 08:00 CET"),
        ("2027-01-03T22:59:59Z", "year end: Mon 2027-01-04 08:00 CET"),
        ("2027-01-03T23:00:00Z", "Mon 2027-01-04 08:00 CET"),
    ] {
        assert_eq!(at(&window, now), said, "at {now}");
    }
    let always = "freeze: [{from: 2026-12-21, to: 2026-12-21, reason: move}]";
    let always = self::window(always).in_zone(&TimeZone::UTC);
    assert_eq!(at(&always, "2026-12-20T23:59:59Z"), "open");
    let said = "move: Tue 2026-12-22 00:00 UTC";
    assert_eq!(at(&always, "2026-12-21T23:59:59Z"), said);
    let said = refused::<Window>("freeze: [{from: 2026-12-21, to: 2026-12-20, reason: x}]");
    assert!(said.contains("ends before it begins"), "{said}");
    let said = refused::<Window>("freeze: [{from: 21.12.2026, to: 2026-12-22, reason: x}]");
    assert!(said.contains("is not a time such as"), "{said}");
    let said = refused::<Window>("freeze: [{from: 2026-12-21, to: 2026-12-22}]");
    assert!(said.contains("missing field `reason`"), "{said}");
}

#[test]
fn freezes_that_never_end_are_told() {
    let window = window("freeze: [{from: 2026-01-01, to: 9999-12-31, reason: archived}]");
    assert_eq!(at(&window, "2026-11-17T12:00:00Z"), "archived: never");
}

#[test]
fn a_suspension_ends_with_its_last_day() {
    let suspend: Suspend = read("{reason: move, until: 2026-11-20}").unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let suspension = suspend.in_zone(&berlin);
    let over = |now: &str| suspension.is_over(now.parse().unwrap());
    assert!(!over("2026-11-20T22:59:59Z"));
    assert!(over("2026-11-20T23:00:00Z"));
    assert_eq!(
        suspension.to_string(),
        "suspended until 2026-11-20 23:00 UTC (move)"
    );
    let suspend: Suspend = read("{reason: \"a\\u001bb\"}").unwrap();
    let suspension = suspend.in_zone(&berlin);
    assert!(!suspension.is_over(Timestamp::MAX));
    assert!(!suspension.to_string().contains('\u{1b}'));
}

#[test]
fn an_approval_needs_somebody_and_a_trailer() {
    let rule: ApprovalRule = read("signers: [ops@example.org]").unwrap();
    assert_eq!(rule.trailer, "Approved-by");
    for (yaml, word) in [
        ("signers: []", "nobody could ever approve"),
        (
            "{signers: [a], trailer: 'Approved by'}",
            "not the name of a trailer",
        ),
        ("{signers: [a], trailer: ''}", "not the name of a trailer"),
        (
            "{signers: [a], allowed_signers: keys}",
            "must be an absolute path",
        ),
        ("{signers: [a], trailers: x}", "unknown key"),
    ] {
        let said = refused::<ApprovalRule>(yaml);
        assert!(said.contains(word), "{yaml}: {said}");
    }
}

#[test]
fn a_rule_is_found_by_the_name_of_the_stack_and_by_its_directory() {
    let rules: BTreeMap<String, u8> = [("shop".to_owned(), 1), ("production".to_owned(), 2)].into();
    assert_eq!(of(&rules, "shop", "staging"), Some(&1));
    assert_eq!(of(&rules, "shop-production", "production"), Some(&2));
    // A commit changes names, and no directories of the settings.
    assert_eq!(of(&rules, "shop", "production"), Some(&2));
    assert_eq!(of(&rules, "other", "staging"), None);
}

proptest::proptest! {
    #[test]
    fn never_panics_on_what_is_written(
        text in "[A-Za-z0-9:, +-]{0,40}",
        now in 0_i64..4_000_000_000,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        if let Ok(window) = read::<Window>(&format!("deploy: '{text}'")) {
            let _closed = window.closed(now);
        }
        let _moment = text.parse::<Moment>();
    }
}

#[test]
fn a_directory_is_the_same_however_it_is_written() {
    for (written, same) in [
        ("shop", "shop"),
        ("shop/", "shop"),
        ("./shop//", "shop"),
        ("/apps/shop", "apps/shop"),
        ("./", "."),
        ("", "."),
        (".", "."),
        (".shop", ".shop"),
    ] {
        assert_eq!(super::plain(written), same, "{written}");
    }
}
