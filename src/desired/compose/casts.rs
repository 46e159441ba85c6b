//! Knows where Compose turns a string into an integer, a number or a boolean.

use super::pattern::fits;
use super::refusal::Refusal;
use crate::yaml::Kind;
use crate::yaml::number::parse_float;

/// What a string is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Integer,
    Number,
    Boolean,
}

/// The places, as compose-go lists them (its `loader/interpolate.go`); `*` is any key or
/// item.
const PLACES: [(&str, Cast); 40] = [
    ("services.*.cpu_count", Cast::Integer),
    ("services.*.cpu_percent", Cast::Number),
    ("services.*.cpu_period", Cast::Integer),
    ("services.*.cpu_quota", Cast::Integer),
    ("services.*.cpu_rt_period", Cast::Integer),
    ("services.*.cpu_rt_runtime", Cast::Integer),
    ("services.*.cpus", Cast::Number),
    ("services.*.cpu_shares", Cast::Integer),
    ("services.*.init", Cast::Boolean),
    ("services.*.deploy.replicas", Cast::Integer),
    ("services.*.deploy.update_config.parallelism", Cast::Integer),
    (
        "services.*.deploy.update_config.max_failure_ratio",
        Cast::Number,
    ),
    (
        "services.*.deploy.rollback_config.parallelism",
        Cast::Integer,
    ),
    (
        "services.*.deploy.rollback_config.max_failure_ratio",
        Cast::Number,
    ),
    (
        "services.*.deploy.restart_policy.max_attempts",
        Cast::Integer,
    ),
    (
        "services.*.deploy.placement.max_replicas_per_node",
        Cast::Integer,
    ),
    ("services.*.healthcheck.retries", Cast::Integer),
    ("services.*.healthcheck.disable", Cast::Boolean),
    ("services.*.oom_kill_disable", Cast::Boolean),
    ("services.*.oom_score_adj", Cast::Integer),
    ("services.*.pids_limit", Cast::Integer),
    ("services.*.ports.*.target", Cast::Integer),
    ("services.*.privileged", Cast::Boolean),
    ("services.*.read_only", Cast::Boolean),
    ("services.*.scale", Cast::Integer),
    ("services.*.stdin_open", Cast::Boolean),
    ("services.*.tty", Cast::Boolean),
    ("services.*.ulimits.*", Cast::Integer),
    ("services.*.ulimits.*.hard", Cast::Integer),
    ("services.*.ulimits.*.soft", Cast::Integer),
    ("services.*.volumes.*.read_only", Cast::Boolean),
    ("services.*.volumes.*.volume.nocopy", Cast::Boolean),
    ("networks.*.external", Cast::Boolean),
    ("networks.*.internal", Cast::Boolean),
    ("networks.*.attachable", Cast::Boolean),
    ("networks.*.enable_ipv4", Cast::Boolean),
    ("networks.*.enable_ipv6", Cast::Boolean),
    ("volumes.*.external", Cast::Boolean),
    ("secrets.*.external", Cast::Boolean),
    ("configs.*.external", Cast::Boolean),
];

/// Returns what a string at a path of keys is read as; `None` where it stays a string.
pub(super) fn expected(path: &[String]) -> Option<Cast> {
    PLACES
        .iter()
        .find(|(pattern, _)| fits(path, pattern))
        .map(|(_, cast)| *cast)
}

impl Cast {
    /// Reads a string, or says what was expected instead.
    pub(super) fn apply(self, text: &str) -> Result<Kind, Refusal> {
        let kind = match self {
            Self::Integer => text.parse().ok().map(Kind::Int),
            Self::Number => parse_float(text).map(Kind::Float),
            Self::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some(Kind::Bool(true)),
                "false" | "n" | "no" | "off" => Some(Kind::Bool(false)),
                _ => None,
            },
        };
        kind.ok_or_else(|| {
            let (why, hint) = match self {
                Self::Integer => ("not an integer", "write an integer such as 3"),
                Self::Number => ("not a number", "write a number such as 0.5"),
                Self::Boolean => ("neither true nor false", "write true or false"),
            };
            let found = if text.is_empty() {
                ", but an empty text"
            } else {
                ""
            };
            Refusal::new(format!("{why}{found}"), hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Position;
    use crate::yaml::Node;

    #[test]
    fn finds_the_place() {
        for (path, expected_cast) in [
            ("services web cpus", Some(Cast::Number)),
            ("services a.b cpus", Some(Cast::Number)),
            ("services web ports [0] target", Some(Cast::Integer)),
            ("services web ulimits nofile", Some(Cast::Integer)),
            ("services web ulimits nofile soft", Some(Cast::Integer)),
            ("networks n external", Some(Cast::Boolean)),
            ("services web image", None),
            ("services web cpus x", None),
            ("services web", None),
            ("x-a web cpus", None),
        ] {
            let path: Vec<String> = path.split(' ').map(str::to_owned).collect();
            assert_eq!(expected(&path), expected_cast, "{path:?}");
        }
    }

    #[test]
    fn reads_as_go_does() {
        let read = |cast: Cast, text: &str| {
            let kind = cast.apply(text).ok()?;
            Node::new(&"f.yaml".into(), Position::default(), kind).go_string()
        };
        for (cast, text, expected) in [
            (Cast::Integer, "12", Some("12")),
            (Cast::Integer, "+12", Some("12")),
            (Cast::Integer, "-1", Some("-1")),
            (Cast::Integer, "0x1", None),
            (Cast::Integer, "1.5", None),
            (Cast::Integer, " 1", None),
            (Cast::Integer, "", None),
            (Cast::Number, "0.50", Some("0.5")),
            (Cast::Number, "1e3", Some("1000")),
            (Cast::Number, "x", None),
            (Cast::Number, "inf", None),
            (Cast::Boolean, "TRUE", Some("true")),
            (Cast::Boolean, "Off", Some("false")),
            (Cast::Boolean, "1", None),
        ] {
            assert_eq!(read(cast, text).as_deref(), expected, "{text}");
        }
    }
}
