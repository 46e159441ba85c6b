//! Says values in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::model::{
    ContainerSpec, Device, DeviceRequest, Endpoint, Healthcheck, Mount, MountSource, Port, Ulimit,
};

/// Returns an amount of memory in the largest unit that divides it, as people write limits.
pub(super) fn bytes(amount: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(size, _)| amount != 0 && amount % size == 0)
        .map_or_else(
            || format!("{amount} B"),
            |(size, unit)| format!("{} {unit}", amount / size),
        )
}

pub(super) fn seconds(n: i64) -> String {
    format!("{n}s")
}

pub(super) fn argv(words: Option<&[String]>) -> String {
    words.map(shell_words::join).unwrap_or_default()
}

pub(super) fn joined(words: &BTreeSet<String>) -> String {
    words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) fn signal(name: Option<&str>) -> String {
    match name {
        None | Some("") => "SIGTERM".to_owned(),
        Some(name) if name.starts_with("SIG") || name.parse::<u32>().is_ok() => name.to_owned(),
        Some(name) => format!("SIG{name}"),
    }
}

/// The network that a container joins first is its mode; the engine calls the default one
/// `default` or `bridge`.
pub(super) fn network_mode(mode: &str) -> String {
    match mode {
        "default" | "bridge" => String::new(),
        other => other.to_owned(),
    }
}

pub(super) fn health(check: &Healthcheck) -> String {
    if check.is_none() {
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
        ("start_interval", check.start_interval),
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

pub(super) fn ports(ports: &BTreeSet<Port>) -> BTreeMap<String, String> {
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
pub(super) fn unpublished(spec: &ContainerSpec) -> BTreeSet<String> {
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

pub(super) fn mount(mount: &Mount) -> String {
    let mut words = vec![match &mount.source {
        MountSource::Bind { path, .. } => clean(path),
        source @ (MountSource::Volume(_)
        | MountSource::Anonymous(_)
        | MountSource::Tmpfs
        | MountSource::TmpfsMount
        | MountSource::Image(_)
        | MountSource::Other(_)) => source.to_string(),
    }];
    let long = &mount.long;
    words.extend(mount.read_only.then(|| "ro".to_owned()));
    words.extend(mount.options.iter().cloned());
    for (name, value) in [("subpath", &long.subpath), ("recursive", &long.recursive)] {
        let is_default = value.is_empty() || value == "enabled";
        words.extend((!is_default).then(|| format!("{name} {value}")));
    }
    words.extend((long.size != 0).then(|| format!("size={}", long.size)));
    words.extend((long.mode != 0).then(|| format!("mode={:o}", long.mode)));
    let labels = long.labels.iter();
    words.extend(labels.map(|(name, value)| format!("label {name}={value}")));
    words.join(" ")
}

/// Returns a path as the engine keeps it: `/data/` and `/./data` are `/data`.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Says what a container is in a network. Its host name is one of its names there anyway.
pub(super) fn place(place: &Endpoint, hostname: Option<&str>) -> String {
    let aliases = place.aliases.iter().map(String::as_str);
    let aliases: Vec<&str> = aliases.filter(|alias| Some(*alias) != hostname).collect();
    let mut text = "connected".to_owned();
    let mut add = |what: &str, value: &str| {
        if !value.is_empty() {
            text = format!("{text}{what} {value}");
        }
    };
    add(" as", &aliases.join(" "));
    add(", address", &place.ipv4_address);
    add(", address", &canonical(&place.ipv6_address));
    add(", link-local", &joined(&place.link_local_ips));
    add(", links", &joined(&place.links));
    add(", interface", &place.interface_name);
    let options = place.driver_opts.iter();
    let options: Vec<String> = options
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    add(", options", &options.join(" "));
    if place.gw_priority != 0 {
        add(", gw_priority", &place.gw_priority.to_string());
    }
    text
}

/// An IPv6 address can be written in many ways.
fn canonical(address: &str) -> String {
    let parsed = address.parse::<core::net::Ipv6Addr>();
    parsed.map_or_else(|_| address.to_owned(), |address| address.to_string())
}

/// Returns the addresses of each name, in their order.
pub(super) fn extra_hosts(hosts: &[(String, String)]) -> BTreeMap<String, String> {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for (name, address) in hosts {
        let addresses = by_name.entry(name.clone()).or_default();
        if !addresses.is_empty() {
            addresses.push(' ');
        }
        addresses.push_str(address);
    }
    by_name
}

/// The engine adds `label=disable` to who sees all of the host in some way, and takes either
/// separator.
pub(super) fn security_opt(spec: &ContainerSpec) -> String {
    let spaces = &spec.namespaces;
    let sees_host = spec.privileged || spaces.pid == "host" || spaces.ipc == "host";
    let options = spec.security_opt.iter().map(|option| {
        option
            .strip_prefix("label:")
            .map_or_else(|| option.clone(), |rest| format!("label={rest}"))
    });
    let options = options.filter(|option| !sees_host || option != "label=disable");
    joined(&options.collect())
}

pub(super) fn ulimit(limit: Ulimit) -> String {
    if limit.soft == limit.hard {
        return limit.soft.to_string();
    }
    format!("{} (at most {})", limit.soft, limit.hard)
}

pub(super) fn device(device: &Device) -> String {
    format!("{} {}", device.source, device.permissions)
}

pub(super) fn device_requests(requests: &[DeviceRequest]) -> String {
    let one = |request: &DeviceRequest| {
        let mut words = Vec::new();
        words.extend((!request.driver.is_empty()).then(|| request.driver.clone()));
        words.push(match request.count {
            -1 => "all".to_owned(),
            0 => format!("ids {}", request.ids.join(",")),
            count => format!("{count}"),
        });
        let any = request.capabilities.iter().map(|all| all.join("+"));
        words.push(any.collect::<Vec<_>>().join("|"));
        let options = request.options.iter();
        words.extend(options.map(|(name, value)| format!("{name}={value}")));
        words.join(" ")
    };
    requests.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// `:rw` is what is meant anyway.
pub(super) fn volumes_from(from: &BTreeSet<String>) -> String {
    let names = from
        .iter()
        .map(|name| name.strip_suffix(":rw").unwrap_or(name));
    names.collect::<Vec<_>>().join(" ")
}
