//! Examines the proxy in front of a stack: in what it differs from Git, and what it has loaded
//! when the plan is done.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::action::Placement;
use super::diff::{Origin, Reason, Remedy};
use super::facts::{Fact, Field};
use super::guard::All;
use super::history::{ReleaseId, ReleasedProxy};
use super::services::{Input, short};
use crate::desired::proxy::{DesiredProxy, ProxyConfig, ProxyPlace};
use crate::desired::{DriftPolicy, PlacedFile, ServiceName};
use crate::observe::{Loaded, ObservedProxy};
use crate::proxy;
use crate::source::RepoPath;

/// What was found out about the proxy in front of a stack.
pub(super) struct Front<'a> {
    pub(super) desired: &'a DesiredProxy,
    pub(super) observed: &'a ObservedProxy,
    /// What the last release had loaded.
    pub(super) released: Option<&'a ReleasedProxy>,
    /// In what it differs.
    pub(super) reasons: Vec<Reason>,
    /// Whether an interrupted pass has left it as it is: nobody changed it by hand then.
    is_left_by_a_pass: bool,
    /// The addresses under which it reaches services when the plan is done.
    upstreams: BTreeMap<String, String>,
}

impl<'a> Input<'a> {
    /// Examines the proxy, after the services that it sends requests to.
    pub(super) fn examine_front(&self, all: &All<'a>) -> Option<Front<'a>> {
        let desired = self.desired.proxy.as_ref()?;
        let observed = self.observed.proxy.as_ref()?;
        let released = self.history.release.as_ref();
        let mut front = Front {
            desired,
            observed,
            released: released.and_then(|release| release.proxy.as_ref()),
            reasons: Vec::new(),
            is_left_by_a_pass: all.values().any(|one| one.beside.is_some())
                || self.is_loaded_by_a_pass(observed),
            upstreams: BTreeMap::new(),
        };
        front.upstreams = self.upstreams(desired, all);
        front.reasons = self.config_reasons(&front);
        front.reasons.extend(self.host_file_reasons(&front));
        front.reasons.extend(upstream_reasons(&front));
        front.reasons.extend(certificate_reasons(&front));
        front.reasons.extend(loaded_reason(&front));
        Some(front)
    }

    /// Returns whether the configuration of an attempt that no release came of is loaded.
    fn is_loaded_by_a_pass(&self, observed: &ObservedProxy) -> bool {
        let Loaded::Marker(marker) = &observed.loaded else {
            return false;
        };
        let attempt = marker
            .split('-')
            .next()
            .and_then(|number| number.parse().ok());
        let released = self.history.release.as_ref();
        let released = released.map_or(0, |release| release.id.attempt);
        attempt
            .is_some_and(|attempt: u64| attempt > released && attempt < self.history.next_attempt)
    }

    fn upstreams(&self, desired: &DesiredProxy, all: &All<'a>) -> BTreeMap<String, String> {
        let configs = desired.configs.values();
        let named = configs.flat_map(|config| &config.template.upstreams);
        named
            .filter_map(|upstream| {
                let one = all.get(&upstream.service)?;
                let address = self.address(&desired.proxy.place, upstream, one, one.slot_then());
                Some((upstream.to_string(), address))
            })
            .collect()
    }

    /// Returns the paths below the project directory whose content is for the proxy's steps to
    /// place.
    pub(super) fn config_paths(&self) -> BTreeSet<&'a RepoPath> {
        let proxy = self.desired.proxy.iter();
        let in_a_service =
            proxy.filter(|proxy| matches!(proxy.proxy.place, ProxyPlace::Service(_)));
        in_a_service
            .flat_map(|proxy| proxy.configs.values())
            .filter_map(|config| config.project_path.as_ref())
            .collect()
    }

    fn config_reasons(&self, front: &Front<'a>) -> Vec<Reason> {
        let configs = front.desired.configs.iter();
        let changed = configs.filter_map(|(path, config)| {
            let git = config.digest();
            let place = front.observed.places.get(path);
            let live = place.and_then(|place| self.observed.host_placed.get(place));
            let released = front.released;
            let before = released.and_then(|then| then.templates.get(path));
            let placed = released.and_then(|then| then.files.get(place?));
            let pending = before != Some(&git);
            let drift = released.is_some() && live != placed;
            // What is placed is not what Git has, letter for letter: its places are filled in.
            let live = if live.is_some() && live == placed {
                before
            } else {
                live
            };
            (pending || drift).then(|| Reason {
                field: Field::Config(path.display().to_string()),
                git: Some(short(&git)),
                release: before.map(|digest| short(digest)),
                live: live.map(|digest| short(digest)),
                origin: origin(pending, drift),
            })
        });
        changed.chain(gone_reasons(front)).collect()
    }

