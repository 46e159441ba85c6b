//! Plans the test of a proxy's configuration: after pulls, before anything is touched.

use std::path::Path;
use std::time::Duration;

use super::Reason;
use super::action::{Action, Phase};
use super::drafts::{OneOff, ProxyTest, TestPlace};
use super::front::{Front, is_tested};
use super::guard::All;
use super::order::Planner;
use crate::desired::ServiceName;
use crate::desired::proxy::ProxyPlace;
use crate::engine::model::{
    Container, ContainerSpec, Healthcheck, MountSource, Namespaces, Restart,
};
use crate::labels;
use crate::proxy;

/// Time for one command of a test: a large configuration takes a second.
const TEST_WITHIN: Duration = Duration::from_secs(60);

impl<'a> Planner<'a> {
    /// Plans the test of a configuration: after pulls, before everything else.
    pub(super) fn test_front(&mut self, all: &All<'a>) {
        let Some(front) = &self.front else { return };
        let told = front.is_only_told(self.input.desired.drift);
        if !(front.is_tested() && !told || front.is_made(all)) {
            return;
        }
        let marker = Front::new_marker(self.input);
        let mut files = front.placements(self.input, &marker);
        let mut others = self.host_placements();
        let root = self.input.desired.project_directory.clone();
        others.entry(root).or_default().extend(self.placements());
        for (root, placements) in others {
            if self.may_read(front, &root) && !placements.is_empty() {
                files.entry(root).or_default().extend(placements);
            }
        }
        let proxy = &front.desired.proxy;
        let place = match &proxy.place {
            ProxyPlace::Host => TestPlace::Host,
            ProxyPlace::Service(_) | ProxyPlace::Container(_) => TestPlace::Containers {
                one_offs: self.test_containers(front, all),
                live: front
                    .observed
                    .container
                    .as_ref()
                    .filter(|one| one.is_running())
                    .map(|one| one.name.clone()),
            },
        };
        let draft = ProxyTest {
            kind: proxy.kind,
            main: proxy.main.clone(),
            files,
            place,
            configs: front.observed.places.values().cloned().collect(),
            allow_shrink: proxy.allow_shrink,
            pending: front.is_pending() || front.released.is_none(),
        };
        let reasons = front.reasons.iter().filter(|reason| is_tested(reason));
        let reasons: Vec<Reason> = reasons.cloned().collect();
        let after = self.ground.clone();
        let action = Action::TestProxy(Box::new(draft));
        let step = self.push(Phase::Prepare, action, &reasons, after);
        self.ground = vec![step];
    }

    /// Returns whether a proxy may read what is in a directory of the host: on the host, what its
    /// main configuration includes is not known here.
    fn may_read(&self, front: &Front<'a>, root: &Path) -> bool {
        match &front.desired.proxy.place {
            ProxyPlace::Host => root != self.input.desired.project_directory,
            ProxyPlace::Service(_) | ProxyPlace::Container(_) => true,
        }
    }

    /// Returns a container for each command of the test, as the proxy's own is.
    fn test_containers(&self, front: &Front<'a>, all: &All<'a>) -> Vec<OneOff> {
        let proxy = &front.desired.proxy;
        let (service, base) = match &proxy.place {
            ProxyPlace::Host => return Vec::new(),
            ProxyPlace::Service(name) => {
                let Some(one) = all.get(name) else {
                    return Vec::new();
                };
                (name.clone(), self.input.container_spec(one))
            }
            ProxyPlace::Container(name) => {
                let Some(container) = &front.observed.container else {
                    return Vec::new();
                };
                // Any name of a container is one of a service.
                let Ok(service) = ServiceName::try_from(name.clone()) else {
                    return Vec::new();
                };
                (service, self.like(container))
            }
        };
        let commands =
            proxy::test_commands(proxy.kind.program(), proxy.kind, proxy.main.as_deref());
        let attempt = self.input.history.next_attempt;
        let one_off = |(index, run): (usize, Vec<String>)| {
            let job = format!("proxy-test-{attempt}-{index}");
            let mut spec = base.clone();
            spec.entrypoint = run.get(..1).map(<[String]>::to_vec);
            spec.command = run.get(1..).map(<[String]>::to_vec);
            self.make_test(&mut spec, &job, front, all);
            OneOff {
                service: service.clone(),
                name: format!("{}-{job}", self.input.desired.stack),
                spec,
                run,
                within: TEST_WITHIN,
            }
        };
        commands.into_iter().enumerate().map(one_off).collect()
    }

