//! A real nginx.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use moored::desired::proxy::ProxyKind;
use moored::proxy::{HostProxy, ProxyError, Shape};
use url::Url;

use super::{ENOUGH, SHORT, loaded, marker, prove, test_with};
use crate::support::host_proxy::{HostNginx, certificate, snapshot};
use crate::support::loopback::{Loopback, reply};

fn site(marker: &str) -> String {
    format!(
        "server {{ listen 127.0.0.1:@PORT@; server_name shop.example;\n\
         location = /moored {{ return 200 \"{marker}\\n\"; }}\n}}\n"
    )
}

fn start() -> HostNginx {
    HostNginx::with_sites(&[("site.conf", &site("one"))])
}

fn complaint(tested: Result<Shape, ProxyError>) -> String {
    match tested {
        Err(ProxyError::Invalid { complaint }) => complaint,
        other => panic!("{other:?}"),
    }
}

/// Tests `site.conf` with this text, and that nothing that lives was touched.
async fn refused(nginx: &HostNginx, text: &str) -> String {
    let conf = nginx.path("conf.d");
    let before = snapshot(&conf);
    let text = nginx.fill(text);
    let tested = test_with(&nginx.proxy(), &conf, &[("site.conf", Some(&text))]).await;
    assert_eq!(snapshot(&conf), before);
    assert_eq!(loaded(&marker(nginx.port)).await, "one");
    let said = complaint(tested);
    // Stable for the assertions: the directory has a name of its own.
    said.replace(conf.to_str().unwrap(), "CONF")
}

#[tokio::test]
async fn a_change_is_tested_beside_the_live_files_then_loaded_and_proved() {
    let nginx = start();
    let (proxy, marker) = (nginx.proxy(), marker(nginx.port));
    let live = nginx.path("conf.d");
    let before = snapshot(&live);
    let shape = proxy.dump().await.unwrap();
    let two = nginx.fill(&site("two"));
    let added = nginx.fill("server { listen 127.0.0.1:@OTHER@; server_name new.example; }");
    let changed = [
        ("site.conf", Some(two.as_str())),
        ("new.conf", Some(&added)),
    ];
    let tested = test_with(&proxy, &live, &changed).await.unwrap();
    assert_eq!(snapshot(&live), before);
    assert_eq!(loaded(&marker).await, "one", "nothing is loaded by a test");
    assert_eq!(shape.lost_in(&tested), [""; 0]);
    let names = [
        format!("listener 127.0.0.1:{}", nginx.other),
        format!("server name new.example on 127.0.0.1:{}", nginx.other),
    ];
    assert_eq!(tested.lost_in(&shape), names);

    nginx.put("conf.d/site.conf", &site("two"));
    nginx.put("conf.d/new.conf", &added);
    proxy.reload().await.unwrap();
    prove(&marker, "two", ENOUGH).await.unwrap();
    assert_eq!(proxy.dump().await.unwrap(), tested);
    let removed = test_with(&proxy, &live, &[("new.conf", None)])
        .await
        .unwrap();
    assert_eq!(removed, shape);
}

#[tokio::test]
async fn what_nginx_refuses_is_told_with_the_real_place() {
    let nginx = start();
    let said = refused(&nginx, "server {\n  prxy_pass http://x;\n}\n").await;
    assert_eq!(said, "unknown directive \"prxy_pass\" in CONF/site.conf:2");
    let said = refused(&nginx, "server { listen 127.0.0.1:@PORT@; ").await;
    assert!(said.starts_with("unexpected end of file"), "{said}");
    let said = refused(
        &nginx,
        "server { listen 127.0.0.1:@PORT@ ssl; ssl_certificate @DIR@/gone.pem; ssl_certificate_key @DIR@/gone.key; }",
    )
    .await;
    assert!(said.starts_with("cannot load certificate \""), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    let said = refused(&nginx, "include @DIR@/conf.d/gone.inc;").await;
    assert!(
        said.contains("CONF/gone.inc\" failed (2: No such"),
        "{said}"
    );
    let said = refused(
        &nginx,
        "server { location / { proxy_pass http://nowhere.invalid; } }",
    )
    .await;
    assert!(
        said.starts_with("host not found in upstream \"nowhere.invalid\""),
        "{said}"
    );
}

#[tokio::test]
async fn an_empty_include_directory_passes_and_shows_as_a_loss() {
    let nginx = start();
    let before = nginx.proxy().dump().await.unwrap();
    let live = nginx.path("conf.d");
    let after = test_with(&nginx.proxy(), &live, &[("site.conf", None)]).await;
    let after = after.unwrap();
    assert!(after.is_empty());
    let lost = before.lost_in(&after);
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].starts_with("listener 127.0.0.1:"), "{lost:?}");
    assert!(
        lost[1].starts_with("server name shop.example on "),
        "{lost:?}"
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let nginx = start();
    let gone = nginx.path("sites");
    let file = [("a.conf", Some("server { }"))];
    let error = test_with(&nginx.proxy(), &gone, &file).await.unwrap_err();
    assert!(matches!(&error, ProxyError::NoDirectory { path } if *path == gone));
    let said = error.to_string();
    assert!(
        said.contains(&format!("mkdir -p {}", gone.display())),
        "{said}"
    );
    assert!(!gone.exists());
}

