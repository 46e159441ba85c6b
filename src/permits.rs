//! What the host's settings let stacks ask of the engine: the key `policy`, as plain data.
//!
//! Read with the rest of the settings; `policy/` decides by it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Directories that stacks may mount unless the settings say otherwise: where servers keep what is
/// not the system's.
const BIND_ROOTS: [&str; 4] = ["/data", "/mnt", "/opt", "/srv"];

/// Registries and their paths that an image may come from are written in full.
const IN_FULL: &str = "write it in full, with its registry: docker.io/library/*, ghcr.io/acme/*";

/// What stacks may ask of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permits {
    /// Directories of the host that may be mounted, with all below.
    pub bind_roots: Vec<PathBuf>,
    /// Directories beyond those where a manifest may name files, with all below.
    pub file_roots: Vec<PathBuf>,
    /// Who may configure the proxy of the host itself.
    pub host_proxy: Grant,
    /// Whose stacks may have an end, at which their containers are removed.
    pub expires: Grant,
    /// Who may have the engine's socket.
    pub docker_socket: Grant,
    /// Who may have all privileges, also in a command inside.
    pub privileged: Grant,
    /// Who may add which capability, by its name without `CAP_`.
    pub capabilities: BTreeMap<String, Grant>,
    /// Who may be in the network of the host.
    pub host_network: Grant,
    /// Who may be in another namespace of the host: `pid`, `ipc`, `uts`, `userns_mode`, `cgroup`.
    pub host_namespaces: Grant,
    /// Who may share namespaces or mounts with a container of elsewhere.
    pub other_containers: Grant,
    /// Who may have devices of the host.
    pub devices: Grant,
    /// Who may change what the security modules do, but for `no-new-privileges`.
    pub security_opt: Grant,
    /// Who may set kernel parameters beyond those of its own namespaces.
    pub sysctls: Grant,
    /// Who may choose the control group above its own.
    pub cgroup_parent: Grant,
    /// Who may choose its runtime.
    pub runtime: Grant,
    /// Who may tell the runtime something.
    pub annotations: Grant,
    /// Who may have volumes with options that mount something else than memory, a share of the
    /// network, or a directory of `bind_roots`.
    pub volume_options: Grant,
    /// Drivers of networks and volumes beyond `bridge` and `local`.
    pub drivers: BTreeSet<String>,
    /// Ports of the host that may be published; `None` = all.
    pub publish: Option<Vec<Publish>>,
    /// Images that may be run; `None` = all.
    pub images_from: Option<Vec<ImagePattern>>,
    /// What comes of a tag that is made to be moved.
    pub mutable_tags: Strictness,
    /// What comes of two stacks that read the same file of secrets.
    pub shared_secrets: Strictness,
    /// How many services of a stack may lose their containers at once.
    pub deletion_budget: Budget,
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            bind_roots: BIND_ROOTS.iter().map(PathBuf::from).collect(),
            file_roots: Vec::new(),
            host_proxy: Grant::Nobody,
            expires: Grant::Nobody,
            docker_socket: Grant::Nobody,
            privileged: Grant::Nobody,
            capabilities: BTreeMap::new(),
            host_network: Grant::Nobody,
            host_namespaces: Grant::Nobody,
            other_containers: Grant::Nobody,
            devices: Grant::Nobody,
            security_opt: Grant::Nobody,
            sysctls: Grant::Nobody,
            cgroup_parent: Grant::Nobody,
            runtime: Grant::Nobody,
            annotations: Grant::Nobody,
            volume_options: Grant::Nobody,
            drivers: BTreeSet::new(),
            publish: None,
            images_from: None,
            mutable_tags: Strictness::Warn,
            shared_secrets: Strictness::Warn,
            deletion_budget: Budget::Percent(30),
        }
    }
}

/// Who may have something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenGrant", into = "WrittenGrant")]
pub enum Grant {
    /// No stack.
    #[default]
    Nobody,
    /// Every stack.
    Everybody,
    /// These: `STACK`, or `STACK/SERVICE`.
    Only(BTreeSet<String>),
}

impl Grant {
    /// Returns whether a service of a stack is among them; without a service, only whole stacks
    /// are.
    pub fn covers(&self, stack: &str, service: Option<&str>) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Only(names) => {
                let one = service.map(|service| format!("{stack}/{service}"));
                names.contains(stack) || one.is_some_and(|one| names.contains(&one))
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "it must be true, false, or a list of stacks (shop) and services (shop/agent)"
)]
enum WrittenGrant {
    All(bool),
    Only(BTreeSet<String>),
}

impl From<Grant> for WrittenGrant {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::Everybody => Self::All(true),
            Grant::Nobody => Self::All(false),
            Grant::Only(names) => Self::Only(names),
        }
    }
}

impl From<WrittenGrant> for Grant {
    fn from(written: WrittenGrant) -> Self {
        match written {
            WrittenGrant::All(true) => Self::Everybody,
            WrittenGrant::All(false) => Self::Nobody,
            WrittenGrant::Only(names) => Self::Only(names),
        }
    }
}

