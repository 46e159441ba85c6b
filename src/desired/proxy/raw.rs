//! Reads `proxy:` as it is written into types that can't be wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::{Marker, Proxy, ProxyKind, ProxyPlace};
use crate::desired::ServiceName;
use crate::desired::checks::http_url;
use crate::desired::placed::absolute_file;

/// A proxy as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProxy {
    nginx: Option<Program>,
    caddy: Option<Program>,
}

/// A program and its configuration.
#[derive(Deserialize)]
#[serde(try_from = "RawProgram")]
struct Program {
    place: ProxyPlace,
    configs: BTreeMap<String, PathBuf>,
    marker: Marker,
    main: Option<PathBuf>,
    allow_shrink: bool,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping of where it runs, its configs and its marker"
)]
struct RawProgram {
    service: Option<ServiceName>,
    host: Option<bool>,
    container: Option<ContainerName>,
    #[serde(default)]
    configs: BTreeMap<String, InsidePath>,
    marker: Option<RawMarker>,
    main: Option<InsidePath>,
    #[serde(default)]
    allow_shrink: bool,
}

/// Name of a container by the engine's rule.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ContainerName(String);

/// Absolute path of a file as the proxy reads it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct InsidePath(PathBuf);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RawMarker(Marker);

impl TryFrom<RawProxy> for Proxy {
    type Error = String;

    fn try_from(raw: RawProxy) -> Result<Self, String> {
        let (kind, program) = match (raw.nginx, raw.caddy) {
            (Some(program), None) => (ProxyKind::Nginx, program),
            (None, Some(program)) => (ProxyKind::Caddy, program),
            (None, None) | (Some(_), Some(_)) => {
                return Err("a stack has exactly one proxy: nginx or caddy".to_owned());
            }
        };
        Ok(Self {
            kind,
            place: program.place,
            configs: program.configs,
            marker: program.marker,
            main: program.main,
            allow_shrink: program.allow_shrink,
        })
    }
}

impl TryFrom<RawProgram> for Program {
    type Error = String;

    fn try_from(raw: RawProgram) -> Result<Self, String> {
        const ONE_OF: &str = "a proxy is exactly one of service: NAME (in a container of this \
                              stack), host: true and container: NAME (in another container)";
        let place = match (raw.service, raw.host, raw.container) {
            (Some(service), None, None) => ProxyPlace::Service(service),
            (None, Some(true), None) => ProxyPlace::Host,
            (None, None, Some(container)) => ProxyPlace::Container(container.0),
            _ => return Err(ONE_OF.to_owned()),
        };
        if raw.configs.is_empty() {
            return Err(
                "configs names no file, as in {nginx/site.conf: /etc/nginx/conf.d/site.conf}"
                    .to_owned(),
            );
        }
        let configs: BTreeMap<String, PathBuf> = raw
            .configs
            .into_iter()
            .map(|(source, target)| (source, target.0))
            .collect();
        let marker = raw.marker.ok_or(
            "marker is missing: where the proxy answers with the release that it has loaded, as \
             in marker: /__moored",
        )?;
        let mut by_target = BTreeMap::new();
        for (source, target) in &configs {
            if let Some(other) = by_target.insert(target, source) {
                return Err(format!(
                    "configs: {} is where both {} and {} are read",
                    target.display(),
                    other.escape_default(),
                    source.escape_default()
                ));
            }
        }
        Ok(Self {
            place,
            configs,
            marker: marker.0,
            main: raw.main.map(|path| path.0),
            allow_shrink: raw.allow_shrink,
        })
    }
}

impl TryFrom<String> for ContainerName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let first = |c: char| c.is_ascii_alphanumeric();
        if name.len() >= 2 && name.starts_with(first) && name.chars().all(inner) {
            return Ok(Self(name));
        }
        Err(format!(
            "\"{}\" is not a container name: letters, digits, _, . and -, at least two, beginning \
             with a letter or digit",
            name.escape_default()
        ))
    }
}

impl TryFrom<String> for InsidePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(path) = absolute_file(&text) {
            return Ok(Self(path));
        }
        Err(format!(
            "\"{}\" is not the absolute path of a file as the proxy reads it, as in \
             /etc/nginx/conf.d/site.conf",
            text.escape_default()
        ))
    }
}

