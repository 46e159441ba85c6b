//! Judges a container, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::places::{Closed, Place, Purpose};
use super::refusal::{OWN, Refusal, Setting};
use super::{Policy, Seen, Who};
use crate::engine::model::{
    ContainerSpec, Device, DeviceRequest, Endpoint, Exec, Limits, Mount, MountSource, Namespaces,
    Port,
};
use crate::permits::Grant;

/// Capabilities that everybody may add: those that Docker gives by itself
/// (<https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities>), and
/// two of databases that reach nothing outside.
const HARMLESS_CAPABILITIES: [&str; 16] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_NICE",
];

/// Kernel parameters that every network and IPC namespace has of its own: namespaces(7),
/// sysctl(8) of Docker. Those of the host's namespaces the engine refuses itself.
const OWN_SYSCTLS: [&str; 5] = [
    "fs.mqueue.",
    "kernel.msg",
    "kernel.sem",
    "kernel.shm",
    "net.",
];

impl Policy {
    /// Returns everything about a container that is not permitted.
    pub fn container(&self, who: Who<'_>, spec: &ContainerSpec, seen: Seen<'_>) -> Vec<Refusal> {
        // Every field has its name here: a new one is harmless only when somebody says so.
        let ContainerSpec {
            image,
            ports,
            mounts,
            networks,
            network_mode,
            limits,
            privileged,
            cap_add,
            annotations,
            runtime,
            namespaces,
            security_opt,
            sysctls,
            devices,
            device_cgroup_rules,
            device_requests,
            volumes_from,
            volume_driver,
            command: _,
            entrypoint: _,
            env: _,
            labels: _,
            user: _,
            working_dir: _,
            init: _,
            stop_signal: _,
            stop_timeout: _,
            healthcheck: _,
            expose: _,
            links: _,
            extra_hosts: _,
            restart: _,
            resources: _,
            read_only: _,
            cap_drop: _,
            hostname: _,
            domainname: _,
            tty: _,
            stdin_open: _,
            platform: _,
            isolation: _,
            logging: _,
            dns: _,
            dns_options: _,
            dns_search: _,
            group_add: _,
            ulimits: _,
            storage_opt: _,
            copied: _,
        } = spec;
        let mut found = Findings::new(self, who);
        found.found.extend(self.image("image", image));
        found.ports(ports);
        found.mounts(mounts, seen);
        found.networks(network_mode, networks, seen);
        found.namespaces(namespaces, seen);
        found.volumes_from(volumes_from, seen);
        found.rights(*privileged, cap_add, security_opt);
        found.devices(devices, device_cgroup_rules, device_requests);
        found.kernel(sysctls, limits);
        found.runtime(runtime.as_deref(), annotations);
        found.driver("volume_driver", "local", volume_driver);
        found.found
    }

    /// Returns what about a command inside a container is not permitted; `key` is that of the
    /// Compose file.
    pub fn exec(&self, who: Who<'_>, key: &'static str, exec: &Exec<'_>) -> Vec<Refusal> {
        let Exec {
            command: _,
            env: _,
            user: _,
            working_dir: _,
            privileged,
        } = exec;
        let mut found = Findings::new(self, who);
        if *privileged {
            let what = "a command with all privileges".to_owned();
            found.unless(&self.permits.privileged, key, "privileged", what);
        }
        found.found
    }

    /// Returns what about a place in a network is not permitted.
    pub fn place(&self, who: Who<'_>, network: &str, place: &Endpoint) -> Vec<Refusal> {
        // Names and addresses in a network that is permitted.
        let Endpoint {
            aliases: _,
            links: _,
            ipv4_address: _,
            ipv6_address: _,
            link_local_ips: _,
            mac_address: _,
            driver_opts: _,
            interface_name: _,
            gw_priority: _,
        } = place;
        let mut found = Findings::new(self, who);
        found.host_network("networks", network);
        found.found
    }
}

