use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::desired::StackName;
use crate::probe::tests::{Act, Server, answer, closed_port};

const INSTANCE: &str = "this-host";

const PAGE: Page<'_> = Page {
    name: "off.html",
    content: b"<h1>soon</h1>",
};

fn stack() -> StackName {
    StackName::try_from("shop".to_owned()).unwrap()
}

fn attempt(attempt: u64) -> Owner {
    Owner::Attempt {
        stack: stack(),
        instance: INSTANCE.to_owned(),
        attempt,
    }
}

fn of(owner: Owner) -> Flag {
    Flag {
        owner,
        reason: "deploy of 4f2a9c1".to_owned(),
        since: Some("2026-02-11T14:03:02Z".parse().unwrap()),
    }
}

struct Place {
    dir: TempDir,
    flag: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("maintenance").join("ON");
        Self { dir, flag }
    }

    /// With somebody else's content in the flag.
    fn with(content: &str) -> Self {
        let place = Self::new();
        place.put(content);
        place
    }

    fn put(&self, content: &str) {
        fs::create_dir_all(self.flag.parent().unwrap()).unwrap();
        crate::files::write_atomically(&self.flag, content.as_bytes(), 0o600).unwrap();
    }

    fn on(&self, owner: Owner) -> SwitchedOn {
        switch_on(&self.flag, Some(PAGE), &of(owner), INSTANCE).unwrap()
    }

    fn off(&self, owner: &Owner) -> SwitchedOff {
        switch_off(&self.flag, owner, INSTANCE).unwrap()
    }

    fn seen(&self) -> Option<Flag> {
        observe(&self.flag, INSTANCE).unwrap()
    }

    /// The names in the flag's directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.flag.parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn on_and_off_and_each_twice() {
    let place = Place::new();
    assert_eq!(place.seen(), None);
    assert_eq!(place.on(attempt(7)), SwitchedOn::Now);
    assert_eq!(place.seen(), Some(of(attempt(7))));
    assert_eq!(place.names(), ["ON", "off.html"]);
    let page = place.flag.with_file_name("off.html");
    assert_eq!(fs::read(&page).unwrap(), PAGE.content);
    assert_eq!([mode(&page), mode(&place.flag)], [0o644, 0o644]);
    assert_eq!(mode(place.flag.parent().unwrap()), 0o755);
    assert_eq!(place.on(attempt(7)), SwitchedOn::Already);
    assert_eq!(place.off(&attempt(7)), SwitchedOff::Now);
    assert_eq!(place.off(&attempt(7)), SwitchedOff::Already);
    assert_eq!(place.names(), ["off.html"]);
}

