//! A proxy that runs on the host itself: nginx with a main file of its own, and Caddy.

use std::fs;
use std::net::TcpListener;

use super::proxy_stage::{Front, contents, site};
use super::stage::Stage;
use crate::support::docker_cli::eventually;
use crate::support::host_proxy::{HostCaddy, HostNginx};
use crate::support::http::get;
use crate::support::put;

/// What nginx serves before anybody has heard of Moored.
const BEFORE: &str = "server { listen 127.0.0.1:@PORT@ default_server; server_name shop.example;\n\
                      return 200 before; }\n";

/// A host nginx with a stack behind it.
struct Host {
    front: Front,
    nginx: HostNginx,
}

impl Host {
    fn new(area: &str, more: &str) -> Self {
        let stage = Stage::new(area);
        let nginx = HostNginx::with_sites(&[("shop.conf", BEFORE)]);
        let proxy = format!(
            "host: true\nmain: {}\nmarker: http://127.0.0.1:{}/__moored\n\
             configs: {{shop.conf: {}}}\n{more}",
            nginx.main.display(),
            nginx.port,
            nginx.path("conf.d/shop.conf").display()
        );
        let front = Front::elsewhere(stage, nginx.port, "nginx", &proxy);
        Self { front, nginx }
    }

    /// Returns the site with this greeting, and further lines in its server.
    fn site(&self, hello: &str, more: &str) -> String {
        let listen = self.nginx.fill("listen 127.0.0.1:@PORT@ default_server");
        self.nginx
            .fill(&site(hello, more).replace("listen 80", &listen))
    }

    /// Commits the site alone.
    fn commit(&self, text: &str) {
        self.front.stage.commit("site", &[("shop.conf", text)]);
    }

    #[track_caller]
    fn released(&self, hello: &str) {
        self.front.stage.reconcile();
        self.front.serves(hello);
        assert_eq!(self.front.get("/__moored"), self.front.release());
        self.front.quiet();
    }
}

#[test]
fn an_nginx_of_the_host_is_taken_over_configured_and_refused() {
    let host = Host::new("hostnginx", "");
    let (front, nginx) = (&host.front, &host.nginx);
    front.commit("one", &[("shop.conf", &host.site("one", ""))]);
    host.released("one");
    let lives = front.lives();
    host.commit(&host.site("two", ""));
    front
        .stage
        .moored(&["plan"])
        .exits(2)
        .says(&["test", "switch"]);
    host.released("two");
    assert_eq!(front.lives(), lives);

    let live = nginx.path("conf.d");
    let taken = TcpListener::bind(("127.0.0.1", nginx.other)).unwrap();
    let port = format!("127.0.0.1:{}", nginx.other);
    let more = host.site("more", "") + &nginx.fill("server { listen 127.0.0.1:@OTHER@; }\n");
    for (text, says) in [
        (
            host.site("x", "    retrun 1;\n"),
            vec!["unknown directive \"retrun\""],
        ),
        (
            host.site("x", "")
                + "server { listen 127.0.0.1:9 ssl; ssl_certificate /none; \
                                  ssl_certificate_key /none; }\n",
            vec!["/none"],
        ),
        (
            host.site(
                "x",
                "    location /x { proxy_pass http://nobody.invalid; }\n",
            ),
            vec!["host not found in upstream \"nobody.invalid\""],
        ),
        (
            host.site("x", "").replace("shop.example", "blog.example"),
            vec!["server name shop.example", "proxy.nginx.allow_shrink: true"],
        ),
        (
            more.clone(),
            vec!["another program of this host has", &port],
        ),
    ] {
        host.commit(&text);
        front.refused(&live, &says);
    }
    host.commit(&host.site("back", ""));
    host.released("back");

    // The port is free now.
    drop(taken);
    host.commit(&more);
    host.released("more");
    host.commit(&host.site("less", ""));
    front.refused(&live, &[&port, "allow_shrink"]);
    front.commit_with("less, really", "allow_shrink: true", "", &[]);
    host.released("less");
    assert!(get(&format!("http://127.0.0.1:{}/", nginx.other)).is_err());
    assert_eq!(front.lives(), lives);
}

#[test]
fn an_nginx_of_the_host_that_goes_on_with_the_old_configuration_gets_it_back() {
    let host = Host::new("hostproof", "");
    let (front, nginx) = (&host.front, &host.nginx);
    front.commit("one", &[("shop.conf", &host.site("one", ""))]);
    host.released("one");
    let (marker, live) = (front.get("/__moored"), nginx.path("conf.d/shop.conf"));
    let (file, lives) = (fs::read(&live).unwrap(), front.lives());

    // Its own old listener is in the way: the test passes, the reload ends with 0, and nothing
    // is loaded.
    let any = nginx.fill("server { listen @PORT@; server_name any.example; }\n");
    host.commit(&(host.site("two", "") + &any));
    let failed = front.pass().exits(1);
    assert!(
        failed.out.contains("another configuration is loaded"),
        "{}",
        failed.out
    );
    assert!(failed.out.contains("rolled back"), "{}", failed.out);
    assert_eq!(fs::read(&live).unwrap(), file);
    assert_eq!(front.get("/__moored"), marker);
    front.serves("one");
    assert!(nginx.error_log().contains("Address already in use"));
    front.pass().exits(75).says(&["did not answer"]);
    assert_eq!(front.lives(), lives);
    front.stage.revert();
    front.stage.reconcile();
    front.serves("one");
    front.quiet();
}