    /// Takes from a container what makes it the proxy.
    fn make_test(&self, spec: &mut ContainerSpec, job: &str, front: &Front<'a>, all: &All<'a>) {
        spec.restart = Restart::No;
        spec.healthcheck = Some(Healthcheck::none());
        spec.ports.clear();
        let networks = &self.input.observed.networks;
        spec.networks.retain(|name, _| networks.contains_key(name));
        for endpoint in spec.networks.values_mut() {
            endpoint.aliases.clear();
        }
        let built_in = ["bridge", "default", "host"].contains(&spec.network_mode.as_str())
            || spec.network_mode.starts_with("container:");
        if !built_in && !spec.networks.contains_key(&spec.network_mode) {
            let first = spec.networks.keys().next().cloned();
            // Its networks are made later: nobody is there to be asked.
            spec.network_mode = first.unwrap_or_else(|| "none".to_owned());
        }
        let volumes = &self.input.observed.volumes;
        spec.mounts.retain(|_, mount| match &mount.source {
            MountSource::Volume(name) => volumes.contains_key(name),
            MountSource::Anonymous(_)
            | MountSource::Bind { .. }
            | MountSource::Tmpfs
            | MountSource::TmpfsMount
            | MountSource::Image(_)
            | MountSource::Other(_) => true,
        });
        let names = self.names_to_come(front, all, spec.network_mode == "none");
        for name in names
            .into_iter()
            .filter(|_| !spec.network_mode.starts_with("container:"))
        {
            spec.extra_hosts.push((name, "127.0.0.1".to_owned()));
        }
        spec.labels
            .insert(labels::ONEOFF.to_owned(), "True".to_owned());
        spec.labels.insert(labels::JOB.to_owned(), job.to_owned());
    }

    /// Returns the names that the plan brings along: a configuration that uses them is right, and
    /// they can't be looked up yet.
    fn names_to_come(&self, front: &Front<'a>, all: &All<'a>, alone: bool) -> Vec<String> {
        let mut names = Vec::new();
        for one in all.values() {
            let runs = one.holder.is_some_and(Container::is_running);
            if alone || !runs {
                names.push(one.name.to_string());
                names.push(one.container_name.clone());
            }
        }
        let addresses = front.released_as("").upstreams.into_values();
        let hosts = addresses.filter_map(|address| Some(address.rsplit_once(':')?.0.to_owned()));
        let there = |host: &String| {
            let running = self
                .input
                .observed
                .containers
                .iter()
                .filter(|one| one.is_running());
            let mut endpoints = running.flat_map(|one| one.spec.networks.values());
            endpoints.any(|endpoint| endpoint.aliases.contains(host))
        };
        names.extend(hosts.filter(|host| alone || !there(host)));
        names
    }

    /// Returns what a container that is not of this stack is made from, to make another like it.
    fn like(&self, container: &Container) -> ContainerSpec {
        let mut spec = ContainerSpec::clone(&container.spec);
        spec.labels.clear();
        spec.labels.extend(self.ownership());
        spec.labels.remove(labels::PROJECT);
        // A test reads files: it needs no more of the host. The engine tells some of its own
        // defaults as if somebody had asked for them.
        spec.privileged = false;
        spec.devices.clear();
        spec.device_cgroup_rules.clear();
        spec.device_requests.clear();
        spec.namespaces = Namespaces {
            user: spec.namespaces.user,
            ..Namespaces::default()
        };
        spec
    }
}