/// What is done with a file of the host because a manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It is read.
    Read,
    /// It is written, or removed.
    Write,
    /// It is written or removed as configuration of the proxy of the host itself.
    Configure,
    /// It is backed up and restored, or has the backups: with all below, if it is a directory.
    BackUp,
}

/// What comes of something that is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strictness {
    /// Nothing.
    Allow,
    /// It is told, and goes on.
    Warn,
    /// It is refused.
    Refuse,
}

/// How many services of a stack may lose their containers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NumberOr", into = "String")]
pub enum Budget {
    /// So many in a hundred; one always may.
    Percent(u8),
    /// So many.
    Services(usize),
}

impl Budget {
    /// Returns how many of `all` may.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Percent(percent) => (all.saturating_mul(usize::from(percent)) / 100).max(1),
            Self::Services(number) => number,
        }
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        match budget {
            Budget::Percent(percent) => format!("{percent}%"),
            Budget::Services(number) => number.to_string(),
        }
    }
}

impl TryFrom<NumberOr> for Budget {
    type Error = String;

    fn try_from(written: NumberOr) -> Result<Self, Self::Error> {
        let text = match written {
            NumberOr::Number(number) => return Ok(Self::Services(usize::from(number))),
            NumberOr::Text(text) => text,
        };
        if let Ok(number) = text.parse::<u16>() {
            return Ok(Self::Services(usize::from(number)));
        }
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.parse::<u8>().ok());
        let percent = percent.filter(|percent| *percent <= 100);
        percent.map(Self::Percent).ok_or_else(|| {
            let text = text.escape_default();
            format!("\"{text}\" is neither a number of services nor a share such as 30%")
        })
    }
}

/// A number, or what else is written in its place.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it must be a number or a text")]
enum NumberOr {
    Number(u16),
    Text(String),
}

/// Ports of the host, at one address or at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NumberOr", into = "String")]
pub struct Publish {
    /// `None` = every address.
    address: Option<IpAddr>,
    /// The first and the last; `None` = all, also those that the engine chooses.
    ports: Option<(u16, u16)>,
}

impl Publish {
    /// Returns whether ports may be published at an address of the host, as the engine is asked
    /// for it: an empty address is every one, an empty port any free one, `8000-8010` a range.
    pub fn admits(&self, address: &str, published: &str) -> bool {
        let address = address.parse::<IpAddr>();
        let at = match (self.address, &address) {
            (None, _) => true,
            // Every address but for ours is more than ours.
            (Some(own), Ok(address)) => own == *address,
            (Some(own), Err(_)) => own.is_unspecified(),
        };
        let within = |(first, last): (u16, u16)| {
            let asked = range(published);
            asked.is_some_and(|(from, to)| first <= from && to <= last)
        };
        at && self.ports.is_none_or(within)
    }
}

impl From<Publish> for String {
    fn from(publish: Publish) -> Self {
        let ports = publish.ports.map(|(first, last)| format!("{first}-{last}"));
        let ports = ports.unwrap_or_else(|| "*".to_owned());
        match publish.address {
            None => ports,
            Some(IpAddr::V4(address)) => format!("{address}:{ports}"),
            Some(IpAddr::V6(address)) => format!("[{address}]:{ports}"),
        }
    }
}

impl TryFrom<NumberOr> for Publish {
    type Error = String;

    fn try_from(written: NumberOr) -> Result<Self, Self::Error> {
        let text = match written {
            NumberOr::Number(port) => port.to_string(),
            NumberOr::Text(text) => text,
        };
        let wrong = || {
            let text = text.escape_default();
            format!("\"{text}\" is not a port such as 80, 8000-8099, 127.0.0.1:* or [::1]:8080")
        };
        let (address, ports) = match text.rsplit_once(':') {
            None => (None, text.as_str()),
            Some((address, ports)) => {
                let bare = address.strip_prefix('[');
                let bare = bare.and_then(|bare| bare.strip_suffix(']'));
                let address = bare.unwrap_or(address).parse().map_err(|_| wrong())?;
                (Some(address), ports)
            }
        };
        let ports = match ports {
            "*" => None,
            ports => Some(range(ports).ok_or_else(wrong)?),
        };
        Ok(Self { address, ports })
    }
}

/// Reads `80` or `8000-8010`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// Names of images, in full and without tags; `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ImagePattern(String);

impl ImagePattern {
    /// Returns whether the name of an image in full, `docker.io/library/nginx`, is one of them.
    pub fn admits(&self, repository: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = repository.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, behind)) = rest.split_once(part) else {
                return false;
            };
            rest = behind;
        }
        rest.ends_with(last)
    }
}

