//! Makes relative paths of a project begin at another folder.
//!
//! Source of the places: `paths/resolve.go` of compose-go. Unlike it, this looks no link up for
//! `develop.watch`.

use std::path::Path;

use super::pattern::{Step, display, fits, visit};
use super::refusal::Refusal;
use super::{extends, lexical};
use crate::diagnostic::Diagnostics;
use crate::yaml::{Kind, Map, Node};

/// What stands at a place.
#[derive(Clone, Copy)]
enum PathKind {
    /// A path.
    Plain,
    /// A path that may be one of Windows.
    OfHost,
    /// A folder to build in, or something else that builds know.
    Context,
    /// A file to extend.
    Extended,
    /// A mount of a service.
    Mount,
    /// A volume of the project, which may be a bind mount by its driver's options.
    Volume,
}

const PLACES: [(&str, PathKind); 11] = [
    ("services.*.build.context", PathKind::Context),
    ("services.*.build.additional_contexts.*", PathKind::Context),
    ("services.*.build.ssh.*", PathKind::OfHost),
    ("services.*.env_file.*.path", PathKind::Plain),
    ("services.*.label_file.*", PathKind::Plain),
    ("services.*.extends.file", PathKind::Extended),
    ("services.*.develop.watch.*.path", PathKind::Plain),
    ("services.*.volumes.*", PathKind::Mount),
    ("configs.*.file", PathKind::OfHost),
    ("secrets.*.file", PathKind::OfHost),
    ("volumes.*", PathKind::Volume),
];

/// Joins relative paths to `base`, and puts `home` in the place of `~`.
pub(super) fn resolve(file: &mut Node, base: &str, home: Option<&Path>) -> Result<(), Diagnostics> {
    let folder = Folder { base, home };
    let mut findings = Vec::new();
    visit(file, &mut |path, node| {
        let Some((_, kind)) = PLACES.iter().find(|(pattern, _)| fits(path, pattern)) else {
            return Step::Inside;
        };
        if let Err(refusal) = folder.resolve(*kind, node) {
            findings.push(refusal.at(node, display(path)));
        }
        Step::Past
    });
    Diagnostics::check(findings)
}

struct Folder<'a> {
    base: &'a str,
    home: Option<&'a Path>,
}

impl Folder<'_> {
    fn resolve(&self, kind: PathKind, node: &mut Node) -> Result<(), Refusal> {
        let kind_name = node.kind_name();
        let text = match (kind, &mut node.kind) {
            (PathKind::Mount, Kind::Map(mount)) => return self.mount(mount),
            (PathKind::Volume, Kind::Map(volume)) => {
                self.volume(volume);
                return Ok(());
            }
            // What is not canonical is looked at when it is.
            (PathKind::Mount | PathKind::Volume, _) => return Ok(()),
            (_, Kind::Str(text)) => text,
            (PathKind::OfHost, _) => return Ok(()),
            (PathKind::Plain | PathKind::Context | PathKind::Extended, _) => {
                let why = format!("a path must be a string, not {kind_name}");
                return Err(Refusal::new(why, "write a path such as ./data"));
            }
        };
        match kind {
            PathKind::Context if is_other_context(text) => {}
            PathKind::Extended if extends::remote(text).is_some() => {}
            PathKind::Plain | PathKind::Context | PathKind::Extended => {
                *text = self.plain(text);
            }
            PathKind::OfHost | PathKind::Mount | PathKind::Volume => *text = self.of_host(text),
        }
        Ok(())
    }

    fn plain(&self, path: &str) -> String {
        if path.is_empty() || self.is_homeless(path) {
            return path.to_owned();
        }
        lexical::absolute(self.base, &self.expanded(path))
    }

    fn of_host(&self, path: &str) -> String {
        let path = self.expanded(path);
        if lexical::is_windows_absolute(&path) || self.is_homeless(&path) {
            return path;
        }
        lexical::absolute(self.base, &path)
    }

    /// Returns whether a path begins with `~` and nobody said what that is: it stays as it is, to
    /// be refused where it is used.
    fn is_homeless(&self, path: &str) -> bool {
        self.home.is_none() && (path == "~" || path.starts_with("~/"))
    }

    fn expanded(&self, path: &str) -> String {
        match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => lexical::join(&home.to_string_lossy(), rest),
            (Some(_) | None, _) => path.to_owned(),
        }
    }

    fn mount(&self, mount: &mut Map) -> Result<(), Refusal> {
        if mount.get("type").and_then(Node::as_str) != Some("bind") {
            return Ok(());
        }
        let source = mount.get_mut("source").map(|source| &mut source.kind);
        let Some(Kind::Str(source)) = source else {
            let hint = "add source: ./data, or write type: volume";
            return Err(Refusal::new("a bind mount must have a source", hint));
        };
        *source = self.of_host(source);
        Ok(())
    }

    fn volume(&self, volume: &mut Map) {
        if volume.get("driver").and_then(Node::as_str) != Some("local") {
            return;
        }
        let Some(Kind::Map(options)) = volume.get_mut("driver_opts").map(|node| &mut node.kind)
        else {
            return;
        };
        if options.get("o").and_then(Node::as_str) != Some("bind") {
            return;
        }
        if let Some(Kind::Str(device)) = options.get_mut("device").map(|node| &mut node.kind) {
            *device = self.of_host(device);
        }
    }
}

