//! A service.

use std::ops::RangeInclusive;

use super::deploy::{DEPLOY, DEVELOP};
use super::parts::{
    COMMAND, DEVICE_REQUEST, DRIVER_OPTIONS, EXTRA_HOSTS, FILE_MOUNTS, FLAG, FLAG_OR_TEXT, HOOK,
    INIT_HOOK, INTEGER_OR_TEXT, NOTHING, NUMBER, NUMBER_OR_TEXT, PAIRS, TEXT, TEXT_OR_LIST,
    TEXT_OR_NOTHING, TEXT_OR_SET, TEXT_SET, TEXTS, ULIMITS,
};
use super::rule::{Names, Object, Others, Pattern, Rule, Scalar};

const NOT_NEGATIVE: RangeInclusive<i64> = 0..=i64::MAX;
const PERCENT: RangeInclusive<i64> = 0..=100;
const OOM_SCORE: RangeInclusive<i64> = -1000..=1000;

pub(super) const SERVICE: Rule = Rule::Object(&Object {
    keys: &[
        ("develop", DEVELOP),
        ("deploy", DEPLOY),
        ("annotations", PAIRS),
        ("attach", FLAG_OR_TEXT),
        ("build", BUILD),
        ("blkio_config", BLKIO),
        ("cap_add", TEXT_SET),
        ("cap_drop", TEXT_SET),
        ("cgroup", Rule::Word(&["host", "private"])),
        ("cgroup_parent", TEXT),
        ("command", COMMAND),
        ("configs", FILE_MOUNTS),
        ("container_name", Rule::Pattern(Pattern::ContainerName)),
        ("cpu_count", Rule::Within(&NOT_NEGATIVE)),
        ("cpu_percent", Rule::Within(&PERCENT)),
        ("cpu_shares", NUMBER_OR_TEXT),
        ("cpu_quota", NUMBER_OR_TEXT),
        ("cpu_period", NUMBER_OR_TEXT),
        ("cpu_rt_period", NUMBER_OR_TEXT),
        ("cpu_rt_runtime", NUMBER_OR_TEXT),
        ("cpus", NUMBER_OR_TEXT),
        ("cpuset", TEXT),
        ("credential_spec", CREDENTIAL_SPEC),
        ("depends_on", DEPENDS_ON),
        ("device_cgroup_rules", TEXT_SET),
        ("devices", Rule::List(&DEVICE)),
        ("dns", TEXT_OR_SET),
        ("dns_opt", TEXT_SET),
        ("dns_search", TEXT_OR_SET),
        ("domainname", TEXT),
        ("entrypoint", COMMAND),
        ("env_file", ENV_FILE),
        ("label_file", TEXT_OR_LIST),
        ("environment", PAIRS),
        ("expose", Rule::Set(&NUMBER_OR_TEXT)),
        ("extends", EXTENDS),
        ("provider", PROVIDER),
        ("external_links", TEXT_SET),
        ("extra_hosts", EXTRA_HOSTS),
        ("gpus", GPUS),
        ("group_add", Rule::Set(&NUMBER_OR_TEXT)),
        ("healthcheck", HEALTHCHECK),
        ("hostname", TEXT),
        ("image", TEXT),
        ("init", FLAG_OR_TEXT),
        ("ipc", TEXT),
        ("isolation", TEXT),
        ("labels", PAIRS),
        ("links", TEXT_SET),
        ("logging", LOGGING),
        ("mac_address", TEXT),
        ("mem_limit", NUMBER_OR_TEXT),
        ("mem_reservation", INTEGER_OR_TEXT),
        ("mem_swappiness", INTEGER_OR_TEXT),
        ("memswap_limit", NUMBER_OR_TEXT),
        ("network_mode", TEXT),
        ("models", MODELS),
        ("networks", NETWORKS),
        ("oom_kill_disable", FLAG_OR_TEXT),
        ("oom_score_adj", Rule::Within(&OOM_SCORE)),
        ("pid", TEXT_OR_NOTHING),
        ("pids_limit", NUMBER_OR_TEXT),
        ("platform", TEXT),
        ("ports", Rule::Set(&PORT)),
        ("pre_start", Rule::List(&INIT_HOOK)),
        ("post_start", Rule::List(&HOOK)),
        ("pre_stop", Rule::List(&HOOK)),
        ("privileged", FLAG_OR_TEXT),
        ("profiles", TEXT_SET),
        ("pull_policy", Rule::Pattern(Pattern::PullPolicy)),
        ("pull_refresh_after", TEXT),
        ("read_only", FLAG_OR_TEXT),
        ("restart", TEXT),
        ("runtime", TEXT),
        ("scale", INTEGER_OR_TEXT),
        ("security_opt", TEXT_SET),
        ("shm_size", NUMBER_OR_TEXT),
        ("secrets", FILE_MOUNTS),
        ("sysctls", PAIRS),
        ("stdin_open", FLAG_OR_TEXT),
        ("stop_grace_period", TEXT),
        ("stop_signal", TEXT),
        ("storage_opt", Rule::Map(Names::Any, &Rule::Any)),
        ("tmpfs", TEXT_OR_SET),
        ("tty", FLAG_OR_TEXT),
        ("ulimits", ULIMITS),
        ("use_api_socket", FLAG),
        ("user", TEXT),
        ("uts", TEXT),
        ("userns_mode", TEXT),
        ("volumes", Rule::Set(&VOLUME)),
        ("volumes_from", TEXT_SET),
        ("working_dir", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const BUILD: Rule = Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[
            ("context", TEXT),
            ("dockerfile", TEXT),
            ("dockerfile_inline", TEXT),
            ("entitlements", TEXTS),
            ("args", PAIRS),
            ("ssh", PAIRS),
            ("labels", PAIRS),
            ("cache_from", TEXTS),
            ("cache_to", TEXTS),
            ("no_cache", FLAG_OR_TEXT),
            ("no_cache_filter", TEXT_OR_SET),
            ("additional_contexts", PAIRS),
            ("network", TEXT),
            ("provenance", FLAG_OR_TEXT),
            ("sbom", FLAG_OR_TEXT),
            ("pull", FLAG_OR_TEXT),
            ("target", TEXT),
            ("shm_size", INTEGER_OR_TEXT),
            ("extra_hosts", EXTRA_HOSTS),
            ("isolation", TEXT),
            ("privileged", FLAG_OR_TEXT),
            ("secrets", FILE_MOUNTS),
            ("tags", TEXTS),
            ("ulimits", ULIMITS),
            ("platforms", TEXTS),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]);

const BLKIO: Rule = Rule::Object(&Object {
    keys: &[
        ("device_read_bps", Rule::List(&BLKIO_LIMIT)),
        ("device_read_iops", Rule::List(&BLKIO_LIMIT)),
        ("device_write_bps", Rule::List(&BLKIO_LIMIT)),
        ("device_write_iops", Rule::List(&BLKIO_LIMIT)),
        ("weight", INTEGER_OR_TEXT),
        ("weight_device", Rule::List(&BLKIO_WEIGHT)),
    ],
    required: &[],
    others: Others::Refused,
});

const BLKIO_LIMIT: Rule = Rule::Object(&Object {
    keys: &[("path", TEXT), ("rate", INTEGER_OR_TEXT)],
    required: &[],
    others: Others::Refused,
});

const BLKIO_WEIGHT: Rule = Rule::Object(&Object {
    keys: &[("path", TEXT), ("weight", INTEGER_OR_TEXT)],
    required: &[],
    others: Others::Refused,
});

const CREDENTIAL_SPEC: Rule = Rule::Object(&Object {
    keys: &[("config", TEXT), ("file", TEXT), ("registry", TEXT)],
    required: &[],
    others: Others::Extensions,
});

const DEPENDS_ON: Rule = Rule::Either(&[
    TEXT_SET,
    Rule::Map(
        Names::Plain,
        &Rule::Object(&Object {
            keys: &[
                ("restart", FLAG_OR_TEXT),
                ("required", FLAG),
                (
                    "condition",
                    Rule::Word(&[
                        "service_started",
                        "service_healthy",
                        "service_completed_successfully",
                    ]),
                ),
            ],
            required: &["condition"],
            others: Others::Extensions,
        }),
    ),
]);

const DEVICE: Rule = Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[("source", TEXT), ("target", TEXT), ("permissions", TEXT)],
        required: &["source"],
        others: Others::Extensions,
    }),
]);

