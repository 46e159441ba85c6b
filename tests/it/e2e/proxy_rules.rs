//! What a changed file does to the services that mount it, rule by rule; and files at places of
//! the host.

use std::fs;

use super::proxy_stage::{contents, image};
use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};
use crate::support::host_proxy::{HostNginx, free_port};
use crate::support::http::get;
use crate::support::put;

const RULES: [&str; 5] = ["hup", "run", "restart", "replace", "ignore"];

/// Id and start of a container.
fn life(stage: &Stage, service: &str) -> (String, String) {
    (
        stage.id(service),
        stage.inspect(service, "{{.State.StartedAt}}"),
    )
}

#[test]
fn a_changed_file_has_the_effect_that_its_rule_says_and_no_other() {
    let stage = Stage::new("rules");
    let nginx = image(&stage, "nginx");
    let ports: Vec<u16> = RULES.iter().map(|_| free_port()).collect();
    let mut compose = "services:\n".to_owned();
    let mut images = Vec::new();
    for (rule, port) in RULES.iter().zip(&ports) {
        let service = format!(
            "  {rule}:\n    image: app\n    ports: ['127.0.0.1:{port}:80']\n    \
             stop_grace_period: 1s\n    volumes: ['./site.conf:/etc/nginx/conf.d/site.conf:ro']\n"
        );
        compose += &service;
        images.push((*rule, nginx.as_str()));
    }
    let rules = "on_file_change: {hup: reload, run: {run: [nginx, -s, reload]}, restart: restart, \
                 replace: replace, ignore: ignore}\n";
    let manifest = stage.manifest(&images, rules);
    let site = |text: &str| format!("server {{ listen 80; return 200 \"{text}\"; }}\n");
    stage.commit(
        "one",
        &[
            ("moored.yaml", &manifest),
            ("compose.yaml", &compose),
            ("site.conf", &site("one")),
        ],
    );
    stage.reconcile();
    let body = |port: u16| get(&format!("http://127.0.0.1:{port}/")).map(|answer| answer.body);
    for port in &ports {
        eventually("it answers", || body(*port).is_ok_and(|text| text == "one"));
    }
    let before: Vec<_> = RULES.iter().map(|rule| life(&stage, rule)).collect();
    stage.commit("two", &[("site.conf", &site("two"))]);
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["reload", "SIGHUP", "nginx -s reload"]);
    stage.reconcile();
    for (index, rule) in RULES.iter().enumerate() {
        let wanted = if *rule == "ignore" { "one" } else { "two" };
        eventually(&format!("{rule} serves {wanted}"), || {
            body(ports[index]).is_ok_and(|text| text == wanted)
        });
        let ((id, started), (id_then, started_then)) = (life(&stage, rule), &before[index]);
        assert_eq!(id == *id_then, *rule != "replace", "{rule}");
        let kept = ["hup", "run", "ignore"].contains(rule);
        assert_eq!(started == *started_then, kept, "{rule}");
    }
    // The file is new for `ignore` too: it only was not told.
    let name = stage.container("ignore");
    let seen = docker(&["exec", &name, "cat", "/etc/nginx/conf.d/site.conf"]);
    assert!(seen.contains("two"), "{seen}");
    stage.moored(&["plan"]).exits(0);

    // Drift has the same effects.
    let before: Vec<_> = RULES.iter().map(|rule| life(&stage, rule)).collect();
    let path = format!("moored/stacks/{}/project/site.conf", stage.stack);
    put(stage.path(&path), site("edited"));
    docker(&["exec", &stage.container("hup"), "nginx", "-s", "reload"]);
    stage
        .moored(&["drift"])
        .exits(2)
        .says(&["hup", "run", "site.conf"]);
    stage.reconcile();
    for (index, rule) in RULES.iter().enumerate() {
        let kept = ["hup", "run", "ignore"].contains(rule);
        assert_eq!(life(&stage, rule) == before[index], kept, "{rule}");
    }
    eventually("hup serves two again", || {
        body(ports[0]).is_ok_and(|text| text == "two")
    });
    stage.moored(&["drift"]).exits(0);
}

