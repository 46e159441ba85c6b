//! Joins and compares paths by their text alone, as Go's `path/filepath` does.
//!
//! Compose files are read from Git trees as well as from disks, so no path is looked up here.

/// Returns a path without `//`, `.`, `..` and a slash at the end; nothing becomes `.`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Returns `path` below `base`, clean; an absolute path is put below it as well.
pub(super) fn join(base: &str, path: &str) -> String {
    match (base.is_empty(), path.is_empty()) {
        (true, true) => String::new(),
        (true, false) => clean(path),
        (false, true) => clean(base),
        (false, false) => clean(&format!("{base}/{path}")),
    }
}

/// Returns `path` where it is absolute, else `path` below `base`.
pub(super) fn absolute(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        join(base, path)
    }
}

/// Returns everything but the last part of a path.
pub(super) fn parent(path: &str) -> String {
    match path.rfind('/') {
        Some(at) => clean(path.get(..=at).unwrap_or("/")),
        None => ".".to_owned(),
    }
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns how `target` is reached from `base`; both are absolute and clean.
pub(super) fn relative(base: &str, target: &str) -> String {
    let parts = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (base, target) = (parts(base), parts(target));
    let shared = base.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", base.len().saturating_sub(shared));
    let down = target.iter().skip(shared).map(String::as_str);
    let parts: Vec<&str> = up.chain(down).collect();
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

/// Returns whether a path is absolute on Windows: a drive or a share.
///
/// Source: `paths/windows_path.go` of compose-go.
pub(super) fn is_windows_absolute(path: &str) -> bool {
    let is_separator = |byte: Option<u8>| matches!(byte, Some(b'/' | b'\\'));
    let mut bytes = path.bytes();
    let (first, second, third) = (bytes.next(), bytes.next(), bytes.next());
    if second == Some(b':') {
        return is_separator(third);
    }
    is_separator(first) && is_separator(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("./a", "a"),
            ("a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
            ("../../a", "../../a"),
            ("a/../..", ".."),
            ("/..", "/"),
            ("/a/../../b", "/b"),
            ("//", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path:?}");
        }
    }

    #[test]
    fn joins() {
        for (base, path, expected) in [
            ("/p", "./a", "/p/a"),
            ("/p", "../a", "/a"),
            (".", "a", "a"),
            ("sub", "../a", "a"),
            ("", "a", "a"),
            ("/p", "", "/p"),
            ("/p", "/a", "/p/a"),
        ] {
            assert_eq!(join(base, path), expected, "{base:?} {path:?}");
        }
        assert_eq!(absolute("/p", "/a/../b"), "/a/../b");
        assert_eq!(absolute("/p", "a"), "/p/a");
    }

    #[test]
    fn takes_apart() {
        for (path, above, last) in [
            ("/p/a.yaml", "/p", "a.yaml"),
            ("/a", "/", "a"),
            ("a", ".", "a"),
            ("a/b/", "a/b", "b"),
        ] {
            assert_eq!(
                (parent(path).as_str(), file_name(path)),
                (above, last),
                "{path}"
            );
        }
    }

    #[test]
    fn tells_the_way_from_one_to_the_other() {
        for (base, target, expected) in [
            ("/p", "/p", "."),
            ("/p", "/p/a/b", "a/b"),
            ("/p/a", "/p/b", "../b"),
            ("/p/a", "/", "../.."),
        ] {
            assert_eq!(relative(base, target), expected, "{base} {target}");
        }
    }

    #[test]
    fn knows_windows_paths() {
        for (path, expected) in [
            ("c:\\x", true),
            ("c:/x", true),
            ("c:x", false),
            ("c:", false),
            ("\\\\host\\share", true),
            ("//x", true),
            ("\\x", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(is_windows_absolute(path), expected, "{path}");
        }
    }
}
