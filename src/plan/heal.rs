//! Keeps the last release as it was while the revision of Git is held: a container of it that dies
//! or goes is made again, although nothing of what Git says is put in place.

use std::collections::BTreeMap;

use super::facts::Field;
use super::{
    Context, History, Hold, Kind, Origin, Plan, Reason, Release, ReleasedImage, Waits, plan,
};
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
    let Some(release) = &history.release else {
        return held;
    };
    let observed = with_released_images(desired, observed, release);
    let healing = plan(desired, &observed, &history, context);
    // Whether a lifetime is over is for the head to say: it may put it off.
    if healing.is_over() {
        return held;
    }
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

/// Returns the host as if registries had the images of the last release under their names still,
/// and nothing else: what was not released is not there, whoever has given it the name.
fn with_released_images(
    desired: &DesiredState,
    observed: &ObservedState,
    release: &Release,
) -> ObservedState {
    let mut released: BTreeMap<&str, Vec<Option<&ReleasedImage>>> = BTreeMap::new();
    for (name, service) in &desired.services {
        let image = service.spec.image.as_str();
        let then = release.images.get(name);
        // Without one, the service was not up at the release, and has nothing that drifts.
        if let Some(then) = then {
            let then = Some(then).filter(|then| then.reference == image);
            released.entry(image).or_default().push(then);
        }
    }
    let mut observed = observed.clone();
    for (image, state) in &mut observed.images {
        match released.get(image.as_str()).map(Vec::as_slice) {
            Some([Some(one), others @ ..]) if others.iter().all(|other| *other == Some(*one)) => {
                as_released(state, one, image);
            }
            Some(_) => *state = away("the last release has another one"),
            None => {}
        }
    }
    observed
}

/// Has an image be the one of a release.
fn as_released(state: &mut ImageState, released: &ReleasedImage, image: &str) {
    match state {
        ImageState::Here(here) if here.id != released.id => {
            *state = away("another one than that of the last release has its name on this host");
        }
        ImageState::Remote { .. } | ImageState::Moved { .. } | ImageState::Missing { .. } => {
            let digest = released.digest.as_deref();
            *state = match digest.and_then(|digest| digest_in(digest, image)) {
                Some(digest) => ImageState::Remote { digest },
                None => away("nobody knows how a registry calls that of the last release"),
            };
        }
        ImageState::Here(_)
        | ImageState::NotPulled
        | ImageState::Denied { .. }
        | ImageState::Unknown { .. } => {}
    }
}

/// Returns that an image can't be had: it holds what is to be made of it, and nothing else.
fn away(cause: &str) -> ImageState {
    ImageState::Missing {
        cause: cause.to_owned(),
    }
}

/// Returns the digest of `repository@digest`, if that is the repository of an image.
fn digest_in(released: &str, image: &str) -> Option<String> {
    let [released, image] = [released, image].map(|one| Reference::parse(one).ok());
    let released = released?;
    image?
        .is_of_repository(&released)
        .then_some(released.digest)?
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
            | Self::ExpiresInThePast(_)
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
            | Self::Expired(_)
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
