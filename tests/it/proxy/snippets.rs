//! The snippets to copy: the examples have them letter for letter, and they work in a real nginx
//! and a real Caddy.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::host_proxy::{HostCaddy, HostNginx};
use crate::support::http::{Response, get, post};
use crate::support::put;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn snippet(name: &str) -> String {
    fs::read_to_string(root().join("desired-state-examples/snippets").join(name)).unwrap()
}

/// Returns a snippet for a proxy that sees the flag at `@DIR@/page`, with its placeholders filled
/// in: the marker is `one`, and the application listens on `@OTHER@`.
fn live(name: &str) -> String {
    let text = snippet(name).replace("/maintenance/", "@DIR@/page/");
    // At the end of a word of its own: `root /maintenance;` and `root /maintenance`.
    let text = text.replace("root /maintenance", "root @DIR@/page");
    let text = text.replace("root * /maintenance", "root * @DIR@/page");
    let text = text.replace("@moored.marker@", "one");
    text.replace("@moored.web:3000@", "127.0.0.1:@OTHER@")
}

/// Plays the page in a proxy that has the snippets.
fn play(port: u16, page: &Path) {
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let text = "<!doctype html><title>back soon</title>\n";
    let flag = page.join("MAINTENANCE_ON");
    let marker = |body: &str| {
        let answer = get(&url("/__moored")).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    };
    let open = |answer: Response, asked: &str| {
        assert_eq!((answer.status, answer.body.as_str()), (200, asked));
        assert_eq!(answer.header("retry-after"), None);
    };
    let is_open = || {
        for path in ["/", "/api/things", "/healthz", "/livez", "/readyz"] {
            open(get(&url(path)).unwrap(), &format!("app {path}"));
        }
        open(post(&url("/api/things")).unwrap(), "app /api/things");
        marker("one");
    };

    is_open();
    // The page is there from an earlier deploy, and nobody sees it.
    put(page.join("maintenance.html"), text);
    is_open();
    put(&flag, "{}");
    for answer in [
        get(&url("/")).unwrap(),
        get(&url("/api/things?a=b")).unwrap(),
        get(&url("/healthz/more")).unwrap(),
        get(&url("/__moored/x")).unwrap(),
        get(&url("/MAINTENANCE_ON")).unwrap(),
        post(&url("/api/things")).unwrap(),
    ] {
        assert_eq!((answer.status, answer.body.as_str()), (503, text));
        assert_eq!(answer.header("retry-after"), Some("120"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/html"), "{kind}");
    }
    for path in ["/healthz", "/livez", "/readyz"] {
        open(get(&url(path)).unwrap(), &format!("app {path}"));
    }
    marker("one");
    fs::remove_file(&flag).unwrap();
    is_open();
}

#[test]
fn those_of_nginx_work() {
    let site = format!(
        "{}\nserver {{\n    listen 127.0.0.1:@PORT@;\n{}\n{}\n    \
         location / {{ proxy_pass http://web; }}\n}}\n\
         server {{ listen 127.0.0.1:@OTHER@; location / {{ return 200 \"app $uri\"; }} }}\n",
        live("nginx-upstream.conf"),
        live("nginx-maintenance.conf"),
        live("nginx-marker.conf"),
    );
    let main = "events {}\nhttp { types { text/html html; } access_log off;\n\
                include @DIR@/conf.d/*.conf; }\n";
    let nginx = HostNginx::start(main, &[("conf.d/site.conf", &site), ("page/.keep", "")]);
    readable(&nginx.path(""));
    play(nginx.port, &nginx.path("page"));
}

#[test]
fn those_of_caddy_work() {
    let site = format!(
        "http://127.0.0.1:@PORT@ {{\n\tbind 127.0.0.1\n{}\n{}\n{}}}\n\
         http://127.0.0.1:@OTHER@ {{\n\tbind 127.0.0.1\n\trespond \"app {{path}}\"\n}}\n",
        live("Caddyfile-maintenance"),
        live("Caddyfile-marker"),
        live("Caddyfile-upstream"),
    );
    let caddy = HostCaddy::start(&site, &[("page/.keep", "")]);
    play(caddy.port, &caddy.path("page"));
}

/// The workers of nginx may be of another user.
fn readable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns the files of the examples that show a page.
fn with_a_page() -> Vec<PathBuf> {
    let mut waiting = vec![root().join("desired-state-examples")];
    let mut found = vec![root().join("docs/manifest.md")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() && !path.ends_with("snippets") {
            waiting.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
        } else if path.extension().is_some_and(|it| it == "conf") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Checks that a text has all lines of a snippet, one after the other, with nothing between but
/// further paths that are let through.
#[track_caller]
fn has(path: &Path, name: &str) {
    let text = fs::read_to_string(path).unwrap();
    let directory = text
        .split_once("if (-f ")
        .and_then(|(_, rest)| rest.split_once("/MAINTENANCE_ON)"))
        .map_or("/maintenance", |(directory, _)| directory);
    let wanted = snippet(name).replace("/maintenance/", &format!("{directory}/"));
    let wanted = wanted.replace("root /maintenance;", &format!("root {directory};"));
    let own = |line: &&str| {
        let line = line.trim();
        let is_own = line.starts_with("if ($uri = /") && line.ends_with("{ set $closed \"\"; }");
        !is_own || line.contains("/maintenance.html")
    };
    let lines: Vec<&str> = text.lines().filter(own).collect();
    assert!(
        lines.join("\n").contains(wanted.trim_end()),
        "{} does not have {name} as it is",
        path.display()
    );
}

#[test]
fn the_examples_have_them_letter_for_letter() {
    let all = with_a_page();
    assert!(all.len() >= 2, "{all:?}");
    for path in all {
        has(&path, "nginx-maintenance.conf");
        if path.extension().is_some_and(|it| it == "conf") {
            has(&path, "nginx-marker.conf");
        }
    }
}
