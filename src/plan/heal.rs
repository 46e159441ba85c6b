//! Keeps the last release as it was while the revision of Git is held: a container of it that dies
//! or goes is made again, although nothing of what Git says is put in place.

use super::facts::Field;
use super::{Context, History, Hold, Kind, Origin, Plan, Reason, Waits, plan};
use crate::desired::DesiredState;
use crate::engine::reference::Reference;
use crate::observe::{ImageState, ObservedState};

/// Plans what takes the drift from the last release away, where a plan is held because its revision
/// failed and was taken back, or has to wait; `desired` is what Git said at that release.
///
/// The plan that comes of it says of Git what the held one says. Nothing but drift is mended: what
/// a release would be today under other files of the host is a deploy that nobody asked for. Pure
/// like [`super::plan`].
pub fn heal(
    held: Plan,
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
) -> Plan {
    let history = History {
        failed: history.healed.clone(),
        ..history.clone()
    };
    let Some(observed) = with_released_images(desired, observed, &history) else {
        return held;
    };
    let healing = plan(desired, &observed, &history, context);
    let mut reasons = healing.differences.iter().flat_map(|one| &one.reasons);
    if healing.differences.is_empty() || !reasons.all(is_drift) {
        return held;
    }
    // What keeps it from being mended is why it is down.
    let (mut holds, in_the_way) = (held.holds, &healing.holds);
    for hold in in_the_way.iter().filter(|one| one.is_heavy()) {
        if !holds.contains(hold) {
            holds.push(hold.clone());
        }
    }
    Plan {
        kind: Kind::Heal,
        holds,
        differences: held.differences,
        ..healing
    }
}

/// Returns the host as if registries had the images of the last release under their names still;
/// `None` where another image has such a name on the host.
fn with_released_images(
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
) -> Option<ObservedState> {
    let mut observed = observed.clone();
    let release = history.release.as_ref()?;
    for (name, service) in &desired.services {
        let image = &service.spec.image;
        let released = release.images.get(name);
        let Some(released) = released.filter(|one| one.reference == *image) else {
            continue;
        };
        match observed.images.get_mut(image) {
            Some(ImageState::Here(here)) if here.id != released.id => return None,
            Some(ImageState::Remote { digest }) => {
                if let Some(then) = released
                    .digest
                    .as_deref()
                    .and_then(|it| digest_in(it, image))
                {
                    *digest = then;
                }
            }
            Some(
                ImageState::Here(_)
                | ImageState::Moved { .. }
                | ImageState::NotPulled
                | ImageState::Missing { .. }
                | ImageState::Denied { .. }
                | ImageState::Unknown { .. },
            )
            | None => {}
        }
    }
    Some(observed)
}

/// Returns the digest of `repository@digest`, if that is the repository of an image.
fn digest_in(released: &str, image: &str) -> Option<String> {
    let [released, image] =
        [released, image].map(|one| Some(Reference::parse(one).ok()?.normalized()));
    let released = released?;
    (released.repository == image?.repository).then_some(released.digest)?
}

pub(super) fn is_drift(reason: &Reason) -> bool {
    // What follows from the drift of another service, or is left of the failed attempt.
    let follows = matches!(
        reason.field,
        Field::Dependency(_) | Field::Owed | Field::State
    );
    reason.origin == Origin::Drift || follows
}

impl Plan {
    /// Returns whether nothing but what its revision is, or asks for, keeps it from being done: what
    /// was released before has no part in it.
    pub fn waits_for_another_revision(&self) -> bool {
        let mut heavy = self.holds.iter().filter(|one| one.is_heavy());
        heavy.clone().next().is_some() && heavy.all(Hold::is_of_revision)
    }

    /// Returns whether schedules are carried out as the last release has them, not as Git says now:
    /// something keeps what Git says from being put in place.
    pub fn keeps_schedules(&self) -> bool {
        let mut heavy = self.holds.iter().filter(|one| one.is_heavy());
        heavy.any(|one| one.is_of_revision() || matches!(one, Hold::Waits(_)))
    }
}

impl Hold {
    /// Returns whether the last release is kept as it was meanwhile.
    ///
    /// Not where somebody has said stop, where nobody knows what the host or the data is like, nor
    /// where the way out is to remove containers of that release by hand. What the revision asks for
    /// and the host does not have is asked for again by the plan that keeps the release, which is
    /// held as well if the release needs it. See `docs/decisions/0028-kept-release.md`.
    fn is_of_revision(&self) -> bool {
        match self {
            Self::FailedRevision { .. }
            | Self::HistoryRewritten(_)
            | Self::NotTrusted(_)
            | Self::NotLoadable(_)
            | Self::NotPermitted(_)
            | Self::Waits(Waits::Approval(_) | Waits::Window(_) | Waits::Nameless(_))
            | Self::ImageMissing { .. }
            | Self::ImageNotPulled { .. }
            | Self::ImageDenied { .. }
            | Self::ImageUnknown { .. }
            | Self::EngineTooOld { .. }
            | Self::ExternalMissing { .. }
            | Self::NameTaken { .. }
            | Self::NetworkTaken { .. }
            | Self::ProxyMissing { .. }
            | Self::ProxyNotMounted { .. } => true,
            Self::Waits(Waits::Suspension { .. } | Waits::SuspensionInGit(_))
            | Self::Stuck { .. }
            | Self::Stays { .. }
            | Self::SchemaDiffers { .. }
            | Self::MigrationInDoubt { .. }
            | Self::Crashes { .. }
            | Self::DoesNotSettle { .. }
            | Self::OtherInstance { .. }
            | Self::NotAdopted { .. }
            | Self::OrphanInTheWay { .. }
            | Self::PrunesTooMuch { .. }
            | Self::NoServices
            // Notices keep nothing from being done.
            | Self::DataIsOlder { .. }
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
            | Self::VolumeStays { .. }
            | Self::NotOfStack { .. }
            | Self::Duplicate { .. }
            | Self::Unhealthy { .. }
            | Self::Ended { .. }
            | Self::Restarting { .. } => false,
        }
    }
}

impl History {
    /// Returns whether the data has the form that it had at the last release, and nobody doubts it.
    pub fn is_data_as_released(&self) -> bool {
        let release = self.release.as_ref();
        self.doubt.is_none() && release.is_some_and(|release| release.schema == self.schema)
    }
}
