//! Finds the containers whose logs are wanted.

use std::collections::BTreeSet;

use super::{LogsError, Wish};
use crate::desired::{DesiredState, ServiceName};
use crate::engine::model::ContainerSummary;
use crate::engine::{EngineError, ReadEngine};
use crate::labels;
use crate::secret::{Redactor, looks_secret};

/// A container whose log is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) id: String,
    pub(super) container: String,
    pub(super) service: String,
    /// What stands before its lines: `web-1`, as for Docker Compose.
    pub(super) label: String,
    pub(super) running: bool,
}

/// Checks that there is every service whose logs are asked for: in Git, or still on the host.
pub(super) fn check(
    desired: &DesiredState,
    wish: &Wish,
    there: &[Source],
) -> Result<(), LogsError> {
    let in_git = desired.services.keys().chain(&desired.at_rest);
    let in_git = in_git.map(ServiceName::service);
    let known: BTreeSet<&str> = in_git
        .chain(there.iter().map(|one| one.service.as_str()))
        .collect();
    let mut asked = wish.services.iter();
    match asked.find(|service| !known.contains(service.as_str())) {
        None => Ok(()),
        Some(service) => Err(LogsError::Unknown {
            stack: desired.stack.to_string(),
            service: service.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        }),
    }
}

/// Returns the containers of a stack's services, in their order; those of one-off commands are
/// none of them.
pub(super) async fn sources(
    engine: &dyn ReadEngine,
    stack: &str,
) -> Result<Vec<Source>, EngineError> {
    let all = engine.containers().await?;
    let mut found: Vec<(String, u32, Source)> = all
        .into_iter()
        .filter_map(|one| source(one, stack))
        .collect();
    found.sort_by(|a, b| {
        let key = |one: &(String, u32, Source)| (one.0.clone(), one.1, one.2.container.clone());
        key(a).cmp(&key(b))
    });
    Ok(found.into_iter().map(|(_, _, source)| source).collect())
}

fn source(one: ContainerSummary, stack: &str) -> Option<(String, u32, Source)> {
    let service = labels::service_in(&one.labels, stack)?.to_owned();
    let number = one.labels.get(labels::NUMBER);
    let number = number.and_then(|number| number.parse().ok());
    let number = number.unwrap_or(1);
    let source = Source {
        label: format!("{service}-{number}"),
        service: service.clone(),
        running: one.running,
        id: one.id,
        container: one.name,
    };
    Some((service, number, source))
}

/// Hides what a container has in its environment: that may be from before the file of the host
/// got other values.
pub(super) async fn hide_its_secrets(
    engine: &dyn ReadEngine,
    redactor: &Redactor,
    id: &str,
) -> Result<(), EngineError> {
    let Some(container) = engine.container(id).await? else {
        return Ok(());
    };
    let env = container.spec.env.iter();
    let secret = env.filter(|(name, _)| looks_secret(name));
    redactor.learn(secret.filter_map(|(_, value)| value.clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(name: &str, labels: &[(&str, &str)]) -> ContainerSummary {
        let labels = labels.iter();
        ContainerSummary {
            id: format!("id of {name}"),
            name: name.to_owned(),
            image: String::new(),
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            running: true,
            networks: BTreeSet::new(),
        }
    }

    #[test]
    fn one_off_commands_and_other_stacks_are_left_out() {
        let of = |labels: &[(&str, &str)]| {
            let found = source(summary("x", labels), "shop");
            found.map(|(_, _, source)| source.label)
        };
        let web = [(labels::PROJECT, "shop"), (labels::SERVICE, "web")];
        assert_eq!(of(&web).as_deref(), Some("web-1"));
        let second = [web.as_slice(), &[(labels::NUMBER, "2")]].concat();
        assert_eq!(of(&second).as_deref(), Some("web-2"));
        for more in [
            (labels::ONEOFF, "True"),
            (labels::JOB, "job-x-1"),
            (labels::PROJECT, "other"),
        ] {
            assert_eq!(of(&[web.as_slice(), &[more]].concat()), None, "{more:?}");
        }
        assert_eq!(of(&web[..1]), None);
    }
}