impl TryFrom<String> for RawMarker {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url: Url = http_url(&text)?;
            return Ok(Self(Marker::Url(url)));
        }
        // What stands in a configuration of either program without quotes.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        let is_path = text.starts_with('/') && text.len() > 1 && text.chars().all(plain);
        if is_path && !text.starts_with("//") {
            return Ok(Self(Marker::Path(text)));
        }
        Err(format!(
            "\"{}\" is neither a path such as /__moored nor an address such as \
             http://127.0.0.1:8080/__moored",
            text.escape_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        proxy: Proxy,
    }

    fn read(proxy: &str) -> Result<Proxy, String> {
        let text = format!("proxy: {proxy}");
        crate::document::read::<Holder>("m", text.as_bytes(), &[])
            .map(|holder| holder.proxy)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_is_read() {
        let text = "{nginx: {service: web, configs: {nginx/a.conf: /etc/nginx//conf.d/a.conf}, \
                    marker: /__moored}}";
        let expected = Proxy {
            kind: ProxyKind::Nginx,
            place: ProxyPlace::Service(ServiceName::try_from("web".to_owned()).unwrap()),
            configs: BTreeMap::from([(
                "nginx/a.conf".to_owned(),
                PathBuf::from("/etc/nginx/conf.d/a.conf"),
            )]),
            marker: Marker::Path("/__moored".to_owned()),
            main: None,
            allow_shrink: false,
        };
        assert_eq!(read(text), Ok(expected));
        let text = "{caddy: {host: true, configs: {Caddyfile: /etc/caddy/Caddyfile}, \
                    marker: 'https://localhost:8443/__moored', main: /etc/caddy/Caddyfile, \
                    allow_shrink: true}}";
        let proxy = read(text).unwrap();
        assert_eq!(
            (proxy.kind, proxy.place),
            (ProxyKind::Caddy, ProxyPlace::Host)
        );
        let url = Url::parse("https://localhost:8443/__moored").unwrap();
        assert_eq!(proxy.marker, Marker::Url(url));
        assert_eq!(proxy.main, Some("/etc/caddy/Caddyfile".into()));
        assert!(proxy.allow_shrink);
        let text = "{nginx: {container: front-1, configs: {a: /a}, marker: /m}}";
        let expected = ProxyPlace::Container("front-1".to_owned());
        assert_eq!(read(text).unwrap().place, expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let rest = "configs: {a.conf: /etc/a.conf}, marker: /__moored";
        let mut said: Vec<String> = ["", "nginx: {}, caddy: {}", "apache: {}", "nginx: x"]
            .iter()
            .map(|text| read(&format!("{{{text}}}")).unwrap_err())
            .collect();
        for place in [
            "",
            "host: false, ",
            "host: true, service: web, ",
            "service: web, container: web, ",
            "service: -web, ",
            "container: a/b, ",
        ] {
            said.push(read(&format!("{{nginx: {{{place}{rest}}}}}")).unwrap_err());
        }
        for rest in [
            "marker: /m",
            "configs: {}, marker: /m",
            "configs: {a: /a}",
            "configs: {a: etc/a}, marker: /m",
            "configs: {a: /etc/../a}, marker: /m",
            "configs: {a: /etc/}, marker: /m",
            "configs: {a: /}, marker: /m",
            "configs: {a: \"/a\\nb\"}, marker: /m",
            "configs: {a: /a, b: //a}, marker: /m",
            "configs: [a], marker: /m",
            "configs: {a: /a}, marker: __moored",
            "configs: {a: /a}, marker: /",
            "configs: {a: /a}, marker: '/a b'",
            "configs: {a: /a}, marker: '/a;b'",
            "configs: {a: /a}, marker: '//evil'",
            "configs: {a: /a}, marker: 'ftp://h/'",
            "configs: {a: /a}, marker: 'http://user:hunter22@h/'",
            "configs: {a: /a}, marker: /m, main: nginx.conf",
            "configs: {a: /a}, marker: /m, allow_shrink: maybe",
            "configs: {a: /a}, marker: /m, reload: true",
        ] {
            said.push(read(&format!("{{caddy: {{host: true, {rest}}}}}")).unwrap_err());
        }
        insta::assert_snapshot!(said.join("\n"), @r#"
        m:1:8: proxy: a stack has exactly one proxy: nginx or caddy
        m:1:16: proxy.nginx: a proxy is exactly one of service: NAME (in a container of this stack), host: true and container: NAME (in another container)
        m:1:9: proxy: unknown key "apache"
          hint: known keys here: nginx, caddy
        m:1:16: proxy.nginx: invalid type: string "x", expected a mapping of where it runs, its configs and its marker
        m:1:16: proxy.nginx: a proxy is exactly one of service: NAME (in a container of this stack), host: true and container: NAME (in another container)
        m:1:16: proxy.nginx: a proxy is exactly one of service: NAME (in a container of this stack), host: true and container: NAME (in another container)
        m:1:16: proxy.nginx: a proxy is exactly one of service: NAME (in a container of this stack), host: true and container: NAME (in another container)
        m:1:16: proxy.nginx: a proxy is exactly one of service: NAME (in a container of this stack), host: true and container: NAME (in another container)
        m:1:26: proxy.nginx.service: "-web" is not a service name: letters, digits, ., - and _, beginning with a letter or digit
        m:1:28: proxy.nginx.container: "a/b" is not a container name: letters, digits, _, . and -, at least two, beginning with a letter or digit
        m:1:16: proxy.caddy: configs names no file, as in {nginx/site.conf: /etc/nginx/conf.d/site.conf}
        m:1:16: proxy.caddy: configs names no file, as in {nginx/site.conf: /etc/nginx/conf.d/site.conf}
        m:1:16: proxy.caddy: marker is missing: where the proxy answers with the release that it has loaded, as in marker: /__moored
        m:1:42: proxy.caddy.configs.a: "etc/a" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:42: proxy.caddy.configs.a: "/etc/../a" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:42: proxy.caddy.configs.a: "/etc/" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:42: proxy.caddy.configs.a: "/" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:42: proxy.caddy.configs.a: "/a\nb" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:16: proxy.caddy: configs: /a is where both a and b are read
        m:1:38: proxy.caddy.configs: invalid type: sequence, expected a map
        m:1:55: proxy.caddy.marker: "__moored" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: "/" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: "/a b" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: "/a;b" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: "//evil" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: "ftp://h/" is neither a path such as /__moored nor an address such as http://127.0.0.1:8080/__moored
        m:1:55: proxy.caddy.marker: an address must not have credentials in it; ask one that needs none
        m:1:65: proxy.caddy.main: "nginx.conf" is not the absolute path of a file as the proxy reads it, as in /etc/nginx/conf.d/site.conf
        m:1:73: proxy.caddy.allow_shrink: invalid type: string "maybe", expected a boolean
        m:1:59: proxy.caddy: unknown key "reload"
          hint: known keys here: service, host, container, configs, marker, main, allow_shrink
        "#);
    }
}
