//! Splits `command` and `entrypoint` strings as go-shellwords 1.0.12 does.
//!
//! That is not how a shell splits them, so no crate does it: a backslash in double quotes goes
//! away before any character, `#` begins no comment, and everything from an unquoted
//! `;`, `&`, `|`, `<` or `>` on is dropped without a word (Compose starts `echo a | b` as
//! `echo a`).

use std::ops::ControlFlow;

use crate::desired::compose::refusal::Refusal;

/// Returns the words of a command string.
pub fn split_command(line: &str) -> Result<Vec<String>, Refusal> {
    let (splitter, _) = read(line)?;
    splitter.finish()
}

/// Returns the character from which on a command string is dropped; `None` where all of it counts
/// or where it can't be split.
pub fn cut_of_command(line: &str) -> Option<char> {
    read(line).ok()?.1
}

/// Reads a line to its end, or to the character that cuts it.
fn read(line: &str) -> Result<(Splitter, Option<char>), Refusal> {
    let mut splitter = Splitter::default();
    for character in line.chars() {
        if splitter.take(character)?.is_break() {
            return Ok((splitter, Some(character)));
        }
    }
    Ok((splitter, None))
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the states of go-shellwords, which are not exclusive: quotes count within backquotes"
)]
struct Splitter {
    words: Vec<String>,
    word: String,
    /// Whether there is a word, which may be empty: `""`.
    has_word: bool,
    escaped: bool,
    single: bool,
    double: bool,
    /// Between backquotes, which stay in the word.
    back: bool,
    /// Inside `$(…)`, which stays in the word.
    dollar: bool,
}

impl Splitter {
    fn take(&mut self, character: char) -> Result<ControlFlow<()>, Refusal> {
        if self.escaped {
            self.escaped = false;
            self.push(character);
            return Ok(ControlFlow::Continue(()));
        }
        match character {
            '\\' if self.single => self.word.push(character),
            '\\' => self.escaped = true,
            ' ' | '\t' | '\r' | '\n' if self.is_quoted() => self.word.push(character),
            ' ' | '\t' | '\r' | '\n' => self.end_word(),
            '`' if !self.single && !self.double && !self.dollar => {
                self.back = !self.back;
                self.push(character);
            }
            ')' if !self.single && !self.double && !self.back => {
                self.dollar = !self.dollar;
                self.push(character);
            }
            '(' if !self.single && !self.double && !self.back => {
                if self.dollar || !self.word.ends_with('$') {
                    return Err(Refusal::new(
                        "parentheses stand outside of quotes",
                        "put them in quotes, such as sh -c '(a; b)'",
                    ));
                }
                self.dollar = true;
                self.push(character);
            }
            '"' if !self.single && !self.dollar => {
                self.has_word |= self.double;
                self.double = !self.double;
            }
            '\'' if !self.double && !self.dollar => {
                self.has_word |= self.single;
                self.single = !self.single;
            }
            ';' | '&' | '|' | '<' | '>' if !self.is_quoted() => {
                // The number of a redirected stream (`2>`) goes with it.
                if character == '>' && self.word.starts_with(|c: char| c.is_ascii_digit()) {
                    self.has_word = false;
                }
                return Ok(ControlFlow::Break(()));
            }
            _ => self.push(character),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(mut self) -> Result<Vec<String>, Refusal> {
        if self.escaped || self.is_quoted() {
            return Err(Refusal::new(UNCLOSED, HINT));
        }
        self.end_word();
        Ok(self.words)
    }

    fn push(&mut self, character: char) {
        self.word.push(character);
        self.has_word = true;
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.has_word) {
            self.words.push(word);
        }
    }

    fn is_quoted(&self) -> bool {
        self.single || self.double || self.back || self.dollar
    }
}

const UNCLOSED: &str = "a quote, a backquote or `$(` is not closed, or nothing follows a backslash";
const HINT: &str = "close it, as in sh -c 'echo \"a b\"', or write a list: [sh, -c, '…']";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_as_compose_does() {
        for (line, expected) in [
            ("", &[] as &[&str]),
            ("  a  b\tc\n", &["a", "b", "c"]),
            ("sh -c 'a \"b\" \\ c'", &["sh", "-c", "a \"b\" \\ c"]),
            (
                "sh -c \"a 'b' \\\"c\\\" \\\\ \\d\"",
                &["sh", "-c", "a 'b' \"c\" \\ d"],
            ),
            ("a\\ b a\\nb", &["a b", "anb"]),
            ("'' \"\" x\"\"y", &["", "", "xy"]),
            ("a=\"b c\"'d e'", &["a=b cd e"]),
            ("a # b", &["a", "#", "b"]),
            ("'a | b && c; d > e'", &["a | b && c; d > e"]),
            ("echo a | b && c", &["echo", "a"]),
            ("echo a;b", &["echo", "a"]),
            ("a 2>x", &["a"]),
            ("a b>x", &["a", "b"]),
            ("a `b c` $(d 'e f')", &["a", "`b c`", "$(d 'e f')"]),
            ("a)b )c", &["a)b )c"]),
            ("a $HOME *.txt ~", &["a", "$HOME", "*.txt", "~"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(split_command(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn says_where_the_rest_is_dropped() {
        for (line, expected) in [
            ("a; b", Some(';')),
            ("a&b", Some('&')),
            ("x 2>err", Some('>')),
            ("a | b; c", Some('|')),
            ("sh -c 'a; b'", None),
            ("a \\; b", None),
            ("a b", None),
            ("(a); b", None),
        ] {
            assert_eq!(cut_of_command(line), expected, "{line}");
        }
    }

    #[test]
    fn refuses_what_is_not_closed() {
        for line in ["'a", "\"a", "a\\", "`a", "$(a", "a)", "\"a'"] {
            assert!(
                split_command(line).unwrap_err().why.contains("not closed"),
                "{line}"
            );
        }
        for line in ["(a)", "a (b)", "$((1))"] {
            assert!(
                split_command(line).unwrap_err().why.contains("parentheses"),
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in "[a-c$`'\"()\\\\;|>2 é\\n]{0,40}") {
            let _words = split_command(&line);
        }

        #[test]
        fn a_quoted_word_comes_back(word in "[ -&(-~]{0,30}") {
            prop_assert_eq!(split_command(&format!("'{word}'")), Ok(vec![word]));
        }
    }
}