#[tokio::test]
async fn sites_enabled_leads_to_what_is_staged() {
    let nginx = HostNginx::start(
        "events {}\nhttp { include @DIR@/sites-enabled/*; }\n",
        &[
            ("sites-available/shop", &site("one")),
            (
                "sites-available/new",
                "server { listen 127.0.0.1:@OTHER@; }",
            ),
            ("sites-enabled/a", &site("a")),
        ],
    );
    let enabled = nginx.path("sites-enabled");
    symlink("../sites-available/shop", enabled.join("shop")).unwrap();
    let proxy = nginx.proxy();
    // A change behind the link, seen through it.
    let broken = [("shop", Some("broken;"))];
    let tested = test_with(&proxy, &nginx.path("sites-available"), &broken).await;
    let said = complaint(tested);
    assert!(said.contains("unknown directive \"broken\" in "), "{said}");
    assert!(said.contains("/sites-enabled/shop:1"), "{said}");
    // The copy of the directory of links leads to the live files.
    let before = proxy.dump().await.unwrap();
    assert_eq!(test_with(&proxy, &enabled, &[]).await.unwrap(), before);
    assert_eq!(loaded(&marker(nginx.port)).await, "a");
}

#[tokio::test]
async fn the_main_file_alone_can_be_staged() {
    let nginx = start();
    let text = fs::read_to_string(&nginx.main).unwrap();
    let text = text.replace("http {", "http { server { listen 127.0.0.1:1; }");
    let tested = test_with(&nginx.proxy(), &nginx.main, &[("", Some(&text))]).await;
    let before = nginx.proxy().dump().await.unwrap();
    assert_eq!(tested.unwrap().lost_in(&before), ["listener 127.0.0.1:1"]);
}