    /// Returns the files at fixed places of the host that a proxy on the host may read.
    fn host_file_reasons(&self, front: &Front<'a>) -> Vec<Reason> {
        match front.desired.proxy.place {
            ProxyPlace::Host => self.host_files_changed(),
            ProxyPlace::Service(_) | ProxyPlace::Container(_) => Vec::new(),
        }
    }

    /// Returns in what the files at fixed places of the host differ from Git.
    pub(super) fn host_files_changed(&self) -> Vec<Reason> {
        let released = self.history.release.as_ref();
        let then = released.map(|release| &release.host_placed);
        let wanted = self.desired.host_placed.iter();
        let wanted = wanted.map(|(path, file)| (path, Some(file.digest())));
        let gone = then.into_iter().flat_map(BTreeMap::keys);
        let is_config = |path: &PathBuf| {
            let proxy = self.observed.proxy.iter();
            proxy
                .flat_map(|proxy| proxy.places.values())
                .any(|place| place == path)
        };
        let gone =
            gone.filter(|path| !self.desired.host_placed.contains_key(*path) && !is_config(path));
        let all = wanted.chain(gone.map(|path| (path, None)));
        all.filter_map(|(path, git)| {
            let live = self.observed.host_placed.get(path);
            let before = then.and_then(|then| then.get(path));
            let pending = before != git.as_ref();
            // One that a killed pass has placed is not released, and the proxy may not have read it.
            (pending || live != git.as_ref()).then(|| Reason {
                field: Field::File(path.display().to_string()),
                git: git.as_deref().map(short),
                release: before.map(|digest| short(digest)),
                live: live.map(|digest| short(digest)),
                origin: origin(pending, live != before),
            })
        })
        .collect()
    }

    /// Returns the configuration files that the proxy's container sees otherwise than they are on
    /// the host: it has the file of before, and a restart shows it the new one.
    pub(super) fn inside_reasons(&self, service: &ServiceName) -> Vec<Reason> {
        let (Some(desired), Some(observed)) = (&self.desired.proxy, &self.observed.proxy) else {
            return Vec::new();
        };
        if desired.proxy.place != ProxyPlace::Service(service.clone()) {
            return Vec::new();
        }
        let configs = desired.configs.keys();
        let differs = configs.filter_map(|path| {
            let seen = observed.seen.get(path)?;
            let there = self.observed.host_placed.get(observed.places.get(path)?)?;
            (seen != there).then(|| Reason {
                field: Field::Inside(path.display().to_string()),
                git: Some(short(there)),
                release: Some(short(there)),
                live: Some(short(seen)),
                origin: Origin::Drift,
            })
        });
        differs.collect()
    }
}

fn origin(pending: bool, drift: bool) -> Origin {
    match (pending, drift) {
        (true, true) => Origin::Both,
        (true, false) => Origin::Pending,
        (false, _) => Origin::Drift,
    }
}

/// Returns the configuration files that Git no longer has.
fn gone_reasons<'f>(front: &'f Front<'_>) -> impl Iterator<Item = Reason> + use<'f> {
    let then = front.released.into_iter().flat_map(|then| &then.templates);
    let gone = then.filter(|(path, _)| !front.desired.configs.contains_key(*path));
    gone.map(|(path, before)| Reason {
        field: Field::Config(path.display().to_string()),
        git: None,
        release: Some(short(before)),
        live: Some(short(before)),
        origin: Origin::Pending,
    })
}

fn upstream_reasons(front: &Front<'_>) -> Vec<Reason> {
    let then = front.released.map(|then| &then.upstreams);
    let plain = |address: &String| Fact::Plain(address.clone());
    let moved = front.upstreams.iter().filter_map(|(upstream, address)| {
        let before = then?.get(upstream);
        (before != Some(address)).then(|| Reason {
            field: Field::Upstream(upstream.clone()),
            git: Some(plain(address)),
            release: before.map(plain),
            live: before.map(plain),
            origin: Origin::Pending,
        })
    });
    moved.collect()
}

/// A renewed certificate is nobody's drift: it is what its owner wants.
fn certificate_reasons(front: &Front<'_>) -> Vec<Reason> {
    let Some(then) = front.released else {
        return Vec::new();
    };
    let live = front.observed.certificates.iter();
    let renewed = live.filter_map(|(path, digest)| {
        let before = then.certificates.get(path);
        (before != Some(digest)).then(|| Reason {
            field: Field::Certificate(path.display().to_string()),
            git: Some(short(digest)),
            release: before.map(|digest| short(digest)),
            live: before.map(|digest| short(digest)),
            origin: Origin::Pending,
        })
    });
    renewed.collect()
}

