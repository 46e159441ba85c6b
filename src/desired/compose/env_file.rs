//! Reads environment files: compose-go's dialect of dotenv, and `format: raw`.

use std::collections::BTreeMap;

use super::escape::unescape;
use super::template::{Substituted, TemplateError, substitute};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::yaml::text::{MAX_BYTES, decode, place};

/// Variables in the order of the file; a later entry of the same name wins.
///
/// `None` is a bare name that `lookup` doesn't know; Compose leaves such a variable out.
pub type Entries = Vec<(String, Option<String>)>;

/// Reads a file in Compose's dialect of dotenv.
///
/// `KEY=value`, `KEY: value` and a bare `KEY`, each with `export` in front if one likes. A value
/// in double quotes may have several lines and knows `\n`, `\t`, `\"`, `\$` and the like; one in
/// single quotes is literal; any other ends at ` #` or at the end of the line. Except in single
/// quotes, `$A` and `${A:-…}` take their value from `lookup` first and then from the entries
/// above. An unset variable is empty, without a warning.
///
/// Messages give the place and never the text of a line: what looks like a name may be a part
/// of a secret.
pub fn parse(
    file: &str,
    text: &[u8],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Entries, Diagnostics> {
    parse_after(file, text, lookup, &BTreeMap::new())
}

/// Reads a file like [`parse`], after others whose values stand in for variables that neither
/// `lookup` nor the file itself has.
pub(super) fn parse_after(
    file: &str,
    text: &[u8],
    lookup: &dyn Fn(&str) -> Option<String>,
    before: &BTreeMap<String, String>,
) -> Result<Entries, Diagnostics> {
    let text = decode(file, text)?;
    let mut reader = Reader {
        file,
        text,
        at: 0,
        entries: Vec::new(),
        before,
        values: BTreeMap::new(),
        budget: MAX_BYTES,
        lookup,
    };
    while reader.skip_to_statement() {
        reader.statement()?;
    }
    Ok(reader.entries)
}

/// Reads a file of `KEY=value` lines whose values are taken as they stand (`format: raw`).
///
/// Blank lines and lines that begin with `#` don't count; there are no quotes, comments behind a
/// value or variables. A bare `KEY` takes its value from `lookup`.
pub fn parse_raw(
    file: &str,
    text: &[u8],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Entries, Diagnostics> {
    let text = decode(file, text)?;
    let mut entries = Vec::new();
    let mut errors = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let entry = line.trim_start();
        let at = start + line.len() - entry.len();
        start += line.len() + 1;
        let entry = entry.strip_suffix('\r').unwrap_or(entry);
        if entry.is_empty() || entry.starts_with('#') {
            continue;
        }
        let (key, value) = match entry.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (entry, lookup(entry)),
        };
        let mistake = if key.is_empty() {
            NO_NAME
        } else if key.contains([' ', '\t']) {
            SPACES
        } else {
            entries.push((key.to_owned(), value));
            continue;
        };
        errors.push(Diagnostic::at(file, place(text, at), mistake).hint(FORM));
    }
    if errors.is_empty() {
        Ok(entries)
    } else {
        Err(Diagnostics(errors))
    }
}

const NO_NAME: &str = "there is no variable name before the value";
const SPACES: &str = "a variable name has no spaces";
const FORM: &str = "write KEY=value";
const SHORTER: &str = "write the value out";

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    /// Byte offset of what comes next.
    at: usize,
    entries: Entries,
    /// The values of earlier files.
    before: &'a BTreeMap<String, String>,
    /// The entries so far by name, for variables in later values.
    values: BTreeMap<String, String>,
    budget: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

/// What ends a name.
enum End {
    /// `=` or `:`, so that a value follows.
    Sign,
    /// The end of the line or the file.
    Line,
}

impl<'a> Reader<'a> {
    /// Skips white space and comment lines; false at the end of the file.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return !trimmed.is_empty();
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn statement(&mut self) -> Result<(), Diagnostic> {
        self.skip_export();
        let start = self.at;
        let (key, end) = self.name()?;
        if key.is_empty() {
            return Err(self.error(start, NO_NAME, FORM));
        }
        if key.contains(is_blank) {
            return Err(self.error(start, SPACES, FORM));
        }
        let value = match end {
            End::Line => (self.lookup)(&key),
            End::Sign => {
                let rest = self.rest();
                let blank = rest.trim_start_matches(is_blank);
                self.at += rest.len() - blank.len();
                Some(self.value()?)
            }
        };
        if let Some(value) = &value {
            self.budget = self
                .budget
                .checked_sub(value.len())
                .ok_or_else(|| self.error(start, TemplateError::TooLong.to_string(), SHORTER))?;
            self.values.insert(key.clone(), value.clone());
        }
        self.entries.push((key, value));
        Ok(())
    }

    fn skip_export(&mut self) {
        let Some(after) = self.rest().strip_prefix("export") else {
            return;
        };
        let name = after.trim_start_matches(is_blank);
        // `export=1` is a variable of that name.
        if name.len() < after.len() {
            self.at = self.text.len() - name.len();
        }
    }