#[test]
fn a_command_that_does_not_reload_fails_the_deploy_and_the_old_file_comes_back() {
    let stage = Stage::new("badrule");
    let nginx = image(&stage, "nginx");
    let compose = format!(
        "services:\n  web:\n    image: app\n    ports: ['127.0.0.1:{}:80']\n    \
         volumes: ['./site.conf:/etc/nginx/conf.d/site.conf:ro']\n",
        stage.port()
    );
    let rule = "on_file_change: {web: {run: [sh, -c, 'nginx -t -q && nginx -s reload']}}\n";
    let manifest = stage.manifest(&[("web", &nginx)], rule);
    let site = "server { listen 80; return 200 one; }\n";
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
        ("site.conf", site),
    ];
    stage.commit("one", &files);
    stage.reconcile();
    let before = life(&stage, "web");
    stage.commit("two", &[("site.conf", "server { nonsense; }\n")]);
    let failed = stage.moored(&["reconcile"]).exits(1);
    failed.says(&["exit code 1", "nonsense", "rolled back"]);
    let path = format!("moored/stacks/{}/project/site.conf", stage.stack);
    assert_eq!(fs::read_to_string(stage.path(&path)).unwrap(), site);
    assert_eq!(life(&stage, "web"), before);
    let answer = get(&format!("http://127.0.0.1:{}/", stage.port())).unwrap();
    assert_eq!(answer.body, "one");
    stage.moored(&["reconcile"]).exits(75);
    stage.revert();
    stage.reconcile();
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn files_are_placed_changed_and_removed_on_the_host_and_its_nginx_loads_them() {
    let stage = Stage::new("files");
    let nginx = HostNginx::with_sites(&[(
        "shop.conf",
        "server { listen 127.0.0.1:@PORT@; return 200 before; }\n",
    )]);
    let (snippets, rotate) = (nginx.path("snippets"), stage.path("logrotate.d"));
    fs::create_dir(&rotate).unwrap();
    put(rotate.join("theirs"), "not ours\n");
    let site = nginx.fill(
        "server { listen 127.0.0.1:@PORT@; location = /__moored { return 200 \
         \"@moored.marker@\"; }\n include @DIR@/snippets/*.conf; }\n",
    );
    let more = format!(
        "files:\n  - {{from: snippets/, to: {}/}}\n  - {{from: rotate.conf, to: {}/}}\n\
         proxy:\n  nginx:\n    host: true\n    main: {}\n    \
         marker: http://127.0.0.1:{}/__moored\n    configs: {{shop.conf: {}}}\n",
        snippets.display(),
        rotate.display(),
        nginx.main.display(),
        nginx.port,
        nginx.path("conf.d/shop.conf").display()
    );
    let app = stage.app("v1");
    let manifest = stage.manifest(&[("web", &app)], &more);
    let hello = |text: &str| format!("location = /hello {{ return 200 \"{text}\"; }}\n");
    stage.commit(
        "one",
        &[
            ("moored.yaml", &manifest),
            ("compose.yaml", &stage.web("")),
            ("shop.conf", &site),
            ("snippets/hello.conf", &hello("one")),
            ("rotate.conf", "one\n"),
        ],
    );
    stage.reconcile();
    let ask = |path: &str| get(&format!("http://127.0.0.1:{}{path}", nginx.port)).unwrap();
    assert_eq!(ask("/hello").body, "one");
    assert_eq!(
        fs::read_to_string(rotate.join("rotate.conf")).unwrap(),
        "one\n"
    );
    stage.moored(&["plan"]).exits(0);
    let lives = life(&stage, "web");

    // Changed and added: the proxy loads what it includes.
    let bye = "location = /bye { return 200 bye; }\n";
    stage.commit(
        "two",
        &[
            ("snippets/hello.conf", &hello("two")),
            ("snippets/bye.conf", bye),
            ("rotate.conf", "two\n"),
        ],
    );
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["test", "switch", "snippets/hello.conf"]);
    stage.reconcile();
    assert_eq!(
        (ask("/hello").body, ask("/bye").body),
        ("two".into(), "bye".into())
    );
    assert_eq!(
        fs::read_to_string(rotate.join("rotate.conf")).unwrap(),
        "two\n"
    );
    stage.moored(&["plan"]).exits(0);

    // A snippet that is wrong is refused before it is placed.
    let (before, rotated) = (contents(&snippets), contents(&rotate));
    stage.commit(
        "wrong",
        &[
            ("snippets/hello.conf", "retrun 1;\n"),
            ("rotate.conf", "three\n"),
        ],
    );
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["unknown directive \"retrun\""]);
    stage.moored(&["reconcile"]).exits(75);
    assert_eq!((contents(&snippets), contents(&rotate)), (before, rotated));
    assert_eq!(ask("/hello").body, "two");
    stage.revert();
    stage.reconcile();

    // Changed by hand.
    put(snippets.join("hello.conf"), hello("edited"));
    fs::remove_file(rotate.join("rotate.conf")).unwrap();
    stage
        .moored(&["drift"])
        .exits(2)
        .says(&["hello.conf", "rotate.conf", "missing"]);
    assert!(!rotate.join("rotate.conf").exists());
    stage.reconcile();
    assert_eq!(ask("/hello").body, "two");
    assert_eq!(
        fs::read_to_string(rotate.join("rotate.conf")).unwrap(),
        "two\n"
    );
    stage.moored(&["drift"]).exits(0);

    // Removed: only what is ours goes.
    for file in ["snippets/bye.conf", "rotate.conf"] {
        fs::remove_file(stage.path("state").join(file)).unwrap();
    }
    let rotated = format!("  - {{from: rotate.conf, to: {}/}}\n", rotate.display());
    let manifest = manifest.replace(&rotated, "");
    stage.commit("less", &[("moored.yaml", &manifest)]);
    stage.reconcile();
    assert_eq!(ask("/bye").status, 404);
    assert_eq!(ask("/hello").body, "two");
    assert!(!rotate.join("rotate.conf").exists());
    assert_eq!(
        fs::read_to_string(rotate.join("theirs")).unwrap(),
        "not ours\n"
    );
    assert_eq!(life(&stage, "web"), lives, "no container has to do with it");
    stage.moored(&["plan"]).exits(0);
    stage.moored(&["drift"]).exits(0);
}
