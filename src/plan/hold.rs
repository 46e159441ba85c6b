//! Says what is not done, and why: refusals as data.

use std::fmt;

use serde::Serialize;

use super::Subject;
use super::diff::Reason;
use super::history::Pin;
use crate::desired::proxy::ProxyKind;
use crate::desired::{ServiceName, StackName};

/// Something that a pass leaves as it is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "hold", rename_all = "kebab-case")]
pub enum Hold {
    /// This revision was tried and failed.
    FailedRevision {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
    },
    /// An attempt failed and could not be taken back: nothing is done until a person looks.
    Stuck {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
    },
    /// This revision failed, and everything stays as it is until a person decides.
    Stays {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
        /// What that person can do.
        way_out: String,
    },
    /// The data was changed by a migration that the wanted code does not know.
    SchemaDiffers {
        /// The attempt that gave the data its form.
        live: u64,
        /// The attempt that gave it the form which the wanted code was released with.
        wanted: u64,
        /// Commands that put the backups from before back.
        restore: Vec<String>,
    },
    /// A migration was begun, and nobody knows what it has done.
    MigrationInDoubt {
        /// The attempt that began it.
        attempt: u64,
        /// Commands that put the backups from before back.
        restore: Vec<String>,
    },
    /// Data is put back that the running release was not released with.
    DataIsOlder {
        /// The attempt that gave the data its form.
        data: u64,
        /// The attempt that gave it the form which the running release was released with.
        released: u64,
    },
    /// The maintenance page is on, and not by us.
    MaintenanceByHand {
        /// The file whose existence the proxy checks.
        flag: String,
        /// Who switched it on.
        by: String,
    },
    /// The maintenance page has been on for long.
    MaintenanceForgotten {
        /// The file whose existence the proxy checks.
        flag: String,
        /// Who switched it on.
        by: String,
        /// For how long.
        minutes: u64,
    },
    /// A backup that a schedule wants was not taken.
    BackupLate {
        /// Which one.
        name: String,
        /// When the last good one was taken; `None` = never.
        last: Option<String>,
    },
    /// The stack is kept at a release, whatever Git says.
    Pinned {
        /// Which stack.
        stack: StackName,
        /// At which release, since when.
        #[serde(flatten)]
        pin: Pin,
    },
    /// This revision was put in place several times in an hour and does not stay.
    DoesNotSettle {
        /// How often.
        times: usize,
    },
    /// The stack's containers were made by another installation.
    OtherInstance {
        /// Which one.
        instance: String,
        /// One of its containers.
        container: String,
    },
    /// A container that is not ours has the name that we need.
    NameTaken {
        /// For which service.
        service: ServiceName,
        /// The name.
        name: String,
        /// Its id.
        id: String,
        /// Its image.
        image: String,
    },
    /// The registry has no such image.
    ImageMissing {
        /// Which one.
        image: String,
        /// What the registry says.
        cause: String,
    },
    /// The image is not on the host and the registry can't be asked for now.
    ImageUnknown {
        /// Which one.
        image: String,
        /// What stands in the way.
        cause: String,
    },
    /// A network or volume that must be there is not.
    ExternalMissing {
        /// `network` or `volume`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A network of this name is somebody else's.
    NetworkTaken {
        /// Its name.
        name: String,
    },
    /// A network or volume is there and differs; changing it would take it away first.
    Differs {
        /// `network` or `volume`.
        kind: String,
        /// Its name.
        name: String,
        /// In what.
        what: String,
    },
    /// Something was changed by hand and the stack says to report that only.
    DriftReported {
        /// What of.
        service: Subject,
        /// In what.
        reasons: Vec<Reason>,
    },
    /// The proxy does not say what it has loaded.
    ProxyAway {
        /// Which program.
        proxy: ProxyKind,
        /// What came instead.
        cause: String,
    },
    /// The proxy's container is not there.
    ProxyMissing {
        /// Its name.
        container: String,
    },
    /// The proxy's container has no mount through which it would see a file.
    ProxyNotMounted {
        /// Its name.
        container: String,
        /// The file, as the proxy reads it.
        path: String,
    },
    /// A container of ours belongs to a service that Git no longer names.
    Orphan {
        /// Its name.
        container: String,
    },
    /// A second container carries the labels of a service.
    Duplicate {
        /// Which service.
        service: ServiceName,
        /// Its name.
        container: String,
    },
    /// A container runs and its health check fails; making it again would not mend that.
    Unhealthy {
        /// Which service.
        service: ServiceName,
    },
    /// A container that nothing restarts has ended with success, again and again: a job.
    Ended {
        /// Which service.
        service: ServiceName,
    },
    /// A container ends again and again; the engine restarts it.
    Restarting {
        /// Which service.
        service: ServiceName,
    },
}

/// What a hold means for the pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Worth saying; everything else goes on.
    Notice,
    /// Nothing is done now; a later pass may find it gone.
    Passing,
    /// Nothing is done until a person or a commit changes something.
    Blocking,
}

