//! Reads the file of allowed signers: ssh-keygen(1), "ALLOWED SIGNERS".

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::tz::TimeZone;
use ssh_key::PublicKey;

use super::options::Options;
use super::refusal::Distrust;
use crate::diagnostic::{Diagnostic, Position};
use crate::secret::escape_control;

/// Longest file in bytes: thousands of keys.
const LONGEST: u64 = 1024 * 1024;

/// Keys that may sign, and whose they are.
#[derive(Clone, Debug)]
pub struct AllowedSigners {
    pub(super) listed: Vec<Listed>,
}

/// One line of the file.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Whose key it is, as the file says.
    pub(super) principals: String,
    pub(super) options: Options,
    pub(super) key: PublicKey,
}

impl AllowedSigners {
    /// Reads a file. Times without `Z` in it are of `zone`.
    ///
    /// # Errors
    /// It can't be read, everybody may write to it, or a line is not understood: then nobody is
    /// allowed, because a line that was passed over may be the one that narrows another.
    pub fn read(path: &Path, zone: &TimeZone) -> Result<Self, Distrust> {
        let name = path.display().to_string();
        let unusable = |message: String| Distrust::SignersFile {
            file: path.to_owned(),
            message,
        };
        let about =
            |message: &str| unusable(format!("the file of allowed signers {name} {message}"));
        let unreadable = |error: std::io::Error| about(&format!("can't be read: {error}"));
        let meta = fs::metadata(path).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(about("is not a regular file"));
        }
        if meta.permissions().mode() & 0o002 != 0 {
            return Err(about("may be written by everybody; run: chmod o-w on it"));
        }
        if meta.len() > LONGEST {
            return Err(about(&format!("is larger than {LONGEST} bytes")));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| about("is not UTF-8 text"))?;
        Self::parse(&name, text, zone).map_err(|found| unusable(found.to_string()))
    }

    /// Reads the text of a file; `file` is its name in messages.
    ///
    /// # Errors
    /// The first line that is not understood, with its place.
    pub fn parse(file: &str, text: &str, zone: &TimeZone) -> Result<Self, Diagnostic> {
        let mut listed = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let one = read_line(text, zone)
                .map_err(|message| Diagnostic::at(file, Position { line, column: 1 }, message))?;
            listed.push(one);
        }
        if listed.is_empty() {
            return Err(Diagnostic::file(file, "lists no key, so nobody may sign")
                .hint("one line each: ada@example.org ssh-ed25519 AAAA…"));
        }
        Ok(Self { listed })
    }
}

fn read_line(text: &str, zone: &TimeZone) -> Result<Listed, String> {
    let blank = [' ', '\t'];
    let (principals, rest) = text
        .split_once(blank)
        .ok_or("it has one word; write: PRINCIPAL [OPTIONS] KEYTYPE KEY")?;
    if principals.contains('"') {
        return Err(
            "its principals are in quotes; write them without, with commas between".to_owned(),
        );
    }
    if is_kind_of_key(principals) {
        return Err(
            "it does not say whose key it is; write: PRINCIPAL [OPTIONS] KEYTYPE KEY".to_owned(),
        );
    }
    let rest = rest.trim_start_matches(blank);
    let (options, key) = if is_kind_of_key(rest) {
        ("", rest)
    } else {
        rest.split_at(end_of_options(rest))
    };
    let options = Options::parse(options, zone)?;
    let key = key.trim_start_matches(blank);
    let key = PublicKey::from_openssh(key).map_err(|error| {
        let kind = key.split(blank).next().unwrap_or_default();
        if kind.contains("-cert-v") {
            "a certificate is not accepted; list the key itself".to_owned()
        } else {
            format!("its key can't be read ({error}); write: PRINCIPAL [OPTIONS] KEYTYPE KEY")
        }
    })?;
    Ok(Listed {
        principals: escape_control(principals),
        options,
        key,
    })
}

/// Returns whether a text begins with the name of a kind of key, which no option does.
fn is_kind_of_key(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Returns where the first blank outside of double quotes is.
fn end_of_options(text: &str) -> usize {
    let mut inside = false;
    let blank = text.find(|c: char| {
        inside ^= c == '"';
        !inside && (c == ' ' || c == '\t')
    });
    blank.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn parse(text: &str) -> Result<AllowedSigners, Diagnostic> {
        AllowedSigners::parse("signers", text, &TimeZone::UTC)
    }

    #[test]
    fn reads_lines_with_and_without_options() {
        let text = format!(
            "# ours\n\n  ada@example.org {KEY} ada's laptop\n\
             bob,*@ops namespaces=\"git,file\",valid-before=\"20300101Z\" {KEY}\r\n"
        );
        let signers = parse(&text).unwrap().listed;
        assert_eq!(signers.len(), 2);
        assert_eq!(signers[0].principals, "ada@example.org");
        assert_eq!(signers[0].options, Options::default());
        assert_eq!(signers[1].principals, "bob,*@ops");
        assert_eq!(signers[1].options.valid_before, Some(1_893_456_000));
        assert_eq!(signers[0].key.key_data(), signers[1].key.key_data());
    }

    #[test]
    fn refuses_the_whole_file_for_a_line_that_is_not_understood() {
        for (line, word) in [
            ("ada".to_owned(), "one word"),
            (format!("\"ada b\" {KEY}"), "in quotes"),
            (KEY.to_owned(), "whose key"),
            ("ada ssh-ed25519".to_owned(), "can't be read"),
            ("ada ssh-ed25519 AAAA".to_owned(), "can't be read"),
            (
                format!("ada cert-authority {KEY}"),
                "cert-authority is not accepted",
            ),
            (
                "ada ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
                "a certificate is not accepted",
            ),
            (format!("ada no-touch-required {KEY}"), "unknown option"),
        ] {
            let refused = parse(&format!("# ours\nada {KEY}\n{line}\n"))
                .unwrap_err()
                .to_string();
            assert!(refused.starts_with("signers:3:1: "), "{refused}");
            assert!(refused.contains(word), "{line}: {refused}");
        }
        for text in ["", "# nobody\n\n"] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains("lists no key"), "{refused}");
        }
    }

    #[test]
    fn refuses_files_that_can_not_be_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("signers");
        let said = |path: &Path| {
            let refused = AllowedSigners::read(path, &TimeZone::UTC).unwrap_err();
            refused
                .to_string()
                .replace(&dir.path().display().to_string(), "/etc")
        };
        insta::assert_snapshot!(said(&file), @"can't be verified: the file of allowed signers /etc/signers can't be read: No such file or directory (os error 2)");
        insta::assert_snapshot!(said(dir.path()), @"can't be verified: the file of allowed signers /etc is not a regular file");
        let text = format!("ada {KEY}\n");
        crate::files::write_atomically(&file, text.as_bytes(), 0o644).unwrap();
        AllowedSigners::read(&file, &TimeZone::UTC).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        insta::assert_snapshot!(said(&file), @"can't be verified: the file of allowed signers /etc/signers may be written by everybody; run: chmod o-w on it");
        crate::files::write_atomically(&file, b"ada\xff", 0o644).unwrap();
        insta::assert_snapshot!(said(&file), @"can't be verified: the file of allowed signers /etc/signers is not UTF-8 text");
    }

    proptest::proptest! {
        #[test]
        fn never_panics_on_lines(
            text in "(ada )?[a-z=\",!*#0-9Z \t-]{0,60}( (ssh-ed25519|ssh-rsa|sk-x) [A-Za-z0-9+/=]{0,120})?\r?\n?",
        ) {
            let _read = parse(&text);
        }
    }
}
