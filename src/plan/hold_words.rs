//! The words of what is not done, and why: each says what can be done about it.

use std::fmt;

use super::{Hold, Reason, Second};
use crate::desired::{ServiceName, StackName};

impl Hold {
    /// Prints those that are about failures, data and visitors.
    fn fmt_of_transaction(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { attempt, error } => write!(
                f,
                "attempt {attempt} failed and could not be taken back: {}; nothing more is done by \
                 itself: look at the host, then run: moored retry",
                first_line(error)
            ),
            Self::Stays {
                attempt,
                error,
                way_out,
            } => write!(
                f,
                "this revision failed in attempt {attempt} and stays as it is: {}; {way_out}",
                first_line(error)
            ),
            Self::Crashes { stack, times } => f.write_str(&crashes(stack, *times)),
            Self::SchemaDiffers {
                live,
                wanted,
                restore,
            } => write!(
                f,
                "the data was migrated by attempt {live}, and this code was released on the data \
                 of {}; restore a backup from before{}, or say in moored.yaml that it works: \
                 accept_schema: \"{live}\"",
                form_of(*wanted),
                commands(restore, ": ", "")
            ),
            Self::MigrationInDoubt { attempt, restore } => write!(
                f,
                "attempt {attempt} began to change the data, and nobody knows how far it came; {}go \
                 back to its revision; or, if you know that the data is well, say so in \
                 moored.yaml: accept_schema: \"{attempt}\"",
                commands(restore, "restore the backup from before: ", "; or ")
            ),
            Self::DataIsOlder { data, released } => write!(
                f,
                "the data has the form of attempt {data} then, and the release was made on that of \
                 attempt {released}: its writers stay stopped and the page stays on until the next \
                 pass puts in place what Git says"
            ),
            Self::MaintenanceByHand { flag, by } => write!(
                f,
                "the maintenance page is on, by {by} ({flag}); it stays on until: moored \
                 maintenance off"
            ),
            Self::MaintenanceForgotten { flag, by, minutes } => write!(
                f,
                "the maintenance page has been on for {minutes} minutes, by {by} ({flag}); \
                 forgotten?"
            ),
            Self::BackupLate { name, last } => write!(
                f,
                "backup {name} is late: {}; take one: moored backup now {name}",
                match last {
                    Some(last) => format!("the last good one is of {last}"),
                    None => "there is none".to_owned(),
                }
            ),
            Self::ProxyAway { proxy, cause } => write!(
                f,
                "{proxy} does not say which configuration it has loaded: {cause}; is it running?"
            ),
            Self::ProxyMissing { container } => write!(
                f,
                "the proxy's container {container} does not exist; start it, or name another one in \
                 moored.yaml"
            ),
            Self::ProxyNotMounted { container, path } => write!(
                f,
                "container {container} has no directory or file of the host at {path}; mount one \
                 there, so that the configuration can be put in place"
            ),
            Self::FailedRevision { .. }
            | Self::Pinned { .. }
            | Self::DoesNotSettle { .. }
            | Self::OtherInstance { .. }
            | Self::NameTaken { .. }
            | Self::NotAdopted { .. }
            | Self::OrphanInTheWay { .. }
            | Self::PrunesTooMuch { .. }
            | Self::NoServices
            | Self::ImageMissing { .. }
            | Self::ImageUnknown { .. }
            | Self::ImageNotPulled { .. }
            | Self::RegistrySilent { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::NetworkInUse { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::Orphan { .. }
            | Self::NotOfStack { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Ok(()),
        }
    }

    /// Prints those that are about what is in the way of a service.
    fn fmt_of_the_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken {
                service,
                name,
                id,
                image,
                state,
                compose,
            } => write!(
                f,
                "{service}: the name {name} is taken by a container that is not ours ({}, {}); if \
                 nobody needs it: docker rm -f {name}; else give it another name: docker rename \
                 {name} {name}.theirs",
                seen(id, image, state),
                match compose {
                    Some(of) => format!("made by Docker Compose for {of}"),
                    None => "not made by Docker Compose".to_owned(),
                }
            ),
            Self::OrphanInTheWay {
                service,
                container,
                what,
            } => write!(
                f,
                "{service}: container {container} belongs to no service any more, and has {what}; \
                 say prune: true in moored.yaml, so that it makes way and goes; or remove it: \
                 docker rm -f {container}"
            ),
            Self::Duplicate {
                service,
                container,
                id,
                image,
                state,
                whose,
            } => write!(
                f,
                "container {container} ({}) carries the labels of {service} and is not the one \
                 that serves; {}",
                seen(id, image, state),
                whose.way_out(service, container)
            ),
            Self::FailedRevision { .. }
            | Self::OtherInstance { .. }
            | Self::Orphan { .. }
            | Self::NotAdopted { .. }
            | Self::NotOfStack { .. }
            | Self::PrunesTooMuch { .. }
            | Self::NoServices
            | Self::Stuck { .. }
            | Self::Stays { .. }
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::ProxyAway { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. }
            | Self::Pinned { .. }
            | Self::Crashes { .. }
            | Self::DoesNotSettle { .. }
            | Self::ImageMissing { .. }
            | Self::ImageUnknown { .. }
            | Self::ImageNotPulled { .. }
            | Self::RegistrySilent { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::NetworkInUse { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Ok(()),
        }
    }

    /// Prints those that are about whose a container is, and whether it goes.
    fn fmt_of_ownership(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherInstance {
                instance,
                container,
            } => write!(
                f,
                "container {container} was made by another installation of moored (instance \
                 {instance}); one stack has one controller"
            ),
            Self::Orphan { container } => write!(
                f,
                "container {container} belongs to no service any more; prune: true removes it"
            ),
            Self::NotAdopted {
                stack,
                service,
                container,
                id,
                would,
                reasons,
            } => write!(
                f,
                "{service}: container {container} ({}) was made by Docker Compose, and this would \
                 {} it{}; nothing is done before you say that it is ours: moored adopt {stack}",
                short(id),
                would.join(" and "),
                if reasons.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", joined(reasons))
                }
            ),
            Self::NotOfStack { container } => write!(
                f,
                "container {container} was made by Docker Compose for a project of this name, and \
                 belongs to no service; it is left as it is"
            ),
            Self::PrunesTooMuch {
                containers,
                lose,
                of,
            } => write!(
                f,
                "prune: true would take their containers from {lose} of {of} services at once \
                 ({}); if that is meant, remove them by hand: docker rm -f {}",
                containers.join(", "),
                containers.join(" ")
            ),
            Self::NoServices => f.write_str(
                "Git names no service of this stack any more; nothing is changed: bring its \
                 services back, or remove its containers by hand",
            ),
            Self::FailedRevision { .. }
            | Self::NameTaken { .. }
            | Self::OrphanInTheWay { .. }
            | Self::Duplicate { .. }
            | Self::Stuck { .. }
            | Self::Stays { .. }
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::ProxyAway { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. }
            | Self::Pinned { .. }
            | Self::Crashes { .. }
            | Self::DoesNotSettle { .. }
            | Self::ImageMissing { .. }
            | Self::ImageUnknown { .. }
            | Self::ImageNotPulled { .. }
            | Self::RegistrySilent { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::NetworkInUse { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Ok(()),
        }
    }
}

/// Returns which form of the data an attempt has made.
fn form_of(attempt: u64) -> String {
    if attempt == 0 {
        "before any migration".to_owned()
    } else {
        format!("attempt {attempt}")
    }
}

/// Returns commands, each with what stands before and after it.
fn commands(all: &[String], before: &str, after: &str) -> String {
    let all = all.iter();
    all.fold(String::new(), |text, one| text + before + one + after)
}

impl Second {
    /// Returns what a person can do about a second container.
    fn way_out(&self, service: &ServiceName, container: &str) -> String {
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

/// Says what a container is.
fn seen(id: &str, image: &str, state: &str) -> String {
    format!("{}, {image}, {state}", short(id))
}

fn joined(reasons: &[Reason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    reasons.join(", ")
}

/// Returns as much of an id as the Docker CLI shows.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn crashes(stack: &StackName, times: usize) -> String {
    format!(
        "moored was killed {times} times in a row while it put this revision in place, so that the \
         stack is left as it is (safe mode); commit a change or a revert; or find out why, and run: \
         moored retry --stack {stack}"
    )
}

fn does_not_settle(times: usize) -> String {
    format!(
        "this revision was put in place {times} times within an hour and does not stay; something \
         else changes the containers; then run: moored retry"
    )
}

fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailedRevision { attempt, error } => write!(
                f,
                "this revision failed in attempt {attempt}: {}; commit a change, revert it, or run: \
                 moored retry",
                first_line(error)
            ),
            Self::Stuck { .. }
            | Self::Stays { .. }
            | Self::Crashes { .. }
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::ProxyAway { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. } => self.fmt_of_transaction(f),
            Self::NameTaken { .. } | Self::OrphanInTheWay { .. } | Self::Duplicate { .. } => {
                self.fmt_of_the_way(f)
            }
            Self::OtherInstance { .. }
            | Self::NotAdopted { .. }
            | Self::NotOfStack { .. }
            | Self::PrunesTooMuch { .. }
            | Self::NoServices
            | Self::Orphan { .. } => self.fmt_of_ownership(f),
            Self::Pinned { stack, pin } => f.write_str(&pin.notice(stack.as_str())),
            Self::DoesNotSettle { times } => f.write_str(&does_not_settle(*times)),
            Self::ImageMissing { image, cause } => {
                write!(f, "image {image} does not exist: {cause}")
            }
            Self::ImageUnknown { image, cause } => write!(
                f,
                "image {image} is not on this host and can't be looked up for now: {cause}"
            ),
            Self::ImageNotPulled { image } => write!(
                f,
                "image {image} is not on this host, and pull_policy: never says that it is not \
                 pulled; bring it here (docker pull {image}, or docker load), or say another \
                 pull_policy"
            ),
            Self::RegistrySilent { image, cause } => write!(
                f,
                "image {image}: the registry does not say whether there is another one by now, so \
                 the one that is here stays: {cause}"
            ),
            Self::ExternalMissing { kind, name } => write!(
                f,
                "{kind} {name} is declared external and does not exist; create it first: docker \
                 {kind} create {name}"
            ),
            Self::NetworkTaken { name } => {
                write!(f, "network {name} exists and does not belong to this stack")
            }
            Self::NetworkInUse {
                name,
                what,
                containers,
            } => write!(
                f,
                "network {name}: {what} differ; it would have to be made again, and containers of \
                 others are in it: {}; disconnect them first: docker network disconnect {name} \
                 CONTAINER",
                containers.join(", ")
            ),
            Self::Differs { kind, name, what } if kind == "volume" => write!(
                f,
                "volume {name}: {what} differ; it stays as it is, because one that is made again is \
                 empty: say in Git what it is, or name another volume there and copy the data over"
            ),
            Self::Differs { kind, name, what } => write!(
                f,
                "{kind} {name}: {what} differ; it is made again when what an interrupted pass has \
                 left in it is settled"
            ),
            Self::DriftReported { service, reasons } => {
                let reasons = joined(reasons);
                write!(f, "{service}: changed by hand ({reasons}); only reported")
            }
            Self::Unhealthy { service } => {
                write!(f, "{service}: runs as Git says and its health check fails")
            }
            Self::Ended { service } => write!(
                f,
                "{service}: ends with success each time that it is started, and is left so; if it \
                 is a job, let another service depend on it with service_completed_successfully; \
                 if not, give it a restart policy"
            ),
            Self::Restarting { service } => {
                write!(f, "{service}: ends again and again; the engine restarts it")
            }
        }
    }
}
