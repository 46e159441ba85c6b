use std::collections::BTreeSet;

use super::*;
use crate::desired::proxy::ProxyKind;

fn pairs(kind: ProxyKind, dump: &str) -> Vec<String> {
    let shape = Shape::read(kind, dump.as_bytes()).unwrap();
    shape
        .pairs
        .iter()
        .map(|(listen, name)| format!("{listen} {name}"))
        .collect()
}

const MAIN: &str = "# configuration file /etc/nginx/nginx.conf:\n";

fn nginx(servers: &str) -> Vec<String> {
    pairs(ProxyKind::Nginx, &format!("{MAIN}http {{ {servers} }}\n"))
}

#[test]
fn listeners_have_one_form() {
    for (listen, expected) in [
        ("80", "80"),
        ("80 default_server", "80"),
        ("*:80", "80"),
        ("0.0.0.0:443 ssl http2", "443"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("LocalHost:81", "localhost:81"),
        ("localhost", "localhost:80"),
        ("[::]:443 ssl ipv6only=on", "[::]:443"),
        ("[::1]", "[::1]:80"),
        ("unix:/run/X.sock", "unix:/run/X.sock"),
        ("53 udp reuseport", "53/udp"),
    ] {
        let found = nginx(&format!("server {{ listen {listen}; }}"));
        assert_eq!(found, [format!("{expected} _")], "{listen}");
    }
}

#[test]
fn servers_without_a_word_have_nginxs_defaults() {
    assert_eq!(nginx("server { }"), ["80 _"]);
    assert_eq!(nginx("server { server_name ''; }"), ["80 _"]);
    assert_eq!(
        nginx("server { listen 80; listen 81; server_name A.example ~^\\D+$; }"),
        ["80 a.example", "80 ~^\\D+$", "81 a.example", "81 ~^\\D+$"]
    );
    assert_eq!(nginx("upstream x { server 127.0.0.1:1; }"), [""; 0]);
}

#[test]
fn includes_are_followed_inside_the_dump() {
    let dump = "nginx: [warn] duplicate in /etc/nginx/nginx.conf:1\n\
        # configuration file /etc/nginx/nginx.conf:\n\
        http { include conf.d/*.conf; }\nstream { include /etc/nginx/stream.d/*; }\n\n\
        # configuration file /etc/nginx/conf.d/a.conf:\n\
        server { include snippets/tls; server_name a.example; location / { include snippets/p; } }\n\
        # configuration file /etc/nginx/snippets/tls:\nlisten 443 ssl;\n\n\
        # configuration file /etc/nginx/snippets/p:\nproxy_pass http://a;\n\n\
        # configuration file /etc/nginx/stream.d/pg:\nserver { listen 5432; }\n";
    let expected = ["443 a.example", "5432 _"];
    assert_eq!(pairs(ProxyKind::Nginx, dump), expected);
    // In the log of a container nginx's words may stand anywhere.
    let said = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n";
    let begins = dump.find("# conf").unwrap();
    let logged = "2026/11/21 10:00:00 [notice] 1#1: using { the \"epoll\" event method\n";
    for at in begins..dump.len() {
        for said in [said, logged] {
            let mixed = format!("{}{said}{}", &dump[..at], &dump[at..]);
            assert_eq!(pairs(ProxyKind::Nginx, &mixed), expected, "{mixed}");
        }
    }
    let entrypoint = format!("/docker-entrypoint.sh: {{ ready\n{dump}");
    assert_eq!(pairs(ProxyKind::Nginx, &entrypoint), expected);
}

#[test]
fn a_file_whose_include_is_not_understood_counts_too() {
    let dump = "# configuration file /n/nginx.conf:\nhttp { include $x; }\n\
        # configuration file /n/a.conf:\nserver { listen 81; }\n";
    assert_eq!(pairs(ProxyKind::Nginx, dump), ["81 _"]);
}

#[test]
fn a_dump_that_makes_no_sense_is_refused() {
    for (kind, dump) in [
        (ProxyKind::Nginx, String::new()),
        (ProxyKind::Nginx, "http { server { } }".to_owned()),
        (ProxyKind::Nginx, format!("{MAIN}http {{ server {{")),
        (ProxyKind::Nginx, "x".repeat(9 * 1024 * 1024)),
        (ProxyKind::Caddy, "Valid configuration\n".to_owned()),
        (ProxyKind::Caddy, "{\"apps\": {\"http\"".to_owned()),
    ] {
        let refused = Shape::read(kind, dump.as_bytes());
        assert!(matches!(refused, Err(ProxyError::Dump { .. })), "{kind}");
    }
    // Files that include each other, which nginx itself refuses.
    let circle = "# configuration file /n/a:\ninclude b; include b;\n\
        # configuration file /n/b:\ninclude a; include a;\n";
    let refused = Shape::read(ProxyKind::Nginx, circle.as_bytes());
    assert!(matches!(refused, Err(ProxyError::Dump { .. })));
}

#[test]
fn caddys_routes_have_names() {
    let dump = r#"{"apps": {"http": {"servers": {
        "srv0": {"listen": [":443", "tcp/127.0.0.1:8443"], "routes": [
            {"match": [{"host": ["Shop.example", "*.shop.example"]}],
             "handle": [{"handler": "subroute", "routes": [
                {"match": [{"host": ["a.shop.example"]}]}, {"handle": []}]}]},
            {"handle": [{"handler": "static_response"}]}]},
        "srv1": {"listen": [":80"]},
        "odd": {"listen": 3, "routes": "x"}}}}}"#;
    assert_eq!(
        pairs(ProxyKind::Caddy, dump),
        [
            "127.0.0.1:8443 *.shop.example",
            "127.0.0.1:8443 _",
            "127.0.0.1:8443 a.shop.example",
            "127.0.0.1:8443 shop.example",
            "443 *.shop.example",
            "443 _",
            "443 a.shop.example",
            "443 shop.example",
            "80 _",
        ]
    );
    assert!(Shape::read(ProxyKind::Caddy, b"{}").unwrap().is_empty());
}

