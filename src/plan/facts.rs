//! Says what a container is as a flat map of facts, so that Git, the last release and the live
//! container can be compared field by field.
//!
//! A fact that is absent stands for the default of image and engine. What each field means and
//! whether a difference needs a new container is the table of [`Field`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use super::field::Field;
use crate::engine::model::{
    Container, ContainerSpec, Endpoint, Healthcheck, Image, Mount, Port, Resources, Restart,
};
use crate::labels;
use crate::secret::{Digest, DigestKey, Sensitive, looks_secret, mentions};

/// The value of a field: shown, or only known by its keyed digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// May be shown.
    Plain(String),
    /// Must not be shown; equal digests mean equal values.
    Hidden(Digest),
}

impl Fact {
    /// Leaves nothing of a shown value but its keyed digest.
    pub fn hide(&mut self, key: &DigestKey) {
        if let Self::Plain(text) = self {
            *self = Self::Hidden(key.digest(text.as_bytes()));
        }
    }
}

/// Everything known about a container, by field.
pub type Facts = BTreeMap<Field, Fact>;

/// Decides which values are shown.
#[derive(Clone, Copy)]
pub struct Veil<'a> {
    /// Key of the digests of hidden values.
    pub key: &'a DigestKey,
    /// A value with one of these in it is hidden, whatever its field.
    pub secrets: &'a [Sensitive],
}

impl Veil<'_> {
    fn fact(&self, value: String) -> Fact {
        if mentions(&value, self.secrets) {
            return self.hide(&value);
        }
        Fact::Plain(value)
    }

    fn hide(&self, value: &str) -> Fact {
        Fact::Hidden(self.key.digest(value.as_bytes()))
    }
}

/// Returns what Git wants a container to be: `spec` over the image's defaults.
///
/// Without `image` (it is not on the host yet) only what `spec` itself says is known.
pub fn desired(
    spec: &ContainerSpec,
    image: Option<&Image>,
    committed: &BTreeSet<String>,
    veil: Veil<'_>,
) -> Facts {
    let whole = match image {
        Some(image) => with_defaults(spec, image),
        None => spec.clone(),
    };
    // The image's own variables are as public as the image is, unless a file of the host sets them.
    let public = |name: &str| {
        let by_image = || image.is_some_and(|image| image.env.contains_key(name));
        committed.contains(name) || (!spec.env.contains_key(name) && by_image())
    };
    let mut facts = of_spec(&whole, &public, veil);
    if let Some(image) = image {
        facts.insert(Field::ImageId, Fact::Plain(image.id.clone()));
    }
    facts
}

/// Returns what a live container is. Only variables that `shown` knows as public have their
/// value shown, and nothing that is hidden there is shown here.
pub fn live(container: &Container, shown: &Facts, veil: Veil<'_>) -> Facts {
    let public = |name: &str| {
        matches!(
            shown.get(&Field::Env(name.to_owned())),
            Some(Fact::Plain(_))
        )
    };
    let mut facts = of_spec(&container.spec, &public, veil);
    hide_as(&mut facts, Some(shown), veil.key);
    facts.insert(Field::ImageId, Fact::Plain(container.image_id.clone()));
    facts
}

/// Hides what `other` hides: the value there is a secret, so this one may be the one before it.
pub(super) fn hide_as(facts: &mut Facts, other: Option<&Facts>, key: &DigestKey) {
    for (field, fact) in facts {
        if matches!(
            other.and_then(|other| other.get(field)),
            Some(Fact::Hidden(_))
        ) {
            fact.hide(key);
        }
    }
}

