//! Plans what everything else stands on: images, networks, volumes, files; and holds what must not
//! be touched.

use std::collections::BTreeMap;

use super::action::{Action, Phase, Placement};
use super::diff::Remedy;
use super::examined::Examined;
use super::facts::Field;
use super::guard::All;
use super::objects::{in_what, volume_differences};
use super::order::Planner;
use super::services::Input;
use super::{AfterFailure, Hold, Reason};
use crate::desired::{DriftPolicy, ServiceName, Wanted};
use crate::engine::model::{Network, Volume};
use crate::labels;
use crate::observe::ImageState;
use crate::source::RepoPath;
use crate::trust::{Refusal, Standing};

/// Passes of one revision within an hour after which something is thought to undo our work.
///
/// A poll makes 120 of them in an hour; a person who tries out what drift does, or a script of
/// theirs, makes some dozens.
pub const SETTLES_WITHIN: usize = 60;

impl Input<'_> {
    /// Says who has the name that the container of a service needs, if it is not one of ours.
    fn name_taken(&self, one: &Examined<'_>) -> Option<Hold> {
        let observed = self.observed;
        let named = |name: &str| name == one.container_name;
        // A label alone does not make it ours: people copy them.
        let mut unowned = (observed.containers.iter())
            .filter(|other| !other.spec.labels.contains_key(labels::INSTANCE))
            .chain(&observed.candidates)
            .filter(|other| one.holder.is_none_or(|holder| holder.id != other.id));
        let taken = |id: &str, image: &str, state: String, labels: &BTreeMap<String, String>| {
            let of = (labels.get(labels::PROJECT)).zip(labels.get(labels::SERVICE));
            Hold::NameTaken {
                service: one.name.clone(),
                name: one.container_name.clone(),
                id: id.to_owned(),
                image: image.to_owned(),
                state,
                compose: of.map(|(project, service)| format!("{project}/{service}")),
            }
        };
        if let Some(other) = observed.others.iter().find(|other| named(&other.name)) {
            let state = if other.running {
                "running"
            } else {
                "not running"
            };
            let state = state.to_owned();
            return Some(taken(&other.id, &other.image, state, &other.labels));
        }
        let other = unowned.find(|other| named(&other.name))?;
        let (spec, state) = (&other.spec, other.state.to_string());
        Some(taken(&other.id, &spec.image, state, &spec.labels))
    }
}

impl<'a> Planner<'a> {
    /// Holds a head that is not followed, a revision that failed, and one that is put in place over
    /// and over.
    pub(super) fn hold_revision(&mut self) {
        let Input {
            desired, history, ..
        } = self.input;
        let revision = &desired.commit.revision;
        if let Some(pin) = history.pin.clone() {
            let stack = desired.stack.clone();
            self.holds.push(Hold::Pinned { stack, pin });
        }
        match &desired.standing {
            Standing::Followed | Standing::Rewritten => {}
            Standing::Refused(Refusal::HistoryRewritten(rewrite)) => {
                let rewrite = rewrite.clone();
                self.holds.push(Hold::HistoryRewritten(rewrite));
            }
            Standing::Refused(Refusal::NotTrusted(head)) => {
                let head = head.clone();
                self.holds.push(Hold::NotTrusted(head));
            }
            Standing::Refused(Refusal::NotLoadable(head)) => {
                let head = head.clone();
                self.holds.push(Hold::NotLoadable(head));
            }
        }
        if let Some(failed) = &history.failed {
            let (attempt, error) = (failed.attempt, failed.error.clone());
            let same = failed.revision == *revision;
            match &failed.then {
                AfterFailure::Stuck => self.holds.push(Hold::Stuck { attempt, error }),
                AfterFailure::Stays { way_out } if same => {
                    let way_out = way_out.clone();
                    self.holds.push(Hold::Stays {
                        attempt,
                        error,
                        way_out,
                    });
                }
                AfterFailure::Back if same => {
                    self.holds.push(Hold::FailedRevision { attempt, error });
                }
                AfterFailure::Stays { .. } | AfterFailure::Back => {}
            }
        }
        if let Some(healed) = &history.healed
            && healed.then == AfterFailure::Stuck
        {
            let (attempt, error) = (healed.attempt, healed.error.clone());
            self.holds.push(Hold::Stuck { attempt, error });
        }
        let crashed = history.crashed.as_ref();
        let crashed = crashed.filter(|one| one.revision == *revision && one.is_too_often());
        self.holds.extend(crashed.map(|one| Hold::Crashes {
            stack: desired.stack.clone(),
            times: one.times,
        }));
        let times = self.input.recent_passes().count();
        if times >= SETTLES_WITHIN {
            self.holds.push(Hold::DoesNotSettle { times });
        }
        self.hold_expired();
    }

