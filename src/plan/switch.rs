//! Plans the proxy's steps: its configuration is loaded when what it sends requests to is up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::action::{Action, Phase, Placement, Workers};
use super::diff::{Origin, Reason, Remedy};
use super::drafts::Switch;
use super::examined::Examined;
use super::facts::Field;
use super::front::{Front, place_at};
use super::guard::All;
use super::history::ReleasedProxy;
use super::order::Planner;
use super::{Difference, Hold, Subject};
use crate::desired::proxy::{ProxyKind, ProxyPlace};
use crate::desired::{DriftPolicy, PlacedFile, ServiceName};
use crate::engine::model::ContainerSpec;
use crate::observe::Loaded;

impl<'a> Planner<'a> {
    /// Examines the proxy and says what stands in the way of its steps.
    pub(super) fn look_at_front(&mut self, all: &All<'a>) {
        let Some(front) = self.input.examine_front(all) else {
            return self.tell_of_host_files();
        };
        let policy = self.input.desired.drift;
        if front.is_only_told(policy) {
            self.holds.push(Hold::DriftReported {
                service: Subject::Proxy(front.desired.proxy.kind),
                reasons: front.reasons.clone(),
            });
        }
        if let (Some(cause), Some(_)) = (away(&front), front.released) {
            self.holds.push(Hold::ProxyAway {
                proxy: front.desired.proxy.kind,
                cause,
            });
        }
        if let (ProxyPlace::Container(name), Some(container)) =
            (&front.desired.proxy.place, &front.observed.container)
            && !container.is_running()
        {
            self.holds.push(Hold::ProxyAway {
                proxy: front.desired.proxy.kind,
                cause: format!("its container {name} is {}", container.state),
            });
        }
        if let ProxyPlace::Container(name) = &front.desired.proxy.place {
            let configs = front.desired.configs.keys();
            let homeless = configs.filter(|path| !front.observed.places.contains_key(*path));
            match &front.observed.container {
                None => self.holds.push(Hold::ProxyMissing {
                    container: name.clone(),
                }),
                Some(_) => self
                    .holds
                    .extend(homeless.map(|path| Hold::ProxyNotMounted {
                        container: name.clone(),
                        path: path.display().to_string(),
                    })),
            }
        }
        self.front = Some(front);
    }

    /// Tells of files of the host that were changed by hand, where that is only to be told.
    fn tell_of_host_files(&mut self) {
        let policy = self.input.desired.drift;
        let reasons = self.input.host_files_changed();
        let drift = reasons
            .into_iter()
            .filter(|reason| reason.origin == Origin::Drift);
        let reasons: Vec<Reason> = drift.collect();
        if policy == DriftPolicy::Report && !reasons.is_empty() {
            self.holds.push(Hold::DriftReported {
                service: Subject::HostFiles,
                reasons,
            });
        }
    }

    /// Returns the changes of files at fixed places of the host, by their directory.
    pub(super) fn host_placements(&self) -> BTreeMap<PathBuf, Vec<Placement>> {
        let mut found: BTreeMap<PathBuf, Vec<Placement>> = BTreeMap::new();
        for reason in self.input.host_files_changed() {
            let Field::File(path) = &reason.field else {
                continue;
            };
            let told = self.input.desired.drift == DriftPolicy::Report;
            if told && reason.origin == Origin::Drift {
                continue;
            }
            let path = PathBuf::from(path);
            let file = self.input.desired.host_placed.get(&path).cloned();
            let before = self.input.observed.host_placed.get(&path).cloned();
            if before == file.as_ref().map(PlacedFile::digest) {
                continue;
            }
            if let Some((root, placement)) = place_at(&path, file, before) {
                found.entry(root).or_default().push(placement);
            }
        }
        found
    }

    /// Plans the proxy's configuration before its container is started: it reads it then.
    pub(super) fn place_for(
        &mut self,
        one: &Examined<'a>,
        all: &All<'a>,
        mut after: Vec<u32>,
    ) -> Vec<u32> {
        let starts = one.remedy > Some(Remedy::Reconnect) || self.stopped.contains(one.name);
        let Some(front) = self.front.as_ref().filter(|front| {
            starts && front.desired.proxy.place == ProxyPlace::Service(one.name.clone())
        }) else {
            return after;
        };
        let marker = self
            .marker_then()
            .unwrap_or_else(|| Front::new_marker(self.input));
        let files = front.placements(self.input, &marker);
        let configs = front.desired.configs.values();
        let upstreams = configs.flat_map(|config| &config.template.upstreams);
        let filled_in: BTreeSet<&ServiceName> = upstreams.map(|one| &one.service).collect();
        let named: Vec<&Examined<'a>> = all.values().filter(|one| front.names(one.name)).collect();
        // It looks their names up when it starts, and sends visitors there at once.
        for other in named {
            if filled_in.contains(other.name) && self.step_of.contains_key(other.name) {
                self.verify(other);
            }
            let up = self.up.get(other.name);
            after.extend(up.or_else(|| self.step_of.get(other.name)).copied());
        }
        for (root, files) in files {
            let differs = |placement: &Placement| {
                let wanted = placement
                    .file
                    .as_ref()
                    .map(crate::desired::PlacedFile::digest);
                let path = root.join(placement.path.as_str());
                self.input.observed.host_placed.get(&path) != wanted.as_ref()
            };
            let mut files: Vec<Placement> = files.into_iter().filter(differs).collect();
            for placement in &mut files {
                let path = root.join(placement.path.as_str());
                placement.before = self.input.observed.host_placed.get(&path).cloned();
            }
            if !files.is_empty() {
                let action = Action::Place { root, files };
                after = vec![self.push(Phase::Converge, action, &[], after)];
            }
        }
        after
    }