#[tokio::test]
async fn an_address_in_use_passes_every_test_and_is_shown_by_the_proof() {
    let nginx = start();
    let (proxy, marker) = (nginx.proxy(), marker(nginx.port));
    let taken = TcpListener::bind(("127.0.0.1", nginx.other)).unwrap();
    let both = site("two") + "server { listen 127.0.0.1:@OTHER@; }";
    let conf = nginx.path("conf.d");
    let filled = nginx.fill(&both);
    let before = proxy.dump().await.unwrap();
    let after = test_with(&proxy, &conf, &[("site.conf", Some(&filled))])
        .await
        .unwrap();
    // Its own listener is not in its way.
    let address = format!("127.0.0.1:{}", nginx.other);
    assert_eq!(before.taken_in(&after), [address]);
    nginx.put("conf.d/site.conf", &both);
    proxy.reload().await.unwrap();
    let error = prove(&marker, "two", SHORT).await.unwrap_err();
    let ProxyError::NotProved { seen, wanted, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(wanted, "two");
    assert!(
        seen.starts_with("answered \"one\" (another configuration is loaded; "),
        "{seen}"
    );
    assert!(nginx.error_log().contains("Address already in use"));
    // The way back.
    nginx.put("conf.d/site.conf", &site("one"));
    proxy.reload().await.unwrap();
    prove(&marker, "one", ENOUGH).await.unwrap();
    drop(taken);
    assert_eq!(before.taken_in(&after), [""; 0]);
    nginx.put("conf.d/site.conf", &site("three"));
    proxy.reload().await.unwrap();
    prove(&marker, "three", ENOUGH).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_not_running_is_not_started() {
    let mut nginx = start();
    nginx.stop();
    let (proxy, marker) = (nginx.proxy(), marker(nginx.port));
    for _ in 0..2 {
        let error = proxy.reload().await.unwrap_err();
        assert!(matches!(error, ProxyError::NotRunning { .. }), "{error}");
        // The test makes an empty pid file, with which nginx says another thing.
        proxy.dump().await.unwrap();
    }
    let error = prove(&marker, "one", SHORT).await.unwrap_err();
    assert!(
        error.to_string().contains("nobody listens there"),
        "{error}"
    );
    let said = proxy.reload().await.unwrap_err().to_string();
    assert!(
        said.starts_with("nginx is not running (invalid PID number"),
        "{said}"
    );
}

#[tokio::test]
async fn a_reload_of_a_broken_configuration_is_refused() {
    let nginx = start();
    nginx.put("conf.d/site.conf", "broken;");
    let error = nginx.proxy().reload().await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("the configuration is invalid: unknown directive"),
        "{said}"
    );
    let error = nginx.proxy().dump().await.unwrap_err();
    assert!(matches!(error, ProxyError::Invalid { .. }), "{error}");
    assert_eq!(loaded(&marker(nginx.port)).await, "one");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let nginx = start();
    let mut proxy = nginx.proxy();
    proxy.program = "nginx-of-nobody".into();
    for error in [
        proxy.dump().await.unwrap_err(),
        proxy.reload().await.unwrap_err(),
        test_with(&proxy, &nginx.path("conf.d"), &[])
            .await
            .unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(matches!(error, ProxyError::NotInstalled { .. }), "{said}");
        assert!(
            said.starts_with("nginx-of-nobody can't be started (No such file"),
            "{said}"
        );
    }
    let host = HostProxy {
        kind: ProxyKind::Nginx,
        program: "nginx".into(),
        main: None,
    };
    assert_ne!(host, proxy);
}

#[tokio::test]
async fn an_old_worker_with_a_long_answer_is_not_waited_for() {
    let hanging = Loopback::new(|_| {
        let mut reply = reply(200, "late");
        reply.after = Duration::MAX;
        reply
    })
    .await;
    let slow = format!(
        "server {{ listen 127.0.0.1:@OTHER@; location / {{ proxy_pass http://127.0.0.1:{}; }} }}\n",
        hanging.port
    );
    let nginx = HostNginx::with_sites(&[("site.conf", &site("one")), ("slow.conf", &slow)]);
    let mut visitor = TcpStream::connect(("127.0.0.1", nginx.other)).unwrap();
    visitor
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    while hanging.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    nginx.put("conf.d/site.conf", &site("two"));
    let began = Instant::now();
    nginx.proxy().reload().await.unwrap();
    prove(&marker(nginx.port), "two", ENOUGH).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    visitor
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let still = visitor.read(&mut [0]).unwrap_err();
    assert_eq!(
        still.kind(),
        ErrorKind::WouldBlock,
        "the visitor is still served"
    );
    assert!(nginx.reload());
}

#[tokio::test]
async fn a_marker_behind_any_certificate_is_read() {
    let nginx = start();
    certificate(nginx.path("conf.d").as_path());
    nginx.put(
        "conf.d/tls.conf",
        "server { listen 127.0.0.1:@OTHER@ ssl; ssl_certificate @DIR@/conf.d/cert;\n\
         ssl_certificate_key @DIR@/conf.d/key; location /moored { return 200 tls; } }",
    );
    let text = fs::read(nginx.path("conf.d/tls.conf")).unwrap();
    let found = moored::proxy::certificates(ProxyKind::Nginx, &text);
    let expected = [nginx.path("conf.d/cert"), nginx.path("conf.d/key")];
    assert_eq!(found, expected.into());
    nginx.proxy().reload().await.unwrap();
    let url: Url = format!("https://127.0.0.1:{}/moored", nginx.other)
        .parse()
        .unwrap();
    prove(&url, "tls", ENOUGH).await.unwrap();
}
