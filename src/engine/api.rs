//! Tells what an engine's API is too old for, by name, before anything is asked of it.
//!
//! | since | engine | what |
//! |---|---|---|
//! | 1.41 | 20.10 | `cgroup`, `platform` |
//! | 1.43 | 24.0 | `annotations` |
//! | 1.44 | 25.0 | `healthcheck.start_interval`; `mac_address` in a network that is not the first; `bind.recursive: writable` and `readonly` |
//! | 1.45 | 26.0 | `volume.subpath` |
//! | 1.48 | 28.0 | volumes of type `image`; `gw_priority`; `enable_ipv4` |
//! | 1.49 | 28.1 | `interface_name` |
//!
//! What is older than the oldest engine that answers us at all is not in the table. Where a newer
//! API only has another way to say the same (several networks in one create call, directories
//! made for a long-form bind), the older way is taken and nobody has to know.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::model::{ContainerSpec, MountSource, Network};

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiVersion {
    /// 1.
    pub major: usize,
    /// What comes after the dot.
    pub minor: usize,
}

impl ApiVersion {
    /// Reads `1.41`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Something that an engine's API is too old for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// What was asked for, as the Compose file says it.
    pub what: String,
    /// The first version that has it.
    pub since: ApiVersion,
    /// The first release of the engine that speaks it.
    pub engine: &'static str,
    /// What this engine speaks.
    pub spoken: ApiVersion,
}

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} needs Docker Engine {} (API {}) or later, and this one speaks API {}",
            self.what, self.engine, self.since, self.spoken
        )
    }
}

/// Returns everything in a container's spec that an API is too old for.
pub fn too_old_for_container(spec: &ContainerSpec, spoken: ApiVersion) -> Vec<TooOld> {
    let mut asked = Vec::new();
    if !spec.namespaces.cgroup.is_empty() {
        asked.push((V20_10, "cgroup".to_owned()));
    }
    if spec.platform.is_some() {
        asked.push((V20_10, "platform".to_owned()));
    }
    if !spec.annotations.is_empty() {
        asked.push((V24, "annotations".to_owned()));
    }
    let check = spec.healthcheck.as_ref();
    if check.is_some_and(|check| check.start_interval != 0) {
        asked.push((V25, "healthcheck.start_interval".to_owned()));
    }
    asked.extend(of_mounts(spec));
    asked.extend(of_endpoints(spec));
    newer(asked, spoken)
}

/// Returns everything in a network that an API is too old for.
pub fn too_old_for_network(network: &Network, spoken: ApiVersion) -> Vec<TooOld> {
    // Without IPv4 there is no network at all for an older one; with it, there is nothing to ask.
    let without = network.enable_ipv4 == Some(false);
    let asked = without.then(|| (V28, "enable_ipv4: false".to_owned()));
    newer(asked.into_iter().collect(), spoken)
}

