//! What a request is written as.

use std::collections::BTreeSet;

use super::*;
use crate::engine::api::ApiVersion;
use crate::engine::model::{ContainerSpec, Endpoint, Port};
use crate::secret::Sensitive;

fn api(minor: usize) -> ApiVersion {
    ApiVersion { major: 1, minor }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn place(aliases: &[&str]) -> Endpoint {
    Endpoint {
        aliases: names(aliases),
        ..Endpoint::default()
    }
}

#[test]
fn further_networks_wait_for_api_1_44() {
    let spec = ContainerSpec {
        network_mode: "back".to_owned(),
        networks: [("back", place(&["db"])), ("front", place(&["w"]))]
            .map(|(name, place)| (name.to_owned(), place))
            .into(),
        ..ContainerSpec::default()
    };
    let in_create = |creation: &Creation<'_>| {
        let config = creation.body.networking_config.as_ref().unwrap();
        let endpoints = config.endpoints_config.as_ref().unwrap();
        let mut names: Vec<String> = endpoints.keys().cloned().collect();
        names.sort();
        (names, endpoints["back"].aliases.clone())
    };
    let aliases = Some(vec!["db".to_owned()]);
    let old = creation(&spec, api(41)).unwrap();
    assert_eq!(in_create(&old), (vec!["back".to_owned()], aliases.clone()));
    assert_eq!(old.then_connect, [("front", &place(&["w"]))]);
    let new = creation(&spec, api(44)).unwrap();
    assert_eq!(
        in_create(&new),
        (vec!["back".to_owned(), "front".to_owned()], aliases)
    );
    assert!(new.then_connect.is_empty());
}

#[test]
fn a_mode_without_networks_says_nothing_of_networks() {
    let spec = ContainerSpec {
        network_mode: "none".to_owned(),
        ..ContainerSpec::default()
    };
    let creation = creation(&spec, api(41)).unwrap();
    assert!(creation.body.networking_config.is_none() && creation.then_connect.is_empty());
    let host = creation.body.host_config.unwrap();
    assert_eq!(host.network_mode.as_deref(), Some("none"));
}

#[test]
fn what_is_empty_is_left_to_the_engine() {
    let spec = ContainerSpec::default();
    let creation = creation(&spec, api(41)).unwrap();
    let body = serde_json::to_value(&creation.body).unwrap();
    let host = serde_json::json!({
        "RestartPolicy": {"Name": "no"}, "Privileged": false, "ReadonlyRootfs": false,
    });
    let expected = serde_json::json!({
        "Image": "", "Labels": {}, "HostConfig": host, "Tty": false, "OpenStdin": false,
        "AttachStdout": true, "AttachStderr": true,
    });
    assert_eq!(body, expected);
}

#[test]
fn env_entrypoint_and_ports() {
    let port = |host_ip: &str, published: &str, target, protocol: &str| Port {
        target,
        protocol: protocol.to_owned(),
        host_ip: host_ip.to_owned(),
        published: published.to_owned(),
    };
    let spec = ContainerSpec {
        entrypoint: Some(Vec::new()),
        env: BTreeMap::from([
            ("A".to_owned(), Some(Sensitive::new("x=y"))),
            ("EMPTY".to_owned(), Some(Sensitive::new(""))),
            ("GONE".to_owned(), None),
        ]),
        expose: names(&["90/tcp"]),
        ports: [
            port("127.0.0.1", "18080", 80, "tcp"),
            port("", "18081", 80, "tcp"),
            port("", "", 53, "udp"),
        ]
        .into(),
        ..ContainerSpec::default()
    };
    let creation = creation(&spec, api(41)).unwrap();
    let body = serde_json::to_value(&creation.body).unwrap();
    assert_eq!(body["Env"], serde_json::json!(["A=x=y", "EMPTY=", "GONE"]));
    assert_eq!(body["Entrypoint"], serde_json::json!([]));
    let exposed = serde_json::json!({"53/udp": {}, "80/tcp": {}, "90/tcp": {}});
    assert_eq!(body["ExposedPorts"], exposed);
    let bindings = serde_json::json!({
        "53/udp": [{"HostIp": "", "HostPort": ""}],
        "80/tcp": [
            {"HostIp": "", "HostPort": "18081"},
            {"HostIp": "127.0.0.1", "HostPort": "18080"},
        ],
    });
    assert_eq!(body["HostConfig"]["PortBindings"], bindings);
}
