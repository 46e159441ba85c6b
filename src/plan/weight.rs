//! Says what each hold means for the pass.

use super::Hold;

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
    /// Returns whether nothing is done because of it.
    pub fn is_heavy(&self) -> bool {
        self.weight() > Weight::Notice
    }

    /// Returns what it means for the pass.
    pub fn weight(&self) -> Weight {
        match self {
            Self::FailedRevision { .. }
            | Self::HistoryRewritten { .. }
            | Self::NotTrusted { .. }
            | Self::NotLoadable { .. }
            | Self::Waits { .. }
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
            | Self::ExpiresInThePast { .. }
            | Self::ImageMissing { .. }
            | Self::ImageNotPulled { .. }
            | Self::EngineTooOld { .. }
            | Self::NotPermitted { .. }
            | Self::ImageDenied { .. }
            | Self::ExternalMissing { .. }
            | Self::NetworkTaken { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. } => Weight::Blocking,
            Self::ImageUnknown { .. } => Weight::Passing,
            Self::DataIsOlder { .. }
            | Self::MaintenanceByHand { .. }
            | Self::MaintenanceForgotten { .. }
            | Self::BackupLate { .. }
            | Self::Expired { .. }
            | Self::Pinned { .. }
            | Self::RegistrySilent { .. }
            | Self::TagMoved { .. }
            | Self::NetworkInUse { .. }
            | Self::Differs { .. }
            | Self::DriftReported { .. }
            | Self::ProxyAway { .. }
            | Self::Orphan { .. }
            | Self::VolumeStays { .. }
            | Self::NotOfStack { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => Weight::Notice,
        }
    }
}