/// Returns the reason of a proxy that has loaded something else than the last release's files.
fn loaded_reason(front: &Front<'_>) -> Option<Reason> {
    let then = front.released?;
    let live = match &front.observed.loaded {
        Loaded::Marker(marker) if *marker == then.marker => return None,
        Loaded::Marker(marker) => marker.clone(),
        Loaded::No { cause } => cause.clone(),
        // That its container does not run is said there.
        Loaded::Unasked => return None,
    };
    let marker = || Some(Fact::Plain(then.marker.clone()));
    Some(Reason {
        field: Field::Loaded,
        git: marker(),
        release: marker(),
        live: Some(Fact::Plain(live)),
        origin: Origin::Drift,
    })
}

impl Front<'_> {
    /// Returns whether what is there may be tested: its own text changes, or what it reads.
    pub(super) fn is_tested(&self) -> bool {
        self.reasons.iter().any(is_tested)
    }

    /// Returns whether it is a service of this stack.
    pub(super) fn is_of_this_stack(&self) -> bool {
        matches!(self.desired.proxy.place, ProxyPlace::Service(_))
    }

    /// Returns whether Git has moved, and not the host alone.
    pub(super) fn is_pending(&self) -> bool {
        let mut reasons = self.reasons.iter();
        reasons.any(|reason| {
            matches!(reason.field, Field::Config(_) | Field::File(_))
                && reason.origin != Origin::Drift
        })
    }

    /// Returns whether everything in which it differs was changed by hand, and that is only to be
    /// told.
    pub(super) fn is_only_told(&self, policy: DriftPolicy) -> bool {
        let drift = |reason: &Reason| reason.origin == Origin::Drift;
        policy == DriftPolicy::Report
            && !self.reasons.is_empty()
            && self.reasons.iter().all(drift)
            && !self.is_left_by_a_pass
    }

    /// Returns whether it does not answer: having it load its files would not mend that.
    pub(super) fn is_only_away(&self) -> bool {
        let away = matches!(self.observed.loaded, Loaded::No { .. });
        let loaded = |reason: &Reason| reason.field == Field::Loaded;
        away && !self.reasons.is_empty() && self.reasons.iter().all(loaded)
    }

    /// Returns the certificates and keys that its configuration names.
    pub(super) fn certificates(&self) -> BTreeSet<PathBuf> {
        let configs = self.desired.configs.values();
        let texts = configs.map(|config| &config.template.text);
        texts
            .flat_map(|text| proxy::certificates(self.desired.proxy.kind, text))
            .collect()
    }

    /// Returns what the release records of it with this marker.
    pub(super) fn released_as(&self, marker: &str) -> ReleasedProxy {
        let configs = || self.desired.configs.iter();
        let files = configs().filter_map(|(path, config)| {
            let place = self.observed.places.get(path)?;
            Some((place.clone(), self.rendered(config, marker).digest()))
        });
        ReleasedProxy {
            marker: marker.to_owned(),
            files: files.collect(),
            templates: configs()
                .map(|(path, config)| (path.clone(), config.digest()))
                .collect(),
            upstreams: self.upstreams.clone(),
            certificates: self.observed.certificates.clone(),
        }
    }

    fn rendered(&self, config: &ProxyConfig, marker: &str) -> PlacedFile {
        let address = |upstream: &crate::desired::proxy::Upstream| {
            let known = self.upstreams.get(&upstream.to_string());
            known.cloned().unwrap_or_default()
        };
        PlacedFile {
            content: config.template.render(marker, &address),
            mode: config.mode,
            mounted_singly: false,
        }
    }

    /// Returns the configuration files as they are placed, by their directory on the host.
    pub(super) fn placements(
        &self,
        input: Input<'_>,
        marker: &str,
    ) -> BTreeMap<PathBuf, Vec<Placement>> {
        let mut found: BTreeMap<PathBuf, Vec<Placement>> = BTreeMap::new();
        let configs = self.desired.configs.iter();
        let wanted = configs.filter_map(|(path, config)| {
            let place = self.observed.places.get(path)?;
            let mut file = self.rendered(config, marker);
            file.mounted_singly = self.is_mounted_singly(input, path, config);
            Some((place.clone(), Some(file)))
        });
        let wanted: BTreeMap<PathBuf, Option<PlacedFile>> = wanted.collect();
        let then = self.released.iter().flat_map(|then| then.files.keys());
        let gone = then.filter(|place| {
            let below = place.strip_prefix(&input.desired.project_directory).ok();
            let ordinary = below
                .and_then(Path::to_str)
                .and_then(|path| RepoPath::new(path).ok())
                .is_some_and(|path| input.desired.files.contains_key(&path))
                || input.desired.host_placed.contains_key(*place);
            !wanted.contains_key(*place) && !ordinary
        });
        let gone: Vec<(PathBuf, Option<PlacedFile>)> =
            gone.map(|place| (place.clone(), None)).collect();
        for (place, file) in wanted.into_iter().chain(gone) {
            let Some((root, placement)) = self.placement(input, &place, file) else {
                continue;
            };
            found.entry(root).or_default().push(placement);
        }
        found
    }

    fn placement(
        &self,
        input: Input<'_>,
        place: &Path,
        file: Option<PlacedFile>,
    ) -> Option<(PathBuf, Placement)> {
        // What the last release had is what is gone back to, whoever changed it since.
        let then = self.released.and_then(|then| then.files.get(place));
        let before = then.or_else(|| input.observed.host_placed.get(place));
        let before = before.cloned();
        let project = &input.desired.project_directory;
        let below = match &self.desired.proxy.place {
            // A container may write there, and must not lead a write elsewhere.
            ProxyPlace::Service(_) => place.strip_prefix(project).ok().and_then(Path::to_str),
            ProxyPlace::Host | ProxyPlace::Container(_) => None,
        };
        match below.and_then(|path| RepoPath::new(path).ok()) {
            Some(path) => Some((project.clone(), Placement { path, file, before })),
            None => place_at(place, file, before),
        }
    }

    fn is_mounted_singly(&self, input: Input<'_>, path: &Path, config: &ProxyConfig) -> bool {
        match &self.desired.proxy.place {
            ProxyPlace::Host => false,
            ProxyPlace::Service(_) => {
                let file = config.project_path.as_ref();
                file.and_then(|path| input.desired.files.get(path))
                    .is_some_and(|file| file.mounted_singly)
            }
            ProxyPlace::Container(_) => {
                let container = self.observed.container.as_ref();
                container.is_some_and(|one| {
                    one.spec
                        .mounts
                        .keys()
                        .any(|target| Path::new(target) == path)
                })
            }
        }
    }

    /// Returns the marker that a plan of this attempt has loaded.
    pub(super) fn new_marker(input: Input<'_>) -> String {
        ReleaseId {
            attempt: input.history.next_attempt,
            revision: input.desired.commit.revision.clone(),
        }
        .to_string()
    }

    /// Returns whether its configuration names a service, by a placeholder or by its plain name.
    /// Where a text only looks so, it is reloaded once too often, which harms nobody.
    pub(super) fn names(&self, service: &ServiceName) -> bool {
        self.desired.names(service)
            && self.desired.proxy.place != ProxyPlace::Service(service.clone())
    }

    /// Returns whether its own container is made or replaced.
    pub(super) fn is_made(&self, all: &All<'_>) -> bool {
        let ProxyPlace::Service(service) = &self.desired.proxy.place else {
            return false;
        };
        let one = all.get(service);
        one.is_some_and(|one| matches!(one.remedy, Some(Remedy::Create | Remedy::Replace)))
    }

    /// Returns the services that it sends requests to and that are started anew: their addresses
    /// in the engine's networks may be others then.
    pub(super) fn started_anew<'e>(
        &self,
        all: &'e All<'_>,
        stopped: &BTreeSet<&ServiceName>,
    ) -> Vec<&'e ServiceName> {
        if self.desired.proxy.place == ProxyPlace::Host {
            return Vec::new();
        }
        let anew = all.values().filter(|one| {
            let anew = one.remedy >= Some(Remedy::Reconnect) || stopped.contains(one.name);
            anew && self.desired.proxy.place != ProxyPlace::Service(one.name.clone())
        });
        anew.map(|one| one.name)
            .filter(|name| self.names(name))
            .collect()
    }
}

/// Returns whether a difference is one of what a test reads.
pub(super) fn is_tested(reason: &Reason) -> bool {
    matches!(
        reason.field,
        Field::Config(_) | Field::File(_) | Field::Certificate(_)
    )
}

/// Returns a placement below the directory that a file of the host is in.
pub(super) fn place_at(
    place: &Path,
    file: Option<PlacedFile>,
    before: Option<String>,
) -> Option<(PathBuf, Placement)> {
    let name = place.file_name().and_then(OsStr::to_str)?;
    let path = RepoPath::new(name).ok()?;
    let root = place.parent()?.to_owned();
    Some((root, Placement { path, file, before }))
}
