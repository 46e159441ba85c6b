//! Splits `command` and `entrypoint` strings as go-shellwords 1.0.12 does.
//!
//! That is not how a shell splits them, so no crate does it: a backslash in double quotes goes
//! away before any character, `#` begins no comment, and everything from an unquoted
//! `;`, `&`, `|`, `<` or `>` on is dropped without a word (Compose starts `echo a | b` as
//! `echo a`).

use std::ops::ControlFlow;

/// Returns the words of a command string.
pub fn split_command(line: &str) -> Result<Vec<String>, String> {
    let mut splitter = Splitter::default();
    for character in line.chars() {
        if splitter.take(character)?.is_break() {
            break;
        }
    }
    splitter.finish()
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
    fn take(&mut self, character: char) -> Result<ControlFlow<()>, String> {
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
                    return Err(UNQUOTED.to_owned());
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

    fn finish(mut self) -> Result<Vec<String>, String> {
        if self.escaped || self.is_quoted() {
            return Err(UNCLOSED.to_owned());
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

const UNCLOSED: &str = "expected every quote, backquote and `$(` to be closed and a character \
                        after each backslash, such as sh -c 'echo \"a b\"'";
const UNQUOTED: &str = "expected parentheses in quotes, such as sh -c '(a; b)'";

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
    fn refuses_what_is_not_closed() {
        for line in ["'a", "\"a", "a\\", "`a", "$(a", "a)", "\"a'"] {
            assert!(
                split_command(line).unwrap_err().contains("to be closed"),
                "{line}"
            );
        }
        for line in ["(a)", "a (b)", "$((1))"] {
            assert!(
                split_command(line).unwrap_err().contains("parentheses"),
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
