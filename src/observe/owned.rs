//! Finds the containers of a stack, and says whose each one is.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{StreamExt, TryStreamExt};

use super::AT_ONCE;
use crate::desired::StackName;
use crate::engine::model::{Container, ContainerSummary};
use crate::engine::{EngineError, ReadEngine};
use crate::labels;

/// By what a container is known to be ours.
#[derive(Clone, Copy)]
pub struct Ownership<'a> {
    /// This installation: what it makes has its label.
    pub instance: &'a str,
    /// Ids of containers of others that were adopted.
    pub adopted: &'a BTreeSet<String>,
}

/// The containers of the host, as one stack sees them; each list by name.
#[derive(Default)]
pub struct Found {
    /// Those of the stack, ours or of another installation.
    pub containers: Vec<Container>,
    /// Those that Docker Compose made for a project of the stack's name, and nobody adopted.
    pub candidates: Vec<Container>,
    /// All others.
    pub others: Vec<ContainerSummary>,
}

/// Whose a container is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Stack,
    Adopted,
    Candidate,
    Other,
}

/// Finds the containers of a stack. One that was adopted has our labels in the answer: from here
/// on nothing tells it from one that we have made.
///
/// # Errors
/// The engine can't be asked.
pub async fn containers(
    engine: &dyn ReadEngine,
    stack: &StackName,
    ownership: Ownership<'_>,
) -> Result<Found, EngineError> {
    let mut found = Found::default();
    let mut wanted = Vec::new();
    for one in engine.containers().await? {
        match whose(&one, stack, ownership) {
            Whose::Other => found.others.push(one),
            whose @ (Whose::Stack | Whose::Adopted | Whose::Candidate) => {
                wanted.push((whose, one.id));
            }
        }
    }
    let mut seen: Vec<(Whose, Container)> = futures_util::stream::iter(wanted)
        .map(|(whose, id)| async move {
            let container = engine.container(&id).await?;
            Ok::<_, EngineError>(container.map(|container| (whose, container)))
        })
        .buffer_unordered(AT_ONCE)
        // One that has gone since the list was made is simply not there.
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await?;
    seen.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    for (whose, mut container) in seen {
        if whose == Whose::Candidate {
            found.candidates.push(container);
            continue;
        }
        if whose == Whose::Adopted {
            let instance = ownership.instance.to_owned();
            let ours = [
                (labels::STACK, stack.to_string()),
                (labels::INSTANCE, instance),
            ];
            let ours = ours.map(|(label, value)| (label.to_owned(), value));
            Arc::make_mut(&mut container.spec).labels.extend(ours);
        }
        found.containers.push(container);
    }
    Ok(found)
}

fn whose(one: &ContainerSummary, stack: &StackName, ownership: Ownership<'_>) -> Whose {
    let label = |name: &str| one.labels.get(name).map(String::as_str);
    // People copy labels: one of ours says more than those of Docker Compose.
    let labelled = one.labels.contains_key(labels::INSTANCE);
    let of_project = label(labels::PROJECT) == Some(stack.as_str())
        && label(labels::ONEOFF) == Some("False")
        && label(labels::SERVICE).is_some()
        && label(labels::CONFIG_HASH).is_some();
    if !labelled && ownership.adopted.contains(&one.id) {
        Whose::Adopted
    } else if !labelled && of_project {
        Whose::Candidate
    } else if label(labels::STACK) == Some(stack.as_str()) {
        Whose::Stack
    } else {
        Whose::Other
    }
}
