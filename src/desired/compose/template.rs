//! Puts values in the place of `$NAME` and `${NAME…}` in one text.
//!
//! The rules are those of compose-go's `template` package, which both Compose files and
//! environment files go by:
//!
//! | written | gives |
//! |---|---|
//! | `$A`, `${A}` | the value, or nothing and a warning |
//! | `${A:-d}`, `${A-d}` | `d` when `A` is unset (with `:` also when it is empty) |
//! | `${A:+r}`, `${A+r}` | `r` when `A` is set (with `:` only when it is not empty) |
//! | `${A:?m}`, `${A?m}` | an error with the message `m` when `A` is unset (or empty) |
//! | `$$` | `$` |
//! | `$` before anything else | itself |
//!
//! `d`, `r` and `m` are templates in turn, and are worked out even when they are not needed.
//! They end at the closing brace in the same line.

use std::collections::BTreeSet;

/// Templates inside each other; real files have three at most.
const MAX_DEPTH: usize = 32;

/// Why a text can't be put together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("invalid variable: `${{` needs a name, one of `:-` `-` `:+` `+` `:?` `?`, and a `}}`")]
    Invalid,
    #[error("the variable \"{name}\" must be set{}", of_reason(reason))]
    Required { name: String, reason: String },
    #[error("more than {MAX_DEPTH} variables inside each other")]
    TooDeep,
    #[error("the values of the variables make the text too long")]
    TooLong,
}

fn of_reason(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

/// What came of a text.
pub(super) struct Substituted {
    /// The text with all values, or all reasons why there is none.
    pub(super) text: Result<String, Vec<TemplateError>>,
    /// Variables that are not set and for which nothing stands in.
    pub(super) unset: BTreeSet<String>,
}

/// Puts the values of `lookup` into a template; the result has `limit` bytes at most.
pub(super) fn substitute(
    template: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    limit: usize,
) -> Substituted {
    let mut run = Run {
        lookup,
        budget: limit,
        unset: BTreeSet::new(),
        missing: Vec::new(),
    };
    let result = run.expand(template, 0);
    let text = match result {
        Ok(text) if run.missing.is_empty() => Ok(text),
        Ok(_) => Err(run.missing),
        Err(error) => {
            run.missing.push(error);
            Err(run.missing)
        }
    };
    Substituted {
        text,
        unset: run.unset,
    }
}

struct Run<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    budget: usize,
    unset: BTreeSet<String>,
    /// Required variables that have no value; the search for more of them goes on.
    missing: Vec<TemplateError>,
}

impl Run<'_> {
    fn expand(&mut self, template: &str, depth: usize) -> Result<String, TemplateError> {
        if depth > MAX_DEPTH {
            return Err(TemplateError::TooDeep);
        }
        let mut out = String::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('$') {
            self.push(&mut out, text)?;
            if let Some(tail) = after.strip_prefix('$') {
                self.push(&mut out, "$")?;
                rest = tail;
            } else if let Some(body) = after.strip_prefix('{') {
                let braced = Braced::cut(body).ok_or(TemplateError::Invalid)?;
                let value = self.braced(&braced, depth)?;
                self.push(&mut out, &value)?;
                rest = braced.rest;
            } else {
                let (name, tail) = cut_name(after);
                if name.is_empty() {
                    self.push(&mut out, "$")?;
                } else {
                    let value = self.plain(name);
                    self.push(&mut out, &value)?;
                }
                rest = tail;
            }
        }
        self.push(&mut out, rest)?;
        Ok(out)
    }

    /// Adds to the text, within the budget of the whole run.
    fn push(&mut self, out: &mut String, text: &str) -> Result<(), TemplateError> {
        self.budget = self
            .budget
            .checked_sub(text.len())
            .ok_or(TemplateError::TooLong)?;
        out.push_str(text);
        Ok(())
    }

    fn plain(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }

    fn braced(&mut self, braced: &Braced<'_>, depth: usize) -> Result<String, TemplateError> {
        let Some((operator, argument)) = &braced.operation else {
            return Ok(self.plain(braced.name));
        };
        let argument = self.expand(argument, depth + 1)?;
        let value = (self.lookup)(braced.name);
        // What counts as having a value: with a colon the empty string doesn't.
        let given = value.filter(|value| !(operator.refuses_empty && value.is_empty()));
        Ok(match (operator.kind, given) {
            (OperatorKind::Default | OperatorKind::Required, Some(value)) => value,
            (OperatorKind::Default, None) | (OperatorKind::Replacement, Some(_)) => argument,
            (OperatorKind::Replacement, None) => String::new(),
            (OperatorKind::Required, None) => {
                self.missing.push(TemplateError::Required {
                    name: braced.name.to_owned(),
                    reason: argument,
                });
                String::new()
            }
        })
    }
}

