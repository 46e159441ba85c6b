//! Runs containers that are not ours on a bench.

use moored::desired::{DesiredState, Wanted, default_container_name};
use moored::engine::WriteEngine as _;
use moored::engine::model::{ContainerSpec, Endpoint, Mount, MountSource, Port};
use moored::labels;

use super::bench::Bench;

/// Runs a container that is not ours.
pub(crate) fn foreign(
    bench: &Bench,
    name: &str,
    image: &str,
    labels: &[(&str, &str)],
    port: Option<&str>,
) {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let published = |port: &str| Port {
        target: 80,
        protocol: "tcp".to_owned(),
        host_ip: String::new(),
        published: port.to_owned(),
    };
    let spec = ContainerSpec {
        image: image.to_owned(),
        labels: labels.iter().map(own).collect(),
        network_mode: "bridge".to_owned(),
        ports: port.map(published).into_iter().collect(),
        ..ContainerSpec::default()
    };
    run_as_is(bench, name, &spec);
}

/// Runs nginx in a container that is not ours, in the network `edge`; its configuration lies in
/// a directory of the host, if it is mounted.
pub(crate) fn foreign_proxy(bench: &Bench, name: &str, place: Option<&str>) {
    let mount = |place: &str| {
        let source = MountSource::Bind {
            path: bench.place(place).display().to_string(),
            create: false,
        };
        (
            "/etc/nginx/conf.d".to_owned(),
            Mount {
                source,
                ..Mount::anonymous()
            },
        )
    };
    let spec = ContainerSpec {
        image: "nginx:v1".to_owned(),
        network_mode: "edge".to_owned(),
        networks: [("edge".to_owned(), Endpoint::default())].into(),
        mounts: place.map(mount).into_iter().collect(),
        ..ContainerSpec::default()
    };
    run_as_is(bench, name, &spec);
}

fn run_as_is(bench: &Bench, name: &str, spec: &ContainerSpec) {
    super::bench::run(async {
        let id = bench.engine.create_container(name, spec).await.unwrap();
        bench.engine.start_container(&id).await.unwrap();
    });
}

/// Does what `docker compose up -d` does for the services of a state that are not there, with the
/// labels of Docker Compose alone. `words` are services (none = all), and `v1` for the names and
/// aliases of version 1, or `again` where it makes another one in the place of what is there.
pub(crate) fn compose_up(bench: &Bench, desired: &DesiredState, words: &[&str]) {
    let (modes, only): (Vec<&str>, Vec<&str>) = words
        .iter()
        .partition(|word| ["v1", "again"].contains(*word));
    let project = || (labels::PROJECT.to_owned(), desired.stack.to_string());
    {
        let mut world = bench.engine.world();
        for wanted in desired.networks.values() {
            if let Wanted::Own(network) = wanted
                && !world.networks.contains_key(&network.name)
            {
                let mut network = network.clone();
                network.labels.extend([project()]);
                world.make_network(&network).unwrap();
            }
        }
        for wanted in desired.volumes.values() {
            if let Wanted::Own(volume) = wanted
                && !world.volumes.contains_key(&volume.name)
            {
                let mut volume = volume.clone();
                volume.labels.extend([project()]);
                world.make_volume(&volume).unwrap();
            }
        }
    }
    for (service, wanted) in &desired.services {
        if !only.is_empty() && !only.contains(&service.as_str()) {
            continue;
        }
        let default = default_container_name(&desired.stack, service);
        let mut name = wanted.container_name.clone().unwrap_or(default);
        let mut spec = wanted.spec.clone();
        let of_compose = [
            (labels::SERVICE, service.service()),
            (labels::NUMBER, &service.number().to_string()),
            (labels::ONEOFF, "False"),
            (labels::CONFIG_HASH, "0123"),
            (labels::WORKING_DIR, "/srv/shop"),
        ];
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        spec.labels.extend(of_compose.map(own));
        spec.labels.extend([project()]);
        if modes.contains(&"v1") {
            for endpoint in spec.networks.values_mut() {
                endpoint.aliases.remove(&name);
            }
            name = name.replace('-', "_");
        }
        if modes.contains(&"again") {
            bench.engine.world().remove(&name);
        }
        if bench.engine.world().find(&name).is_none() {
            run_as_is(bench, &name, &spec);
        }
    }
}
