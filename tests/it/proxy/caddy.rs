//! A real Caddy.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use moored::proxy::{HostProxy, ProxyError, Shape};

use super::{ENOUGH, loaded, marker, prove, test_with};
use crate::support::host_proxy::{HostCaddy, certificate, snapshot};
use crate::support::put;

fn site(marker: &str) -> String {
    format!(
        "http://127.0.0.1:@PORT@, http://shop.example:@PORT@ {{\n\
         \tbind 127.0.0.1\n\trespond /moored {marker}\n}}\n"
    )
}

fn start() -> HostCaddy {
    HostCaddy::start(&site("one"), &[])
}

/// Tests the main file with these sites.
async fn tested(caddy: &HostCaddy, sites: &str) -> Result<Shape, ProxyError> {
    let text = caddy.with_sites(sites);
    test_with(&caddy.proxy(), &caddy.main, &[("", Some(&text))]).await
}

/// Tests sites that are refused, and that nothing that lives was touched.
async fn refused(caddy: &HostCaddy, sites: &str) -> String {
    let live = caddy.main.parent().unwrap();
    let before = snapshot(live);
    let tested = tested(caddy, sites).await;
    assert_eq!(snapshot(live), before);
    assert_eq!(loaded(&marker(caddy.port)).await, "one");
    match tested {
        Err(ProxyError::Invalid { complaint }) => complaint,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_is_tested_beside_the_live_files_then_loaded_and_proved() {
    let caddy = start();
    let (proxy, marker) = (caddy.proxy(), marker(caddy.port));
    let before = proxy.dump().await.unwrap();
    let more = site("two") + "http://new.example:@OTHER@ {\n\tbind 127.0.0.1\n}\n";
    let live = snapshot(caddy.main.parent().unwrap());
    let after = tested(&caddy, &more).await.unwrap();
    assert_eq!(snapshot(caddy.main.parent().unwrap()), live);
    assert_eq!(before.lost_in(&after), [""; 0]);
    let names = [
        format!("listener 127.0.0.1:{}", caddy.other),
        format!("server name new.example on 127.0.0.1:{}", caddy.other),
    ];
    assert_eq!(after.lost_in(&before), names);
    assert_eq!(loaded(&marker).await, "one");
    put(&caddy.main, caddy.with_sites(&more));
    proxy.reload().await.unwrap();
    prove(&marker, "two", ENOUGH).await.unwrap();
    assert_eq!(proxy.dump().await.unwrap(), after);
}

#[tokio::test]
async fn what_caddy_refuses_is_told() {
    let caddy = start();
    let said = refused(&caddy, "http://x {\n\tprxy y\n}\n").await;
    assert!(said.contains("unrecognized directive: prxy"), "{said}");
    assert!(said.contains("Caddyfile:7"), "{said}");
    let tls = "https://shop.example:@OTHER@ {\n\ttls @DIR@/gone.pem @DIR@/gone.key\n}\n";
    let said = refused(&caddy, &(site("one") + tls)).await;
    assert!(
        said.contains("gone.pem: no such file or directory"),
        "{said}"
    );
    let said = refused(&caddy, "import @DIR@/gone.caddy\n").await;
    assert!(said.contains("gone.caddy"), "{said}");
}

#[tokio::test]
async fn an_empty_import_shows_as_a_loss() {
    let caddy = start();
    let after = tested(&caddy, "import @DIR@/sites/*\n").await.unwrap();
    assert!(after.is_empty());
    assert!(
        !caddy
            .proxy()
            .dump()
            .await
            .unwrap()
            .lost_in(&after)
            .is_empty()
    );
}

#[tokio::test]
async fn an_address_in_use_is_not_proved() {
    let mut caddy = start();
    let (proxy, marker) = (caddy.proxy(), marker(caddy.port));
    let before = proxy.dump().await.unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", caddy.other)).unwrap();
    let more = site("two") + "http://127.0.0.1:@OTHER@ {\n\tbind 127.0.0.1\n}\n";
    let after = tested(&caddy, &more).await.unwrap();
    let address = format!("127.0.0.1:{}", caddy.other);
    assert_eq!(before.taken_in(&after), [address]);
    put(&caddy.main, caddy.with_sites(&more));
    let error = proxy.reload().await.unwrap_err().to_string();
    assert!(error.contains("address already in use"), "{error}");
    assert!(error.ends_with("in turn, until it is restarted"), "{error}");
    // Caddy 2.6 answers with both, where one answer in two is no proof.
    let within = Duration::from_secs(2);
    let error = prove(&marker, "two", within).await.unwrap_err();
    assert!(matches!(error, ProxyError::NotProved { .. }), "{error}");
    put(&caddy.main, caddy.with_sites(&site("one")));
    proxy.reload().await.unwrap();
    caddy.restart();
    prove(&marker, "one", ENOUGH).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_not_running_is_not_started() {
    let mut caddy = start();
    caddy.stop();
    let error = caddy.proxy().reload().await.unwrap_err();
    assert!(matches!(error, ProxyError::NotRunning { .. }), "{error}");
    // Its files can be looked at all the same.
    assert!(!caddy.proxy().dump().await.unwrap().is_empty());
}

/// Run as root, the test would make log files that the running Caddy may not write.
#[tokio::test]
async fn a_test_leaves_no_log_and_no_state() {
    let caddy = start();
    let log = format!("/var/log/mooredtest-{}/access.log", caddy.port);
    let sites = site("two").replace(
        "\trespond",
        &format!("\tlog {{\n\t\toutput file {log}\n\t}}\n\trespond"),
    );
    tested(&caddy, &sites).await.unwrap();
    assert!(!Path::new(&log).parent().unwrap().exists());
    put(&caddy.main, caddy.with_sites(&sites));
    caddy.proxy().dump().await.unwrap();
    assert!(!Path::new(&log).parent().unwrap().exists());
}

#[tokio::test]
async fn json_is_a_configuration_too() {
    let caddy = start();
    certificate(caddy.main.parent().unwrap());
    let json = serde_json::json!({
        "admin": {"disabled": true},
        "apps": {"http": {"servers": {"a": {
            "listen": [format!("127.0.0.1:{}", caddy.other)],
            "routes": [{"match": [{"host": ["shop.example"]}]}],
        }}}},
    });
    let main = caddy.path("caddy.json");
    put(&main, serde_json::to_vec_pretty(&json).unwrap());
    let proxy = HostProxy {
        main: Some(main.clone()),
        ..caddy.proxy()
    };
    let shape = proxy.dump().await.unwrap();
    let text = json.to_string().replace("shop.example", "other.example");
    let after = test_with(&proxy, &main, &[("", Some(&text))])
        .await
        .unwrap();
    let lost = shape.lost_in(&after);
    assert_eq!(
        lost,
        [format!(
            "server name shop.example on 127.0.0.1:{}",
            caddy.other
        )]
    );
    let broken = test_with(&proxy, &main, &[("", Some("{\"apps\": 1}"))]).await;
    assert!(
        matches!(broken, Err(ProxyError::Invalid { .. })),
        "{broken:?}"
    );
}
