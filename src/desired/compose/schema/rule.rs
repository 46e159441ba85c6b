//! The words in which the table of the specification is written.

use std::ops::RangeInclusive;

use crate::yaml::{Kind, Node};

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Anything.
    Any,
    /// A scalar of one of these types.
    Scalar(&'static [Scalar]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text in which a pattern is found.
    Pattern(Pattern),
    /// An integer within bounds, or any text.
    Within(&'static RangeInclusive<i64>),
    /// A list.
    List(&'static Rule),
    /// A list of which no two items are equal.
    Set(&'static Rule),
    /// A mapping whose keys the user chooses.
    Map(Names, &'static Rule),
    /// A mapping whose keys the specification gives.
    Object(&'static Object),
    /// The first of these that is of the value's type.
    Either(&'static [Rule]),
}

/// The type of a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
}

/// A mapping with known keys.
pub(super) struct Object {
    /// The keys and what they may hold.
    pub(super) keys: &'static [(&'static str, Rule)],
    /// Keys that have to be there.
    pub(super) required: &'static [&'static str],
    /// What other keys there may be.
    pub(super) others: Others,
}

/// Keys of an [`Object`] that it doesn't list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// None.
    Refused,
    /// `x-*`, with any value.
    Extensions,
    /// All; the specification's schema misses to refuse them.
    Any,
}

/// Names that a user may give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Letters, digits, `.`, `_` and `-`.
    Plain,
    /// All that aren't empty.
    Some,
    /// All; the specification's schema misses to refuse odd ones.
    Any,
}

/// A pattern of the specification; as there, it only has to be found somewhere in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The name of a container: two characters at least.
    ContainerName,
    /// When to pull an image.
    PullPolicy,
}

impl Rule {
    /// Returns whether a value is of the type that the rule is about.
    pub(super) fn is_about(&self, node: &Node) -> bool {
        match self {
            Self::Any => true,
            Self::Scalar(types) => types.iter().any(|scalar| scalar.takes(node)),
            Self::Word(_) | Self::Pattern(_) => matches!(node.kind, Kind::Str(_)),
            Self::Within(_) => Scalar::Integer.takes(node) || Scalar::Text.takes(node),
            Self::List(_) | Self::Set(_) => matches!(node.kind, Kind::Seq(_)),
            Self::Map(..) | Self::Object(_) => matches!(node.kind, Kind::Map(_)),
            Self::Either(rules) => rules.iter().any(|rule| rule.is_about(node)),
        }
    }