/// Returns `spec` with everything that it leaves open as the engine fills it in from `image`.
///
/// The rules are those of the engine's own merge (moby `runconfig` and `daemon/commit.go`).
fn with_defaults(spec: &ContainerSpec, image: &Image) -> ContainerSpec {
    let mut whole = spec.clone();
    let own_program = spec
        .entrypoint
        .as_ref()
        .is_some_and(|program| !program.is_empty());
    if spec.command.as_ref().is_none_or(Vec::is_empty) && !own_program {
        whole.command = Some(image.command.clone());
    }
    whole
        .entrypoint
        .get_or_insert_with(|| image.entrypoint.clone());
    for (name, value) in &image.env {
        let value = || Some(Sensitive::new(value.clone()));
        whole.env.entry(name.clone()).or_insert_with(value);
    }
    for (name, value) in &image.labels {
        whole
            .labels
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    let open = |field: &Option<String>| field.as_ref().is_none_or(String::is_empty);
    if open(&spec.user) {
        whole.user = Some(image.user.clone());
    }
    if open(&spec.working_dir) {
        whole.working_dir = Some(image.working_dir.clone());
    }
    if open(&spec.stop_signal) {
        whole.stop_signal = Some(image.stop_signal.clone());
    }
    whole.healthcheck = match (&spec.healthcheck, &image.healthcheck) {
        (Some(own), Some(base)) => Some(own.over(base)),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    whole.expose.extend(image.expose.iter().cloned());
    for target in &image.volumes {
        whole
            .mounts
            .entry(target.clone())
            .or_insert_with(Mount::anonymous);
    }
    whole
}

fn of_spec(spec: &ContainerSpec, public: &dyn Fn(&str) -> bool, veil: Veil<'_>) -> Facts {
    let mut facts = Facts::new();
    let mut put = |field: Field, value: String, default: &str| {
        if value != default {
            facts.insert(field, veil.fact(value));
        }
    };
    put(Field::Image, spec.image.clone(), "");
    put(Field::Command, argv(spec.command.as_deref()), "");
    put(Field::Entrypoint, argv(spec.entrypoint.as_deref()), "");
    put(Field::User, spec.user.clone().unwrap_or_default(), "");
    put(
        Field::WorkingDir,
        spec.working_dir.clone().unwrap_or_default(),
        "",
    );
    put(
        Field::Init,
        spec.init.unwrap_or_default().to_string(),
        "false",
    );
    put(
        Field::StopSignal,
        signal(spec.stop_signal.as_deref()),
        "SIGTERM",
    );
    put(
        Field::StopTimeout,
        seconds(spec.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT)),
        "10s",
    );
    put(
        Field::Healthcheck,
        spec.healthcheck
            .as_ref()
            .map(health_text)
            .unwrap_or_default(),
        "",
    );
    put(Field::NetworkMode, network_mode(&spec.network_mode), "");
    put(
        Field::Restart,
        spec.restart.to_string(),
        &Restart::No.to_string(),
    );
    put(Field::Privileged, spec.privileged.to_string(), "false");
    put(Field::ReadOnly, spec.read_only.to_string(), "false");
    put(Field::Expose, joined(&unpublished(spec)), "");
    put(Field::CapAdd, joined(&spec.cap_add), "");
    put(Field::CapDrop, joined(&spec.cap_drop), "");
    for (target, value) in ports(&spec.ports) {
        put(Field::Port(target), value, "");
    }
    for (target, mount) in &spec.mounts {
        put(Field::Mount(target.clone()), mount_text(mount), "");
    }
    for (name, endpoint) in &spec.networks {
        put(Field::Network(name.clone()), endpoint_text(endpoint), "");
    }
    limits(&spec.resources, &mut put);
    for (name, value) in spec
        .labels
        .iter()
        .filter(|(name, _)| !labels::is_reserved(name))
    {
        facts.insert(Field::Label(name.clone()), veil.fact(value.clone()));
    }
    for (name, value) in &spec.env {
        facts.insert(
            Field::Env(name.clone()),
            variable(name, value.as_ref(), public, veil),
        );
    }
    facts
}

/// The engine's time between stop signal and kill when nobody sets one, seconds.
const DEFAULT_STOP_TIMEOUT: i64 = 10;

fn variable(
    name: &str,
    value: Option<&Sensitive>,
    public: &dyn Fn(&str) -> bool,
    veil: Veil<'_>,
) -> Fact {
    match value {
        None => Fact::Plain("(no value)".to_owned()),
        Some(value) if public(name) && !looks_secret(name) => veil.fact(value.expose().to_owned()),
        Some(value) => veil.hide(value.expose()),
    }
}

fn limits(limits: &Resources, put: &mut dyn FnMut(Field, String, &str)) {
    put(Field::Memory, bytes(limits.memory), "0 B");
    put(
        Field::MemoryReservation,
        bytes(limits.memory_reservation),
        "0 B",
    );
    // The engine doubles the memory limit for memory and swap together when only the first is set.
    let swap = if limits.memory_swap == 0 {
        limits.memory * 2
    } else {
        limits.memory_swap
    };
    put(Field::MemorySwap, bytes(swap), &bytes(limits.memory * 2));
    put(Field::Cpus, format!("{} nano", limits.nano_cpus), "0 nano");
    put(Field::CpuShares, limits.cpu_shares.to_string(), "0");
    put(Field::CpuQuota, format!("{} µs", limits.cpu_quota), "0 µs");
    put(
        Field::CpuPeriod,
        format!("{} µs", limits.cpu_period),
        "0 µs",
    );
    put(Field::Cpuset, limits.cpuset_cpus.clone(), "");
    put(Field::PidsLimit, limits.pids_limit.to_string(), "0");
}

/// Returns an amount of memory in the largest unit that divides it, as people write limits.
fn bytes(amount: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(size, _)| amount != 0 && amount % size == 0)
        .map_or_else(
            || format!("{amount} B"),
            |(size, unit)| format!("{} {unit}", amount / size),
        )
}

