//! Hides every known secret value in a text.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use super::forms::forms;
use super::{SHORTEST_HIDDEN, Sensitive, escape_control};

/// What stands where a secret was.
const HIDDEN: &str = "[hidden]";

/// Most passing values that are kept.
const MOST_PASSING: usize = 256;

/// Replaces every known secret value in a text by `[hidden]`, in any of the forms in which it
/// turns up.
///
/// A text that is JSON, or data otherwise, is cleaned value by value before it is written down.
/// Cloning is cheap, and clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    /// Sorted.
    lasting: Vec<Sensitive>,
    /// The oldest first.
    passing: VecDeque<Sensitive>,
    /// All forms of both, sorted.
    forms: Vec<Sensitive>,
}

impl Redactor {
    /// Adds values to hide from now on.
    pub fn learn(&self, values: impl IntoIterator<Item = Sensitive>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.lasting.len();
        for value in values.into_iter().filter(worth_it) {
            let place = |one: &Sensitive| one.expose().cmp(value.expose());
            if let Err(at) = known.lasting.binary_search_by(place) {
                known.lasting.insert(at, value);
            }
        }
        if known.lasting.len() > before {
            known.take_forms();
        }
    }

    /// Adds values to hide for a while: those that are not soon learned again are forgotten when
    /// many others were. For tokens of which there is a new one every hour.
    pub fn learn_passing(&self, values: impl IntoIterator<Item = Sensitive>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = false;
        for value in values.into_iter().filter(worth_it) {
            let at = known.passing.iter().position(|one| *one == value);
            new |= at.is_none();
            if let Some(at) = at {
                known.passing.remove(at);
            }
            known.passing.push_back(value);
        }
        while known.passing.len() > MOST_PASSING {
            known.passing.pop_front();
        }
        if new {
            known.take_forms();
        }
    }

    /// Returns `text` with every known value hidden and control characters escaped, so that
    /// neither a secret nor a terminal sequence of somebody else reaches a person.
    pub fn clean(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        escape_control(&known.hide(text))
    }
}

impl Known {
    fn take_forms(&mut self) {
        let values = self.lasting.iter().chain(&self.passing);
        self.forms = values.flat_map(|value| forms(value.expose())).collect();
        self.forms.sort_by(|a, b| a.expose().cmp(b.expose()));
        self.forms.dedup();
    }

    /// Hides the longest form at every place; of those that overlap nothing is left.
    fn hide(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut hidden_to = 0;
        for (at, c) in text.char_indices() {
            if let Some(found) = text.get(at..).and_then(|rest| self.longest_at(rest)) {
                if at >= hidden_to {
                    out.push_str(HIDDEN);
                }
                hidden_to = hidden_to.max(at + found.len());
            }
            if at >= hidden_to {
                out.push(c);
            }
        }
        out
    }

    /// Returns the longest form with which a text begins.
    fn longest_at(&self, text: &str) -> Option<&str> {
        let start = text.as_bytes().get(..SHORTEST_HIDDEN)?;
        let to = self.forms.partition_point(|form| form.expose() <= text);
        // What a text begins with is sorted before it, and the longest is the last of those.
        let mut before = self.forms.get(..to)?.iter().rev().map(Sensitive::expose);
        let mut alike = before
            .by_ref()
            .take_while(|form| form.as_bytes().starts_with(start));
        alike.find(|form| text.starts_with(form))
    }
}

fn worth_it(value: &Sensitive) -> bool {
    value.expose().len() >= SHORTEST_HIDDEN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(values: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(values.iter().map(|value| Sensitive::new(*value)));
        redactor
    }

    #[test]
    fn hides_known_values_longest_first() {
        let redactor = knowing(&["hunter22", "hunter22-and-more", "hunter22-and-others"]);
        assert_eq!(
            redactor.clean("a hunter22-and-more b hunter22 c hunter22-and d hunter22-and-others"),
            "a [hidden] b [hidden] c [hidden]-and d [hidden]"
        );
        assert_eq!(redactor.clean("hunter22hunter22"), "[hidden][hidden]");
        let redactor = knowing(&["abcdefgh", "efghijkl"]);
        assert_eq!(redactor.clean("-abcdefghijkl-"), "-[hidden]-");
    }

    #[test]
    fn leaves_short_values_alone() {
        assert_eq!(knowing(&["1"]).clean("port 8081"), "port 8081");
    }

    #[test]
    fn knows_a_value_in_every_form() {
        let secret = "p\"a\\s s\néü€😀/";
        let redactor = knowing(&[secret]);
        let json = serde_json::to_string(secret).unwrap();
        for (said, shown) in [
            (format!("it is {secret}!"), "it is [hidden]!"),
            (json, "\"[hidden]\""),
            (format!("{secret:?}"), "\"[hidden]\""),
            (
                r#"p\"a\\s s\n\u00e9\u00fc\u20ac\ud83d\ude00/"#.to_owned(),
                "[hidden]",
            ),
            (
                "http://p%22a%5Cs%20s%0A%C3%A9%C3%BC%E2%82%AC%F0%9F%98%80%2F@x".to_owned(),
                "http://[hidden]@x",
            ),
            ("cCJhXHMgcwrDqcO84oKs8J+YgC8=".to_owned(), "[hidden]="),
        ] {
            assert_eq!(redactor.clean(&said), shown, "{said}");
        }
    }

    #[test]
    fn knows_the_hexadecimal_digits_of_a_value() {
        let redactor = knowing(&["k!ngfisher\na longer line of it"]);
        for said in [
            "6b216e676669736865720a61206c6f6e676572206c696e65206f66206974",
            "6B216E676669736865720A61206C6F6E676572206C696E65206F66206974",
            "61206c6f6e676572206c696e65206f66206974",
        ] {
            assert_eq!(redactor.clean(&format!("0x{said}.")), "0x[hidden].");
        }
    }

    #[test]
    fn knows_a_long_line_alone() {
        let key = "-----BEGIN KEY-----\r\n  MIIEvQIBADANBgkqhkiG9w0B/q+=\r\nshort\r\n";
        let redactor = knowing(&[key]);
        assert_eq!(redactor.clean(key), "[hidden]");
        assert_eq!(
            redactor.clean("  1 | MIIEvQIBADANBgkqhkiG9w0B/q+=\n  2 | short"),
            "  1 | [hidden]\n  2 | short"
        );
        let sent = "q=MIIEvQIBADANBgkqhkiG9w0B%2Fq%2B%3D";
        assert_eq!(redactor.clean(sent), "q=[hidden]");
    }

    #[test]
    fn passing_values_are_forgotten_when_others_came() {
        let redactor = knowing(&["lasting-secret"]);
        let token = |number: usize| Sensitive::new(format!("token-{number:05}"));
        redactor.learn_passing([token(0)]);
        for number in 1..MOST_PASSING {
            redactor.learn_passing([token(number)]);
        }
        assert_eq!(redactor.clean("token-00000"), "[hidden]");
        // One that is used goes on; the oldest of the others makes room.
        redactor.learn_passing([token(0), token(MOST_PASSING)]);
        assert_eq!(
            redactor.clean("token-00000 token-00001"),
            "[hidden] token-00001"
        );
        assert_eq!(redactor.clean("lasting-secret"), "[hidden]");
        assert_eq!(redactor.0.read().unwrap().passing.len(), MOST_PASSING);
    }
}
