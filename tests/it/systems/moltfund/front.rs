//! nginx in a container, under Git: a change, a mistake, and certificates from the disk.

use std::fs;
use std::time::Duration;

use super::host;
use crate::e2e::play::Play;
use crate::support::arsvent::shown_certificate;
use crate::support::host_proxy::{certificate, free_port};
use crate::support::http::Prober;
use crate::systems::row::Row;

/// Words of a plan that touches containers, visitors or data.
const MORE_THAN_THE_PROXY: [&str; 6] =
    ["replace", "restart", "maintain", "backup", "stop", "create"];

impl Play {
    /// Commits moltfund's nginx with a change.
    fn commit_site(&self, message: &str, from: &str, to: &str) -> String {
        let text = self.system.file("nginx/site.conf");
        assert!(text.contains(from), "no {from:?} in {text}");
        let text = text.replace(from, to);
        self.stage.commit(message, &[("nginx/site.conf", &text)])
    }

    fn marker(&self) -> String {
        let answer = self.system.get("/__moored").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

#[test]
fn nginx_change() {
    let _row = Row::begin("moltfund", "nginx change");
    let play = host("nginx", "v1.2.0");
    let (lives, first) = (play.lives(), play.marker());
    assert!(first.starts_with("1-"), "{first}");
    assert_eq!(play.system.get("/hello").unwrap().status, 404);

    let prober = Prober::start(&play.system.url("/"));
    std::thread::sleep(Duration::from_millis(200));
    let own = "    location = /hello { return 200 \"hello\"; }\n    location /api/";
    let commit = play.commit_site("nginx: hello", "    location /api/", own);
    let planned = play.stage.moored(&["plan"]).exits(2);
    let planned = planned.says(&["test", "switch", "record", "/etc/nginx/conf.d/site.conf"]);
    for word in MORE_THAN_THE_PROXY {
        let line = format!("  {word} ");
        assert!(!planned.out.contains(&line), "{}", planned.out);
    }
    play.stage.reconcile();
    std::thread::sleep(Duration::from_millis(200));
    let record = prober.stop();
    assert_eq!(record.statuses(), [200], "{record:?}");
    assert_eq!(play.lives(), lives);
    assert_eq!(play.system.get("/hello").unwrap().body, "hello");
    assert_eq!(play.marker(), format!("2-{}", &commit[..7]));
    play.quiet();

    // Back by a revert, which is a release of its own.
    let commit = play.stage.revert();
    play.stage.reconcile();
    assert_eq!(play.system.get("/hello").unwrap().status, 404);
    assert_eq!(play.marker(), format!("3-{}", &commit[..7]));
    assert_eq!(play.lives(), lives);
    play.quiet();
}

#[test]
fn bad_nginx() {
    let _row = Row::begin("moltfund", "bad nginx");
    let play = host("bad-nginx", "v1.2.0");
    let marker = play.marker();
    let before = play.stage.snapshot();
    let file = play.system.root.join("nginx/site.conf");
    let live = fs::read_to_string(&file).unwrap();

    let prober = Prober::start(&play.system.url("/"));
    play.commit_site("nginx: a typing error", "proxy_pass $web", "prxy_pass $web");
    play.fails(&[
        "unknown directive \"prxy_pass\"",
        "/etc/nginx/conf.d/site.conf:",
    ]);
    assert_eq!(prober.stop().statuses(), [200]);
    play.stage.unchanged(&before);
    assert_eq!(fs::read_to_string(&file).unwrap(), live);
    assert_eq!(play.marker(), marker);
    assert_eq!(play.system.get("/").unwrap().status, 200);
    // Why is said wherever somebody looks.
    for command in ["plan", "status", "drift"] {
        play.stage.moored(&[command]).says(&["unknown directive"]);
    }
    play.stage
        .moored(&["drift"])
        .exits(2)
        .says(&["site.conf", "pending"]);
    play.whole();

    play.stage.revert();
    play.stage.reconcile();
    assert_eq!(play.system.get("/").unwrap().status, 200);
    play.quiet();
}

/// Commits the variant with TLS as the example's README has it; the certificate is in `certs` of
/// the system's directory.
fn commit_tls(play: &Play, port: u16) {
    let ports = format!("ports: [\"127.0.0.1:{port}:443\", ");
    let certificates = play.system.root.join("certs");
    let mount = format!("volumes:\n      - {}:/certs:ro\n", certificates.display());
    let compose = play.system.file("compose.yaml");
    let (before, proxy) = compose.split_once("  nginx-proxy:\n").unwrap();
    let proxy = proxy.replace("ports: [", &ports);
    let proxy = proxy.replace("volumes:\n", &mount);
    let compose = format!("{before}  nginx-proxy:\n{proxy}");
    let readme = play.system.file("README.md");
    let (_, with_tls) = readme.split_once("```nginx\n").unwrap();
    let with_tls = with_tls.split_once("```").unwrap().0;
    let listen = "    listen 80 default_server;\n";
    let site = play.system.file("nginx/site.conf");
    assert!(site.contains(listen), "{site}");
    let site = site.replace(listen, &format!("{listen}{with_tls}"));
    let files = [
        ("compose.yaml", compose.as_str()),
        ("nginx/site.conf", &site),
    ];
    play.stage.commit("tls", &files);
}

#[test]
fn tls_variant() {
    let _row = Row::begin("moltfund", "TLS variant");
    let play = host("tls", "v1.2.0");
    let ids = ["api", "web"].map(|it| play.stage.id(it));
    let tls = free_port();
    let certificates = play.system.root.join("certs");
    fs::create_dir(&certificates).unwrap();
    let renew = || {
        certificate(&certificates);
        for (made, name) in [("cert", "fullchain.pem"), ("key", "privkey.pem")] {
            fs::rename(certificates.join(made), certificates.join(name)).unwrap();
        }
    };
    let shown = || shown_certificate(tls, "moltfund.example");
    let on_disk = || fs::read_to_string(certificates.join("fullchain.pem")).unwrap();

    // Before the certificate is there.
    commit_tls(&play, tls);
    let lives = play.lives();
    play.fails(&["/certs/fullchain.pem"]);
    assert_eq!(play.lives(), lives);
    assert_eq!(play.system.get("/").unwrap().status, 200);

    renew();
    play.stage.moored(&["retry"]).exits(0);
    play.stage.reconcile();
    play.serves("v1.2.0");
    assert!(shown().contains(on_disk().trim()));
    assert_eq!(["api", "web"].map(|it| play.stage.id(it)), ids);
    play.quiet();

    // Renewed in place: the next pass loads it, and no container notices.
    let lives = play.lives();
    renew();
    assert!(!shown().contains(on_disk().trim()));
    play.stage.reconcile();
    assert!(shown().contains(on_disk().trim()));
    assert_eq!(play.lives(), lives);
    play.quiet();
}
