//! Says what is not done, and why: refusals as data.

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
    /// Every try of this revision was cut short, so that the stack is left as it is: safe mode.
    Crashes {
        /// Which stack.
        stack: StackName,
        /// How often in a row.
        times: usize,
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
        /// What it does: `running`, `exited (0)`, …
        state: String,
        /// What Docker Compose made it for, as `PROJECT/SERVICE`; `None` = it is not of Docker
        /// Compose.
        compose: Option<String>,
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
    /// The image is not on the host, and Git says that it is not pulled.
    ImageNotPulled {
        /// Which one.
        image: String,
    },
    /// Nobody says whether there is another image under a tag by now; the one that is here stays.
    RegistrySilent {
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
    /// A network of the stack differs, and containers of others are in it.
    NetworkInUse {
        /// Its name.
        name: String,
        /// In what it differs.
        what: String,
        /// Names of the others' containers.
        containers: Vec<String>,
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
    /// A container of ours that belongs to no service any more, and stays, has what a service needs.
    OrphanInTheWay {
        /// Which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// What it has: `port 8080/tcp`, …
        what: String,
    },
    /// A container that Docker Compose made stands in a service's place, and the plan would do
    /// something to it that nobody has agreed to.
    NotAdopted {
        /// Of which stack.
        stack: StackName,
        /// In the place of which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// Its id.
        id: String,
        /// What would be done to it, as the plan calls it.
        would: Vec<String>,
        /// In what it differs from Git.
        reasons: Vec<Reason>,
    },
    /// More of the stack's services would lose their containers at once than a slip may cost.
    PrunesTooMuch {
        /// Names of the containers.
        containers: Vec<String>,
        /// How many services lose theirs.
        lose: usize,
        /// How many services have one now.
        of: usize,
    },
    /// Git names no service of the stack any more.
    NoServices,
    /// A container that Docker Compose made for the stack's project belongs to no service.
    NotOfStack {
        /// Its name.
        container: String,
    },
    /// A second container carries the labels of a service.
    Duplicate {
        /// Which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// Its id.
        id: String,
        /// Its image.
        image: String,
        /// What it does: `running`, `exited (0)`, …
        state: String,
        /// Whose it is.
        whose: Second,
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
            | Self::Crashes { .. }
            | Self::DoesNotSettle { .. }
            | Self::OtherInstance { .. }
            | Self::NameTaken { .. }
            | Self::NotAdopted { .. }
            | Self::OrphanInTheWay { .. }
            | Self::PrunesTooMuch { .. }
            | Self::NoServices
            | Self::ImageMissing { .. }
            | Self::ImageNotPulled { .. }
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
            | Self::RegistrySilent { .. }
            | Self::NetworkInUse { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::ProxyAway { .. }
            | Self::Orphan { .. }
            | Self::NotOfStack { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Weight::Notice,
        }
    }
}
