//! Turns errors of the client library and the engine into ours. Pure.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bollard::errors::Error;

use super::connection::LIBRARY_LIMIT;
use crate::engine::EngineError;

/// Returns our error for one of the library, for a call that touches no registry.
pub(super) fn translate(endpoint: &str, doing: &str, error: &Error) -> EngineError {
    let doing = doing.to_owned();
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => answer(doing, *status_code, message),
        Error::DockerStreamError { error } => answer(doing, 500, error),
        Error::RequestTimeoutError => EngineError::TimedOut {
            doing,
            limit: LIBRARY_LIMIT,
        },
        Error::SocketNotFoundError(path) => EngineError::Unavailable {
            endpoint: endpoint.to_owned(),
            doing,
            cause: format!("there is no socket {path}; is the engine running?"),
        },
        Error::IOError { err } => EngineError::Unavailable {
            endpoint: endpoint.to_owned(),
            doing,
            cause: explain(err),
        },
        Error::HyperResponseError { .. } | Error::HyperLegacyError { .. } => {
            EngineError::Unavailable {
                endpoint: endpoint.to_owned(),
                doing,
                cause: explain_chain(error),
            }
        }
        // An answer that breaks off in the middle: the connection ended early.
        Error::JsonSerdeError { err } if err.is_eof() => EngineError::Unavailable {
            endpoint: endpoint.to_owned(),
            doing,
            cause: "the connection ended before the answer did".to_owned(),
        },
        other => EngineError::Refused {
            doing,
            cause: other.to_string(),
        },
    }
}

/// Returns our error for a call in which the engine asks a registry: what the engine says of the
/// registry decides.
pub(super) fn translate_registry(endpoint: &str, doing: &str, error: &Error) -> EngineError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
    let (status, message) = match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => (*status_code, message),
        Error::DockerStreamError { error } => (500, error),
        other => return translate(endpoint, doing, other),
    };
    let doing = doing.to_owned();
    let cause = tidy(message);
    let said = cause.to_lowercase();
    if status == 429 || says(&said, &REGISTRY_BUSY) {
        let again = stated(&said).unwrap_or_default();
        EngineError::TooMany {
            doing,
            cause,
            again,
        }
    } else if status == 404 || says(&said, &NOT_IN_REGISTRY) {
        EngineError::NotFound { doing, cause }
    } else if status == 400 || says(&said, &LASTING) {
        EngineError::Refused { doing, cause }
    } else if matches!(status, 401 | 403) || says(&said, &DENIED) {
        EngineError::Denied { doing, cause }
    } else {
        EngineError::Registry { doing, cause }
    }
}

