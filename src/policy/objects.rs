//! Judges networks and volumes, field by field.

use std::collections::BTreeMap;

use super::container::Findings;
use super::refusal::{Refusal, Setting};
use super::{Policy, Seen, Who};
use crate::engine::model::{Ipam, Network, Volume};

/// File systems that mount nothing of the host: mount(8).
const ELSEWHERE: [&str; 5] = ["tmpfs", "nfs", "nfs4", "cifs", "smb3"];

/// Flags that make a mount of any type one of something that is there already: mount(2).
const REUSES: [&str; 5] = ["bind", "rbind", "move", "rmove", "remount"];

/// Options of a bridge that say whether its containers are reached without a published port.
const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_";

impl Policy {
    /// Returns everything about a network that is not permitted.
    pub fn network(&self, who: Who<'_>, network: &Network) -> Vec<Refusal> {
        let Network {
            driver,
            options,
            ipam,
            name: _,
            id: _,
            internal: _,
            attachable: _,
            enable_ipv4: _,
            enable_ipv6: _,
            labels: _,
        } = network;
        let Ipam {
            driver: ipam_driver,
            options: _,
            pools: _,
        } = ipam;
        let mut found = Findings::new(self, who);
        found.driver("driver", "bridge", driver);
        found.driver("ipam", "default", ipam_driver);
        let open = options.iter().find(|(key, mode)| {
            let closed = ["nat", "isolated"].contains(&mode.as_str());
            key.starts_with(GATEWAY_MODE) && !closed
        });
        if let Some((key, _)) = open.filter(|_| self.permits.publish.is_some()) {
            let what = format!("the option {key}, with which every port is published");
            found.refuse("driver_opts", what, Setting::new("publish", "[\"*\"]"));
        }
        found.found
    }

    /// Returns everything about a volume that is not permitted.
    pub fn volume(&self, who: Who<'_>, volume: &Volume, seen: Seen<'_>) -> Vec<Refusal> {
        let Volume {
            driver,
            options,
            name: _,
            labels: _,
        } = volume;
        let mut found = Findings::new(self, who);
        found.driver("driver", "local", driver);
        if driver.is_empty() || driver == "local" {
            found.local(options, seen);
        }
        found.found
    }
}

impl Findings<'_> {
    /// Judges the options of the driver that the engine has built in: those of mount(2).
    fn local(&mut self, options: &BTreeMap<String, String>, seen: Seen<'_>) {
        let option = |key: &str| {
            options
                .get(key)
                .map(|value| value.trim())
                .unwrap_or_default()
        };
        let flags = option("o").to_lowercase();
        let kind = option("type").to_lowercase();
        let device = option("device");
        let reuses = flags.split(',').any(|flag| REUSES.contains(&flag.trim()));
        let is_bind = reuses || kind == "bind" || (kind == "none" && !device.is_empty());
        if is_bind && device.starts_with('/') {
            return self.place("driver_opts", device, false, seen);
        }
        let sized = options.keys().all(|key| key == "size");
        let elsewhere = ELSEWHERE.contains(&kind.as_str()) && !is_bind;
        if !sized && !elsewhere {
            let names: Vec<&str> = options.keys().map(String::as_str).collect();
            let what = format!("the options {}", names.join(", "));
            let grant = &self.policy.permits.volume_options;
            self.unless(grant, "driver_opts", "volume_options", what);
        }
    }
}