/// An API version's minor number, and the first release of the engine that speaks it.
type Since = (usize, &'static str);

const V20_10: Since = (41, "20.10");
const V24: Since = (43, "24.0");
const V25: Since = (44, "25.0");
const V26: Since = (45, "26.0");
const V28: Since = (48, "28.0");
const V28_1: Since = (49, "28.1");

fn of_mounts(spec: &ContainerSpec) -> Vec<(Since, String)> {
    let mut asked = Vec::new();
    for (target, mount) in &spec.mounts {
        if matches!(mount.source, MountSource::Image(_)) {
            asked.push((V28, format!("the volume of type image at {target}")));
        } else if !mount.long.subpath.is_empty() {
            asked.push((V26, format!("volume.subpath at {target}")));
        }
        if let how @ ("writable" | "readonly") = mount.long.recursive.as_str() {
            asked.push((V25, format!("bind.recursive: {how} at {target}")));
        }
    }
    asked
}

fn of_endpoints(spec: &ContainerSpec) -> Vec<(Since, String)> {
    let mut asked = Vec::new();
    for (network, place) in &spec.networks {
        if !place.mac_address.is_empty() && *network != spec.network_mode {
            let what = format!("mac_address in network {network} (not the first)");
            asked.push((V25, what));
        }
        // Who is in one network has only one way out.
        if place.gw_priority != 0 && spec.networks.len() > 1 {
            asked.push((V28, format!("gw_priority in network {network}")));
        }
        if !place.interface_name.is_empty() {
            asked.push((V28_1, format!("interface_name in network {network}")));
        }
    }
    asked
}

fn newer(asked: Vec<(Since, String)>, spoken: ApiVersion) -> Vec<TooOld> {
    let too_old = |((minor, engine), what)| TooOld {
        what,
        since: ApiVersion { major: 1, minor },
        engine,
        spoken,
    };
    let all = asked.into_iter().map(too_old);
    all.filter(|one| one.since > spoken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{Endpoint, Healthcheck, Mount, Namespaces};

    fn api(minor: usize) -> ApiVersion {
        ApiVersion { major: 1, minor }
    }

    fn asks_for_everything() -> ContainerSpec {
        let place = Endpoint {
            mac_address: "02:42:00:00:00:07".to_owned(),
            gw_priority: 1,
            interface_name: "lan".to_owned(),
            ..Endpoint::default()
        };
        let mut subpath = Mount::anonymous();
        subpath.long.subpath = "logs".to_owned();
        subpath.long.recursive = "readonly".to_owned();
        let mut image = Mount::anonymous();
        image.source = MountSource::Image("app:v1".to_owned());
        image.long.subpath = "etc".to_owned();
        ContainerSpec {
            namespaces: Namespaces {
                cgroup: "host".to_owned(),
                ..Namespaces::default()
            },
            platform: Some("linux/amd64".to_owned()),
            annotations: [("a".to_owned(), "b".to_owned())].into(),
            healthcheck: Some(Healthcheck {
                start_interval: 1,
                ..Healthcheck::default()
            }),
            mounts: [("/v".to_owned(), subpath), ("/i".to_owned(), image)].into(),
            networks: [
                ("a".to_owned(), Endpoint::default()),
                ("b".to_owned(), place),
            ]
            .into(),
            network_mode: "a".to_owned(),
            ..ContainerSpec::default()
        }
    }

    #[test]
    fn each_version_has_what_the_ones_before_it_lack() {
        let spec = asks_for_everything();
        let count = |minor| too_old_for_container(&spec, api(minor)).len();
        let counts: Vec<usize> = [40, 41, 43, 44, 45, 47, 48, 49].map(count).into();
        assert_eq!(counts, [10, 8, 7, 4, 3, 3, 1, 0]);
    }

    #[test]
    fn messages_name_what_was_asked_for_and_who_has_it() {
        let spec = asks_for_everything();
        let said: Vec<String> = too_old_for_container(&spec, api(48))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "interface_name in network b needs Docker Engine 28.1 (API 1.49) or later, and this \
                 one speaks API 1.48"
            ]
        );
    }

    #[test]
    fn what_changes_nothing_needs_no_version() {
        let mut spec = asks_for_everything();
        spec.networks.remove("a");
        spec.network_mode = "b".to_owned();
        let said = too_old_for_container(&spec, api(41));
        assert!(
            said.iter()
                .all(|one| !one.what.contains("gw_priority") && !one.what.contains("mac_address")),
            "{said:?}"
        );
        let network = |enable_ipv4| Network {
            enable_ipv4,
            ..Network::default()
        };
        let needed = |choice| too_old_for_network(&network(choice), api(41)).len();
        assert_eq!(
            (needed(None), needed(Some(true)), needed(Some(false))),
            (0, 0, 1)
        );
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(ApiVersion::parse("1.9").unwrap() < ApiVersion::parse("1.41").unwrap());
        assert_eq!(ApiVersion::parse("1.41").unwrap(), api(41));
        for bad in ["", "1", "1.x", "v1.41"] {
            assert_eq!(ApiVersion::parse(bad), None, "{bad}");
        }
    }
}
