//! What several places of a Compose file have in common.

use super::rule::{Names, Object, Others, Rule, Scalar};

pub(super) const TEXT: Rule = Rule::Scalar(&[Scalar::Text]);
pub(super) const TEXT_OR_NOTHING: Rule = Rule::Scalar(&[Scalar::Text, Scalar::Null]);
pub(super) const FLAG: Rule = Rule::Scalar(&[Scalar::Boolean]);
pub(super) const FLAG_OR_TEXT: Rule = Rule::Scalar(&[Scalar::Boolean, Scalar::Text]);
pub(super) const INTEGER: Rule = Rule::Scalar(&[Scalar::Integer]);
pub(super) const INTEGER_OR_TEXT: Rule = Rule::Scalar(&[Scalar::Integer, Scalar::Text]);
pub(super) const NUMBER: Rule = Rule::Scalar(&[Scalar::Number]);
pub(super) const NUMBER_OR_TEXT: Rule = Rule::Scalar(&[Scalar::Number, Scalar::Text]);
pub(super) const NOTHING: Rule = Rule::Scalar(&[Scalar::Null]);

const SCALAR: Rule = Rule::Scalar(&[Scalar::Text, Scalar::Number, Scalar::Boolean, Scalar::Null]);

pub(super) const TEXTS: Rule = Rule::List(&TEXT);
pub(super) const TEXT_SET: Rule = Rule::Set(&TEXT);
pub(super) const TEXT_OR_SET: Rule = Rule::Either(&[TEXT, TEXT_SET]);
pub(super) const TEXT_OR_LIST: Rule = Rule::Either(&[TEXT, TEXTS]);

/// `KEY: value`, or a list of `KEY=value`.
pub(super) const PAIRS: Rule = Rule::Either(&[Rule::Map(Names::Some, &SCALAR), TEXT_SET]);

/// Options of a driver.
pub(super) const DRIVER_OPTIONS: Rule = Rule::Map(Names::Any, &NUMBER_OR_TEXT);

pub(super) const COMMAND: Rule = Rule::Either(&[NOTHING, TEXT, TEXTS]);

pub(super) const EXTRA_HOSTS: Rule =
    Rule::Either(&[Rule::Map(Names::Some, &TEXT_OR_LIST), TEXT_SET]);

pub(super) const ULIMITS: Rule = Rule::Map(
    Names::Any,
    &Rule::Either(&[
        INTEGER_OR_TEXT,
        Rule::Object(&Object {
            keys: &[("hard", INTEGER_OR_TEXT), ("soft", INTEGER_OR_TEXT)],
            required: &["soft", "hard"],
            others: Others::Extensions,
        }),
    ]),
);

/// Configs and secrets that a service is given.
pub(super) const FILE_MOUNTS: Rule = Rule::List(&Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[
            ("source", TEXT),
            ("target", TEXT),
            ("uid", TEXT),
            ("gid", TEXT),
            ("mode", NUMBER_OR_TEXT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]));

/// A command that runs when a service has started or is about to stop.
pub(super) const HOOK: Rule = Rule::Object(&Object {
    keys: &[
        ("command", COMMAND),
        ("user", TEXT),
        ("privileged", FLAG_OR_TEXT),
        ("working_dir", TEXT),
        ("environment", PAIRS),
    ],
    required: &["command"],
    others: Others::Extensions,
});

/// A container that runs before a service starts.
pub(super) const INIT_HOOK: Rule = Rule::Object(&Object {
    keys: &[
        ("command", COMMAND),
        ("image", TEXT),
        ("user", TEXT),
        ("privileged", FLAG_OR_TEXT),
        ("working_dir", TEXT),
        ("environment", PAIRS),
        ("per_replica", FLAG_OR_TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

/// The keys of a request for devices.
pub(super) const DEVICE_REQUEST: [(&str, Rule); 5] = [
    ("capabilities", TEXT_SET),
    ("count", INTEGER_OR_TEXT),
    ("device_ids", TEXT_SET),
    ("driver", TEXT),
    ("options", PAIRS),
];