    fn name(&mut self) -> Result<(String, End), Diagnostic> {
        let rest = self.rest();
        for (offset, character) in rest.char_indices() {
            let end = match character {
                '=' | ':' => End::Sign,
                '\n' => End::Line,
                '_' | '.' | '-' | '[' | ']' => continue,
                _ if character.is_alphanumeric() || is_blank(character) => continue,
                _ => {
                    let message = "this character can't be in a variable name";
                    let hint = "write KEY=value, with quotes around a value of several lines";
                    return Err(self.error(self.at + offset, message, hint));
                }
            };
            self.at += offset + character.len_utf8();
            let name = rest.get(..offset).unwrap_or_default();
            return Ok((name.trim_end().to_owned(), end));
        }
        self.at = self.text.len();
        Ok((rest.trim_end().to_owned(), End::Line))
    }

    fn value(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        let rest = self.rest();
        match rest.bytes().next() {
            Some(b'"') => {
                let inner = self.quoted('"')?;
                self.expand(start, &unescape(&inner))
            }
            Some(b'\'') => self.quoted('\''),
            Some(_) | None => {
                let line = rest.split('\n').next().unwrap_or_default();
                self.at = (self.at + line.len() + 1).min(self.text.len());
                let value = line.split(" #").next().unwrap_or_default();
                self.expand(start, value.trim_end())
            }
        }
    }

    /// Takes a value in quotes; a quote behind a backslash belongs to the value.
    fn quoted(&mut self, quote: char) -> Result<String, Diagnostic> {
        let mut value = String::new();
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            if escaped {
                if character != quote {
                    value.push('\\');
                }
                value.push(character);
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == quote {
                self.at += offset + 1;
                return Ok(value);
            } else {
                value.push(character);
            }
        }
        let hint = format!("close the value with {quote}");
        Err(self.error(
            self.at,
            "the quotes that begin here are never closed",
            &hint,
        ))
    }

    fn expand(&self, start: usize, template: &str) -> Result<String, Diagnostic> {
        let above = |name: &str| self.values.get(name).or_else(|| self.before.get(name));
        let lookup = |name: &str| (self.lookup)(name).or_else(|| above(name).cloned());
        let Substituted { text, .. } = substitute(template, &lookup, self.budget);
        text.map_err(|errors| {
            let error = errors.into_iter().next().unwrap_or(TemplateError::Invalid);
            let hint = match &error {
                TemplateError::Invalid => "write `$$` for a `$`, or put single quotes around it",
                TemplateError::Required { .. } => "set the variable",
                TemplateError::TooDeep | TemplateError::TooLong => SHORTER,
            };
            // What `${A:?…}` says may hold the value of another variable.
            let message = match error {
                TemplateError::Required { name, .. } => {
                    format!("the variable \"{name}\" must be set")
                }
                TemplateError::Invalid | TemplateError::TooDeep | TemplateError::TooLong => {
                    error.to_string()
                }
            };
            self.error(start, message, hint)
        })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: usize, message: impl Into<String>, hint: &str) -> Diagnostic {
        Diagnostic::at(self.file, place(self.text, at), message).hint(hint)
    }
}

