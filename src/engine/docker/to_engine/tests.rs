//! What a request is written as.

use std::collections::BTreeSet;

use super::*;
use crate::engine::api::ApiVersion;
use crate::engine::model::{ContainerSpec, Endpoint, Healthcheck, Ipam, IpamPool, Network, Port};
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

#[test]
fn what_newer_versions_take_is_sent_to_them() {
    let first = Endpoint {
        mac_address: "02:42:00:00:00:07".to_owned(),
        gw_priority: 5,
        interface_name: "lan0".to_owned(),
        ipv6_address: "fd00::7".to_owned(),
        ..Endpoint::default()
    };
    let spec = ContainerSpec {
        network_mode: "front".to_owned(),
        networks: [("front", first), ("back", place(&["db"]))]
            .map(|(name, place)| (name.to_owned(), place))
            .into(),
        annotations: [("a".to_owned(), "b".to_owned())].into(),
        healthcheck: Some(Healthcheck {
            start_interval: 7,
            ..Healthcheck::default()
        }),
        ..ContainerSpec::default()
    };
    let sent = |minor| {
        let creation = creation(&spec, api(minor)).unwrap();
        let address = creation.mac_address.map(str::to_owned);
        (serde_json::to_value(&creation.body).unwrap(), address)
    };
    let (new, address) = sent(49);
    assert_eq!(address, None);
    assert_eq!(new["Healthcheck"]["StartInterval"], 7);
    assert_eq!(new["HostConfig"]["Annotations"]["a"], "b");
    let front = &new["NetworkingConfig"]["EndpointsConfig"]["front"];
    let expected = serde_json::json!({
        "MacAddress": "02:42:00:00:00:07",
        "GwPriority": 5,
        "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0"},
        "IPAMConfig": {"IPv6Address": "fd00::7"},
    });
    assert_eq!(*front, expected);
    let (middle, _) = sent(44);
    let front = &middle["NetworkingConfig"]["EndpointsConfig"]["front"];
    assert_eq!(front["MacAddress"], "02:42:00:00:00:07");
    assert_eq!(front["GwPriority"], serde_json::Value::Null);
    let (old, address) = sent(41);
    assert_eq!(address.as_deref(), Some("02:42:00:00:00:07"));
    let front = &old["NetworkingConfig"]["EndpointsConfig"]["front"];
    assert_eq!(front["GwPriority"], serde_json::Value::Null);
}

#[test]
fn networks_say_what_they_can() {
    let asked = Network {
        name: "front".to_owned(),
        enable_ipv4: Some(true),
        enable_ipv6: Some(true),
        attachable: true,
        ipam: Ipam {
            pools: vec![IpamPool {
                subnet: "fd00::/64".to_owned(),
                ..IpamPool::default()
            }],
            ..Ipam::default()
        },
        ..Network::default()
    };
    let body = |minor| serde_json::to_value(network(&asked, api(minor))).unwrap();
    let expected = serde_json::json!({
        "Name": "front", "Internal": false, "Attachable": true, "EnableIPv4": true,
        "EnableIPv6": true, "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}, "Options": {},
        "Labels": {},
    });
    assert_eq!(body(48), expected);
    assert_eq!(body(47)["EnableIPv4"], serde_json::Value::Null);
}

#[test]
fn words_that_the_engine_does_not_have_are_refused() {
    let mut spec = ContainerSpec::default();
    spec.namespaces.cgroup = "mine".to_owned();
    let refused = creation(&spec, api(41)).err();
    let said = "cgroup can't be \"mine\": the engine has no such word";
    assert_eq!(refused.as_deref(), Some(said));
    let mut spec = ContainerSpec::default();
    spec.limits.blkio.read_bps = [("/dev/a".to_owned(), -1)].into();
    let refused = creation(&spec, api(41)).err();
    let said = "blkio_config.device_read_bps of /dev/a can't be negative";
    assert_eq!(refused.as_deref(), Some(said));
}