/// What is found while something is judged.
pub(super) struct Findings<'a> {
    pub(super) policy: &'a Policy,
    pub(super) who: Who<'a>,
    pub(super) found: Vec<Refusal>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(policy: &'a Policy, who: Who<'a>) -> Self {
        Self {
            policy,
            who,
            found: Vec::new(),
        }
    }

    /// Notes something that is not permitted.
    pub(super) fn refuse(&mut self, key: &'static str, what: String, setting: Setting) {
        let setting = Some(setting);
        self.found.push(Refusal { key, what, setting });
    }

    /// Notes something that is not permitted without a grant.
    pub(super) fn unless(&mut self, grant: &Grant, key: &'static str, name: &str, what: String) {
        if !self.has(grant) {
            self.refuse(key, what, Setting::new(name, &format!("[{}]", self.name())));
        }
    }

    /// Notes a driver beyond the one that everybody may have.
    pub(super) fn driver(&mut self, key: &'static str, usual: &str, driver: &str) {
        let known = driver.is_empty() || driver == usual;
        if !known && !self.policy.permits.drivers.contains(driver) {
            let setting = Setting::new("drivers", &format!("[{driver}]"));
            self.refuse(key, format!("driver {driver}"), setting);
        }
    }

    /// Notes a place of the host that may not be mounted.
    pub(super) fn place(
        &mut self,
        key: &'static str,
        written: &str,
        read_only: bool,
        seen: Seen<'_>,
    ) {
        let place = Place {
            stack: self.who.stack,
            written: Path::new(written),
            read_only,
            purpose: Purpose::Mount {
                socket_is_granted: self.has(&self.policy.permits.docker_socket),
            },
        };
        let Some((closed, _)) = self.policy.places.judge(place, seen.real) else {
            return;
        };
        let (what, setting) = match closed {
            Closed::Socket => {
                let grant = Setting::new("docker_socket", &format!("[{}]", self.name()));
                let what = format!("{written} is or has the engine's socket");
                (what, Some(grant))
            }
            Closed::Outside => {
                let roots = Setting::new("bind_roots", &format!("[{written}]"));
                (format!("{written} of the host"), Some(roots))
            }
            Closed::Own => (format!("{written} {OWN}"), None),
        };
        self.found.push(Refusal { key, what, setting });
    }

    fn has(&self, grant: &Grant) -> bool {
        grant.covers(self.who.stack, self.who.service)
    }

    fn name(&self) -> String {
        let Who { stack, service } = self.who;
        service.map_or_else(|| stack.to_owned(), |service| format!("{stack}/{service}"))
    }

    fn ports(&mut self, ports: &BTreeSet<Port>) {
        let Some(publish) = &self.policy.permits.publish else {
            return;
        };
        for port in ports {
            let Port {
                host_ip,
                published,
                target: _,
                protocol: _,
            } = port;
            if publish.iter().any(|one| one.admits(host_ip, published)) {
                continue;
            }
            let host = if published.is_empty() {
                "*".to_owned()
            } else {
                port.host()
            };
            let setting = Setting::new("publish", &format!("[\"{host}\"]"));
            self.refuse("ports", format!("port {port}"), setting);
        }
    }

    fn mounts(&mut self, mounts: &BTreeMap<String, Mount>, seen: Seen<'_>) {
        for mount in mounts.values() {
            let Mount {
                source,
                read_only,
                options: _,
                long: _,
            } = mount;
            match source {
                MountSource::Bind { path, create: _ } => {
                    self.place("volumes", path, *read_only, seen);
                }
                MountSource::Image(reference) => {
                    let refused = self.policy.image("volumes", reference);
                    self.found.extend(refused);
                }
                MountSource::Other(kind) => self.driver("volumes", "local", kind),
                // Named volumes are judged where they are made.
                MountSource::Volume(_)
                | MountSource::Anonymous(_)
                | MountSource::Tmpfs
                | MountSource::TmpfsMount => {}
            }
        }
    }

    fn networks(&mut self, mode: &str, networks: &BTreeMap<String, Endpoint>, seen: Seen<'_>) {
        self.host_network("network_mode", mode);
        self.other("network_mode", mode, seen);
        for (name, place) in networks.iter().filter(|(name, _)| *name != mode) {
            let refused = self.policy.place(self.who, name, place);
            self.found.extend(refused);
        }
    }

    fn host_network(&mut self, key: &'static str, network: &str) {
        if network == "host" {
            let what = "the network of the host".to_owned();
            let grant = &self.policy.permits.host_network;
            self.unless(grant, key, "host_network", what);
        }
    }

    fn namespaces(&mut self, namespaces: &Namespaces, seen: Seen<'_>) {
        let Namespaces {
            ipc,
            pid,
            uts,
            user,
            cgroup,
        } = namespaces;
        let all = [
            ("ipc", ipc),
            ("pid", pid),
            ("uts", uts),
            ("userns_mode", user),
            ("cgroup", cgroup),
        ];
        for (key, mode) in all {
            if mode == "host" {
                let what = "the namespace of the host".to_owned();
                let grant = &self.policy.permits.host_namespaces;
                self.unless(grant, key, "host_namespaces", what);
            }
            self.other(key, mode, seen);
        }
    }

    /// Notes what is shared with a container that is not of the same stack.
    fn other(&mut self, key: &'static str, mode: &str, seen: Seen<'_>) {
        let Some(name) = mode.strip_prefix("container:") else {
            return;
        };
        if !seen.own.contains(name) {
            let what = format!("container {name}, which is not of this stack");
            let grant = &self.policy.permits.other_containers;
            self.unless(grant, key, "other_containers", what);
        }
    }

    fn volumes_from(&mut self, containers: &BTreeSet<String>, seen: Seen<'_>) {
        for from in containers {
            let name = from.split(':').next().unwrap_or(from);
            self.other("volumes_from", &format!("container:{name}"), seen);
        }
    }

    fn rights(&mut self, privileged: bool, added: &BTreeSet<String>, options: &BTreeSet<String>) {
        let permits = &self.policy.permits;
        if privileged {
            let what = "all privileges".to_owned();
            self.unless(&permits.privileged, "privileged", "privileged", what);
        }
        for name in added {
            let name = name.to_uppercase();
            let name = name.strip_prefix("CAP_").unwrap_or(&name);
            let granted = permits.capabilities.get(name);
            if HARMLESS_CAPABILITIES.contains(&name) || granted.is_some_and(|one| self.has(one)) {
                continue;
            }
            let value = format!("{{{name}: [{}]}}", self.name());
            let setting = Setting::new("capabilities", &value);
            self.refuse("cap_add", format!("capability {name}"), setting);
        }
        for option in options {
            let key = option.split(['=', ':']).next().unwrap_or(option);
            if key != "no-new-privileges" {
                let what = format!("the option {key}");
                self.unless(&permits.security_opt, "security_opt", "security_opt", what);
            }
        }
    }

    fn devices(
        &mut self,
        devices: &BTreeSet<Device>,
        rules: &[String],
        requests: &[DeviceRequest],
    ) {
        let grant = &self.policy.permits.devices;
        for device in devices {
            let what = format!("device {}", device.source);
            self.unless(grant, "devices", "devices", what);
        }
        if !rules.is_empty() {
            let what = "rules for devices".to_owned();
            self.unless(grant, "device_cgroup_rules", "devices", what);
        }
        if !requests.is_empty() {
            let what = "devices that a driver finds".to_owned();
            self.unless(grant, "deploy", "devices", what);
        }
    }

    fn kernel(&mut self, sysctls: &BTreeMap<String, String>, limits: &Limits) {
        let permits = &self.policy.permits;
        // What a container may use, but for the place where that is counted.
        let Limits {
            cgroup_parent,
            shm_size: _,
            oom_kill_disable: _,
            oom_score_adj: _,
            memory_swappiness: _,
            cpu_count: _,
            cpu_percent: _,
            cpu_rt_period: _,
            cpu_rt_runtime: _,
            blkio: _,
        } = limits;
        for name in sysctls.keys() {
            // The kernel takes both as what divides the words.
            let dotted = name.replace('/', ".");
            if !OWN_SYSCTLS.iter().any(|own| dotted.starts_with(own)) {
                self.unless(
                    &permits.sysctls,
                    "sysctls",
                    "sysctls",
                    format!("parameter {name}"),
                );
            }
        }
        if !cgroup_parent.is_empty() {
            let what = format!("control group {cgroup_parent}");
            self.unless(
                &permits.cgroup_parent,
                "cgroup_parent",
                "cgroup_parent",
                what,
            );
        }
    }

    fn runtime(&mut self, runtime: Option<&str>, annotations: &BTreeMap<String, String>) {
        let permits = &self.policy.permits;
        if let Some(runtime) = runtime {
            let what = format!("runtime {runtime}");
            self.unless(&permits.runtime, "runtime", "runtime", what);
        }
        if let Some(name) = annotations.keys().next() {
            let what = format!("{name}, which the runtime may act on");
            self.unless(&permits.annotations, "annotations", "annotations", what);
        }
    }
}
