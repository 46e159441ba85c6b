//! v-edfinance: an API with `PostgreSQL`, dumped every night.

mod deploys;
mod dumps;
mod routes;

use crate::e2e::play::{Edit, Play};

/// Sets up its host, with a state repository and a registry, and releases v1.0.0 with these changes.
fn host(area: &str, settings: &[&str], edits: &[Edit<'_>]) -> Play {
    let play = Play::v_edfinance(&format!("v-{area}")).published();
    play.images("v1.0.0", settings);
    play.commit("v1.0.0", edits);
    play.stage.reconcile();
    play.serves("v1.0.0");
    assert_eq!(play.system.insert("first").unwrap().status, 201);
    play.quiet();
    play
}