/// Space within a line, as compose-go counts it.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn host(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("h".to_owned()),
            "SHADOWED" => Some("from host".to_owned()),
            _ => None,
        }
    }

    fn read(text: &str) -> Vec<(String, Option<String>)> {
        parse(".env", text.as_bytes(), &host).unwrap()
    }

    fn refused(text: &str) -> String {
        let errors = parse(".env", text.as_bytes(), &host).unwrap_err();
        let lines = errors
            .0
            .iter()
            .map(|one| format!("{}: {}", one.location, one.message));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("A=x", "x"),
            ("A = x y ", "x y"),
            ("A=", ""),
            ("A=\nB=1", ""),
            ("A: x", "x"),
            ("A=b=c", "b=c"),
            ("export A=x", "x"),
            ("  export\t A=x", "x"),
            ("A=x # comment", "x"),
            ("A=x#y", "x#y"),
            ("A= # kept", "# kept"),
            ("A=x\r\n", "x"),
            ("\u{feff}A=x", "x"),
            ("# c\n\n  # c\nA=x", "x"),
            ("A=http://x:80/?a=b", "http://x:80/?a=b"),
            ("A=x\\n", "x\\n"),
            ("A=it's", "it's"),
            // Single quotes.
            ("A='x $HOST ${B} $$ \\n # y'", "x $HOST ${B} $$ \\n # y"),
            ("A='it\\'s'", "it's"),
            ("A='a\nb'", "a\nb"),
            ("A='x' # c", "x"),
            // Double quotes.
            ("A=\"x # y\" # c", "x # y"),
            ("A=\"a\nb\"", "a\nb"),
            ("A=\"a\\nb\\t\\\"c\\\" \\\\ \\q\"", "a\nb\t\"c\" \\ \\q"),
            ("A=\"\\a\\b\\f\\r\\v\"", "\u{7}\u{8}\u{c}\r\u{b}"),
            ("A=\"\\0101 \\0777 \\012 \\0\"", "A \\777 \\12 \\"),
            ("A=\"\\$HOST $$HOST\"", "$HOST $HOST"),
            ("A=\"$HOST\"", "h"),
            // Variables.
            ("A=$HOST-${HOST}-${B:-d}", "h-h-d"),
            ("A=$UNSET.", "."),
            ("A=$$HOST", "$HOST"),
        ] {
            let entries = read(text);
            let (key, value) = entries.first().unwrap();
            assert_eq!(
                (key.as_str(), value.as_deref()),
                ("A", Some(expected)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lookup_wins_over_the_file_and_later_entries_follow() {
        let entries = read("SHADOWED=file\nOWN=1\nA=$SHADOWED $OWN\nOWN=2\nB=$OWN\nHOST\nNO\n");
        let expected = [
            ("SHADOWED", Some("file")),
            ("OWN", Some("1")),
            ("A", Some("from host 1")),
            ("OWN", Some("2")),
            ("B", Some("2")),
            ("HOST", Some("h")),
            ("NO", None),
        ];
        let owned = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(entries, expected.map(owned));
    }

    #[test]
    fn a_bare_name_ends_with_its_line_or_the_file() {
        for text in ["A\nB=1", "A\r\nB=1", "A \nB=1"] {
            let names: Vec<String> = read(text).into_iter().map(|(key, _)| key).collect();
            assert_eq!(names, ["A", "B"], "{text:?}");
        }
        assert_eq!(read("A"), [("A".to_owned(), None)]);
        assert_eq!(read("a.b-C_1[0]=x").len(), 1);
        assert_eq!(read(" \n# only a comment"), []);
    }

    #[test]
    fn refusals_give_the_place_and_not_the_text() {
        for (text, expected) in [
            (
                "A=1\n B%hunter2=1",
                ".env:2:3: this character can't be in a variable name",
            ),
            ("A B=hunter2", ".env:1:1: a variable name has no spaces"),
            (
                "\n=hunter2",
                ".env:2:1: there is no variable name before the value",
            ),
            (
                "A='hunter2\nB=1",
                ".env:1:3: the quotes that begin here are never closed",
            ),
            (
                "é=1\nA=\"hunter2",
                ".env:2:3: the quotes that begin here are never closed",
            ),
            (
                "A=hunter2${",
                ".env:1:3: invalid variable: `${` needs a name, one of `:-` `-` `:+` `+` `:?` \
                 `?`, and a `}`",
            ),
            (
                "A=x\nB=${C:?hunter2}",
                ".env:2:3: the variable \"C\" must be set",
            ),
        ] {
            assert_eq!(refused(text), expected, "{text:?}");
        }
        let latin = parse(".env", b"A=1\nB=\xe9", &host).unwrap_err();
        assert_eq!(latin.0[0].location.to_string(), ".env:2:3");
    }

    #[test]
    fn values_can_not_multiply_without_end() {
        let mut text = format!("A0={}\n", "x".repeat(1000));
        for level in 1..20 {
            let before = level - 1;
            writeln!(text, "A{level}=$A{before}$A{before}").unwrap();
        }
        assert!(refused(&text).ends_with("too long"));
        let large = vec![b'#'; MAX_BYTES + 1];
        assert!(parse(".env", &large, &host).is_err());
    }

    #[test]
    fn raw_values_are_taken_as_they_stand() {
        let text = "\u{feff}# c\n\n  R=\"q $A\" # c \r\nE=\nHOST\nNO\nX='1'";
        let expected = [
            ("R", Some("\"q $A\" # c ")),
            ("E", Some("")),
            ("HOST", Some("h")),
            ("NO", None),
            ("X", Some("'1'")),
        ];
        let owned = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        let entries = parse_raw("raw.env", text.as_bytes(), &host).unwrap();
        assert_eq!(entries, expected.map(owned));

        let errors = parse_raw("raw.env", b"A=1\n  =x\nB C=1\n", &host).unwrap_err();
        let lines: Vec<String> = errors
            .0
            .iter()
            .map(|one| one.location.to_string())
            .collect();
        assert_eq!(lines, ["raw.env:2:3", "raw.env:3:1"]);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _dotenv = parse(".env", &bytes, &host);
            let _raw = parse_raw(".env", &bytes, &host);
        }

        #[test]
        fn never_panics_on_lines(text in "[A-C=:'\"\\\\$${}#é0-9 \\r\n\t]{0,80}") {
            let _dotenv = parse(".env", text.as_bytes(), &host);
            let _raw = parse_raw(".env", text.as_bytes(), &host);
        }

        #[test]
        fn single_quotes_keep_any_value(value in "[ -&(-\\[\\]-~\n]{0,40}") {
            let entries = read(&format!("A='{value}'\n"));
            prop_assert_eq!(entries, [("A".to_owned(), Some(value))]);
        }
    }
}