impl Hold {
    /// Returns what it means for the pass.
    pub fn weight(&self) -> Weight {
        match self {
            Self::FailedRevision { .. }
            | Self::Stuck { .. }
            | Self::Stays { .. }
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::DoesNotSettle { .. }
            | Self::OtherInstance { .. }
            | Self::NameTaken { .. }
            | Self::ImageMissing { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. } => Weight::Blocking,
            Self::ImageUnknown { .. } => Weight::Passing,
            Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::Pinned { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::ProxyAway { .. }
            | Self::Orphan { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Weight::Notice,
        }
    }
}

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
            Self::SchemaDiffers {
                live,
                wanted,
                restore,
            } => write!(
                f,
                "the data was migrated by attempt {live}, and this code was released on the data \
                 of {}; restore a backup from before{}, or say in moored.yaml that it works: \
                 accept_schema: \"{live}\"",
                if *wanted == 0 {
                    "before any migration".to_owned()
                } else {
                    format!("attempt {wanted}")
                },
                restore
                    .iter()
                    .fold(String::new(), |text, command| text + ": " + command)
            ),
            Self::MigrationInDoubt { attempt, restore } => write!(
                f,
                "attempt {attempt} began to change the data, and nobody knows how far it came; {}go \
                 back to its revision; or, if you know that the data is well, say so in \
                 moored.yaml: accept_schema: \"{attempt}\"",
                restore.iter().fold(String::new(), |text, command| text
                    + "restore the backup from before: "
                    + command
                    + "; or ")
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
            | Self::ImageMissing { .. }
            | Self::ImageUnknown { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::Orphan { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Ok(()),
        }
    }
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
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::ProxyAway { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. } => self.fmt_of_transaction(f),
            Self::Pinned { stack, pin } => f.write_str(&pin.notice(stack.as_str())),
            Self::DoesNotSettle { times } => write!(
                f,
                "this revision was put in place {times} times within an hour and does not stay; \
                 something else changes the containers; then run: moored retry"
            ),
            Self::OtherInstance {
                instance,
                container,
            } => write!(
                f,
                "container {container} was made by another installation of moored (instance \
                 {instance}); one stack has one controller"
            ),
            Self::NameTaken {
                service,
                name,
                id,
                image,
            } => write!(
                f,
                "{service}: the name {name} is taken by a container that is not ours ({}, {image}); \
                 remove or rename it",
                id.get(..12).unwrap_or(id)
            ),
            Self::ImageMissing { image, cause } => {
                write!(f, "image {image} does not exist: {cause}")
            }
            Self::ImageUnknown { image, cause } => write!(
                f,
                "image {image} is not on this host and can't be looked up for now: {cause}"
            ),
            Self::ExternalMissing { kind, name } => write!(
                f,
                "{kind} {name} is declared external and does not exist; create it first: docker \
                 {kind} create {name}"
            ),
            Self::NetworkTaken { name } => {
                write!(f, "network {name} exists and does not belong to this stack")
            }
            Self::Differs { kind, name, what } if kind == "volume" => {
                write!(f, "volume {name}: {what} differ; data would be lost")
            }
            Self::Differs { kind, name, what } => {
                write!(
                    f,
                    "{kind} {name}: {what} differ; it would have to be made again"
                )
            }
            Self::DriftReported { service, reasons } => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{service}: changed by hand ({}); only reported",
                    reasons.join(", ")
                )
            }
            Self::Orphan { container } => write!(
                f,
                "container {container} belongs to no service any more; prune: true removes it"
            ),
            Self::Duplicate { service, container } => write!(
                f,
                "container {container} carries the labels of {service} and is not the one that \
                 serves; remove it: docker rm -f {container}"
            ),
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
