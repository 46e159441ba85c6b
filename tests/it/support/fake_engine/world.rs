//! The host in memory, and what each call does to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use moored::engine::EngineError;
use moored::engine::api::{ApiVersion, TooOld};
use moored::engine::model::{
    Container, ContainerSpec, ContainerState, ContainerSummary, Health, Image, MountSource,
    Network, Volume,
};
use moored::files::{Mode, digest};
use moored::labels;

use super::commands::{Job, Said};
use super::fate::{Fate, Kept, exited};
use super::inspect;

/// The one registry that there is.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(crate) down: bool,
    /// It wants another login.
    pub(crate) denies: bool,
    /// It says what a tag stands for, and wants another login for the rest.
    pub(crate) denies_pulls: bool,
    /// What a tag stands for now.
    pub(crate) tags: BTreeMap<String, String>,
    /// Images by digest, with what becomes of their containers.
    pub(crate) images: BTreeMap<String, (Image, Fate)>,
}

/// One call with an effect.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `start_container shop-web-1`.
    pub(crate) line: String,
    /// Instances whose containers it is about: none for a new one, and the container's id in
    /// their place where it has no such label.
    pub(crate) instances: Vec<String>,
}

/// The host.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) containers: BTreeMap<String, Kept>,
    /// Images by reference, with what becomes of their containers.
    pub(crate) images: BTreeMap<String, (Image, Fate)>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) registry: Registry,
    pub(crate) calls: Vec<Call>,
    /// What becomes of containers with a command of their own, by image and first word of the
    /// command; all others have the fate of their image.
    pub(crate) jobs: BTreeMap<(String, String), Job>,
    /// What commands inside a container do, by its name or image and the command's first words,
    /// the longest that fit. One that is not here ends at once, with code 0 and without a word.
    pub(crate) said: BTreeMap<(String, String), Said>,
    /// Files in containers, by the container's name and the path. What is not here is looked for
    /// in its binds.
    pub(crate) files_in: BTreeMap<(String, String), Vec<u8>>,
    /// What was sent to commands inside containers: name and first word, and the input.
    pub(crate) fed: Vec<((String, String), Vec<u8>)>,
    /// Below it, bind sources are made and looked for; all others are taken as given.
    pub(crate) root: PathBuf,
    /// What comes after `1.` in the version of the API; `None` = that of the oldest engine that
    /// Moored is tested with.
    pub(crate) api_minor: Option<usize>,
    /// The service `app` keeps rows here, if it keeps any.
    pub(crate) ledger: Option<super::ledger::Ledger>,
    /// What each proxy has loaded, by the id of its container.
    pub(super) loaded: BTreeMap<String, super::front::Loaded>,
    /// Whom each container joined when it was started: the other one's id and when that one had
    /// been started.
    pub(super) joined: BTreeMap<String, Vec<(String, String)>>,
    /// Every call after which visitors of a proxy met nobody.
    pub(crate) gaps: Vec<String>,
    made: usize,
}

pub(super) type Answer<T = ()> = Result<T, EngineError>;