    /// Returns the types that the rule is about, in words: `a string or a list`.
    pub(super) fn wanted(&self) -> String {
        let mut types = Vec::new();
        self.collect(&mut types);
        match types.as_slice() {
            [] => "anything".to_owned(),
            [one] => (*one).to_owned(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        }
    }

    /// Returns whether quotes make any scalar fit.
    fn takes_text(&self) -> bool {
        match self {
            Self::Scalar(types) => types.contains(&Scalar::Text),
            Self::Word(_) | Self::Pattern(_) | Self::Within(_) => true,
            Self::Either(rules) => rules.iter().any(Self::takes_text),
            Self::Any | Self::List(_) | Self::Set(_) | Self::Map(..) | Self::Object(_) => false,
        }
    }

    /// Returns what to do about a value of another type.
    pub(super) fn remedy(&self, node: &Node) -> &'static str {
        let takes_list = self.takes(|rule| matches!(rule, Self::List(_) | Self::Set(_)));
        let takes_map = self.takes(|rule| matches!(rule, Self::Map(..) | Self::Object(_)));
        match node.kind {
            Kind::Null => "write a value, or take the key out",
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) if self.takes_text() => {
                "put quotes around the value"
            }
            Kind::Str(_) if takes_list => "write a list: [VALUE]",
            Kind::Map(_) if takes_list => "write a list, each item behind a dash",
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Seq(_)
                if takes_map =>
            {
                "write a mapping: KEY: VALUE"
            }
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) if takes_list => "write a list: [VALUE]",
            Kind::Str(_) if self.takes(|rule| matches!(rule, Self::Scalar(_))) => {
                "take the quotes away, or write a value of that type"
            }
            Kind::Seq(_) => "write one value, without dash and brackets",
            Kind::Map(_) => "write one value, or put quotes around the braces",
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {
                "write a value of that type"
            }
        }
    }

    /// Returns a value that may be written, or a word that stands for one.
    pub(super) fn example(&self) -> &'static str {
        match self {
            Self::Word(words) => words.first().copied().unwrap_or("…"),
            Self::Any
            | Self::Scalar(_)
            | Self::Pattern(_)
            | Self::Within(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::Map(..)
            | Self::Object(_)
            | Self::Either(_) => "VALUE",
        }
    }

    fn takes(&self, is_it: impl Fn(&Self) -> bool + Copy) -> bool {
        match self {
            Self::Either(rules) => rules.iter().any(|rule| rule.takes(is_it)),
            Self::Any
            | Self::Scalar(_)
            | Self::Word(_)
            | Self::Pattern(_)
            | Self::Within(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::Map(..)
            | Self::Object(_) => is_it(self),
        }
    }

    fn collect(&self, types: &mut Vec<&'static str>) {
        let mut add = |name| {
            if !types.contains(&name) {
                types.push(name);
            }
        };
        match self {
            Self::Any => {}
            Self::Scalar(scalars) => scalars.iter().for_each(|scalar| add(scalar.name())),
            Self::Word(_) | Self::Pattern(_) => add("a string"),
            Self::Within(_) => {
                add("an integer");
                add("a string");
            }
            Self::List(_) | Self::Set(_) => add("a list"),
            Self::Map(..) | Self::Object(_) => add("a mapping"),
            Self::Either(rules) => rules.iter().for_each(|rule| rule.collect(types)),
        }
    }
}

impl Scalar {
    fn takes(self, node: &Node) -> bool {
        match &node.kind {
            Kind::Null => self == Self::Null,
            Kind::Bool(_) => self == Self::Boolean,
            Kind::Int(_) => matches!(self, Self::Integer | Self::Number),
            // JSON has one type of numbers: 2.0 is an integer.
            Kind::Float(value) => {
                self == Self::Number || self == Self::Integer && value.fract() == 0.0
            }
            Kind::Str(_) => self == Self::Text,
            Kind::Seq(_) | Kind::Map(_) => false,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a string",
        }
    }
}

impl Names {
    /// Returns whether a name may be given.
    pub(super) fn allow(self, name: &str) -> bool {
        match self {
            Self::Plain => is_plain(name),
            // `.+` of the specification: at least one character that is not the end of a line.
            Self::Some => name.chars().any(|c| c != '\n'),
            Self::Any => true,
        }
    }
}

impl Pattern {
    /// Returns whether the pattern is found in a text.
    pub(super) fn is_in(self, text: &str) -> bool {
        match self {
            Self::ContainerName => text
                .as_bytes()
                .windows(2)
                .any(|pair| matches!(pair, [first, second] if first.is_ascii_alphanumeric() && is_name(*second))),
            Self::PullPolicy => {
                POLICIES.iter().any(|policy| text.contains(policy))
                    || text.match_indices(EVERY).any(|(at, _)| {
                        let after = text.get(at + EVERY.len()..).unwrap_or_default();
                        let unit = after.trim_start_matches(|c: char| c.is_ascii_digit());
                        unit.len() < after.len() && unit.starts_with(['w', 'd', 'h', 'm', 's'])
                    })
            }
        }
    }

    /// Returns what is expected, for a person.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::ContainerName => {
                "write two or more letters, digits, '.', '_' or '-', beginning with a letter or \
                 digit"
            }
            Self::PullPolicy => {
                "write always, never, missing, if_not_present, build, refresh, daily, weekly or \
                 a time such as every_12h"
            }
        }
    }
}

const POLICIES: [&str; 8] = [
    "always",
    "never",
    "build",
    "if_not_present",
    "missing",
    "refresh",
    "daily",
    "weekly",
];
const EVERY: &str = "every_";

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}
