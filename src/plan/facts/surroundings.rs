//! Tells what stands around a container: its name, networks, namespaces, logs.

use super::spec::Told;
use super::{Field, words};
use crate::engine::model::{ContainerSpec, Logging};

/// Logging driver and runtime of an engine that nobody has configured.
const USUAL_DRIVER: &str = "json-file";
const USUAL_RUNTIME: &str = "runc";

/// Tells what stands around a container.
pub(super) fn tell(spec: &ContainerSpec, told: &mut Told<'_>) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    told.text(Field::Hostname, &text(&spec.hostname));
    told.text(Field::Domainname, &text(&spec.domainname));
    networks(spec, told);
    for (name, addresses) in words::extra_hosts(&spec.extra_hosts) {
        told.text(Field::ExtraHost(name), &addresses);
    }
    told.text(Field::Links, &words::joined(&spec.links));
    told.text(Field::Dns, &spec.dns.join(" "));
    told.text(Field::DnsOptions, &spec.dns_options.join(" "));
    told.text(Field::DnsSearch, &spec.dns_search.join(" "));
    told.text(Field::Ipc, &spec.namespaces.ipc);
    told.text(Field::Pid, &spec.namespaces.pid);
    told.text(Field::Uts, &spec.namespaces.uts);
    told.text(Field::Userns, &spec.namespaces.user);
    told.text(Field::Cgroup, &spec.namespaces.cgroup);
    told.named(Field::Sysctl, &spec.sysctls);
    told.named(Field::Annotation, &spec.annotations);
    told.text(Field::VolumesFrom, &words::volumes_from(&spec.volumes_from));
    told.text(Field::VolumeDriver, &spec.volume_driver);
    let runtime = text(&spec.runtime);
    told.put(
        Field::Runtime,
        if runtime == USUAL_RUNTIME {
            String::new()
        } else {
            runtime
        },
        "",
    );
    let isolation = text(&spec.isolation);
    if isolation != "default" {
        told.text(Field::Isolation, &isolation);
    }
    if let Some(logging) = &spec.logging {
        logs(logging, told);
    }
}

fn networks(spec: &ContainerSpec, told: &mut Told<'_>) {
    let mode = spec.network_mode.as_str();
    told.text(Field::NetworkMode, &words::network_mode(mode));
    for (name, place) in &spec.networks {
        told.text(Field::MacAddress(name.clone()), &place.mac_address);
        // A built-in mode is no network that one can leave.
        let built_in = name == mode && matches!(mode, "bridge" | "default" | "host" | "none");
        if !built_in {
            let text = words::place(place, spec.hostname.as_deref());
            told.with_names(Field::Network(name.clone()), text, place.driver_opts.keys());
        }
    }
}

fn logs(logging: &Logging, told: &mut Told<'_>) {
    if logging.driver != USUAL_DRIVER {
        told.text(Field::LogDriver, &logging.driver);
    }
    told.named(Field::LogOption, &logging.options);
}