fn seconds(n: i64) -> String {
    format!("{n}s")
}

fn argv(words: Option<&[String]>) -> String {
    words.map(shell_words::join).unwrap_or_default()
}

fn joined(words: &BTreeSet<String>) -> String {
    words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

fn signal(name: Option<&str>) -> String {
    match name {
        None | Some("") => "SIGTERM".to_owned(),
        Some(name) if name.starts_with("SIG") || name.parse::<u32>().is_ok() => name.to_owned(),
        Some(name) => format!("SIG{name}"),
    }
}

/// The network that a container joins first is its mode; the engine calls the default one
/// `default` or `bridge`.
fn network_mode(mode: &str) -> String {
    match mode {
        "default" | "bridge" => String::new(),
        other => other.to_owned(),
    }
}

fn health_text(check: &Healthcheck) -> String {
    if check.test.first().is_some_and(|kind| kind == "NONE") {
        return "none".to_owned();
    }
    let time = |nanoseconds: i64| {
        let duration = std::time::Duration::from_nanos(nanoseconds.unsigned_abs());
        humantime::format_duration(duration).to_string()
    };
    let mut text = shell_words::join(&check.test);
    for (name, value) in [
        ("every", check.interval),
        ("timeout", check.timeout),
        ("start", check.start_period),
    ] {
        if value != 0 {
            text = format!("{text} {name} {}", time(value));
        }
    }
    if check.retries != 0 {
        text = format!("{text} retries {}", check.retries);
    }
    text
}

fn ports(ports: &BTreeSet<Port>) -> BTreeMap<String, String> {
    let mut by_target: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for port in ports {
        let host = if port.published.is_empty() {
            format!("{}any free port", port.host())
        } else {
            port.host()
        };
        by_target
            .entry(format!("{}/{}", port.target, port.protocol))
            .or_default()
            .push(host);
    }
    by_target
        .into_iter()
        .map(|(target, hosts)| (target, hosts.join(", ")))
        .collect()
}

/// Returns the exposed ports that are not published: the others are exposed by that alone.
fn unpublished(spec: &ContainerSpec) -> BTreeSet<String> {
    let published = |port: &str| {
        spec.ports
            .iter()
            .any(|one| format!("{}/{}", one.target, one.protocol) == port)
    };
    spec.expose
        .iter()
        .filter(|port| !published(port))
        .cloned()
        .collect()
}

fn mount_text(mount: &Mount) -> String {
    let mut text = mount.source.to_string();
    if mount.read_only {
        text.push_str(" ro");
    }
    for option in &mount.options {
        text = format!("{text} {option}");
    }
    text
}

fn endpoint_text(endpoint: &Endpoint) -> String {
    if endpoint.aliases.is_empty() {
        return "connected".to_owned();
    }
    format!("connected as {}", joined(&endpoint.aliases))
}
