//! Says what is not done, and why: refusals as data.

use std::fmt;

use serde::Serialize;

use super::diff::Reason;
use crate::desired::ServiceName;

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
    /// A container was changed by hand and the stack says to report that only.
    DriftReported {
        /// Which service.
        service: ServiceName,
        /// In what.
        reasons: Vec<Reason>,
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
            | Self::DoesNotSettle { .. }
            | Self::OtherInstance { .. }
            | Self::NameTaken { .. }
            | Self::ImageMissing { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. } => Weight::Blocking,
            Self::ImageUnknown { .. } => Weight::Passing,
            Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::Orphan { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Weight::Notice,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailedRevision { attempt, error } => write!(
                f,
                "this revision failed in attempt {attempt}: {}; commit a change, revert it, or run: \
                 moored retry",
                error.lines().next().unwrap_or_default()
            ),
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
