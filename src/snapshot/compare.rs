//! Plans what a change would do to the host of a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::redact::{self, HIDDEN};
use super::{Snapshot, SnapshotError, StackSnapshot, fill, public_key};
use crate::check::{self, Elsewhere};
use crate::desired::{DesiredState, Pull, StackName, manifest};
use crate::observe::ImageState;
use crate::pass::{ByStack, Looked, PassError, Scheduled};
use crate::plan::{self, Context};
use crate::source::{RepoPath, Tree};
use crate::stacks::{self, LoadError, Loaded};
use crate::trust::{Arrival, Gate};

/// What a change would do to the host of a snapshot.
pub struct Compared {
    /// The plans, by directory.
    pub looked: ByStack<Looked>,
    /// Files that could not be looked into: what they say was not compared.
    pub unseen: BTreeSet<String>,
    /// Directories of stacks that the host does not have.
    pub elsewhere: BTreeSet<String>,
    /// Stacks that the host has and the files do not.
    pub gone: BTreeSet<String>,
    /// Stacks whose change somebody must approve, with who: the host judges whether one has.
    pub unapproved: BTreeSet<String>,
}

/// Plans what a pass would do on the host of a snapshot if Git had the files of a tree; `hosts` has
/// files of the host below it as they are below `/` there, and `only` names one stack.
///
/// # Errors
/// The tree or `hosts` can't be read.
pub fn plan(
    snapshot: &Snapshot,
    tree: &Tree,
    hosts: Option<&Path>,
    only: Option<&str>,
) -> Result<Compared, SnapshotError> {
    let mut compared = Compared {
        looked: ByStack::new(),
        unseen: BTreeSet::new(),
        elsewhere: BTreeSet::new(),
        gone: snapshot.stacks.keys().map(ToString::to_string).collect(),
        unapproved: BTreeSet::new(),
    };
    let zone = snapshot.time_zone.as_deref().map(TimeZone::get);
    let zone = zone.and_then(Result::ok).unwrap_or(TimeZone::UTC);
    let mut loaded = Loaded::new();
    let mut places = BTreeMap::new();
    for path in tree.find_named(manifest::FILE_NAME)? {
        let dir = path.parent().unwrap_or_else(RepoPath::root);
        let shown = match dir.as_str() {
            "" => ".",
            dir => dir,
        };
        let Some((stack, kept)) = kept_of(snapshot, tree, &path, shown) else {
            compared.elsewhere.insert(shown.to_owned());
            continue;
        };
        compared.gone.remove(stack.as_str());
        let host = Elsewhere::new(hosts, Some(HIDDEN))?;
        let desired = check::load(tree, &dir, &host, &|_| kept.directory.clone(), &zone);
        loaded.insert(shown.to_owned(), desired.map_err(LoadError::State));
        places.insert(shown.to_owned(), (stack, kept, host.into_unseen()));
    }
    stacks::check_together(&snapshot.policy, None, &mut loaded);
    for (dir, desired) in loaded {
        let Some((stack, kept, unseen)) = places.remove(&dir) else {
            continue;
        };
        if only.is_some_and(|only| only != dir && only != stack.as_str()) {
            continue;
        }
        let looked = match desired {
            Ok(mut desired) => {
                desired.gate = gate(kept, &desired);
                let looked = look_at(snapshot, kept, &desired, unseen.is_empty())?;
                let steps = looked.plan.steps.iter().chain(&looked.plan.held_back);
                let is_new = desired.gate.arrival == Arrival::New && steps.count() > 0;
                if is_new && !kept.approvers.is_empty() {
                    let approved = format!("{stack} (by {})", kept.approvers.join(" or "));
                    compared.unapproved.insert(approved);
                }
                Ok(looked)
            }
            Err(error) => Err(PassError::from(error)),
        };
        compared.unseen.extend(unseen);
        compared.looked.insert(dir, looked);
    }
    Ok(compared)
}

/// Returns what a snapshot has of the stack of a manifest.
fn kept_of<'a>(
    snapshot: &'a Snapshot,
    tree: &Tree,
    path: &RepoPath,
    shown: &str,
) -> Option<(&'a StackName, &'a StackSnapshot)> {
    let text = tree.read(path).ok();
    let manifest = text.and_then(|text| manifest::parse(path.as_str(), &text).ok());
    match &manifest {
        Some(manifest) => snapshot.stacks.get_key_value(&manifest.stack),
        None => snapshot.stacks.iter().find(|(_, kept)| kept.dir == shown),
    }
}

/// Returns what a change has to wait for, as far as it is known without the host: the files of its
/// releases and the keys of who may approve are not.
fn gate(kept: &StackSnapshot, desired: &DesiredState) -> Gate {
    let released = kept.history.release.as_ref();
    let released = released.is_some_and(|one| one.id.revision == desired.commit.revision);
    Gate {
        arrival: if released {
            Arrival::Released
        } else {
            Arrival::New
        },
        closed: kept.closed.clone(),
        unapproved: None,
        nameless: Vec::new(),
    }
}

/// Plans what a pass would do to one stack of a snapshot; `sees_all` says whether no file of the
/// host that it reads was out of sight.
///
/// # Errors
/// Something can't be written down.
pub fn look_at(
    snapshot: &Snapshot,
    kept: &StackSnapshot,
    desired: &DesiredState,
    sees_all: bool,
) -> Result<Looked, SnapshotError> {
    let mut desired = redact::desired(desired)?;
    let mut observed = kept.observed.clone();
    let containers = observed.containers.iter_mut();
    for container in containers.chain(&mut observed.candidates) {
        kept.environments.put_back(container);
    }
    fill::fill(&mut desired, &observed, sees_all)?;
    for service in desired.services.values() {
        // Nobody asks a registry from here: a pass does.
        let unasked = || match service.pull {
            Pull::Never => ImageState::NotPulled,
            Pull::Missing | Pull::Always | Pull::Every(_) => ImageState::Remote {
                digest: String::new(),
            },
        };
        let image = service.spec.image.clone();
        observed.images.entry(image).or_insert_with(unasked);
    }
    let key = public_key();
    let context = Context {
        instance: &snapshot.instance,
        key: &key,
        now: snapshot.taken_at.as_second(),
        policy: &snapshot.policy,
    };
    let history = kept.history.clone();
    let plan = plan::plan(&desired, &observed, &history, &context);
    Ok(Looked {
        desired,
        observed,
        history: Arc::new(history),
        plan,
        scheduled: Scheduled::Wanted,
    })
}