#[test]
fn an_nginx_of_the_host_that_was_changed_by_hand() {
    let host = Host::new("hosthand", "");
    let (front, nginx) = (&host.front, &host.nginx);
    front.commit("one", &[("shop.conf", &host.site("one", ""))]);
    host.released("one");
    let (live, lives) = (nginx.path("conf.d"), front.lives());
    let file = live.join("shop.conf");
    let good = fs::read_to_string(&file).unwrap();
    let healed = |marker_stays: bool| {
        let marker = front.get("/__moored");
        front.stage.reconcile();
        front.serves("one");
        assert_eq!(front.get("/__moored"), front.release());
        assert!(fs::read_to_string(&file).unwrap().contains("\"one\""));
        assert_eq!(front.get("/__moored") == marker, marker_stays);
        assert_eq!(front.lives(), lives);
        front.quiet();
    };
    // Edited, and not loaded.
    put(&file, good.replace("\"one\"", "\"edited\""));
    front.told(&live, &["nginx", "config", "shop.conf"]);
    healed(false);
    // Edited and loaded, then the file was put back.
    let good = fs::read_to_string(&file).unwrap();
    put(
        &file,
        good.replace("\"one\"", "\"edited\"")
            .replace("200 \"", "200 \"0"),
    );
    assert!(nginx.reload());
    eventually("it is loaded", || front.get("/hello") == "0edited");
    put(&file, &good);
    front.told(&live, &["nginx", "loaded"]);
    healed(false);
    // Taken away.
    fs::remove_file(&file).unwrap();
    front.told(&live, &["config", "missing"]);
    healed(false);

    // Only told, when that is what Git wants.
    front.commit_with("report", "", "drift: report\n", &[]);
    front.stage.reconcile();
    let good = fs::read_to_string(&file).unwrap();
    put(&file, good.replace("\"one\"", "\"edited\""));
    front.told(&live, &["config"]);
    let before = contents(&live);
    front
        .pass()
        .exits(0)
        .says(&["nginx: changed by hand", "only reported"]);
    assert_eq!(contents(&live), before);
    front.serves("one");
    put(&file, &good);
    front.quiet();
}

#[test]
fn an_nginx_of_the_host_that_does_not_run_is_noted_and_not_started() {
    let mut host = Host::new("hostaway", "");
    host.front
        .commit("one", &[("shop.conf", &host.site("one", ""))]);
    host.released("one");
    host.nginx.stop();
    let (front, nginx) = (&host.front, &host.nginx);
    front.told(
        &nginx.path("conf.d"),
        &["nginx does not say which configuration it has loaded"],
    );
    let lives = front.lives();
    front.pass().exits(0).says(&["is it running?"]);
    assert!(get(&format!("http://127.0.0.1:{}/", nginx.port)).is_err());
    assert_eq!(front.lives(), lives);

    // A change can't be proved: it is taken back, and told.
    let file = nginx.path("conf.d/shop.conf");
    let before = fs::read(&file).unwrap();
    host.commit(&host.site("two", ""));
    front
        .pass()
        .exits(1)
        .says(&["nginx is not running", "start it"]);
    assert_eq!(fs::read(&file).unwrap(), before);
    front.secret();
}

#[test]
fn a_caddy_of_the_host_is_taken_over_configured_and_refused() {
    let stage = Stage::new("hostcaddy");
    let caddy = HostCaddy::start("http://127.0.0.1:@PORT@ {\n\trespond before\n}\n", &[]);
    let proxy = format!(
        "host: true\nmain: {main}\nmarker: http://127.0.0.1:{}/__moored\n\
         configs: {{Caddyfile: {main}}}",
        caddy.port,
        main = caddy.main.display(),
    );
    let front = Front::elsewhere(stage, caddy.port, "caddy", &proxy);
    let file = |hello: &str, more: &str| {
        caddy.with_sites(&format!(
            "http://127.0.0.1:@PORT@ {{\n\trespond /__moored \"@moored.marker@\"\n\t\
             respond /hello \"{hello}\"\n\treverse_proxy @moored.web:8080@\n}}\n{more}"
        ))
    };
    front.commit("one", &[("Caddyfile", &file("one", ""))]);
    let released = |hello: &str| {
        front.stage.reconcile();
        front.serves(hello);
        assert_eq!(front.get("/__moored"), front.release());
        front.quiet();
    };
    released("one");
    let lives = front.lives();
    let other = "http://127.0.0.1:@OTHER@ {\n\trespond other\n}\n";
    front
        .stage
        .commit("two", &[("Caddyfile", &file("two", other))]);
    released("two");
    let live = caddy.path("");
    for (text, says) in [
        (
            file(
                "x",
                &format!("{other}http://127.0.0.1:9 {{\n\tnonsense\n}}\n"),
            ),
            "nonsense",
        ),
        (file("x", ""), "allow_shrink: true"),
    ] {
        front.stage.commit("wrong", &[("Caddyfile", &text)]);
        front.refused(&live, &[says]);
    }
    front
        .stage
        .commit("three", &[("Caddyfile", &file("three", other))]);
    released("three");
    let good = fs::read_to_string(&caddy.main).unwrap();
    put(&caddy.main, good.replace("three", "edited"));
    front.told(&live, &["caddy", "config"]);
    released("three");
    assert_eq!(front.lives(), lives);
}