    /// Returns the marker of the last release where it stays.
    fn marker_then(&self) -> Option<String> {
        let front = self.front.as_ref()?;
        let released = front.released.filter(|_| !self.switches)?;
        Some(released.marker.clone())
    }

    /// Finds out whether the proxy has to load its files.
    pub(super) fn decide_switch(&mut self, all: &All<'a>) {
        let Some(front) = &mut self.front else { return };
        let policy = self.input.desired.drift;
        let due = !front.reasons.is_empty() && !front.is_only_told(policy) && !front.is_only_away();
        let anew = front.started_anew(all, &self.stopped);
        let leaving = self.input.leaving(front);
        self.switches = due || !anew.is_empty() || !leaving.is_empty() || front.is_made(all);
        let same_name = |name: &&ServiceName| {
            // One that is stopped for a while has another address afterwards, too.
            all.get(name).is_some_and(|one| one.turn.is_none()) || self.stopped.contains(*name)
        };
        self.looks_up = anew.iter().any(same_name) || !leaving.is_empty();
        let moved = anew.into_iter().chain(leaving.iter().map(|(name, _)| name));
        let moved = moved.map(|service| Reason {
            field: Field::Dependency(service.to_string()),
            git: None,
            release: None,
            live: None,
            origin: Origin::Pending,
        });
        if front.reasons.is_empty() {
            self.switch_reasons = moved.collect();
        } else {
            self.switch_reasons.clone_from(&front.reasons);
        }
    }

    /// Plans that the proxy looks the addresses up of what a restore has stopped and started, with
    /// the files that it has.
    pub(super) fn look_up_again(&mut self, all: &All<'a>) {
        self.look_at_front(all);
        let Some(front) = &self.front else { return };
        let anew = front.started_anew(all, &self.stopped);
        let Some(then) = front.released else { return };
        if anew.iter().any(|name| self.stopped.contains(*name)) {
            self.looks_up = true;
            let draft = self.switch_draft(front, then.marker.clone(), BTreeMap::new());
            let after = self.ends();
            self.push(Phase::Switch, Action::Switch(Box::new(draft)), &[], after);
        }
    }

    /// Plans that the proxy loads its files, if it has to.
    pub(super) fn switch(&mut self) -> Option<u32> {
        let front = self.front.as_ref().filter(|_| self.switches)?;
        let marker = Front::new_marker(self.input);
        let files = front.placements(self.input, &marker);
        let draft = self.switch_draft(front, marker, files);
        let reasons = self.switch_reasons.clone();
        let after = self.ends();
        Some(self.push(
            Phase::Switch,
            Action::Switch(Box::new(draft)),
            &reasons,
            after,
        ))
    }

    pub(super) fn switch_draft(
        &self,
        front: &Front<'a>,
        marker: String,
        files: BTreeMap<PathBuf, Vec<Placement>>,
    ) -> Switch {
        let proxy = &front.desired.proxy;
        let (container, spec) = self.container_of(front);
        Switch {
            kind: proxy.kind,
            main: proxy.main.clone(),
            container,
            files,
            at: proxy.marker_at(spec),
            marker,
            before: front.released.map(|then| then.marker.clone()),
            looks_up: self.looks_up,
            takes_out: false,
        }
    }

