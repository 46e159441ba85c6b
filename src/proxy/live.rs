//! Says which files the live configuration of a proxy is made of, as far as it tells.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::desired::proxy::ProxyKind;

/// The files of a live configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFiles {
    kind: ProxyKind,
    /// Files that are read now.
    read: BTreeSet<PathBuf>,
    /// Patterns of files that are read where there are any.
    patterns: BTreeSet<PathBuf>,
}

/// Where nginx begins with relative patterns.
const NGINX: &str = "/etc/nginx";

/// How nginx begins each file that it shows (`nginx -T`).
const FILE: &str = "# configuration file ";

impl LiveFiles {
    /// Reads what the program shows. Caddy shows what it made of its files, and not which.
    pub(super) fn read(kind: ProxyKind, shown: &str) -> Self {
        let mut found = Self {
            kind,
            read: BTreeSet::new(),
            patterns: BTreeSet::new(),
        };
        for line in shown.lines() {
            if let Some(path) = line.strip_prefix(FILE) {
                found.read.insert(PathBuf::from(path.trim_end_matches(':')));
            }
            let words = line.trim().strip_prefix("include");
            let words = words.filter(|rest| rest.starts_with([' ', '\t']));
            if let Some(pattern) = words.and_then(|rest| rest.split(';').next()) {
                let pattern = pattern.trim().trim_matches(['"', '\'']);
                found.patterns.insert(Path::new(NGINX).join(pattern));
            }
        }
        found
    }

    /// Returns whether a file is read, or would be if it were there; `None` where there is no
    /// telling.
    pub fn includes(&self, path: &Path) -> Option<bool> {
        match self.kind {
            ProxyKind::Caddy => return None,
            ProxyKind::Nginx => {}
        }
        let by_pattern = self.patterns.iter().any(|pattern| fits(pattern, path));
        Some(self.read.contains(path) || by_pattern)
    }
}

/// Returns whether a file is one of a pattern with `*` in its last part.
fn fits(pattern: &Path, path: &Path) -> bool {
    let names = (pattern.file_name(), path.file_name());
    let (Some(pattern_name), Some(name)) = names else {
        return false;
    };
    let (Some(pattern_name), Some(name)) = (pattern_name.to_str(), name.to_str()) else {
        return false;
    };
    let fits = match pattern_name.split_once('*') {
        Some((before, after)) => {
            let long_enough = name.len() >= before.len() + after.len();
            long_enough && name.starts_with(before) && name.ends_with(after)
        }
        None => pattern_name == name,
    };
    fits && pattern.parent() == path.parent()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_panics(shown in ".*", pattern in "[a*/.]{0,8}", name in "[a*/.]{0,8}") {
            drop(LiveFiles::read(ProxyKind::Nginx, &shown));
            let shown = format!("include {pattern};");
            let files = LiveFiles::read(ProxyKind::Nginx, &shown);
            prop_assert!(files.includes(Path::new(&name)).is_some());
        }
    }

    #[test]
    fn files_are_known_by_themselves_and_by_patterns() {
        let shown = "# configuration file /etc/nginx/nginx.conf:\nhttp {\n  include conf.d/*.conf;\n  \
                     include\t\"/srv/sites/a.conf\";\n  includes x;\n}\n\
                     # configuration file /etc/nginx/mime.types:\ntypes {}\n";
        let files = LiveFiles::read(ProxyKind::Nginx, shown);
        for (path, expected) in [
            ("/etc/nginx/mime.types", true),
            ("/etc/nginx/conf.d/site.conf", true),
            ("/etc/nginx/conf.d/site.txt", false),
            ("/etc/nginx/conf.d/below/site.conf", false),
            ("/srv/sites/a.conf", true),
            ("/srv/sites/b.conf", false),
        ] {
            assert_eq!(files.includes(Path::new(path)), Some(expected), "{path}");
        }
        let caddy = LiveFiles::read(ProxyKind::Caddy, "{}");
        assert_eq!(caddy.includes(Path::new("/etc/caddy/site")), None);
    }
}