impl TryFrom<String> for ImagePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let registry = text.split_once('/').map(|(registry, _)| registry);
        let in_full = registry.is_some_and(|one| one.contains(['.', ':']) || one == "localhost");
        if in_full && !text.contains('@') {
            return Ok(Self(text));
        }
        Err(format!(
            "\"{}\" names no registry: {IN_FULL}",
            text.escape_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Permits, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(read("{}").unwrap(), Permits::default());
        let permits = read("{privileged: true, bind_roots: [/a]}").unwrap();
        assert_eq!(permits.privileged, Grant::Everybody);
        assert_eq!(permits.bind_roots, [PathBuf::from("/a")]);
        assert_eq!(permits.docker_socket, Grant::Nobody);
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        for text in [
            "{}",
            "{privileged: [shop, other/agent], devices: true, deletion_budget: 5}",
            "{publish: [80, 8000-8099, '127.0.0.1:*', '[::1]:8080'], deletion_budget: 40%}",
            "{images_from: ['docker.io/library/*'], mutable_tags: refuse, capabilities: {NET_RAW: [a]}}",
        ] {
            let permits = read(text).unwrap();
            let written = serde_json::to_string(&permits).unwrap();
            assert_eq!(
                serde_json::from_str::<Permits>(&written).unwrap(),
                permits,
                "{written}"
            );
        }
    }

    #[test]
    fn a_grant_is_of_stacks_and_of_services() {
        let grant = read("{devices: [shop, other/agent]}").unwrap().devices;
        assert!(grant.covers("shop", Some("web")) && grant.covers("shop", None));
        assert!(grant.covers("other", Some("agent")));
        assert!(!grant.covers("other", Some("web")) && !grant.covers("other", None));
        assert!(!grant.covers("shop2", None));
        assert!(read("{devices: 7}").is_err());
    }

    #[test]
    fn ports_are_admitted_at_their_address() {
        let admits = |pattern: &str, address: &str, port: &str| {
            let one = Publish::try_from(NumberOr::Text(pattern.to_owned())).unwrap();
            one.admits(address, port)
        };
        for (pattern, address, port) in [
            ("80", "", "80"),
            ("80", "127.0.0.1", "80"),
            ("8000-8010", "", "8003-8004"),
            ("127.0.0.1:*", "127.0.0.1", "9000"),
            ("127.0.0.1:*", "127.0.0.1", ""),
            ("[::1]:443", "::1", "443"),
            ("0.0.0.0:80", "", "80"),
            ("*", "", ""),
        ] {
            assert!(admits(pattern, address, port), "{pattern} {address} {port}");
        }
        for (pattern, address, port) in [
            ("80", "", "81"),
            ("80", "", ""),
            ("80", "", "80-81"),
            ("127.0.0.1:*", "", "80"),
            ("127.0.0.1:*", "0.0.0.0", "80"),
            ("127.0.0.1:*", "::", "80"),
            ("[::1]:443", "127.0.0.1", "443"),
        ] {
            assert!(
                !admits(pattern, address, port),
                "{pattern} {address} {port}"
            );
        }
        for wrong in ["", "x", "80-70", "99999", "host:80", "1.2.3.4:"] {
            assert!(Publish::try_from(NumberOr::Text(wrong.to_owned())).is_err());
        }
        assert_eq!(
            read("{publish: [80, '127.0.0.1:*']}")
                .unwrap()
                .publish
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn images_are_matched_by_their_names_in_full() {
        let admits = |pattern: &str, name: &str| {
            ImagePattern::try_from(pattern.to_owned())
                .unwrap()
                .admits(name)
        };
        assert!(admits("docker.io/library/*", "docker.io/library/nginx"));
        assert!(admits("ghcr.io/acme/app", "ghcr.io/acme/app"));
        assert!(admits("ghcr.io/*/app-*", "ghcr.io/acme/app-web"));
        assert!(!admits("ghcr.io/acme/app", "ghcr.io/acme/apple"));
        assert!(!admits("ghcr.io/acme/*", "ghcr.io/acme-evil/app"));
        assert!(!admits("ghcr.io/acme/*", "evil.io/ghcr.io/acme/app"));
        assert!(!admits("ghcr.io/*/app", "ghcr.io/acme/app-x"));
        for wrong in ["nginx", "library/*", "ghcr.io/a@sha256:1"] {
            assert!(ImagePattern::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_budget_is_a_share_or_a_number() {
        let of = |text: &str, all| Some(read(text).ok()?.deletion_budget.of(all));
        assert_eq!(of("{deletion_budget: 30%}", 10), Some(3));
        assert_eq!(of("{deletion_budget: 30%}", 2), Some(1));
        assert_eq!(of("{deletion_budget: 100%}", 7), Some(7));
        assert_eq!(of("{deletion_budget: 0}", 7), Some(0));
        assert_eq!(of("{deletion_budget: 4}", 7), Some(4));
        for wrong in [
            "{deletion_budget: 101%}",
            "{deletion_budget: many}",
            "{deletion_budget: -1}",
        ] {
            assert_eq!(of(wrong, 7), None, "{wrong}");
        }
    }
}