/// The inside of `${…}` and what follows it.
struct Braced<'a> {
    name: &'a str,
    operation: Option<(Operator, &'a str)>,
    rest: &'a str,
}

#[derive(Clone, Copy)]
struct Operator {
    kind: OperatorKind,
    /// Written with a colon: an empty value is no value.
    refuses_empty: bool,
}

#[derive(Clone, Copy)]
enum OperatorKind {
    Default,
    Replacement,
    Required,
}

impl<'a> Braced<'a> {
    /// Cuts what follows `${`; `None` when it is not a variable.
    fn cut(body: &'a str) -> Option<Self> {
        let (name, tail) = cut_name(body);
        if name.is_empty() {
            return None;
        }
        if let Some(rest) = tail.strip_prefix('}') {
            return Some(Self {
                name,
                operation: None,
                rest,
            });
        }
        let (operator, text) = Operator::cut(tail)?;
        let end = closing_brace(text)?;
        Some(Self {
            name,
            operation: Some((operator, text.get(..end)?)),
            rest: text.get(end + 1..)?,
        })
    }
}

impl Operator {
    fn cut(text: &str) -> Option<(Self, &str)> {
        let bare = text.strip_prefix(':');
        let refuses_empty = bare.is_some();
        let text = bare.unwrap_or(text);
        let kind = match text.bytes().next()? {
            b'-' => OperatorKind::Default,
            b'+' => OperatorKind::Replacement,
            b'?' => OperatorKind::Required,
            _ => return None,
        };
        let operator = Self {
            kind,
            refuses_empty,
        };
        Some((operator, text.get(1..)?))
    }
}

/// Returns where the brace closes that stands open before `text`, within its first line.
///
/// As compose-go counts: the byte behind an opening brace is not looked at, and when the count
/// never comes out even the last brace of the line closes.
fn closing_brace(text: &str) -> Option<usize> {
    let line = text.split('\n').next().unwrap_or_default();
    let mut open = 1_usize;
    let mut bytes = line.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'}' if open == 1 => return Some(at),
            b'}' => open -= 1,
            b'{' => {
                open += 1;
                bytes.next();
            }
            _ => {}
        }
    }
    line.rfind('}')
}