    /// Holds what belongs to others: another installation's containers, taken names, orphans.
    pub(super) fn hold_others(&mut self, examined: &All<'a>) {
        let Input {
            observed, context, ..
        } = self.input;
        let others = observed.containers.iter().find_map(|container| {
            let instance = container.spec.labels.get(labels::INSTANCE)?;
            (instance != context.instance).then(|| (instance.clone(), container.name.clone()))
        });
        if let Some((instance, container)) = others {
            self.holds.push(Hold::OtherInstance {
                instance,
                container,
            });
        }
        for one in examined.values() {
            self.holds.extend(one.holds.iter().cloned());
            let makes = matches!(
                one.remedy,
                Some(Remedy::Create | Remedy::Replace | Remedy::Rename)
            );
            if makes {
                self.holds.extend(self.input.name_taken(one));
            }
        }
        self.tell_of_strangers();
        self.hold_orphans();
        self.tell_of_left_volumes();
        self.hold_in_the_way(examined);
    }

    /// Pulls what is missing: everything that can fail before anything is touched.
    pub(super) fn prepare(&mut self, examined: &BTreeMap<&ServiceName, Examined<'a>>) {
        let due = self.due_services();
        let made = examined.values().filter(|one| {
            let made = matches!(one.remedy, Some(Remedy::Create | Remedy::Replace));
            made || due.contains(one.name)
        });
        self.pull_all(made);
        let unanswered = self.input.observed.unanswered.iter();
        let silent = unanswered.map(|(image, cause)| Hold::RegistrySilent {
            image: image.clone(),
            cause: cause.clone(),
        });
        self.holds.extend(silent);
        let moved = self.input.observed.moved_tags.iter();
        let moved = moved.map(|(image, digest)| Hold::TagMoved {
            image: image.clone(),
            digest: digest.clone(),
        });
        self.holds.extend(moved);
    }

    /// Pulls the image of one service if it is missing.
    pub(super) fn pull_for(&mut self, one: &Examined<'a>) {
        self.pull_all(std::iter::once(one));
    }

    fn pull_all<'e>(&mut self, made: impl Iterator<Item = &'e Examined<'a>>)
    where
        'a: 'e,
    {
        let mut wanted: BTreeMap<&str, Vec<&Examined<'a>>> = BTreeMap::new();
        for one in made {
            wanted
                .entry(one.service.spec.image.as_str())
                .or_default()
                .push(one);
        }
        for (image, users) in wanted {
            let image = image.to_owned();
            match self.input.observed.images.get(&image) {
                Some(ImageState::Here(_)) => {}
                Some(ImageState::Remote { digest } | ImageState::Moved { digest }) => {
                    let of_image = |field: &Field| matches!(field, Field::Image | Field::ImageId);
                    let reasons: Vec<Reason> = users
                        .iter()
                        .flat_map(|one| &one.reasons)
                        .filter(|reason| of_image(&reason.field))
                        .take(1)
                        .cloned()
                        .collect();
                    let services = users.iter().map(|one| one.name.clone()).collect();
                    let action = Action::Pull {
                        services,
                        image,
                        digest: digest.clone(),
                    };
                    let step = self.push(Phase::Prepare, action, &reasons, Vec::new());
                    self.ground.push(step);
                }
                Some(ImageState::NotPulled) => self.holds.push(Hold::ImageNotPulled { image }),
                Some(ImageState::Missing { cause }) => {
                    self.holds.push(Hold::ImageMissing {
                        image,
                        cause: cause.clone(),
                    });
                }
                Some(ImageState::Denied { cause }) => {
                    self.holds.push(Hold::ImageDenied {
                        image,
                        cause: cause.clone(),
                    });
                }
                Some(ImageState::Unknown { cause }) => {
                    self.holds.push(Hold::ImageUnknown {
                        image,
                        cause: cause.clone(),
                    });
                }
                None => {
                    let cause = "it was not looked up".to_owned();
                    self.holds.push(Hold::ImageUnknown { image, cause });
                }
            }
        }
    }