#[test]
fn what_is_lost_is_told() {
    let shape = |servers: &str| {
        let dump = format!("{MAIN}http {{ {servers} }}\n");
        Shape::read(ProxyKind::Nginx, dump.as_bytes()).unwrap()
    };
    let before = shape(
        "server { listen 443 ssl; server_name shop.example www.shop.example; }\n\
         server { listen 127.0.0.1:8080; server_name shop.example status; }\n\
         server { listen 80 default_server; } server { server_name old; }",
    );
    assert_eq!(before.listeners(), ["127.0.0.1:8080", "443", "80"].into());
    assert_eq!(before.lost_in(&before), [""; 0]);
    let more = shape(
        "server { listen 443; server_name www.shop.example shop.example new; }\n\
         server { listen 127.0.0.1:8080; server_name status shop.example; }\n\
         server { listen *:80; server_name _ old; }",
    );
    assert_eq!(before.lost_in(&more), [""; 0]);
    let less =
        shape("server { listen 443; server_name shop.example; } server { server_name old; }");
    assert_eq!(
        before.lost_in(&less),
        [
            "listener 127.0.0.1:8080",
            "server name status on 127.0.0.1:8080",
            "server name www.shop.example on 443",
            "the server for any name on 80",
        ]
    );
    assert!(shape("").is_empty());
    assert_eq!(before.lost_in(&shape("")).len(), 8);
    let many: BTreeSet<String> = (0..40)
        .map(|n| format!("server {{ listen {n}; }}"))
        .collect();
    let many = shape(&many.into_iter().collect::<String>());
    let lost = many.lost_in(&shape(""));
    assert_eq!(lost.last().unwrap(), "and 28 more");
}