/// Splits a text behind the variable name at its beginning, which may be empty.
fn cut_name(text: &str) -> (&str, &str) {
    let digits_later = |(at, byte): (usize, u8)| {
        byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit())
    };
    let end = text
        .bytes()
        .enumerate()
        .take_while(|item| digits_later(*item))
        .count();
    text.split_at_checked(end).unwrap_or(("", text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "A" => Some("a".to_owned()),
            "_b1" => Some("b".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$A $$".to_owned()),
            _ => None,
        }
    }

    fn run(template: &str) -> Result<String, Vec<TemplateError>> {
        substitute(template, &variable, 1 << 16).text
    }

    #[test]
    fn substitutes() {
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "a"),
            ("x${A}y", "xay"),
            ("$A-$_b1.${A}", "a-b.a"),
            ("$UNSET|${UNSET}", "|"),
            ("$$A $${A} $$$A", "$A ${A} $a"),
            ("$$$$", "$$"),
            ("x$", "x$"),
            ("$1 $ $. $é", "$1 $ $. $é"),
            ("$Aé", "aé"),
            ("$DOLLAR", "$A $$"),
            // Defaults.
            ("${UNSET:-d}${EMPTY:-d}${A:-d}", "dda"),
            ("${UNSET-d}${EMPTY-d}${A-d}", "da"),
            ("${UNSET:-}", ""),
            ("${UNSET-b:-c}", "b:-c"),
            ("${UNSET:-http://x/?y+z}", "http://x/?y+z"),
            ("${UNSET:-$A} ${UNSET:-${OTHER:-${A}}}", "a a"),
            ("${UNSET:-$$A}", "$A"),
            ("${UNSET:-x}y}", "xy}"),
            ("${UNSET:-a b} ${UNSET:-c}\n${UNSET:-d}", "a b c\nd"),
            // Replacements.
            ("${UNSET:+r}${EMPTY:+r}${A:+r}", "r"),
            ("${UNSET+r}${EMPTY+r}${A+r}", "rr"),
            ("${A:+$_b1}", "b"),
            // Required ones.
            ("${A:?m}${A?m}${EMPTY?m}", "aa"),
            // Braces inside, as compose-go counts them.
            ("${UNSET:-{}}", "{}"),
            ("${UNSET:-{\"a\":1}}", "{\"a\":1}"),
            ("${UNSET:-{x}", "{x"),
        ] {
            assert_eq!(run(template), Ok(expected.to_owned()), "{template}");
        }
    }

    #[test]
    fn refuses_what_is_no_variable() {
        for template in [
            "${",
            "${}",
            "${A",
            "${1}",
            "${A b}",
            "${A/b/c}",
            "${A:d}",
            "${A:-d",
            "${A:-x\n}",
            "a ${A.b}",
            "${UNSET:-${}}",
            // One brace closes both, so that the default is `${B`.
            "${A:-${B}",
        ] {
            assert_eq!(
                run(template),
                Err(vec![TemplateError::Invalid]),
                "{template}"
            );
        }
    }

    #[test]
    fn names_every_missing_variable() {
        let required = |name: &str, reason: &str| TemplateError::Required {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        assert_eq!(
            run("${X:?give $A} ${EMPTY:?} ${Y?}"),
            Err(vec![
                required("X", "give a"),
                required("EMPTY", ""),
                required("Y", "")
            ])
        );
        // The default is worked out though it is not needed.
        assert_eq!(run("${A:-${X?m}}"), Err(vec![required("X", "m")]));
        assert_eq!(
            required("X", "m").to_string(),
            "the variable \"X\" must be set: m"
        );
    }

    #[test]
    fn tells_which_variables_are_unset() {
        let unset = substitute("$X ${X} ${Y} ${Z:-$W} ${V+r}", &variable, 100).unset;
        let expected = ["W", "X", "Y"].map(str::to_owned);
        assert_eq!(unset, BTreeSet::from(expected));
    }

    #[test]
    fn budgets_hold() {
        let nested = |levels: usize| "${X:-".repeat(levels) + &"}".repeat(levels);
        assert_eq!(run(&nested(32)), Ok(String::new()));
        assert_eq!(run(&nested(33)), Err(vec![TemplateError::TooDeep]));
        // Unclosed braces cost no more than a look at the line each.
        assert!(run(&"${X:-".repeat(100_000)).is_err());

        let long = |_: &str| Some("x".repeat(1000));
        assert!(substitute(&"$X".repeat(10), &long, 10_000).text.is_ok());
        let result = substitute(&"$X".repeat(11), &long, 10_000).text;
        assert_eq!(result, Err(vec![TemplateError::TooLong]));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _outcome = run(&text);
        }

        #[test]
        fn never_panics_on_templates(text in "[$${}A-C:?+\\-é\\n ]{0,60}") {
            let _outcome = run(&text);
        }

        #[test]
        fn an_escaped_text_comes_back(text in "[$a-z{}:é-]{0,40}") {
            prop_assert_eq!(run(&text.replace('$', "$$")), Ok(text));
        }
    }
}