    pub(super) fn missing_networks(&mut self) -> Vec<Network> {
        let Input {
            desired, observed, ..
        } = self.input;
        let mut missing = Vec::new();
        for (name, wanted) in &desired.networks {
            match (wanted, observed.networks.get(name)) {
                (Wanted::Own(network), None) => missing.push(self.network_to_make(network)),
                (Wanted::External(_), None) => self.holds.push(Hold::ExternalMissing {
                    kind: "network".to_owned(),
                    name: name.clone(),
                }),
                (Wanted::Own(_) | Wanted::External(_), Some(_)) => {}
            }
        }
        missing
    }

    pub(super) fn missing_volumes(&mut self) -> Vec<Volume> {
        let Input {
            desired, observed, ..
        } = self.input;
        let mut missing = Vec::new();
        for (name, wanted) in &desired.volumes {
            match (wanted, observed.volumes.get(name)) {
                (Wanted::Own(volume), None) => {
                    let mut volume = volume.clone();
                    volume.labels.extend(self.ownership());
                    missing.push(volume);
                }
                (Wanted::External(_), None) => self.holds.push(Hold::ExternalMissing {
                    kind: "volume".to_owned(),
                    name: name.clone(),
                }),
                (Wanted::Own(volume), Some(live)) => {
                    let differs = volume_differences(volume, live);
                    if !differs.is_empty() {
                        self.holds.push(Hold::Differs {
                            kind: "volume".to_owned(),
                            name: name.clone(),
                            what: in_what(&differs),
                        });
                    }
                }
                (Wanted::External(_), Some(_)) => {}
            }
        }
        missing
    }

    pub(super) fn ownership(&self) -> [(String, String); 3] {
        let stack = self.input.desired.stack.to_string();
        [
            (labels::PROJECT.to_owned(), stack.clone()),
            (labels::STACK.to_owned(), stack),
            (
                labels::INSTANCE.to_owned(),
                self.input.context.instance.to_owned(),
            ),
        ]
    }

    pub(super) fn placements(&self) -> Vec<Placement> {
        let Input {
            desired,
            observed,
            history,
            ..
        } = self.input;
        let before = |path: &RepoPath| observed.files.get(path).cloned();
        let release = history.release.as_ref();
        let configs = self.input.config_paths();
        let written = desired.files.iter().filter(|(path, file)| {
            if configs.contains(path) {
                return false;
            }
            let git = file.digest();
            // Changed by hand since the last release, and that is only to be told.
            let left = desired.drift == DriftPolicy::Report
                && release.is_some_and(|release| release.files.get(*path) == Some(&git));
            observed.files.get(*path) != Some(&git) && !left
        });
        let written = written.map(|(path, file)| Placement {
            path: path.clone(),
            file: Some(file.clone()),
            before: before(path),
        });
        let released = history
            .release
            .iter()
            .flat_map(|release| release.files.keys());
        let removed = released
            .filter(|path| !desired.files.contains_key(*path) && observed.files.contains_key(*path))
            .map(|path| Placement {
                path: path.clone(),
                file: None,
                before: before(path),
            });
        written.chain(removed).collect()
    }
}