    /// Returns the name of the proxy's container, and what that is made from, if it has one.
    fn container_of<'f>(
        &self,
        front: &'f Front<'a>,
    ) -> (Option<String>, Option<&'f ContainerSpec>) {
        match &front.desired.proxy.place {
            ProxyPlace::Host => (None, None),
            ProxyPlace::Service(name) => {
                let service = self.input.desired.services.get(name);
                let stack = &self.input.desired.stack;
                let container =
                    service.map(|one| super::services::container_name(stack, name, one));
                (container, service.map(|one| &one.spec))
            }
            ProxyPlace::Container(name) => {
                let container = front.observed.container.as_ref();
                (Some(name.clone()), container.map(|one| one.spec.as_ref()))
            }
        }
    }

    /// Returns whose processes may go on with an old configuration for a while.
    pub(super) fn workers(&self, front: &Front<'a>) -> Option<Workers> {
        match (front.desired.proxy.kind, self.container_of(front).0) {
            // One process has all configurations.
            (ProxyKind::Caddy, _) => None,
            (ProxyKind::Nginx, None) => Some(Workers::Host),
            (ProxyKind::Nginx, Some(name)) => Some(Workers::Container(name)),
        }
    }

    /// Returns how the proxy goes back to the last release's configuration, unless it is known to
    /// have it.
    pub(super) fn switch_back(&self) -> Option<Switch> {
        let front = self.front.as_ref()?;
        let then = front.released?;
        let placed = then
            .files
            .iter()
            .all(|(place, digest)| self.input.observed.host_placed.get(place) == Some(digest));
        let loaded =
            matches!(&front.observed.loaded, Loaded::Marker(marker) if *marker == then.marker);
        if placed && loaded {
            return None;
        }
        let files = front.placements(self.input, &then.marker);
        Some(self.switch_draft(front, then.marker.clone(), files))
    }

    /// Returns the services in the order in which they are started: the proxy's own last, because
    /// it looks up the names of the others when it starts.
    pub(super) fn front_last(&self, order: &[&'a ServiceName]) -> Vec<&'a ServiceName> {
        let proxy = self.front.as_ref().map(|front| &front.desired.proxy.place);
        let is_proxy = |name: &&ServiceName| matches!(proxy, Some(ProxyPlace::Service(service)) if service == *name);
        let services = self.input.desired.services.values();
        let needed = services
            .flat_map(|one| one.depends_on.keys())
            .any(|name| is_proxy(&name));
        let (last, mut all): (Vec<_>, Vec<_>) =
            order.iter().partition(|name| is_proxy(name) && !needed);
        all.extend(last);
        all
    }

    /// Returns in what the proxy and the files of the host differ.
    pub(super) fn other_differences(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        if let Some(front) = &self.front {
            found.push((
                Subject::Proxy(front.desired.proxy.kind),
                front.reasons.clone(),
            ));
        }
        let of_the_proxy = found.iter().any(|(_, reasons)| {
            reasons
                .iter()
                .any(|reason| matches!(reason.field, Field::File(_)))
        });
        if !of_the_proxy {
            found.push((Subject::HostFiles, self.input.host_files_changed()));
        }
        let differs = found.into_iter().filter(|(_, reasons)| !reasons.is_empty());
        differs
            .map(|(of, reasons)| Difference { of, reasons })
            .collect()
    }

    /// Returns what the release records of the proxy.
    pub(super) fn proxy_then(&self, all: &All<'a>) -> Option<ReleasedProxy> {
        let front = self.front.as_ref()?;
        if let (Some(released), false) = (front.released, self.switches) {
            return Some(released.clone());
        }
        let mut then = front.released_as(&Front::new_marker(self.input));
        let (_, unseen) = self.unseen_certificates(all);
        then.certificates.retain(|path, _| !unseen.contains(path));
        Some(then)
    }

    /// Returns the certificates that can't be looked at yet, because the container that sees them
    /// is made by this plan, and the container.
    pub(super) fn unseen_certificates(&self, all: &All<'a>) -> (Option<String>, BTreeSet<PathBuf>) {
        let Some(front) = self.front.as_ref().filter(|_| self.switches) else {
            return (None, BTreeSet::new());
        };
        let mut named = front.certificates();
        let (container, is_new) = match &front.desired.proxy.place {
            ProxyPlace::Host => (None, false),
            ProxyPlace::Container(name) => (Some(name.clone()), false),
            ProxyPlace::Service(name) => {
                let one = all.get(name);
                let is_new = one.is_some_and(|one| one.remedy > Some(Remedy::Reconnect));
                (one.map(|one| one.container_name.clone()), is_new)
            }
        };
        named.retain(|path| is_new || !front.observed.certificates.contains_key(path));
        (container, named)
    }
}

/// Returns why a proxy does not say what it has loaded, where it should.
fn away(front: &Front<'_>) -> Option<String> {
    match (&front.observed.loaded, &front.observed.container) {
        (Loaded::No { cause }, _) => Some(cause.clone()),
        // That a service of ours does not run is said there.
        (Loaded::Unasked, Some(one)) if !front.is_of_this_stack() => {
            Some(format!("its container {} is {}", one.name, one.state))
        }
        (Loaded::Unasked | Loaded::Marker(_), _) => None,
    }
}
