//! The top level of a Compose file and what is declared there beside services.

use super::parts::{
    DRIVER_OPTIONS, FLAG_OR_TEXT, INTEGER, NOTHING, PAIRS, TEXT, TEXT_OR_SET, TEXTS,
};
use super::rule::{Names, Object, Others, Rule, Scalar};
use super::service::SERVICE;

pub(super) const FILE: Rule = Rule::Object(&Object {
    keys: &[
        ("version", TEXT),
        ("name", TEXT),
        ("include", Rule::List(&INCLUDE)),
        ("services", Rule::Map(Names::Plain, &SERVICE)),
        ("models", Rule::Map(Names::Any, &MODEL)),
        ("networks", Rule::Map(Names::Any, &NETWORK)),
        ("volumes", Rule::Map(Names::Plain, &VOLUME)),
        ("secrets", Rule::Map(Names::Plain, &SECRET)),
        ("configs", Rule::Map(Names::Plain, &CONFIG)),
    ],
    required: &[],
    others: Others::Extensions,
});

const INCLUDE: Rule = Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[
            ("path", TEXT_OR_SET),
            ("env_file", TEXT_OR_SET),
            ("project_directory", TEXT),
        ],
        required: &[],
        others: Others::Refused,
    }),
]);

const MODEL: Rule = Rule::Object(&Object {
    keys: &[
        ("name", TEXT),
        ("model", TEXT),
        ("context_size", INTEGER),
        ("runtime_flags", TEXTS),
    ],
    required: &["model"],
    others: Others::Extensions,
});

const NETWORK: Rule = Rule::Either(&[
    NOTHING,
    Rule::Object(&Object {
        keys: &[
            ("name", TEXT),
            ("driver", TEXT),
            ("driver_opts", DRIVER_OPTIONS),
            ("ipam", IPAM),
            ("external", external(Others::Extensions)),
            ("internal", FLAG_OR_TEXT),
            ("enable_ipv4", FLAG_OR_TEXT),
            ("enable_ipv6", FLAG_OR_TEXT),
            ("attachable", FLAG_OR_TEXT),
            ("labels", PAIRS),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]);

const IPAM: Rule = Rule::Object(&Object {
    keys: &[
        ("driver", TEXT),
        ("config", Rule::List(&POOL)),
        ("options", Rule::Map(Names::Some, &TEXT)),
    ],
    required: &[],
    others: Others::Extensions,
});

const POOL: Rule = Rule::Object(&Object {
    keys: &[
        ("subnet", TEXT),
        ("ip_range", TEXT),
        ("gateway", TEXT),
        ("aux_addresses", Rule::Map(Names::Some, &TEXT)),
    ],
    required: &[],
    others: Others::Extensions,
});

const VOLUME: Rule = Rule::Either(&[
    NOTHING,
    Rule::Object(&Object {
        keys: &[
            ("name", TEXT),
            ("driver", TEXT),
            ("driver_opts", DRIVER_OPTIONS),
            ("external", external(Others::Extensions)),
            ("labels", PAIRS),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]);

const SECRET: Rule = Rule::Object(&Object {
    keys: &[
        ("name", TEXT),
        ("environment", TEXT),
        ("file", TEXT),
        ("external", external(Others::Any)),
        ("labels", PAIRS),
        ("driver", TEXT),
        ("driver_opts", DRIVER_OPTIONS),
        ("template_driver", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const CONFIG: Rule = Rule::Object(&Object {
    keys: &[
        ("name", TEXT),
        ("content", TEXT),
        ("environment", TEXT),
        ("file", TEXT),
        ("external", external(Others::Any)),
        ("labels", PAIRS),
        ("template_driver", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

/// Returns what `external` may be: a flag, or the outdated form with a name below it.
const fn external(others: Others) -> Rule {
    const NAME: [(&str, Rule); 1] = [("name", TEXT)];
    const FLAG: Rule = Rule::Scalar(&[Scalar::Boolean, Scalar::Text]);
    const STRICT: Rule = Rule::Object(&Object {
        keys: &NAME,
        required: &[],
        others: Others::Extensions,
    });
    const LAX: Rule = Rule::Object(&Object {
        keys: &NAME,
        required: &[],
        others: Others::Any,
    });
    match others {
        Others::Any => Rule::Either(&[FLAG, LAX]),
        Others::Extensions | Others::Refused => Rule::Either(&[FLAG, STRICT]),
    }
}
