//! `deploy` and `develop` of a service.

use super::parts::{
    DEVICE_REQUEST, FLAG, HOOK, INTEGER_OR_TEXT, NOTHING, NUMBER_OR_TEXT, PAIRS, TEXT, TEXT_OR_SET,
    TEXTS,
};
use super::rule::{Object, Others, Rule};

pub(super) const DEPLOY: Rule = Rule::Either(&[
    NOTHING,
    Rule::Object(&Object {
        keys: &[
            ("mode", TEXT),
            ("endpoint_mode", TEXT),
            ("replicas", INTEGER_OR_TEXT),
            ("labels", PAIRS),
            ("rollback_config", UPDATE),
            ("update_config", UPDATE),
            ("resources", RESOURCES),
            ("restart_policy", RESTART_POLICY),
            ("placement", PLACEMENT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]);

pub(super) const DEVELOP: Rule = Rule::Either(&[
    NOTHING,
    Rule::Object(&Object {
        keys: &[("watch", Rule::List(&TRIGGER))],
        required: &[],
        others: Others::Extensions,
    }),
]);

const TRIGGER: Rule = Rule::Object(&Object {
    keys: &[
        ("ignore", TEXT_OR_SET),
        ("include", TEXT_OR_SET),
        ("path", TEXT),
        (
            "action",
            Rule::Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        ),
        ("target", TEXT),
        ("exec", HOOK),
        ("initial_sync", FLAG),
    ],
    required: &["path", "action"],
    others: Others::Extensions,
});

const UPDATE: Rule = Rule::Object(&Object {
    keys: &[
        ("parallelism", INTEGER_OR_TEXT),
        ("delay", TEXT),
        ("failure_action", TEXT),
        ("monitor", TEXT),
        ("max_failure_ratio", NUMBER_OR_TEXT),
        ("order", Rule::Word(&["start-first", "stop-first"])),
    ],
    required: &[],
    others: Others::Extensions,
});

const RESOURCES: Rule = Rule::Object(&Object {
    keys: &[("limits", LIMITS), ("reservations", RESERVATIONS)],
    required: &[],
    others: Others::Extensions,
});

const LIMITS: Rule = Rule::Object(&Object {
    keys: &[
        ("cpus", NUMBER_OR_TEXT),
        ("memory", TEXT),
        ("pids", INTEGER_OR_TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const RESERVATIONS: Rule = Rule::Object(&Object {
    keys: &[
        ("cpus", NUMBER_OR_TEXT),
        ("memory", TEXT),
        ("generic_resources", Rule::List(&GENERIC_RESOURCE)),
        ("devices", Rule::List(&DEVICES)),
    ],
    required: &[],
    others: Others::Extensions,
});

const GENERIC_RESOURCE: Rule = Rule::Object(&Object {
    keys: &[(
        "discrete_resource_spec",
        Rule::Object(&Object {
            keys: &[("kind", TEXT), ("value", NUMBER_OR_TEXT)],
            required: &[],
            others: Others::Extensions,
        }),
    )],
    required: &[],
    others: Others::Extensions,
});

const DEVICES: Rule = Rule::Object(&Object {
    keys: &DEVICE_REQUEST,
    required: &["capabilities"],
    others: Others::Extensions,
});

const RESTART_POLICY: Rule = Rule::Object(&Object {
    keys: &[
        ("condition", TEXT),
        ("delay", TEXT),
        ("max_attempts", INTEGER_OR_TEXT),
        ("window", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const PLACEMENT: Rule = Rule::Object(&Object {
    keys: &[
        ("constraints", TEXTS),
        (
            "preferences",
            Rule::List(&Rule::Object(&Object {
                keys: &[("spread", TEXT)],
                required: &[],
                others: Others::Extensions,
            })),
        ),
        ("max_replicas_per_node", INTEGER_OR_TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});
