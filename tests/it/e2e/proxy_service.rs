//! A proxy that is a service of the stack: its configuration changes, and no container.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::proxy_stage::{Front, caddyfile, image, site};
use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};
use crate::support::host_proxy::free_port;
use crate::support::http::get;
use crate::support::put;

const SITE: &str = "./nginx/site.conf:/etc/nginx/conf.d/site.conf:ro";

/// Commits a changed configuration alone, and checks that it is tested, loaded and proved, and
/// nothing else.
#[track_caller]
fn configured(front: &Front, hello: &str, files: &[(&str, &str)]) {
    let lives = front.lives();
    front.stage.commit(hello, files);
    let planned = front.stage.moored(&["plan"]).exits(2);
    for step in ["test", "switch", "record"] {
        assert!(planned.out.contains(step), "no {step} in\n{}", planned.out);
    }
    for step in ["replace", "restart", "create", "maintain", "backup"] {
        assert!(!planned.out.contains(step), "{step} in\n{}", planned.out);
    }
    front.stage.reconcile();
    front.serves(hello);
    assert_eq!(front.get("/__moored"), front.release());
    assert_eq!(front.lives(), lives, "no container was touched");
    front.quiet();
}

#[test]
fn an_nginx_with_one_mounted_site_reloads_without_page_or_backup() {
    let front = Front::service(
        "nginx",
        "nginx",
        &[SITE],
        "configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}",
    );
    let data = front.stage.path("data");
    for dir in ["data", "backups"] {
        fs::create_dir(front.stage.path(dir)).unwrap();
    }
    put(data.join("picture"), "a picture");
    let flag = front.stage.path("page").join("ON");
    let guards = format!(
        "maintenance: {{flag: {}, during: deploy}}\nbackups:\n  data: {{files: [{}], to: {}, \
         before_deploy: true}}\n",
        flag.display(),
        data.display(),
        front.stage.path("backups").display(),
    );
    let one = site("one", "");
    front.commit_with("one", "", &guards, &[("nginx/site.conf", &one)]);
    front.stage.reconcile();
    front.serves("one");
    assert_eq!(front.get("/__moored"), front.release());
    front.quiet();
    let backups = || fs::read_dir(front.stage.path("backups")).unwrap().count();
    let (before, file) = (backups(), front.project("nginx/site.conf"));
    let inode = fs::metadata(&file).unwrap().ino();

    configured(&front, "two", &[("nginx/site.conf", &site("two", ""))]);
    assert_eq!(backups(), before);
    assert!(!flag.exists());
    assert_eq!(
        fs::metadata(&file).unwrap().ino(),
        inode,
        "the mount pins it"
    );

    // A rollback is a config-only change as well.
    let lives = front.lives();
    front.stage.revert();
    front.stage.reconcile();
    front.serves("one");
    assert_eq!(front.get("/__moored"), front.release());
    assert_eq!(front.lives(), lives);
}

#[test]
fn an_nginx_with_a_mounted_directory_gets_and_loses_sites() {
    let front = Front::service("dir", "nginx", &["./sites:/etc/nginx/conf.d:ro"], "");
    let shop = "configs: {sites/shop.conf: /etc/nginx/conf.d/shop.conf}";
    let both = "configs:\n  sites/shop.conf: /etc/nginx/conf.d/shop.conf\n  \
                sites/blog.conf: /etc/nginx/conf.d/blog.conf";
    let blog = "server { listen 80; server_name blog.example; return 200 \"blog\"; }\n";
    let default = |hello| site(hello, "").replace("listen 80", "listen 80 default_server");
    front.commit_with("one", shop, "", &[("sites/shop.conf", &default("one"))]);
    front.stage.reconcile();
    front.serves("one");
    configured(&front, "two", &[("sites/shop.conf", &default("two"))]);

    let lives = front.lives();
    front.commit_with("blog", both, "", &[("sites/blog.conf", blog)]);
    front.stage.reconcile();
    let ask = |name: &str| {
        let name = format!("Host: {name}");
        let url = format!("http://127.0.0.1:{}/hello", front.port);
        let ran = std::process::Command::new("curl")
            .args(["-s", "-H", &name, &url])
            .output();
        String::from_utf8(ran.unwrap().stdout).unwrap()
    };
    assert_eq!(
        (ask("blog.example"), ask("shop.example")),
        ("blog".into(), "two".into())
    );
    assert_eq!(front.get("/__moored"), front.release());
    front.quiet();

    // Removed: only when it is said that this is meant.
    let live = front.project("sites");
    fs::remove_file(front.stage.path("state/sites/blog.conf")).unwrap();
    front.commit_with("no blog", shop, "", &[]);
    front.refused(&live, &["server name blog.example", "allow_shrink: true"]);
    front.commit_with(
        "no blog, really",
        &format!("{shop}\nallow_shrink: true"),
        "",
        &[],
    );
    front.stage.reconcile();
    assert_eq!(
        ask("blog.example"),
        "two",
        "the first server answers for it"
    );
    assert!(!live.join("blog.conf").exists());
    assert_eq!(front.get("/__moored"), front.release());
    assert_eq!(front.lives(), lives);
    front.quiet();
}

