//! What holds are about beyond a name, and the words in them that take some putting together.

use serde::Serialize;

use super::{Reason, Subject};
use crate::desired::{ServiceName, StackName};
use crate::engine::api::TooOld;

/// Something that Git asks for and the engine's API is too old for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Which part of the stack asks for it.
    pub of: Subject,
    /// What, as the Compose file says it.
    pub what: String,
    /// The first version of the API that has it.
    pub api: String,
    /// The first release of Docker Engine that speaks it.
    pub engine: String,
}

impl Lack {
    pub(super) fn new(of: &Subject, lack: &TooOld) -> Self {
        Self {
            of: of.clone(),
            what: lack.what.clone(),
            api: lack.since.to_string(),
            engine: lack.engine.to_owned(),
        }
    }
}

/// Whose a second container of a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Second {
    /// It has our labels.
    Ours,
    /// Docker Compose made it for the project of this stack, as one that Git wants.
    Compose(StackName),
    /// Docker Compose made it for the project of this stack, beyond the number that Git wants.
    Beyond(StackName),
}

impl Second {
    /// Returns what a person can do about a second container.
    pub(super) fn way_out(&self, service: &ServiceName, container: &str) -> String {
        let remove = format!("docker rm -f {container}");
        match self {
            Self::Ours => format!("remove it: {remove}"),
            Self::Compose(stack) => format!(
                "if nobody needs it: {remove}; if it is the right one, remove the other one, and: \
                 moored adopt {stack}"
            ),
            Self::Beyond(stack) => format!(
                "if nobody needs it: {remove}; else say in Git that {service} has more of them, \
                 and: moored adopt {stack}"
            ),
        }
    }
}

/// Returns which form of the data an attempt has made.
pub(super) fn form_of(attempt: u64) -> String {
    if attempt == 0 {
        "before any migration".to_owned()
    } else {
        format!("attempt {attempt}")
    }
}

/// Returns commands, each with what stands before and after it.
pub(super) fn commands(all: &[String], before: &str, after: &str) -> String {
    let all = all.iter();
    all.fold(String::new(), |text, one| text + before + one + after)
}

/// Returns the first line of an error.
pub(super) fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

/// Returns an id as people know it.
pub(super) fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Says what a container is.
pub(super) fn seen(id: &str, image: &str, state: &str) -> String {
    format!("{}, {image}, {state}", short_id(id))
}

/// Says for what Docker Compose made a container, if it did.
pub(super) fn made_by(compose: Option<&str>) -> String {
    match compose {
        Some(of) => format!("made by Docker Compose for {of}"),
        None => "not made by Docker Compose".to_owned(),
    }
}

/// Says when the last good backup was taken.
pub(super) fn newest(last: Option<&str>) -> String {
    match last {
        Some(last) => format!("the last good one is of {last}"),
        None => "there is none".to_owned(),
    }
}

/// Says why a network or volume that differs is not made again.
pub(super) fn why_it_stays(kind: &str) -> &'static str {
    if kind == "volume" {
        "it stays as it is, because one that is made again is empty: say in Git what it is, or name \
         another volume there and copy the data over"
    } else {
        "it is made again when what an interrupted pass has left in it is settled"
    }
}

/// Returns reasons in one line.
pub(super) fn together(reasons: &[Reason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    reasons.join(", ")
}

/// Returns reasons in brackets, if there are any.
pub(super) fn in_brackets(reasons: &[Reason]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    format!(" ({})", together(reasons))
}

/// Lists what an engine is too old for, by the part of the stack that asks for it.
pub(super) fn listed(lacks: &[Lack]) -> String {
    let mut parts: Vec<(String, Vec<String>)> = Vec::new();
    for lack in lacks {
        let of = lack.of.to_string();
        let what = format!(
            "{} (Docker Engine {}, API {})",
            lack.what, lack.engine, lack.api
        );
        match parts.last_mut().filter(|(known, _)| *known == of) {
            Some((_, whats)) => whats.push(what),
            None => parts.push((of, vec![what])),
        }
    }
    let parts = parts.into_iter();
    let parts = parts.map(|(of, whats)| format!("{of}: {}", whats.join(", ")));
    parts.collect::<Vec<_>>().join("; ")
}
