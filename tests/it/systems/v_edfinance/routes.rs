//! Who is told of what: by kind, and nobody else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::e2e::play::Play;
use crate::e2e::restore::newest;
use crate::support::docker_cli::{docker, eventually};
use crate::support::receiver::Receiver;
use crate::systems::row::Row;

/// Whose business something may be.
const KINDS: [&str; 4] = ["infrastructure", "backend", "frontend", "security"];

/// A receiver for each kind.
pub(super) struct Routes([Receiver; 4]);

impl Routes {
    /// Starts the receivers, and lets the host tell each of what is its business.
    pub(super) fn of(play: &Play) -> Self {
        let routes = Self(KINDS.map(|_| Receiver::new()));
        let mut settings = "notify:\n".to_owned();
        for (kind, receiver) in KINDS.iter().zip(&routes.0) {
            let file = play.stage.path(&format!("{kind}-url"));
            moored::files::write_atomically(&file, receiver.url().as_bytes(), 0o600).unwrap();
            let route = format!(
                "- {{kind: webhook, url_file: '{}', private: true, for: [{kind}]}}\n",
                file.display()
            );
            settings.push_str(&route);
        }
        play.stage.follow("30s", &settings);
        routes
    }

    /// Returns what each was told since it was asked last.
    pub(super) fn told(&self) -> [Vec<Value>; 4] {
        self.0.each_ref().map(|receiver| {
            let got = receiver.take();
            got.iter()
                .map(crate::support::receiver::Got::json)
                .collect()
        })
    }

    /// Checks who was told of which events, in the order of the kinds.
    #[track_caller]
    fn heard(&self, wanted: [&[&str]; 4]) {
        let told = self.told();
        let events = told.each_ref().map(|told| {
            let events = told.iter().map(|one| one["event"].as_str().unwrap());
            events.collect::<Vec<_>>()
        });
        assert_eq!(events.each_ref().map(Vec::as_slice), wanted, "{told:#?}");
    }
}

#[test]
fn routes() {
    let _row = Row::begin("v-edfinance", "routes");
    let play = Play::v_edfinance("v-routes").published();
    let routes = Routes::of(&play);
    let stage = &play.stage;
    // A front end beside the API, for once.
    let [one, two] = ["v1", "v2"].map(|tag| {
        let own = &play.system.own;
        let image = own.make("standin_image", &format!("edge:{tag}"), &[]);
        format!("services:\n  edge:\n    image: {image}\n")
    });
    let owners = (
        "owners: {api: backend}",
        "owners: {api: backend, edge: frontend}",
    );
    play.images("v1.0.0", &["APP_SCHEMA=1"]);
    play.commit("v1.0.0", &[owners, ("services:\n", &one)]);
    stage.reconcile();
    play.serves("v1.0.0");
    routes.heard([&["deployed"], &["deployed"], &["deployed"], &[]]);

    // Each owner hears of its own services, and of what fails.
    play.commit("v1.0.0", &[owners, ("services:\n", &two)]);
    stage.reconcile();
    routes.heard([&[], &[], &["deployed"], &[]]);
    play.images("v1.1.0", &["APP_SCHEMA=1", "INTEGRITY=broken"]);
    play.commit("v1.1.0", &[owners, ("services:\n", &two)]);
    play.fails(&["rolled back"]);
    routes.heard([&[], &["failed"], &[], &[]]);
    stage.revert();
    stage.reconcile();
    // The revert is a release that changes no service, which is nobody's in particular.
    routes.heard([&["deployed"], &["recovered"], &[], &[]]);

    // Files with secrets that everybody may read.
    let file = play.system.root.join("env/api.env");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    stage.reconcile();
    routes.heard([&[], &[], &[], &["security"]]);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    stage.reconcile();
    routes.heard([&[], &[], &[], &["recovered"]]);

    // The night's dump, without the tool for it; the last one is of the day before yesterday.
    let two_days_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(48);
    play.date(&newest(&play), two_days_ago);
    let database = play.system.container("postgres");
    let tool = docker(&["exec", &database, "readlink", "-f", "/usr/bin/pg_dump"]);
    docker(&["exec", &database, "mv", &tool, "/tmp/pg_dump"]);
    let controller = stage.start(&["run"]);
    let [infrastructure, ..] = &routes.0;
    eventually("the failed dump is told", || {
        infrastructure.got().len() >= 2
    });
    drop(controller);
    routes.heard([&["backup_late", "backup_failed"], &[], &[], &[]]);
}