#[test]
fn a_caddy_is_configured_tested_and_proved() {
    let front = Front::service(
        "caddy",
        "caddy",
        &["./Caddyfile:/etc/caddy/Caddyfile:ro"],
        "configs: {Caddyfile: /etc/caddy/Caddyfile}",
    );
    let one = caddyfile("one", "");
    front.commit("one", &[("Caddyfile", &one)]);
    front.stage.reconcile();
    front.serves("one");
    assert_eq!(front.get("/__moored"), front.release());
    front.quiet();
    configured(&front, "two", &[("Caddyfile", &caddyfile("two", ""))]);

    let live = front.project("");
    let wrong = caddyfile("three", ":81 {\n\tnonsense\n}\n");
    front.stage.commit("wrong", &[("Caddyfile", &wrong)]);
    front.refused(&live, &["nonsense"]);
    let certificate = caddyfile("three", ":444 {\n\ttls /certs/cert /certs/key\n}\n");
    front
        .stage
        .commit("no certificate", &[("Caddyfile", &certificate)]);
    front.refused(&live, &["/certs/"]);
    let more = caddyfile("three", ":81 {\n\trespond \"more\"\n}\n");
    configured(&front, "three", &[("Caddyfile", &more)]);
    front.stage.commit("less", &[("Caddyfile", &one)]);
    front.refused(&live, &["listener 81", "allow_shrink"]);

    // Bound inside the container by somebody else: only the reload finds out.
    let name = front.stage.container("front");
    docker(&["exec", "--detach", &name, "httpd", "-f", "-p", "8081"]);
    let (marker, file) = (
        front.get("/__moored"),
        fs::read(live.join("Caddyfile")).unwrap(),
    );
    let taken = caddyfile(
        "four",
        ":81 {\n\trespond \"more\"\n}\n:8081 {\n\trespond \"x\"\n}\n",
    );
    front.stage.commit("taken", &[("Caddyfile", &taken)]);
    let id = front.stage.id("front");
    front
        .pass()
        .exits(1)
        .says(&["address already in use", "rolled back"]);
    for _ in 0..30 {
        // Caddy may answer in turn with what it has half loaded: then it is restarted.
        assert_eq!(front.get("/__moored"), marker);
    }
    front.serves("three");
    assert_eq!(fs::read(live.join("Caddyfile")).unwrap(), file);
    assert_eq!(front.stage.id("front"), id);
    front.pass().exits(75);
    front.stage.commit("back", &[("Caddyfile", &more)]);
    front.stage.reconcile();
    front.quiet();
}

#[test]
fn an_nginx_of_another_project_is_configured_through_its_mount() {
    let stage = Stage::new("foreign");
    let (port, name) = (free_port(), stage.sandbox.name("edge"));
    let sites = stage.path("sites");
    fs::create_dir(&sites).unwrap();
    put(
        sites.join("own.conf"),
        "server { listen 80; server_name own.example; return 200 own; }\n",
    );
    let network = stage.sandbox.name("edge-net");
    docker(&["network", "create", &network]);
    docker(&[
        "run",
        "--detach",
        "--name",
        &name,
        "--network",
        &network,
        "--stop-timeout",
        "1",
        "--publish",
        &format!("127.0.0.1:{port}:80"),
        "--volume",
        &format!("{}:/etc/nginx/conf.d:ro", sites.display()),
        &image(&stage, "nginx"),
    ]);
    eventually("the proxy answers", || {
        get(&format!("http://127.0.0.1:{port}/")).is_ok()
    });
    let proxy = format!(
        "container: {name}\nmarker: /__moored\n\
         configs: {{shop.conf: /etc/nginx/conf.d/shop.conf}}"
    );
    let mut front = Front::elsewhere(stage, port, "nginx", &proxy);
    front.in_network(&network);
    let one = site("one", "").replace("listen 80", "listen 80 default_server");
    front.commit("one", &[("shop.conf", &one)]);
    front.stage.reconcile();
    front.serves("one");
    assert_eq!(front.get("/__moored"), front.release());
    front.quiet();
    configured(
        &front,
        "two",
        &[("shop.conf", &one.replace("\"one\"", "\"two\""))],
    );
    front.stage.commit(
        "wrong",
        &[("shop.conf", &one.replace("return 200", "retrun 200"))],
    );
    front.refused(&sites, &["unknown directive \"retrun\""]);
    front.stage.revert();
    front.stage.reconcile();
    front.serves("two");
    front.quiet();

    // What is not ours is not started or made.
    docker(&["stop", &name]);
    let lives = front.lives();
    front.told(&sites, &["nginx", "running", "exited"]);
    front.pass();
    assert_eq!(front.lives(), lives);
    docker(&["rm", &name]);
    front.pass().exits(75).says(&[&name, "does not exist"]);
    front.secret();
}
