//! Reads image references by the rules of the `distribution/reference` package:
//! `[registry[:port]/]path[:tag][@digest]`.

use std::fmt;

/// Most characters that a repository may have, its registry not counted.
const MAX_PATH: usize = 255;
/// Most characters that a tag may have.
const MAX_TAG: usize = 128;
/// Registry that a reference without one means.
const DEFAULT_REGISTRY: &str = "docker.io";

/// An image reference in its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Registry and path as written (`nginx`), or in full after [`Reference::normalized`]
    /// (`docker.io/library/nginx`).
    pub repository: String,
    /// Tag, without the colon.
    pub tag: Option<String>,
    /// Digest as `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference; the error is a fragment that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the image reference is empty".to_owned());
        }
        let wrong = |what: &str| format!("the image reference {text:?} {what}");
        if text.contains("://") {
            return Err(wrong("must not start with a scheme such as https://"));
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong(
                "has a bad digest; sha256: and 64 hexadecimal digits are expected",
            ));
        }
        // A colon before the last slash belongs to the port of the registry.
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (named, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "has a bad tag; up to 128 letters, digits, '_', '.' and '-' are expected",
            ));
        }
        if is_hex(repository, 64) {
            return Err(wrong("is an image id, not a repository"));
        }
        let (registry, path) = split_registry(repository);
        if registry.is_some_and(|registry| !is_registry(registry)) {
            return Err(wrong("has a bad registry; host or host:port is expected"));
        }
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong("has upper-case letters in its repository"));
        }
        if path.len() > MAX_PATH {
            return Err(wrong("has a repository of more than 255 characters"));
        }
        if !path.split('/').all(is_component) {
            return Err(wrong(
                "has a bad repository; lower-case letters and digits with single '.', '_', '__' \
                 or '-' between them are expected",
            ));
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Returns the registry as host or host:port; `docker.io` for one that names none.
    pub fn registry(&self) -> &str {
        match split_registry(&self.repository) {
            (None | Some("index.docker.io"), _) => DEFAULT_REGISTRY,
            (Some(other), _) => other,
        }
    }

    /// Returns the same reference in full: with its registry, `library/` for the official images,
    /// and the tag `latest` where it has neither tag nor digest.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let (_, path) = split_registry(&self.repository);
        let registry = self.registry();
        let library = registry == DEFAULT_REGISTRY && !path.contains('/');
        let tag = match (&self.tag, &self.digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.clone(),
        };
        Self {
            repository: format!("{registry}/{}{path}", if library { "library/" } else { "" }),
            tag,
            digest: self.digest.clone(),
        }
    }

    /// Returns whether another reference is of the same repository, however each is written.
    pub fn is_of_repository(&self, other: &Self) -> bool {
        self.normalized().repository == other.normalized().repository
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Returns whether `text` is a digest: an algorithm, a colon and at least 32 hexadecimal digits,
/// exactly 64 of them for SHA-256.
pub fn is_digest(text: &str) -> bool {
    match text.split_once(':') {
        Some(("sha256", hex)) => is_hex(hex, 64),
        Some(("sha384", hex)) => is_hex(hex, 96),
        Some(("sha512", hex)) => is_hex(hex, 128),
        _ => false,
    }
}

/// The first part is a registry if it looks like a host; otherwise it is part of the path.
fn split_registry(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, repository),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let colons = address.contains(':');
            if !colons
                || !address
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b':')
            {
                return false;
            }
            match rest.strip_prefix(':') {
                None => return rest.is_empty(),
                Some(port) => return is_port(port),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
    let bytes = text.as_bytes();
    let separator =
        |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|b| b == b'-');
    ends(bytes.first())
        && ends(bytes.last())
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(separator)
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn reference(repository: &str, tag: Option<&str>, digest: Option<&str>) -> Reference {
        Reference {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        }
    }

    #[test]
    fn parts_and_normal_form() {
        let with_digest = format!("app@{DIGEST}");
        let with_both = format!("r.example:5000/a/b:v1@{DIGEST}");
        let table: [(&str, Reference, &str); 17] = [
            (
                "nginx",
                reference("nginx", None, None),
                "docker.io/library/nginx:latest",
            ),
            (
                "nginx:1.27",
                reference("nginx", Some("1.27"), None),
                "docker.io/library/nginx:1.27",
            ),
            (
                "grafana/loki",
                reference("grafana/loki", None, None),
                "docker.io/grafana/loki:latest",
            ),
            (
                "index.docker.io/nginx",
                reference("index.docker.io/nginx", None, None),
                "docker.io/library/nginx:latest",
            ),
            (
                "docker.io/a",
                reference("docker.io/a", None, None),
                "docker.io/library/a:latest",
            ),
            (
                "localhost/a",
                reference("localhost/a", None, None),
                "localhost/a:latest",
            ),
            (
                "localhost:5000/a:b",
                reference("localhost:5000/a", Some("b"), None),
                "localhost:5000/a:b",
            ),
            (
                "127.0.0.1:5000/a",
                reference("127.0.0.1:5000/a", None, None),
                "127.0.0.1:5000/a:latest",
            ),
            (
                "[::1]:5000/a",
                reference("[::1]:5000/a", None, None),
                "[::1]:5000/a:latest",
            ),
            (
                "[::1]/a:b",
                reference("[::1]/a", Some("b"), None),
                "[::1]/a:b",
            ),
            ("Host/a", reference("Host/a", None, None), "Host/a:latest"),
            (
                "a__b/c--d.e",
                reference("a__b/c--d.e", None, None),
                "docker.io/a__b/c--d.e:latest",
            ),
            (
                "a.b:c",
                reference("a.b", Some("c"), None),
                "docker.io/library/a.b:c",
            ),
            // Without a slash there is no registry: this is the image `host` with the tag `5000`.
            (
                "host:5000",
                reference("host", Some("5000"), None),
                "docker.io/library/host:5000",
            ),
            (
                "a:_V-1.",
                reference("a", Some("_V-1."), None),
                "docker.io/library/a:_V-1.",
            ),
            (
                &with_digest,
                reference("app", None, Some(DIGEST)),
                &format!("docker.io/library/app@{DIGEST}"),
            ),
            (
                &with_both,
                reference("r.example:5000/a/b", Some("v1"), Some(DIGEST)),
                &with_both,
            ),
        ];
        for (text, parts, normal) in table {
            let parsed = Reference::parse(text).unwrap_or_else(|message| panic!("{message}"));
            assert_eq!(parsed, parts, "{text}");
            assert_eq!(parsed.to_string(), text, "printed as written");
            assert_eq!(parsed.normalized().to_string(), normal, "{text}");
            assert_eq!(
                parsed.normalized().normalized(),
                parsed.normalized(),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_references_say_what_is_wrong() {
        let long_tag = format!("a:{}", "t".repeat(129));
        let long_path = "p".repeat(256);
        let id = "0".repeat(64);
        let upper_digest = format!("a@{}", DIGEST.to_uppercase());
        let table = [
            ("", "is empty"),
            (" ", "bad repository"),
            ("a b", "bad repository"),
            ("a\n", "bad repository"),
            ("App", "upper-case"),
            ("r.example/App:v1", "upper-case"),
            ("a@sha256:short", "bad digest"),
            ("a@", "bad digest"),
            ("a@md5:0123456789abcdef0123456789abcdef", "bad digest"),
            (&upper_digest, "bad digest"),
            ("http://r.example/a", "scheme"),
            ("-a", "bad repository"),
            ("a-", "bad repository"),
            ("--privileged", "bad repository"),
            ("a..b", "bad repository"),
            ("a___b", "bad repository"),
            ("a._b", "bad repository"),
            ("a//b", "bad repository"),
            ("/a", "bad repository"),
            ("a/", "bad repository"),
            ("r.example/../a", "bad repository"),
            ("a:", "bad tag"),
            ("a:-x", "bad tag"),
            ("a:b c", "bad tag"),
            (":v1", "bad repository"),
            (&long_tag, "bad tag"),
            (&long_path, "more than 255"),
            ("-r.example/a", "bad registry"),
            ("r.example:/a", "bad registry"),
            ("r.example:port/a", "bad registry"),
            ("[::1/a", "bad registry"),
            ("ä", "bad repository"),
            ("a?b=c", "bad repository"),
            ("a%2fb", "bad repository"),
            (&id, "image id"),
        ];
        for (text, expected) in table {
            let message = Reference::parse(text).expect_err(text);
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