impl World {
    /// Finds a container by id or name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<&Kept> {
        self.containers.get(id_or_name).or_else(|| {
            self.containers
                .values()
                .find(|kept| kept.shown.name == id_or_name)
        })
    }

    /// Finds a container by id or name, to change it by hand.
    pub(crate) fn find_mut(&mut self, id_or_name: &str) -> Option<&mut Kept> {
        let id = self.find(id_or_name)?.shown.id.clone();
        self.containers.get_mut(&id)
    }

    /// Returns 64 hexadecimal digits that nothing has had before, the same ones in every run.
    pub(crate) fn new_id(&mut self) -> String {
        self.made += 1;
        digest(format!("thing {}", self.made).as_bytes(), Mode::Plain)
    }

    pub(super) fn api(&self) -> ApiVersion {
        ApiVersion {
            major: 1,
            minor: self.api_minor.unwrap_or(41),
        }
    }

    pub(super) fn describe(&self, verb: &str, subject: &str) -> Call {
        let known = self.find(subject).filter(|_| verb != "create_container");
        let name = known.map_or(subject, |kept| kept.shown.name.as_str());
        Call {
            line: format!("{verb} {name}"),
            instances: known
                .map(|kept| {
                    let instance = kept.shown.spec.labels.get(labels::INSTANCE);
                    instance.unwrap_or(&kept.shown.id).clone()
                })
                .into_iter()
                .collect(),
        }
    }

    pub(super) fn image(&self, reference: &str) -> Option<&Image> {
        let by_id = || {
            self.images
                .values()
                .find(|(image, _)| image.id == reference)
        };
        self.images
            .get(reference)
            .or_else(by_id)
            .map(|(image, _)| image)
    }

    pub(super) fn summaries(&self) -> Vec<ContainerSummary> {
        let summary = |kept: &Kept| ContainerSummary {
            id: kept.shown.id.clone(),
            name: kept.shown.name.clone(),
            image: kept.shown.spec.image.clone(),
            labels: kept.shown.spec.labels.clone(),
            running: is_running(&kept.shown.state),
            networks: kept.shown.spec.networks.keys().cloned().collect(),
        };
        self.containers.values().map(summary).collect()
    }

    pub(super) fn inspect(&mut self, id: &str) -> Option<Container> {
        let kept = self.find_mut(id)?;
        kept.looks += 1;
        let ran = kept.shown.state == ContainerState::Running;
        kept.live();
        if let (true, ContainerState::Exited { .. }, Some(work)) =
            (ran, &kept.shown.state, &kept.work)
        {
            match work.run() {
                Ok(said) => kept.printed.push_str(&said),
                Err(said) => {
                    kept.printed.push_str(&said);
                    kept.end(exited(1));
                }
            }
            let (name, is_query) = (kept.shown.name.clone(), work_is_query(kept));
            let at_work = self.codes_at_work();
            if let Some(ledger) = self
                .ledger
                .as_mut()
                .filter(|_| !is_query && !at_work.is_empty())
            {
                ledger
                    .wrongs
                    .push(format!("{at_work:?} wrote while {name} worked"));
            }
        }
        let shown = self.find(id).map(|kept| kept.shown.clone());
        shown.map(|shown| self.with_names(shown))
    }

    pub(super) fn digest_of(&self, reference: &str) -> Answer<String> {
        let doing = format!("ask the registry for {reference}");
        if self.registry.down {
            let cause = "connection refused".to_owned();
            return Err(EngineError::Registry { doing, cause });
        }
        if self.registry.denies {
            let cause = "unauthorized: authentication required".to_owned();
            return Err(EngineError::Denied { doing, cause });
        }
        let known = self.registry.tags.get(reference).cloned();
        known.ok_or(EngineError::NotFound {
            doing,
            cause: "manifest unknown".to_owned(),
        })
    }

    pub(super) fn pull(&mut self, reference: &str, digest: &str) -> Answer {
        let doing = format!("pull {reference}");
        if self.registry.down {
            let cause = "connection refused".to_owned();
            return Err(EngineError::Registry { doing, cause });
        }
        if self.registry.denies_pulls {
            let cause = "unauthorized: authentication required".to_owned();
            return Err(EngineError::Denied { doing, cause });
        }
        let Some(image) = self.registry.images.get(digest) else {
            let cause = "manifest unknown".to_owned();
            return Err(EngineError::NotFound { doing, cause });
        };
        self.images.insert(reference.to_owned(), image.clone());
        Ok(())
    }

    pub(crate) fn create(&mut self, name: &str, asked: &ContainerSpec) -> Answer<String> {
        let doing = format!("create container {name}");
        if let Some(there) = self.find(name) {
            let id = &there.shown.id;
            return Err(EngineError::Conflict {
                doing,
                cause: format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \
                     \"{id}\". You have to remove (or rename) that container to be able to reuse \
                     that name."
                ),
            });
        }
        let Some((image, fate)) = self.images.get(&asked.image).cloned() else {
            let cause = format!("No such image: {}", asked.image);
            return Err(EngineError::NotFound { doing, cause });
        };
        self.check_binds(&doing, asked)?;
        let job = asked.command.as_ref().and_then(|words| words.first());
        let job = job.and_then(|word| self.jobs.get(&(asked.image.clone(), word.clone())));
        let (fate, prints, work) = job.map_or((fate, String::new(), None), |job| {
            (job.fate.clone(), job.prints.clone(), job.work.clone())
        });
        // Further networks are joined by a call of their own, the first at the start.
        for network in asked
            .networks
            .keys()
            .filter(|name| **name != asked.network_mode)
        {
            if !self.networks.contains_key(network) {
                let cause = format!("network {network} not found");
                return Err(EngineError::NotFound { doing, cause });
            }
        }
        let mut new_volumes = Vec::new();
        let asked = &self.with_ids(&doing, asked)?;
        let spec = inspect::shown(asked, &image, || {
            new_volumes.push(self.new_id());
            new_volumes.last().unwrap().clone()
        });
        let named = spec
            .mounts
            .values()
            .filter_map(|mount| match &mount.source {
                MountSource::Volume(name) => Some(name.clone()),
                MountSource::Anonymous(_)
                | MountSource::Bind { .. }
                | MountSource::Tmpfs
                | MountSource::TmpfsMount
                | MountSource::Image(_)
                | MountSource::Other(_) => None,
            });
        for name in new_volumes.into_iter().chain(named) {
            let volume = Volume {
                name: name.clone(),
                driver: "local".to_owned(),
                ..Volume::default()
            };
            self.volumes.entry(name).or_insert(volume);
        }
        let id = self.new_id();
        let shown = Container {
            id: id.clone(),
            name: name.to_owned(),
            image_id: image.id,
            spec: Arc::new(spec),
            state: ContainerState::Created,
            health: None,
            pid: None,
            restart_count: 0,
            started_at: String::new(),
            oom_killed: false,
            ended_by_itself: false,
            addresses: BTreeMap::new(),
        };
        let kept = Kept {
            shown,
            fate,
            looks: 0,
            prints,
            printed: String::new(),
            work,
            joined: BTreeMap::new(),
        };
        self.containers.insert(id.clone(), kept);
        Ok(id)
    }

    fn check_binds(&self, doing: &str, asked: &ContainerSpec) -> Answer {
        for mount in asked.mounts.values() {
            let MountSource::Bind {
                path,
                create: false,
            } = &mount.source
            else {
                continue;
            };
            let path = PathBuf::from(path);
            if path.starts_with(&self.root) && !path.exists() {
                return Err(EngineError::Refused {
                    doing: doing.to_owned(),
                    cause: "bind source path does not exist".to_owned(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn known(&self, doing: &str, id: &str) -> Answer<Container> {
        let found = self.find(id).map(|kept| kept.shown.clone());
        found.ok_or(EngineError::NotFound {
            doing: format!("{doing} {id}"),
            cause: format!("No such container: {id}"),
        })
    }

    pub(super) fn start(&mut self, id: &str) -> Answer {
        let container = self.known("start container", id)?;
        let doing = format!("start container {}", container.name);
        let conflict = |cause: String| EngineError::Conflict {
            doing: doing.clone(),
            cause,
        };
        if container.state == ContainerState::Paused {
            let cause = "cannot start a paused container, try unpause instead";
            return Err(conflict(cause.to_owned()));
        }
        if is_running(&container.state) {
            return Ok(());
        }
        self.join_all(&doing, &container)?;
        let ports = host_ports(&container.spec);
        let taken = self.containers.values().any(|other| {
            other.shown.id != container.id
                && is_running(&other.shown.state)
                && host_ports(&other.shown.spec).iter().any(|port| {
                    ports.iter().any(|mine| {
                        let any = mine.0.is_empty() || port.0.is_empty() || mine.0 == port.0;
                        any && mine.1 == port.1
                    })
                })
        });
        if taken {
            return Err(conflict(
                "driver failed programming external connectivity: port is already allocated"
                    .to_owned(),
            ));
        }
        for mount in container.spec.mounts.values() {
            if let MountSource::Bind { path, create: true } = &mount.source
                && PathBuf::from(path).starts_with(&self.root)
                && !PathBuf::from(path).exists()
            {
                std::fs::create_dir_all(path).unwrap();
            }
        }
        self.join(&doing, &container)?;
        self.made += 1;
        let pid = i64::try_from(1000 + self.made).unwrap();
        let addresses = self.addresses(&container);
        let started_at = format!("2026-01-01T00:00:00.{:09}Z", self.made);
        let kept = self.containers.get_mut(&container.id).unwrap();
        kept.looks = 0;
        kept.printed.push_str(&kept.prints);
        kept.shown.oom_killed = false;
        kept.shown.ended_by_itself = false;
        kept.shown.restart_count = 0;
        kept.shown.started_at = started_at;
        kept.shown.pid = Some(pid);
        kept.shown.addresses = addresses;
        kept.shown.state = ContainerState::Running;
        kept.shown.health = kept.has_check().then_some(Health::Starting);
        self.start_proxy(&container.id);
        Ok(())
    }

    /// Returns an address for each network, the same ones in every run.
    fn addresses(&self, container: &Container) -> BTreeMap<String, String> {
        let networks = container.spec.networks.keys().zip(0_u8..);
        let address = |place: u8| format!("10.{}.{place}.2", self.made % 256);
        networks
            .map(|(name, place)| (name.clone(), address(place)))
            .collect()
    }

    pub(crate) fn stop(&mut self, id: &str) {
        let Some(kept) = self.find_mut(id) else {
            return;
        };
        if is_running(&kept.shown.state) || kept.shown.state == ContainerState::Restarting {
            kept.end(exited(0));
        }
    }

    /// A process comes to its end, with success.
    pub(crate) fn end(&mut self, id: &str) {
        self.stop(id);
        if let Some(kept) = self.find_mut(id) {
            kept.shown.ended_by_itself = true;
        }
    }

    pub(super) fn restart(&mut self, id: &str) -> Answer {
        self.known("restart container", id)?;
        self.stop(id);
        self.start(id)
    }

    pub(crate) fn rename(&mut self, id: &str, name: &str) -> Answer {
        let container = self.known("rename container", id)?;
        let doing = format!("rename container {}", container.name);
        if container.name == name {
            let cause = "Renaming a container with the same name as its current name".to_owned();
            return Err(EngineError::Refused { doing, cause });
        }
        if self.find(name).is_some() {
            let cause = format!("the container name \"/{name}\" is already in use");
            return Err(EngineError::Conflict { doing, cause });
        }
        self.find_mut(id).unwrap().shown.name = name.to_owned();
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(id) = self.find(id).map(|kept| kept.shown.id.clone()) {
            self.containers.remove(&id);
            self.loaded.remove(&id);
        }
    }

    pub(crate) fn make_volume(&mut self, volume: &Volume) -> Answer {
        let there = self
            .volumes
            .entry(volume.name.clone())
            .or_insert_with(|| volume.clone());
        if there.labels == volume.labels {
            return Ok(());
        }
        Err(EngineError::Conflict {
            doing: format!("create volume {}", volume.name),
            cause: "it exists already and has other labels".to_owned(),
        })
    }
}

fn work_is_query(kept: &Kept) -> bool {
    kept.work.as_ref().is_some_and(|work| work.is_query)
}

pub(super) fn is_running(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused)
}

/// Address and port of everything published under a fixed port.
/// Refuses what the API is too old for.
pub(super) fn refuse(too_old: &[TooOld]) -> Answer {
    let Some(first) = too_old.first() else {
        return Ok(());
    };
    Err(EngineError::Refused {
        doing: "make something".to_owned(),
        cause: first.to_string(),
    })
}

fn host_ports(spec: &ContainerSpec) -> Vec<(String, String)> {
    let fixed = spec.ports.iter().filter(|port| !port.published.is_empty());
    fixed
        .map(|port| {
            (
                port.host_ip.clone(),
                format!("{}/{}", port.published, port.protocol),
            )
        })
        .collect()
}
