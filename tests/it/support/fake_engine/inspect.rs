//! What the engine shows of a container: what was asked for, over the image's defaults, as moby
//! merges them (`runconfig`, `daemon/commit.go`). Written from there and not from `plan::facts`,
//! so that one can show a mistake of the other.

use moored::engine::model::{ContainerSpec, Healthcheck, Image, Mount, MountSource};
use moored::secret::Sensitive;

/// Returns what inspect shows of a container made of `asked`; `volume` names a new volume.
pub(super) fn shown(
    asked: &ContainerSpec,
    image: &Image,
    mut volume: impl FnMut() -> String,
) -> ContainerSpec {
    let mut spec = asked.clone();
    for (name, value) in &image.env {
        if !spec.env.contains_key(name) {
            let value = Some(Sensitive::new(value.clone()));
            spec.env.insert(name.clone(), value);
        }
    }
    for (name, value) in &image.labels {
        if !spec.labels.contains_key(name) {
            spec.labels.insert(name.clone(), value.clone());
        }
    }
    let program = spec.entrypoint.clone().unwrap_or_default();
    let arguments = spec.command.clone().unwrap_or_default();
    if program.is_empty() {
        if arguments.is_empty() {
            spec.command = Some(image.command.clone());
        }
        if spec.entrypoint.is_none() {
            spec.entrypoint = Some(image.entrypoint.clone());
        }
    }
    for (field, default) in [
        (&mut spec.user, &image.user),
        (&mut spec.working_dir, &image.working_dir),
        (&mut spec.stop_signal, &image.stop_signal),
    ] {
        if field.as_ref().is_none_or(String::is_empty) {
            *field = Some(default.clone());
        }
    }
    if let Some(base) = &image.healthcheck {
        spec.healthcheck = Some(match &spec.healthcheck {
            None => base.clone(),
            Some(own) => merged(own, base),
        });
    }
    for port in &image.expose {
        spec.expose.insert(port.clone());
    }
    spec.expose.retain(|port| {
        !asked
            .ports
            .iter()
            .any(|published| *port == format!("{}/{}", published.target, published.protocol))
    });
    for target in &image.volumes {
        if !spec.mounts.contains_key(target) {
            spec.mounts.insert(target.clone(), Mount::anonymous());
        }
    }
    for mount in spec.mounts.values_mut() {
        if mount.source == MountSource::Anonymous(None) {
            mount.source = MountSource::Anonymous(Some(volume()));
        }
        mount.options.sort();
    }
    spec
}

fn merged(own: &Healthcheck, base: &Healthcheck) -> Healthcheck {
    let mut check = own.clone();
    if check.test.is_empty() {
        check.test = base.test.clone();
    }
    for (field, default) in [
        (&mut check.interval, base.interval),
        (&mut check.timeout, base.timeout),
        (&mut check.start_period, base.start_period),
        (&mut check.retries, base.retries),
    ] {
        if *field == 0 {
            *field = default;
        }
    }
    check
}