const ENV_FILE: Rule = Rule::Either(&[
    TEXT,
    Rule::List(&Rule::Either(&[
        TEXT,
        Rule::Object(&Object {
            keys: &[("path", TEXT), ("format", TEXT), ("required", FLAG_OR_TEXT)],
            required: &["path"],
            others: Others::Refused,
        }),
    ])),
]);

const EXTENDS: Rule = Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[("service", TEXT), ("file", TEXT)],
        required: &["service"],
        others: Others::Refused,
    }),
]);

const SCALAR: Rule = Rule::Scalar(&[Scalar::Text, Scalar::Number, Scalar::Boolean]);

const PROVIDER: Rule = Rule::Object(&Object {
    keys: &[
        ("type", TEXT),
        (
            "options",
            Rule::Map(Names::Any, &Rule::Either(&[SCALAR, Rule::List(&SCALAR)])),
        ),
    ],
    required: &["type"],
    others: Others::Extensions,
});

const GPUS: Rule = Rule::Either(&[
    Rule::Word(&["all"]),
    Rule::List(&Rule::Object(&Object {
        keys: &DEVICE_REQUEST,
        required: &[],
        others: Others::Any,
    })),
]);

const HEALTHCHECK: Rule = Rule::Object(&Object {
    keys: &[
        ("disable", FLAG_OR_TEXT),
        ("interval", TEXT),
        ("retries", NUMBER_OR_TEXT),
        ("test", TEXT_OR_LIST),
        ("timeout", TEXT),
        ("start_period", TEXT),
        ("start_interval", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const LOGGING: Rule = Rule::Object(&Object {
    keys: &[
        ("driver", TEXT),
        (
            "options",
            Rule::Map(
                Names::Any,
                &Rule::Scalar(&[Scalar::Text, Scalar::Number, Scalar::Null]),
            ),
        ),
    ],
    required: &[],
    others: Others::Extensions,
});

const MODELS: Rule = Rule::Either(&[
    TEXT_SET,
    Rule::Map(
        Names::Any,
        &Rule::Either(&[
            NOTHING,
            Rule::Object(&Object {
                keys: &[("endpoint_var", TEXT), ("model_var", TEXT)],
                required: &[],
                others: Others::Extensions,
            }),
        ]),
    ),
]);

const NETWORKS: Rule = Rule::Either(&[
    TEXT_SET,
    Rule::Map(
        Names::Plain,
        &Rule::Either(&[
            NOTHING,
            Rule::Object(&Object {
                keys: &[
                    ("aliases", TEXT_SET),
                    ("interface_name", TEXT),
                    ("ipv4_address", TEXT),
                    ("ipv6_address", TEXT),
                    ("link_local_ips", TEXT_SET),
                    ("mac_address", TEXT),
                    ("driver_opts", DRIVER_OPTIONS),
                    ("priority", NUMBER),
                    ("gw_priority", NUMBER),
                ],
                required: &[],
                others: Others::Extensions,
            }),
        ]),
    ),
]);

const PORT: Rule = Rule::Either(&[
    NUMBER_OR_TEXT,
    Rule::Object(&Object {
        keys: &[
            ("name", TEXT),
            ("mode", TEXT),
            ("host_ip", TEXT),
            ("target", INTEGER_OR_TEXT),
            ("published", INTEGER_OR_TEXT),
            ("protocol", TEXT),
            ("app_protocol", TEXT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]);

const VOLUME: Rule = Rule::Either(&[
    TEXT,
    Rule::Object(&Object {
        keys: &[
            (
                "type",
                Rule::Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
            ),
            ("source", TEXT),
            ("target", TEXT),
            ("read_only", FLAG_OR_TEXT),
            ("consistency", TEXT),
            ("bind", VOLUME_BIND),
            ("volume", VOLUME_VOLUME),
            ("tmpfs", VOLUME_TMPFS),
            ("image", VOLUME_IMAGE),
        ],
        required: &["type"],
        others: Others::Extensions,
    }),
]);

const VOLUME_BIND: Rule = Rule::Object(&Object {
    keys: &[
        ("propagation", TEXT),
        ("create_host_path", FLAG_OR_TEXT),
        (
            "recursive",
            Rule::Word(&["enabled", "disabled", "writable", "readonly"]),
        ),
        ("selinux", Rule::Word(&["z", "Z"])),
    ],
    required: &[],
    others: Others::Extensions,
});

const VOLUME_VOLUME: Rule = Rule::Object(&Object {
    keys: &[
        ("labels", PAIRS),
        ("nocopy", FLAG_OR_TEXT),
        ("subpath", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const VOLUME_TMPFS: Rule = Rule::Object(&Object {
    keys: &[
        ("size", Rule::Within(&NOT_NEGATIVE)),
        ("mode", NUMBER_OR_TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

const VOLUME_IMAGE: Rule = Rule::Object(&Object {
    keys: &[("subpath", TEXT)],
    required: &[],
    others: Others::Extensions,
});
