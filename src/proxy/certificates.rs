//! Finds the files that TLS needs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::nginx::Directive;
use super::{caddy, nginx};
use crate::desired::proxy::ProxyKind;

/// Returns the files that a configuration reads its TLS certificates and keys from.
///
/// Only absolute paths without variables or placeholders; a text that makes no sense has those
/// that were found before it stopped making sense.
pub fn certificates(kind: ProxyKind, config: &[u8]) -> BTreeSet<PathBuf> {
    let text = String::from_utf8_lossy(config);
    let mut found = BTreeSet::new();
    match kind {
        ProxyKind::Nginx => {
            for file in nginx::parse(&text).files {
                of_nginx(&file.directives, &mut found);
            }
        }
        ProxyKind::Caddy => match serde_json::from_str::<Value>(&text) {
            Ok(json) => of_json(&json, &mut found),
            Err(_) => of_caddyfile(&text, &mut found),
        },
    }
    found
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .collect()
}

/// Ends of the names of directives with one file: `proxy_ssl_certificate`, `grpc_ssl_crl`.
const NGINX: [&str; 5] = [
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_trusted_certificate",
    "ssl_client_certificate",
    "ssl_crl",
];

/// Depth is bounded by the parser.
fn of_nginx(directives: &[Directive], found: &mut BTreeSet<String>) {
    for directive in directives {
        if NGINX.iter().any(|end| directive.name.ends_with(end)) {
            let file = directive.arguments.first();
            found.extend(file.filter(|file| !file.contains('$')).cloned());
        }
        of_nginx(directive.block.as_deref().unwrap_or_default(), found);
    }
}

fn of_caddyfile(text: &str, found: &mut BTreeSet<String>) {
    for line in caddy::lines(text) {
        let mut words = line.into_iter();
        let most = match words.next().as_deref() {
            // With one word it is an address for ACME or `internal`.
            Some("tls" | "tls_client_auth") if words.len() >= 2 => 2,
            Some("trusted_ca_cert_file" | "trusted_leaf_cert_file" | "tls_trusted_ca_certs") => {
                usize::MAX
            }
            Some(_) | None => 0,
        };
        found.extend(words.take(most).filter(|word| !word.contains('{')));
    }
}

fn of_json(config: &Value, found: &mut BTreeSet<String>) {
    let files = config.pointer("/apps/tls/certificates/load_files");
    for file in files.and_then(Value::as_array).into_iter().flatten() {
        for key in ["certificate", "key"] {
            let path = file.get(key).and_then(Value::as_str);
            let path = path.filter(|path| !path.contains('{'));
            found.extend(path.map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: ProxyKind, config: &str) -> Vec<String> {
        let found = certificates(kind, config.as_bytes());
        found
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn nginx_names_them_in_directives() {
        let config = "ssl_certificate /e/a.pem; server { ssl_certificate_key '/e/a key.pem';\n\
             # ssl_certificate /e/no.pem;\n\
             ssl_certificate /e/$ssl_server_name.pem; ssl_certificate certs/rel.pem;\n\
             ssl_certificate data:$pem; location / { proxy_ssl_trusted_certificate /e/ca.pem; }\n\
             ssl_client_certificate /e/clients.pem; ssl_certificate_cache max=1; }";
        assert_eq!(
            shown(ProxyKind::Nginx, config),
            ["/e/a key.pem", "/e/a.pem", "/e/ca.pem", "/e/clients.pem"]
        );
    }

    #[test]
    fn caddy_names_them_in_tls() {
        let config = "shop.example {\n tls /e/a.pem /e/a.key {\n client_auth {\n \
             trusted_ca_cert_file /e/ca.pem\n }\n }\n}\n\
             b.example {\n tls internal\n}\nc.example {\n tls {$CERT} {env.KEY}\n}\n\
             d.example {\n tls me@d.example\n tls rel.pem /e/d.key\n}\n";
        assert_eq!(
            shown(ProxyKind::Caddy, config),
            ["/e/a.key", "/e/a.pem", "/e/ca.pem", "/e/d.key"]
        );
        let config = r#"{"apps": {"tls": {"certificates": {"load_files":
            [{"certificate": "/e/a.pem", "key": "/e/a.key"}, 3, {"key": "{env.X}"}]}}}}"#;
        assert_eq!(shown(ProxyKind::Caddy, config), ["/e/a.key", "/e/a.pem"]);
    }

    #[test]
    fn nonsense_has_none() {
        for kind in [ProxyKind::Nginx, ProxyKind::Caddy] {
            assert_eq!(certificates(kind, b"\xff\xfe{{{\"}}"), BTreeSet::new());
        }
    }
}