/// Returns whether a build context is something else than a folder.
fn is_other_context(text: &str) -> bool {
    let prefixes = [
        "service:",
        "https://",
        "http://",
        "git://",
        "ssh://",
        "github.com/",
        "git@",
    ];
    text.contains("://") || prefixes.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn resolved(text: &str, base: &str) -> Result<Node, Diagnostics> {
        let mut node = parse("c.yaml", text.as_bytes()).unwrap();
        resolve(&mut node, base, Some(Path::new("/u"))).map(|()| node)
    }

    #[test]
    fn relative_paths_begin_at_the_folder() {
        for (text, expected) in [
            ("build: {context: ./x}", "build: {context: /p/x}"),
            (
                "build: {context: 'https://h/x.git'}",
                "build: {context: 'https://h/x.git'}",
            ),
            (
                "build: {additional_contexts: {a: ../x, b: 'service:c', c: 'docker-image://x'}}",
                "build: {additional_contexts: {a: /x, b: 'service:c', c: 'docker-image://x'}}",
            ),
            ("env_file: [{path: .env}]", "env_file: [{path: /p/.env}]"),
            ("env_file: [{path: /etc/x}]", "env_file: [{path: /etc/x}]"),
            ("label_file: [a, ~/b]", "label_file: [/p/a, /u/b]"),
            (
                "volumes: [{type: bind, source: ~, target: /x}]",
                "volumes: [{type: bind, source: /u, target: /x}]",
            ),
            (
                "volumes: [{type: bind, source: 'c:\\x', target: /x}, {type: volume, source: a}]",
                "volumes: [{type: bind, source: 'c:\\x', target: /x}, {type: volume, source: a}]",
            ),
            ("x-a: {context: ./x}", "x-a: {context: ./x}"),
            ("image: ./x", "image: ./x"),
        ] {
            let text = text.replace("source: ~,", "source: '~',");
            let node = resolved(&format!("services: {{a: {{{text}}}}}"), "/p").unwrap();
            let expected = format!("services: {{a: {{{expected}}}}}");
            let expected = parse("e", expected.as_bytes()).unwrap();
            assert!(node.same_value(&expected), "{text}");
        }
        let volume = "volumes: {v: {driver: local, driver_opts: {o: bind, device: ./d}}}";
        let node = resolved(volume, "sub").unwrap();
        let device = node.at(&["volumes", "v", "driver_opts", "device"]);
        assert_eq!(device.and_then(Node::as_str), Some("sub/d"));
        let secret = resolved("secrets: {s: {file: ./d}}", ".").unwrap();
        assert_eq!(
            secret.at(&["secrets", "s", "file"]).and_then(Node::as_str),
            Some("d")
        );
    }

    #[test]
    fn a_bind_mount_needs_a_source() {
        let found = resolved("services: {a: {volumes: [{type: bind, target: /x}]}}", "/p");
        let found = found.err().map(|found| found.to_string());
        insta::assert_snapshot!(found.unwrap_or_default(), @"
        c.yaml:1:26: services.a.volumes[0]: a bind mount must have a source
          hint: add source: ./data, or write type: volume
        ");
    }
}
