//! Compares networks and volumes with what Git says of them.
//!
//! The engine fills in what nobody asks for, and does not say what of it was asked for. So pools
//! of addresses are compared as far as Git asks for them, and whether a network has IPv4 or IPv6
//! with what an engine does by itself: IPv4 and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::model::{IpamPool, Network, Volume};
use crate::labels;

/// Options that an engine since 28.0 writes beside those that were asked for.
const OWN_OPTIONS: [&str; 2] = [
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
];

/// What of a network or volume is other than Git says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectDifference {
    /// What differs, as the Compose file calls it: `driver`, `label a`, `ipam subnet`.
    pub what: String,
    /// What Git says; `None` = nothing.
    pub git: Option<String>,
    /// What is live; `None` = nothing.
    pub live: Option<String>,
}

impl fmt::Display for ObjectDifference {
    /// Prints `driver bridge → macvlan`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| match value.as_deref() {
            None => "unset".to_owned(),
            Some("") => "\"\"".to_owned(),
            Some(value) => value.to_owned(),
        };
        write!(
            f,
            "{} {} → {}",
            self.what,
            side(&self.live),
            side(&self.git)
        )
    }
}

/// Returns everything in which a network differs from what Git says of it.
pub fn network_differences(git: &Network, live: &Network) -> Vec<ObjectDifference> {
    let mut found = Found::default();
    found.compare(
        "driver",
        named_or(&git.driver, "bridge"),
        named_or(&live.driver, "bridge"),
    );
    let mut live_options = live.options.clone();
    live_options
        .retain(|name, _| git.options.contains_key(name) || !OWN_OPTIONS.contains(&name.as_str()));
    found.maps("driver_opts", &git.options, &live_options);
    found.switches("internal", git.internal, live.internal);
    found.switches("attachable", git.attachable, live.attachable);
    let has = |choice: Option<bool>, default| choice.unwrap_or(default);
    let (git_has, live_has) = (has(git.enable_ipv4, true), has(live.enable_ipv4, true));
    found.switches("enable_ipv4", git_has, live_has);
    let (git_has, live_has) = (has(git.enable_ipv6, false), has(live.enable_ipv6, false));
    found.switches("enable_ipv6", git_has, live_has);
    let (git_driver, live_driver) = (&git.ipam.driver, &live.ipam.driver);
    found.compare(
        "ipam driver",
        named_or(git_driver, "default"),
        named_or(live_driver, "default"),
    );
    found.maps("ipam option", &git.ipam.options, &live.ipam.options);
    found.pools(&git.ipam.pools, &live.ipam.pools);
    found.maps("label", &own(&git.labels), &own(&live.labels));
    found.0
}

/// Returns everything in which a volume differs from what Git says of it.
pub fn volume_differences(git: &Volume, live: &Volume) -> Vec<ObjectDifference> {
    let mut found = Found::default();
    found.compare(
        "driver",
        named_or(&git.driver, "local"),
        named_or(&live.driver, "local"),
    );
    found.maps("driver_opts", &git.options, &live.options);
    found.maps("label", &own(&git.labels), &own(&live.labels));
    found.0
}

/// Says in what something differs, without the values: options of a network file system hold
/// passwords.
pub(super) fn in_what(differences: &[ObjectDifference]) -> String {
    let names: Vec<&str> = differences.iter().map(|one| one.what.as_str()).collect();
    names.join(" and ")
}

fn named_or<'a>(value: &'a str, default: &'a str) -> &'a str {
    if value.is_empty() { default } else { value }
}