#[test]
fn the_flag_reads_well() {
    let place = Place::new();
    place.on(attempt(7));
    insta::assert_snapshot!(fs::read_to_string(&place.flag).unwrap(), @r#"
    {
      "about": "visitors see the maintenance page while this file exists",
      "format": 1,
      "reason": "deploy of 4f2a9c1",
      "since": "2026-02-11T14:03:02Z",
      "owner": {
        "kind": "attempt",
        "stack": "shop",
        "instance": "this-host",
        "attempt": 7
      }
    }
    "#);
}

#[test]
fn every_owner_is_known_again() {
    let instance = INSTANCE.to_owned();
    let git = Owner::Git {
        stack: stack(),
        instance,
    };
    let who = "ops".to_owned();
    for owner in [attempt(7), git, Owner::Person { who }] {
        let place = Place::new();
        place.on(owner.clone());
        assert_eq!(place.seen(), Some(of(owner.clone())));
        assert_eq!(place.off(&owner), SwitchedOff::Now);
    }
}

#[test]
fn what_a_person_switched_on_stays() {
    let person = Owner::Person {
        who: "ops".to_owned(),
    };
    let place = Place::new();
    place.on(person.clone());
    assert_eq!(
        place.on(attempt(7)),
        SwitchedOn::ByAnother(of(person.clone()))
    );
    assert_eq!(
        place.off(&attempt(7)),
        SwitchedOff::ByAnother(of(person.clone()))
    );
    assert_eq!(place.seen(), Some(of(person)));
}

#[test]
fn what_is_not_understood_is_a_persons_and_stays() {
    let theirs = r#"{"format":1,"reason":"","since":null,"owner":{"kind":"attempt","stack":"shop","instance":"other","attempt":7}}"#;
    let newer = theirs.replace("other", INSTANCE).replace(":1,", ":2,");
    let long = " ".repeat(100_000) + &theirs.replace("other", INSTANCE);
    for content in ["", "ON", "{}", "\u{0}\u{ff}", theirs, &newer, &long] {
        let place = Place::with(content);
        let seen = place.seen().unwrap();
        assert_eq!(seen.owner, Owner::Unknown, "{content:.200}");
        assert!(seen.since.is_some(), "the time of the file");
        for owner in [attempt(7), Owner::Unknown] {
            assert_eq!(place.on(owner.clone()), SwitchedOn::ByAnother(seen.clone()));
            assert_eq!(place.off(&owner), SwitchedOff::ByAnother(seen.clone()));
        }
        assert_eq!(fs::read_to_string(&place.flag).unwrap(), content);
        assert_eq!(place.names(), ["ON"], "their page stays as well");
    }
}

#[test]
fn what_a_person_takes_away_is_gone_whoever_had_put_it_up() {
    let place = Place::new();
    assert_eq!(take_away(&place.flag, INSTANCE).unwrap(), None);
    place.on(attempt(7));
    let there = take_away(&place.flag, INSTANCE).unwrap().unwrap();
    assert_eq!(there.owner, attempt(7));
    assert_eq!(place.seen(), None);
}

#[test]
fn a_kill_between_page_and_flag_is_made_good() {
    let place = Place::new();
    place.on(attempt(7));
    fs::remove_file(&place.flag).unwrap();
    for path in [&place.flag, &place.flag.with_file_name(PAGE.name)] {
        crate::files::left_by_a_kill(path);
    }
    assert_eq!(place.names().len(), 3);
    assert_eq!(place.on(attempt(7)), SwitchedOn::Now);
    assert_eq!(place.names(), ["ON", "off.html"]);
}

#[test]
fn a_link_or_a_directory_is_refused_and_left() {
    let place = Place::with("");
    let real = place.dir.path().join("real");
    fs::rename(&place.flag, &real).unwrap();
    symlink(&real, &place.flag).unwrap();
    let refused = |place: &Place| {
        let seen = observe(&place.flag, INSTANCE).unwrap_err();
        let on = switch_on(&place.flag, Some(PAGE), &of(attempt(7)), INSTANCE).unwrap_err();
        let off = switch_off(&place.flag, &attempt(7), INSTANCE).unwrap_err();
        let dir = place.dir.path().to_str().unwrap();
        format!("{seen}\n{on}\n{off}").replace(dir, "DIR")
    };
    insta::assert_snapshot!(refused(&place), @"
    it is a link, and must be a plain file
    failed to look at the maintenance flag DIR/maintenance/ON: it is a link, and must be a plain file
    failed to look at the maintenance flag DIR/maintenance/ON: it is a link, and must be a plain file
    ");
    assert!(place.flag.is_symlink());
    fs::remove_file(&place.flag).unwrap();
    symlink("nowhere", &place.flag).unwrap();
    assert!(refused(&place).contains("it is a link"));
    fs::remove_file(&place.flag).unwrap();
    fs::create_dir(&place.flag).unwrap();
    insta::assert_snapshot!(refused(&place), @"
    it must be a plain file
    failed to look at the maintenance flag DIR/maintenance/ON: it must be a plain file
    failed to look at the maintenance flag DIR/maintenance/ON: it must be a plain file
    ");
    assert!(place.flag.is_dir());
}

#[test]
fn a_pipe_does_not_hang() {
    let place = Place::with("");
    fs::remove_file(&place.flag).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &place.flag, pipe, mode, 0).unwrap();
    let error = observe(&place.flag, INSTANCE).unwrap_err();
    assert_eq!(error.to_string(), "it must be a plain file");
}

#[test]
fn the_directory_is_named_when_it_cannot_be_made() {
    let place = Place::new();
    let flag = place.dir.path().join("no/such/ON");
    let error = switch_on(&flag, None, &of(attempt(7)), INSTANCE).unwrap_err();
    let dir = place.dir.path().to_str().unwrap();
    insta::assert_snapshot!(error.to_string().replace(dir, "DIR"), @"there is no directory DIR/no/such for the maintenance flag, and it can't be made: No such file or directory (os error 2); make it, and mount it into the proxy");
    assert!(!place.dir.path().join("no").exists());
    let outside = Page {
        name: "../off.html",
        ..PAGE
    };
    let error = switch_on(&place.flag, Some(outside), &of(attempt(7)), INSTANCE);
    assert!(matches!(error, Err(MaintenanceError::Write { .. })));
    assert_eq!(place.seen(), None);
}

const QUICKLY: Duration = Duration::from_millis(400);
const ENOUGH: Duration = Duration::from_secs(20);

#[tokio::test]
async fn on_is_proved_by_503_and_off_by_any_answer_of_the_stack() {
    for (status, on, off) in [
        (200, false, true),
        (302, false, true),
        (404, false, true),
        (500, false, false),
        (502, false, false),
        (503, true, false),
    ] {
        let server = Server::answering(status, "").await;
        let proved = async |wanted| {
            let proved = prove(&server.url, wanted, QUICKLY, &|_| {}).await;
            proved.is_ok()
        };
        assert_eq!(proved(Wanted::On).await, on, "{status}");
        assert_eq!(proved(Wanted::Off).await, off, "{status}");
    }
}

#[tokio::test]
async fn a_proxy_that_takes_a_moment_is_waited_for() {
    let server = Server::new(|n| answer(if n < 4 { 200 } else { 503 }, "")).await;
    prove(&server.url, Wanted::On, ENOUGH, &|_| {})
        .await
        .unwrap();
    assert_eq!(server.asked(), 5);
}

#[tokio::test]
async fn what_was_seen_last_is_told() {
    let said = async |url: &url::Url, wanted| {
        let error = prove(url, wanted, QUICKLY, &|_| {}).await.unwrap_err();
        let port = url.port().unwrap().to_string();
        error.to_string().replace(&port, "PORT")
    };
    let stuck = Server::answering(503, "").await;
    let silent = Server::new(|_| vec![Act::Hang]).await;
    let mut closed = stuck.url.clone();
    closed.set_port(Some(closed_port().await)).unwrap();
    let lines = [
        said(&stuck.url, Wanted::Off).await,
        said(&Server::answering(200, "").await.url, Wanted::On).await,
        said(&silent.url, Wanted::On).await,
        said(&closed, Wanted::Off).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    http://127.0.0.1:PORT/health does not show that maintenance is off: answered 503 Service Unavailable, wanted less than 500 (asked for 400ms)
    http://127.0.0.1:PORT/health does not show that maintenance is on: answered 200 OK, wanted 503 (asked for 400ms)
    http://127.0.0.1:PORT/health does not show that maintenance is on: no answer within 400ms (asked for 400ms)
    http://127.0.0.1:PORT/health does not show that maintenance is off: can't connect: connection refused (asked for 400ms)
    ");
}

#[tokio::test]
async fn a_long_proof_says_what_it_sees() {
    let server = Server::answering(200, "").await;
    let told = Mutex::new(Vec::new());
    let tell = |line: String| told.lock().unwrap().push(line);
    let within = Duration::from_millis(2500);
    prove(&server.url, Wanted::On, within, &tell)
        .await
        .unwrap_err();
    let expected = format!("GET {}: answered 200 OK, wanted 503", server.url);
    assert_eq!(*told.lock().unwrap(), [expected]);
}

#[test]
fn since_is_kept_to_the_second_and_below() {
    let place = Place::new();
    let since: Timestamp = "2026-02-11T14:03:02.123456789Z".parse().unwrap();
    let flag = Flag {
        since: Some(since),
        ..of(attempt(1))
    };
    switch_on(&place.flag, None, &flag, INSTANCE).unwrap();
    assert_eq!(place.seen(), Some(flag));
    assert_eq!(place.names(), ["ON"]);
}
