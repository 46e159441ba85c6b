//! Tag bumps, rollbacks and failed deploys that visitors do not notice, behind each kind of proxy.

use super::blue_green_site::{Front, Says, Site};
use crate::support::docker_cli::{docker, eventually};
use crate::support::load::{Load, LoadSpec};

/// What every failed deploy leaves: the release before, in the container that it had.
#[track_caller]
fn fails(site: &Site, image: &str, says: &Says<'_>, why: &str, version: &str) {
    let before = (site.stage.id("web"), site.slot("web"));
    site.commit(&[image], says);
    site.stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["rolled back", why]);
    assert_eq!((site.stage.id("web"), site.slot("web")), before);
    assert_eq!(site.version("/").as_deref(), Some(version));
    site.revert();
    site.reconcile();
    site.quiet(&[version]);
}

/// A first deploy, then under load: a new tag, its revert, a rollback, and deploys that fail.
fn changes_over(area: &str, front: Front) {
    let site = Site::new(area, front, &["web"]);
    let stage = &site.stage;
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let never = stage.app_with("never", &["ENV NEVER_READY=1"]);
    let usual = Says::default();
    site.commit(&[&v1], &usual);
    site.reconcile();
    site.quiet(&["v1"]);
    let first = stage.id("web");
    assert_eq!(site.slot("web"), "blue");

    let visitors = site.visitors(&LoadSpec::default());
    site.commit(&[&v2], &usual);
    let planned = stage.moored(&["plan"]).exits(2);
    planned.says(&["start", "switch", "drain", "hand-over"]);
    site.reconcile();
    site.quiet(&["v2"]);
    assert_eq!(site.slot("web"), "green");
    assert_ne!(stage.id("web"), first);

    stage.moored(&["rollback"]).exits(0).says(&[") again"]);
    stage.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    site.reconcile();
    site.quiet(&["v1"]);
    assert_eq!(site.slot("web"), "blue", "the first place, and port, again");

    site.revert();
    site.reconcile();
    site.quiet(&["v2"]);
    assert_eq!(site.slot("web"), "green");

    fails(&site, &never, &usual, "web is not up", "v2");
    let other = Says {
        more: "smoke:\n  - {tcp: '127.0.0.1:1', timeout: 1s}\n",
        ..usual
    };
    fails(&site, &v1, &other, "smoke", "v2");
    let dies = stage.app_with("dies", &["ENV EXIT_AFTER_MS=1500"]);
    let watched = Says {
        more: "ready:\n  - {service: web, http: /health, port: 8080}\n",
        soak: "3s",
        ..usual
    };
    fails(&site, &dies, &watched, "web", "v2");

    let report = visitors.noticed_nothing();
    assert!(report.versions.iter().eq(["v1", "v2"]), "{report:?}");
}

#[test]
fn behind_nginx_in_a_container() {
    changes_over("bgnginx", Front::NginxInside);
}

#[test]
fn behind_caddy_in_a_container() {
    changes_over("bgcaddy", Front::CaddyInside);
}

#[test]
fn behind_nginx_of_the_host() {
    changes_over("bghostnginx", Front::NginxOnHost);
}

#[test]
fn behind_caddy_of_the_host() {
    changes_over("bghostcaddy", Front::CaddyOnHost);
}

#[test]
fn two_services_in_one_commit_and_to_recreate_and_back() {
    let site = Site::new("bgtwo", Front::NginxInside, &["web", "api"]);
    let stage = &site.stage;
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let recreate = Says {
        strategy: "recreate",
        ..Says::default()
    };
    let usual = Says::default();
    site.commit(&[&v1, &v1], &recreate);
    site.reconcile();
    site.quiet(&["v1", "v1"]);
    let ids = || (stage.id("web"), stage.id("api"));
    let before = ids();

    let visitors = site.visitors(&LoadSpec::default());
    // Neither container is touched: the proxy names them otherwise, that is all.
    site.commit(&[&v1, &v1], &usual);
    site.reconcile();
    site.quiet(&["v1", "v1"]);
    assert_eq!(ids(), before);
    // From a container without a place of its own.
    site.commit(&[&v2, &v2], &usual);
    site.reconcile();
    site.quiet(&["v2", "v2"]);
    assert_eq!([site.slot("web"), site.slot("api")], ["green", "green"]);
    // Each has its own turn.
    site.commit(&[&v2, &v1], &usual);
    site.reconcile();
    site.quiet(&["v2", "v1"]);
    assert_eq!([site.slot("web"), site.slot("api")], ["green", "blue"]);
    visitors.noticed_nothing();

    let aliases = || {
        let template = "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}";
        docker(&["inspect", "--format", template, &stage.container("web")])
    };
    assert!(aliases().contains("-green"), "{}", aliases());
    site.commit(&[&v2, &v1], &recreate);
    site.reconcile();
    site.quiet(&["v2", "v1"]);
    assert!(!aliases().contains("-green"), "{}", aliases());

    let visitors = site.visitors(&LoadSpec::default());
    site.commit(&[&v2, &v1], &usual);
    site.reconcile();
    site.quiet(&["v2", "v1"]);
    visitors.noticed_nothing();
}

/// Docker's DNS has the addresses of all containers of a service, and nginx keeps those that it
/// has looked up.
#[test]
fn fewer_and_more_containers_behind_nginx() {
    let site = Site::new("scaled", Front::NginxInside, &["web"]);
    let stage = &site.stage;
    let v1 = stage.app("v1");
    let says = Says {
        strategy: "recreate",
        ..Says::default()
    };
    let scale = |to: usize| {
        site.commit(&[&v1], &says);
        let text = std::fs::read_to_string(stage.path("state/compose.yaml")).unwrap();
        let of_them = format!("    image: app\n    deploy: {{replicas: {to}}}\n");
        let text = text.replace("    image: app\n", &of_them);
        stage.commit("scale", &[("compose.yaml", &text)]);
        site.push();
        site.reconcile();
        let second = format!("{}-web-2", stage.stack);
        assert_eq!(stage.names().contains(&second), to == 2);
        stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    };
    scale(1);
    // What is under way in a container that goes is cut off: nginx asks another one for what it
    // has not begun to pass on.
    let spec = LoadSpec {
        long: false,
        ..LoadSpec::default()
    };
    let load = Load::start(&site.url("/"), &spec);
    let go_on = || {
        let before = load.answered();
        eventually("visitors are answered", || load.answered() > before + 50);
    };
    go_on();
    scale(2);
    go_on();
    scale(1);
    go_on();
    let report = load.stop();
    assert_eq!(report.failures, 0, "{report:?}");
}
