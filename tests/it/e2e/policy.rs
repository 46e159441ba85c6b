//! What the host's settings do not permit gets nowhere near the engine, and each refusal names the
//! setting that would permit it.

use std::os::unix::fs::symlink;

use super::stage::Stage;

/// Lines of a service that are refused, with the setting that a refusal names.
const REFUSED: [(&str, &str); 6] = [
    ("    privileged: true\n", "privileged: ["),
    (
        "    volumes: ['/var/run/docker.sock:/socket']\n",
        "docker_socket: [",
    ),
    ("    volumes: ['/:/host']\n", "docker_socket: ["),
    ("    volumes: ['/root:/host:ro']\n", "bind_roots: [/root]"),
    ("    pid: host\n", "host_namespaces: ["),
    ("    volumes: ['way:/host']\n", "bind_roots: [/root]"),
];

/// A volume that is a directory of the host.
const WAY: &str = "volumes: {way: {driver_opts: {type: none, o: bind, device: /root}}}\n";

#[test]
fn what_gives_the_host_away_is_held_until_the_settings_permit_it() {
    let stage = Stage::new("policy");
    let v1 = stage.app("v1");
    for (line, setting) in REFUSED {
        stage.commit_web("wide", &v1, &format!("{line}{WAY}"));
        stage
            .moored(&["reconcile"])
            .exits(75)
            .says(&["do not permit", setting, "compose.yaml:"]);
        assert!(stage.names().is_empty(), "{line}");
    }
    // What runs goes on when a commit asks for too much, and a revert is the way out.
    stage.commit_web("narrow", &v1, "");
    stage.reconcile();
    let id = stage.id("web");
    stage.commit_web("wide", &v1, "    privileged: true\n");
    stage.moored(&["reconcile"]).exits(75);
    assert_eq!(stage.id("web"), id);
    stage.moored(&["plan"]).says(&["policy: {privileged: ["]);

    let socket = "/var/run/docker.sock:/socket:ro";
    stage.commit_web("socket", &v1, &format!("    volumes: ['{socket}']\n"));
    stage.moored(&["reconcile"]).exits(75);
    stage.permit(&format!("docker_socket: [{}/web]", stage.stack));
    stage.reconcile();
    let binds = stage.inspect("web", "{{json .HostConfig.Binds}}");
    assert!(binds.contains(socket), "{binds}");
}

#[test]
fn a_link_out_of_what_may_be_mounted_is_followed_before_anything_is_made() {
    let stage = Stage::new("policylink");
    let v1 = stage.app("v1");
    let link = stage.path("link");
    symlink("/root", &link).unwrap();
    let mount = format!("    volumes: ['{}:/host:ro']\n", link.display());
    stage.commit_web("link", &v1, &mount);
    stage.moored(&["reconcile"]).exits(75).says(&["bind_roots"]);
    std::fs::remove_file(&link).unwrap();
    std::fs::create_dir(&link).unwrap();
    stage.reconcile();
}