/// Returns how long a registry wants to be left in peace, where the text of its answer says it:
/// the header `Retry-After` does not come through. GitHub's registry says
/// `toomanyrequests: retry-after: 1.16676ms, allowed: 44000/minute`, with a duration of Go.
fn stated(said: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("", 1.0),
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let (_, rest) = said.split_once("retry-after:")?;
    let word = rest.split_whitespace().next()?.trim_end_matches([',', ';']);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let unit = word.trim_start_matches(is_number);
    let number: f64 = word.strip_suffix(unit)?.parse().ok()?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Says in plain words why a connection failed, with what to look at.
pub(super) fn explain(error: &io::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket; is the engine running?".to_owned(),
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there; is the engine running?".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; may this user open the socket?".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Returns the same error with other words for what was being attempted.
pub(super) fn renamed(error: EngineError, doing: String) -> EngineError {
    match error {
        EngineError::Unavailable {
            endpoint, cause, ..
        } => EngineError::Unavailable {
            endpoint,
            doing,
            cause,
        },
        EngineError::NotFound { cause, .. } => EngineError::NotFound { doing, cause },
        EngineError::Conflict { cause, .. } => EngineError::Conflict { doing, cause },
        EngineError::Registry { cause, .. } => EngineError::Registry { doing, cause },
        EngineError::Denied { cause, .. } => EngineError::Denied { doing, cause },
        EngineError::TooMany { cause, again, .. } => EngineError::TooMany {
            doing,
            cause,
            again,
        },
        EngineError::Refused { cause, .. } => EngineError::Refused { doing, cause },
        EngineError::TimedOut { limit, .. } => EngineError::TimedOut { doing, limit },
    }
}

/// Returns whether an error says that the engine already is on the way to what was asked for.
pub(super) fn says_removal_in_progress(error: &EngineError) -> bool {
    matches!(error, EngineError::Conflict { cause, .. } if cause.contains("already in progress"))
}

/// Returns whether an error says that the container does not run.
pub(super) fn says_not_running(error: &EngineError) -> bool {
    matches!(error, EngineError::Conflict { cause, .. } if cause.contains("is not running"))
}

/// Returns whether an error says that the container already is in the network.
pub(super) fn says_already_connected(error: &EngineError) -> bool {
    cause(error).is_some_and(|cause| cause.contains("already exists in network"))
}

/// Returns whether an error says that the container is not in the network (any more).
pub(super) fn says_not_connected(error: &EngineError) -> bool {
    cause(error).is_some_and(|cause| cause.contains("is not connected to"))
}

/// What an engine says when the registry would answer another time.
const REGISTRY_BUSY: [&str; 3] = ["toomanyrequests", "too many requests", "http 429"];

/// What an engine says when the registry wants another login, or one at all.
const DENIED: [&str; 9] = [
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "authorization failed",
    "incorrect username or password",
    "403 forbidden",
    "http 401",
    "http 403",
    ": denied",
];

/// What an engine says when the registry answered that it has no such image. The last two also
/// stand for an image that may not be seen without logging in: registries don't tell these apart.
const NOT_IN_REGISTRY: [&str; 5] = [
    "manifest unknown",
    "not found",
    "name unknown",
    "repository does not exist",
    "requested access to the resource is denied",
];

/// What asking again does not change.
const LASTING: [&str; 4] = [
    "no space left on device",
    "no matching manifest for",
    "does not match the specified platform",
    "invalid reference format",
];

/// A port or an address of the host that another container or process holds.
const TAKEN: [&str; 2] = ["port is already allocated", "address already in use"];

fn answer(doing: String, status: u16, message: &str) -> EngineError {
    let cause = tidy(message);
    match status {
        404 => EngineError::NotFound { doing, cause },
        409 => EngineError::Conflict { doing, cause },
        _ if says(&cause, &TAKEN) => EngineError::Conflict { doing, cause },
        _ => EngineError::Refused { doing, cause },
    }
}

fn says(message: &str, any_of: &[&str]) -> bool {
    any_of.iter().any(|part| message.contains(part))
}

/// One line, however the engine broke it.
fn tidy(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        "the engine gave no reason".to_owned()
    } else {
        line
    }
}

fn cause(error: &EngineError) -> Option<&str> {
    match error {
        EngineError::Refused { cause, .. }
        | EngineError::Conflict { cause, .. }
        | EngineError::NotFound { cause, .. }
        | EngineError::Registry { cause, .. }
        | EngineError::Denied { cause, .. }
        | EngineError::TooMany { cause, .. } => Some(cause),
        EngineError::Unavailable { .. } | EngineError::TimedOut { .. } => None,
    }
}

/// The innermost I/O error says what happened; the errors around it only repeat that a request
/// failed.
fn explain_chain(error: &Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        if let Some(failure) = inner.downcast_ref::<io::Error>() {
            return explain(failure);
        }
        last = inner.to_string();
        next = inner.source();
    }
    format!("{last}; the connection broke before the answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        }
    }

    fn kind(error: &EngineError) -> &'static str {
        match error {
            EngineError::Unavailable { .. } => "unavailable",
            EngineError::NotFound { .. } => "not found",
            EngineError::Conflict { .. } => "conflict",
            EngineError::Registry { .. } => "registry",
            EngineError::Denied { .. } => "denied",
            EngineError::TooMany { .. } => "too many",
            EngineError::Refused { .. } => "refused",
            EngineError::TimedOut { .. } => "timed out",
        }
    }

    #[test]
    fn answers_by_status_and_words() {
        for (status, message, expected) in [
            (404, "No such container: x", "not found"),
            (
                409,
                "Conflict. The container name \"/x\" is already in use",
                "conflict",
            ),
            (
                500,
                "Bind for 0.0.0.0:80 failed: port is already allocated",
                "conflict",
            ),
            (
                500,
                "listen tcp4 0.0.0.0:80: bind: address already in use",
                "conflict",
            ),
            (500, "OCI runtime create failed", "refused"),
            (400, "invalid mount config for type \"bind\"", "refused"),
            (500, "", "refused"),
        ] {
            let error = translate(
                "unix:///x",
                "start container web-1",
                &server(status, message),
            );
            assert_eq!(kind(&error), expected, "{message}");
            assert!(
                error
                    .to_string()
                    .starts_with("failed to start container web-1: "),
                "{error}"
            );
            assert!(!error.to_string().ends_with(": "), "{error}");
        }
    }

    /// Translates what an engine says of a registry, as an answer and in the stream of a pull.
    fn of_a_registry(cases: &[(u16, &str, &str)]) {
        for &(status, message, expected) in cases {
            let error = translate_registry("unix:///x", "pull x", &server(status, message));
            assert_eq!(kind(&error), expected, "{message}");
            let stream = Error::DockerStreamError {
                error: message.to_owned(),
            };
            let error = translate_registry("unix:///x", "pull x", &stream);
            if status == 500 {
                assert_eq!(kind(&error), expected, "in the stream: {message}");
            }
        }
    }

    #[test]
    fn registry_answers() {
        of_a_registry(&[
            (
                404,
                "manifest for r/x:y not found: manifest unknown: manifest unknown",
                "not found",
            ),
            (
                403,
                "pull access denied for x, repository does not exist or may require",
                "not found",
            ),
            (
                500,
                "Get http://127.0.0.1:5/v2/: dial tcp: connect: connection refused",
                "registry",
            ),
            (
                500,
                "received unexpected HTTP status: 503 Service Unavailable",
                "registry",
            ),
            (
                500,
                "toomanyrequests: You have reached your pull rate limit.",
                "too many",
            ),
            (404, "toomanyrequests: page not found", "too many"),
            (429, "slow down", "too many"),
            (
                500,
                "error parsing HTTP 429 response body: unexpected end of JSON input: \"\"",
                "too many",
            ),
            (
                500,
                "unexpected status from HEAD request to http://r/v2/x: 429 Too Many Requests",
                "too many",
            ),
            (500, "net/http: TLS handshake timeout", "registry"),
            (
                500,
                "Get https://r/v2/: dial tcp: lookup r: no such host",
                "registry",
            ),
            (
                500,
                "filesystem layer verification failed for digest sha256:0",
                "registry",
            ),
            (
                500,
                "write /var/lib/docker/tmp/x: no space left on device",
                "refused",
            ),
            (
                500,
                "no matching manifest for linux/amd64 in the manifest list",
                "refused",
            ),
            (400, "invalid reference format", "refused"),
        ]);
    }

    #[test]
    fn registry_wants_another_login() {
        of_a_registry(&[
            (401, "unauthorized: authentication required", "denied"),
            (500, "unauthorized: authentication required", "denied"),
            (403, "denied: denied", "denied"),
            (
                500,
                "Head \"https://r/v2/x/manifests/v1\": denied",
                "denied",
            ),
            (
                500,
                "open /var/lib/docker/tmp/x: permission denied",
                "registry",
            ),
            (
                500,
                "Get \"http://127.0.0.1:5/v2/x/manifests/v1\": no basic auth credentials",
                "denied",
            ),
            (
                500,
                "Get https://r/v2/x: unauthorized: incorrect username or password",
                "denied",
            ),
            (
                500,
                "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
                "denied",
            ),
            (
                500,
                "error parsing HTTP 403 response body: invalid character '<' looking for: \"<html>\"",
                "denied",
            ),
        ]);
    }

    #[test]
    fn how_long_to_wait_is_read_where_it_is_said() {
        for (text, nanoseconds) in [
            (
                "x: retry-after: 1.5ms, allowed: 44000/minute",
                Some(1_500_000),
            ),
            ("x: retry-after: 556.25µs, allowed: 9/minute", Some(556_250)),
            ("retry-after: 30", Some(30_000_000_000)),
            ("retry-after: 2m", Some(120_000_000_000)),
            ("retry-after:7s;", Some(7_000_000_000)),
            ("retry-after: 1m30s", None),
            ("retry-after: soon", None),
            ("retry-after: -1s", None),
            ("retry-after: 1e9s", None),
            ("retry-after: 99999999999999999999h", None),
            ("retry-after: .", None),
            ("retry-after:", None),
            ("toomanyrequests: slow down", None),
        ] {
            let said = stated(text).map(|wait| wait.as_nanos());
            assert_eq!(said, nanoseconds, "{text}");
        }
    }

    #[test]
    fn broken_connections_carry_a_hint() {
        let denied = Error::IOError {
            err: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let error = translate("unix:///x", "list containers", &denied);
        assert_eq!(kind(&error), "unavailable");
        assert!(
            error.to_string().contains("may this user open the socket?"),
            "{error}"
        );
        let missing = Error::SocketNotFoundError("/x".to_owned());
        let error = translate("unix:///x", "list containers", &missing);
        assert!(
            error.to_string().contains("is the engine running?"),
            "{error}"
        );
        let cut: Result<Vec<u8>, _> = serde_json::from_str("[1,");
        let cut = Error::JsonSerdeError {
            err: cut.expect_err("a broken list"),
        };
        assert_eq!(
            kind(&translate("unix:///x", "list containers", &cut)),
            "unavailable"
        );
    }

    #[test]
    fn many_lines_become_one() {
        let error = translate("unix:///x", "start it", &server(500, "a\n\tb\r\n"));
        assert_eq!(error.to_string(), "failed to start it: a b");
    }
}
