//! A proxy in a container that somebody changed by hand: told, and put right with the least.

use std::fs;

use super::proxy_stage::{Front, contents, site};
use crate::support::docker_cli::{docker, eventually};
use crate::support::put;

const SITE: &str = "./nginx/site.conf:/etc/nginx/conf.d/site.conf";
const CONFIGS: &str = "configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}";

fn start(area: &str) -> Front {
    let front = Front::service(area, "nginx", &[SITE], CONFIGS);
    front.commit("one", &[("nginx/site.conf", &site("one", ""))]);
    front.stage.reconcile();
    front.serves("one");
    front.quiet();
    front
}

/// Heals it: returns the lives of the containers before and after.
#[track_caller]
fn healed(front: &Front) -> (Vec<String>, Vec<String>) {
    let before = front.lives();
    front.stage.reconcile();
    front.serves("one");
    let file = fs::read_to_string(front.project("nginx/site.conf")).unwrap();
    assert!(file.contains(&front.get("/__moored")), "{file}");
    front.quiet();
    // What keeps a revision from being put in place for ever is not what is tested here.
    front.stage.commit("next", &[]);
    (before, front.lives())
}

#[test]
fn a_site_that_was_edited_is_written_loaded_and_proved_again() {
    let front = start("edited");
    let (live, file) = (front.project("nginx"), front.project("nginx/site.conf"));
    let name = front.stage.container("front");

    // On the host, and not loaded.
    let good = fs::read_to_string(&file).unwrap();
    put(&file, good.replace("\"one\"", "\"edited\""));
    front.told(&live, &["nginx", "config", "site.conf"]);
    let (before, after) = healed(&front);
    assert_eq!(before, after, "no container was touched");

    // Inside the container, which mounts it for writing, and loaded.
    let sed = "cp /etc/nginx/conf.d/site.conf /tmp/x; sed -i s/one/edited/ /tmp/x; \
               cat /tmp/x >/etc/nginx/conf.d/site.conf; nginx -s reload";
    docker(&["exec", &name, "sh", "-c", sed]);
    eventually("it is loaded", || front.get("/hello") == "edited");
    front.told(&live, &["nginx", "config", "site.conf"]);
    let (before, after) = healed(&front);
    assert_eq!(before, after);

    // Loaded, and then put back without loading it: only the marker tells.
    let good = fs::read_to_string(&file).unwrap();
    let marker = front.get("/__moored");
    put(
        &file,
        good.replace("\"one\"", "\"older\"")
            .replace(&marker, "0-0000000"),
    );
    docker(&["exec", &name, "nginx", "-s", "reload"]);
    eventually("it is loaded", || front.get("/hello") == "older");
    put(&file, &good);
    front.told(&live, &["nginx", "loaded", "0-0000000", &marker]);
    let (before, after) = healed(&front);
    assert_eq!(before, after);

    // A name that somebody added by hand is nobody's: taking it away needs no permission.
    let good = fs::read_to_string(&file).unwrap();
    put(
        &file,
        good.replace("shop.example;", "shop.example more.example;"),
    );
    let (before, after) = healed(&front);
    assert_eq!(before, after);
}

#[test]
fn a_site_that_was_replaced_under_its_mount_needs_a_restart() {
    let front = start("renamed");
    let (live, file) = (front.project("nginx"), front.project("nginx/site.conf"));
    // As an editor saves: the container goes on with the file that it has.
    let good = fs::read_to_string(&file).unwrap();
    put(live.join("new"), good.replace("\"one\"", "\"edited\""));
    fs::rename(live.join("new"), &file).unwrap();
    front.told(&live, &["nginx", "config", "site.conf"]);
    let id = front.stage.id("front");
    let (before, after) = healed(&front);
    assert_ne!(before, after, "a restart shows it the file of the host");
    assert_eq!(front.stage.id("front"), id);

    // It sees what is written from then on.
    let lives = front.lives();
    front
        .stage
        .commit("two", &[("nginx/site.conf", &site("two", ""))]);
    front.stage.reconcile();
    front.serves("two");
    assert_eq!(front.lives(), lives);
}

#[test]
fn a_site_that_was_saved_as_it_was_is_seen_again_with_the_next_commit() {
    let front = start("saved");
    let (live, file) = (front.project("nginx"), front.project("nginx/site.conf"));
    fs::copy(&file, live.join("new")).unwrap();
    fs::rename(live.join("new"), &file).unwrap();
    front
        .stage
        .commit("two", &[("nginx/site.conf", &site("two", ""))]);
    // The same content, so nothing differs; and the container would go on with its own file.
    let id = front.stage.id("front");
    let started = front.stage.inspect("front", "{{.State.StartedAt}}");
    front.stage.reconcile();
    let again = front.stage.inspect("front", "{{.State.StartedAt}}");
    assert_ne!(again, started, "a restart shows it the file");
    assert_eq!(front.stage.id("front"), id);
    assert_eq!(front.get("/__moored"), front.release());
    front.serves("two");
}

#[test]
fn a_proxy_whose_container_was_stopped_is_started() {
    let front = start("stopped");
    let live = front.project("nginx");
    let id = front.stage.id("front");
    docker(&["stop", &front.stage.container("front")]);
    front.told(&live, &["front", "state", "running", "exited"]);
    healed(&front);
    assert_eq!(front.stage.id("front"), id);
    docker(&["rm", "--force", &front.stage.container("front")]);
    front.told(&live, &["front", "container", "missing"]);
    healed(&front);

    // Stopped while Git moves on.
    docker(&["stop", &front.stage.container("front")]);
    front
        .stage
        .commit("two", &[("nginx/site.conf", &site("two", ""))]);
    front.stage.reconcile();
    front.serves("two");
    assert_eq!(front.get("/__moored"), front.release());
    front.quiet();
}

#[test]
fn a_site_that_was_edited_is_only_told_where_git_wants_that() {
    let front = Front::service("tell", "nginx", &[SITE], CONFIGS);
    front.commit_with(
        "one",
        "",
        "drift: report\n",
        &[("nginx/site.conf", &site("one", ""))],
    );
    front.stage.reconcile();
    let (live, file) = (front.project("nginx"), front.project("nginx/site.conf"));
    let good = fs::read_to_string(&file).unwrap();
    put(&file, good.replace("\"one\"", "\"edited\""));
    front.told(&live, &["nginx", "config", "site.conf"]);
    let (before, lives) = (contents(&live), front.lives());
    front
        .pass()
        .exits(0)
        .says(&["nginx: changed by hand", "only reported"]);
    assert_eq!(contents(&live), before);
    assert_eq!(front.lives(), lives);
    front.serves("one");
    // What Git changes is put in place all the same.
    front
        .stage
        .commit("two", &[("nginx/site.conf", &site("two", ""))]);
    front.stage.reconcile();
    front.serves("two");
    front.quiet();
}
