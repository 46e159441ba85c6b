//! What an answer is read as.

use serde_json::{Value, json};

use super::*;
use crate::engine::model::{Container, Endpoint, Resources, Restart};
use crate::secret::Sensitive;

fn read(answer: Value) -> Container {
    container(
        serde_json::from_value(answer).unwrap(),
        &EngineDefaults::default(),
    )
}

fn aliases(names: &[&str]) -> Endpoint {
    Endpoint {
        aliases: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Endpoint::default()
    }
}

#[test]
fn networks_lose_what_the_engine_adds() {
    let id = "0123456789abcdef".repeat(4);
    let networks = json!({
        "back": {"Aliases": ["web", "0123456789ab", "web-1"], "DNSNames": ["x"]},
        "bridge": {"Aliases": null},
    });
    let answer = |mode: &str| {
        read(json!({
            "Id": id,
            "HostConfig": {"NetworkMode": mode},
            "NetworkSettings": {"Networks": networks},
        }))
        .spec
    };
    let back = ("back".to_owned(), aliases(&["web", "web-1"]));
    let bridge = ("bridge".to_owned(), aliases(&[]));
    let joined_by_hand = answer("back");
    assert_eq!(joined_by_hand.networks, [back.clone(), bridge].into());
    let on_the_bridge = answer("default");
    assert_eq!(on_the_bridge.networks, [back].into());
    assert_eq!(on_the_bridge.network_mode, "bridge");
}

#[test]
fn addresses_are_those_that_there_are() {
    let live = read(json!({
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {
            "bridge": {"IPAddress": "172.17.0.2"},
            "back": {"IPAddress": ""},
            "front": {},
        }},
    }));
    let expected = [("bridge".to_owned(), "172.17.0.2".to_owned())];
    assert_eq!(live.addresses, expected.into());
}

#[test]
fn ports_are_the_configured_ones() {
    let spec = read(json!({
        "Config": {"ExposedPorts": {"80/tcp": {}, "90/tcp": {}}},
        "HostConfig": {"PortBindings": {
            "80/tcp": [{"HostIp": "::1", "HostPort": "0"}],
            "81/udp": [{"HostIp": "", "HostPort": "9000-9005"}],
            "82/tcp": null,
            "83": [{}],
        }},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::1", "HostPort": "49153"}]}},
    }))
    .spec;
    let shown: Vec<String> = spec.ports.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["[::1]:80/tcp", "9000-9005:81/udp", "83/tcp"]);
    assert_eq!(spec.expose, ["90/tcp".to_owned()].into());
}

#[test]
fn nulls_and_empty_lists_are_told_apart() {
    let spec =
        read(json!({"Config": {"Cmd": null, "Entrypoint": [], "Env": ["A=b=c", "D", "E="]}})).spec;
    assert_eq!(
        (spec.command.clone(), spec.entrypoint.clone()),
        (None, Some(Vec::new()))
    );
    let value = |name: &str| spec.env[name].as_ref().map(Sensitive::expose);
    assert_eq!(
        (value("A"), value("D"), value("E")),
        (Some("b=c"), None, Some(""))
    );
}

#[test]
fn limits() {
    let limits = |host: Value, swap| {
        let answer = serde_json::from_value(json!({"HostConfig": host})).unwrap();
        let defaults = EngineDefaults {
            swap,
            ..EngineDefaults::default()
        };
        container(answer, &defaults).spec.resources.clone()
    };
    let swap = |host: Value, swap| limits(host, swap).memory_swap;
    let derived = json!({"Memory": 100, "MemorySwap": 200});
    assert_eq!(swap(derived, SwapLimit::Supported), 0);
    let asked = json!({"Memory": 100, "MemorySwap": 300});
    assert_eq!(swap(asked, SwapLimit::Supported), 300);
    let unlimited = json!({"Memory": 100, "MemorySwap": -1});
    assert_eq!(swap(unlimited.clone(), SwapLimit::Supported), -1);
    assert_eq!(swap(unlimited, SwapLimit::Unsupported), 0);
    let none = json!({"PidsLimit": null, "CpusetCpus": null, "MemorySwap": 0});
    assert_eq!(limits(none, SwapLimit::Supported), Resources::default());
    let endless = json!({"PidsLimit": -1});
    assert_eq!(limits(endless, SwapLimit::Supported).pids_limit, 0);
}

#[test]
fn restart_and_capabilities() {
    let spec = |host: Value| read(json!({"HostConfig": host})).spec;
    let restart = |name: &str| {
        spec(json!({"RestartPolicy": {"Name": name, "MaximumRetryCount": 3}}))
            .restart
            .clone()
    };
    assert_eq!(restart(""), Restart::No);
    assert_eq!(restart("no"), Restart::No);
    assert_eq!(restart("always"), Restart::Always);
    assert_eq!(restart("unless-stopped"), Restart::UnlessStopped);
    assert_eq!(restart("on-failure"), Restart::OnFailure(3));
    let caps = spec(json!({"CapAdd": ["CAP_NET_ADMIN", "all"], "CapDrop": null}));
    assert_eq!(
        caps.cap_add,
        ["ALL".to_owned(), "NET_ADMIN".to_owned()].into()
    );
    assert!(caps.cap_drop.is_empty());
}

#[test]
fn an_empty_answer_reads_without_panic() {
    let container = read(json!({}));
    assert_eq!(container.name, "");
    assert_eq!(container.spec.network_mode, "bridge");
    let image = image(serde_json::from_value(json!({"Config": {"Env": ["A", "B=c"]}})).unwrap());
    assert_eq!(
        (image.env["A"].as_str(), image.stop_signal.as_str()),
        ("", "")
    );
}
