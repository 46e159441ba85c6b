//! Runs containers that are not ours on a bench.

use moored::engine::WriteEngine as _;
use moored::engine::model::{ContainerSpec, Endpoint, Mount, MountSource, Port};

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