/// Returns the labels that people write.
fn own(all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let all = all.iter().filter(|(name, _)| !labels::is_reserved(name));
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[derive(Default)]
struct Found(Vec<ObjectDifference>);

impl Found {
    fn add(&mut self, what: String, git: Option<&str>, live: Option<&str>) {
        self.0.push(ObjectDifference {
            what,
            git: git.map(str::to_owned),
            live: live.map(str::to_owned),
        });
    }

    fn compare(&mut self, what: &str, git: &str, live: &str) {
        if git != live {
            self.add(what.to_owned(), Some(git), Some(live));
        }
    }

    fn switches(&mut self, what: &str, git: bool, live: bool) {
        self.compare(what, &git.to_string(), &live.to_string());
    }

    fn maps(
        &mut self,
        what: &str,
        git: &BTreeMap<String, String>,
        live: &BTreeMap<String, String>,
    ) {
        let names: BTreeSet<&String> = git.keys().chain(live.keys()).collect();
        for name in names {
            let (git, live) = (git.get(name), live.get(name));
            if git != live {
                let what = format!("{what} {name}");
                self.add(what, git.map(String::as_str), live.map(String::as_str));
            }
        }
    }

    /// Compares the pools that Git asks for with what the engine made of them.
    fn pools(&mut self, git: &[IpamPool], live: &[IpamPool]) {
        for wanted in git {
            // A pool without a subnet is one of the engine's choice.
            let same = |pool: &&IpamPool| subnet(&pool.subnet) == subnet(&wanted.subnet);
            let found = live.iter().find(same);
            let found = found.or_else(|| live.first().filter(|_| wanted.subnet.is_empty()));
            let Some(found) = found else {
                let there: Vec<&str> = live.iter().map(|pool| pool.subnet.as_str()).collect();
                let there = there.join(" ");
                self.add("ipam subnet".to_owned(), Some(&wanted.subnet), Some(&there));
                continue;
            };
            for (what, git, live) in [
                ("ipam ip_range", &wanted.ip_range, &found.ip_range),
                ("ipam gateway", &wanted.gateway, &found.gateway),
            ] {
                if !git.is_empty() && subnet(git) != subnet(live) {
                    self.compare(what, git, live);
                }
            }
            let (git, live) = (&wanted.aux_addresses, &found.aux_addresses);
            self.maps("ipam aux_address", git, live);
        }
    }
}

/// Returns an address or a range of them as it can be compared: IPv6 can be written in many ways.
fn subnet(text: &str) -> String {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address = address
        .parse::<core::net::IpAddr>()
        .map_or_else(|_| address.to_owned(), |address| address.to_string());
    format!("{address}/{length}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Ipam;

    fn map(name: &str, value: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), value.to_owned())].into()
    }

    fn pool(subnet: &str) -> IpamPool {
        IpamPool {
            subnet: subnet.to_owned(),
            ..IpamPool::default()
        }
    }

    fn said(git: &Network, live: &Network) -> Vec<String> {
        let all = network_differences(git, live);
        all.iter().map(ToString::to_string).collect()
    }

    /// What an engine makes of a network of which nothing is said.
    fn made() -> Network {
        let mut pool = pool("172.18.0.0/16");
        pool.gateway = "172.18.0.1".to_owned();
        Network {
            name: "shop_front".to_owned(),
            id: "1".to_owned(),
            driver: "bridge".to_owned(),
            enable_ipv6: Some(false),
            ipam: Ipam {
                pools: vec![pool],
                ..Ipam::default()
            },
            labels: map(labels::PROJECT, "shop"),
            ..Network::default()
        }
    }

    #[test]
    fn what_the_engine_fills_in_is_no_difference() {
        assert_eq!(said(&Network::default(), &made()), [""; 0]);
        let mut newer = made();
        newer.enable_ipv4 = Some(true);
        newer.options = map("com.docker.network.enable_ipv4", "true");
        assert_eq!(said(&Network::default(), &newer), [""; 0]);
    }

    #[test]
    fn every_field_is_named() {
        type Change = fn(&mut Network);
        let changes: [(Change, &str); 12] = [
            (
                |git| git.driver = "macvlan".to_owned(),
                "driver bridge → macvlan",
            ),
            (|git| git.options = map("a", "b"), "driver_opts a unset → b"),
            (|git| git.internal = true, "internal false → true"),
            (|git| git.attachable = true, "attachable false → true"),
            (
                |git| git.enable_ipv4 = Some(false),
                "enable_ipv4 true → false",
            ),
            (
                |git| git.enable_ipv6 = Some(true),
                "enable_ipv6 false → true",
            ),
            (
                |git| git.ipam.driver = "x".to_owned(),
                "ipam driver default → x",
            ),
            (
                |git| git.ipam.options = map("a", "b"),
                "ipam option a unset → b",
            ),
            (
                |git| git.ipam.pools = vec![pool("10.1.0.0/24")],
                "ipam subnet 172.18.0.0/16 → 10.1.0.0/24",
            ),
            (
                |git| {
                    git.ipam.pools = vec![pool("172.18.0.0/16")];
                    git.ipam.pools[0].gateway = "172.18.0.9".to_owned();
                },
                "ipam gateway 172.18.0.1 → 172.18.0.9",
            ),
            (
                |git| {
                    git.ipam.pools = vec![pool("")];
                    git.ipam.pools[0].aux_addresses = map("h", "172.18.0.7");
                },
                "ipam aux_address h unset → 172.18.0.7",
            ),
            (|git| git.labels = map("a", "b"), "label a unset → b"),
        ];
        for (change, expected) in changes {
            let mut git = Network::default();
            change(&mut git);
            assert_eq!(said(&git, &made()), [expected]);
        }
        let mut live = made();
        live.options = map("a", "b");
        live.internal = true;
        live.labels.extend(map("c", "d"));
        assert_eq!(
            said(&Network::default(), &live),
            [
                "driver_opts a b → unset",
                "internal true → false",
                "label c d → unset"
            ]
        );
    }

    #[test]
    fn addresses_are_compared_by_what_they_mean() {
        let mut git = Network::default();
        git.ipam.pools = vec![pool("FD00:0::/64"), pool("172.18.0.0/16")];
        let mut live = made();
        live.ipam.pools.push(pool("fd00::/64"));
        assert_eq!(said(&git, &live), [""; 0]);
    }

    #[test]
    fn volumes() {
        let git = Volume {
            options: map("type", "nfs"),
            labels: map("a", "b"),
            ..Volume::default()
        };
        let live = Volume {
            driver: "other".to_owned(),
            labels: map(labels::PROJECT, "shop"),
            ..Volume::default()
        };
        let all = volume_differences(&git, &live);
        let said: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "driver other → local",
                "driver_opts type unset → nfs",
                "label a unset → b"
            ]
        );
        assert_eq!(volume_differences(&live, &live), []);
    }
}
