//! Networks that change with the fixed addresses in them, and services that take over what others
//! had: a port.

use super::stage::Stage;
use crate::support::docker_cli::docker;

const ADDRESS: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";

#[test]
fn a_network_gets_another_subnet_with_the_addresses_in_it() {
    let stage = Stage::new("subnet");
    let v1 = stage.app("v1");
    let never = stage.app_with("never", &["ENV NEVER_READY=1"]);
    let sleeps = "command: [sleep, '600'], stop_grace_period: 1s";
    let commit = |image: &str, net: &str| {
        let compose = stage.web(&format!(
            "    networks: {{back: {{ipv4_address: {net}.7}}}}\n  \
             db: {{image: '{v1}', {sleeps}, networks: {{back: {{ipv4_address: {net}.8}}}}}}\n  \
             any: {{image: '{v1}', {sleeps}, networks: [back]}}\n\
             networks: {{back: {{ipam: {{config: [{{subnet: {net}.0/24}}]}}}}}}\n"
        ));
        let manifest = stage.manifest(&[("web", image)], "");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        stage.commit(&format!("{image} {net}"), &files);
    };
    let all = ["web", "db", "any"];
    let ids = || all.map(|service| stage.id(service));
    let is_in = |net: &str| {
        let address = |service: &str| stage.inspect(service, ADDRESS).trim().to_owned();
        assert_eq!(address("web"), format!("{net}.7"));
        assert_eq!(address("db"), format!("{net}.8"));
        assert!(address("any").starts_with(net));
        stage.serves("v1");
        stage.moored(&["drift"]).exits(0);
    };
    commit(&v1, "10.213.78");
    stage.reconcile();
    is_in("10.213.78");
    let there = ids();

    commit(&v1, "10.213.79");
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["remake", "ipam subnet"]);
    stage.reconcile();
    is_in("10.213.79");
    assert_eq!(ids(), there, "no container is replaced for it");
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);

    // It fails when everything is in the other network already.
    commit(&never, "10.213.80");
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["rolled back", "web is not up"]);
    is_in_after_failure(&stage, "10.213.79");
    assert_eq!(ids(), there);
    stage.revert();
    stage.reconcile();
    is_in("10.213.79");
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);

    // And by a commit that goes back.
    commit(&v1, "10.213.78");
    stage.reconcile();
    is_in("10.213.78");
    assert_eq!(ids(), there);
}

#[track_caller]
fn is_in_after_failure(stage: &Stage, net: &str) {
    let address = |service: &str| stage.inspect(service, ADDRESS).trim().to_owned();
    assert_eq!(address("web"), format!("{net}.7"));
    assert_eq!(address("db"), format!("{net}.8"));
    stage.serves("v1");
}

#[test]
fn a_renamed_service_takes_its_port_over() {
    let stage = Stage::new("renamed");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let never = stage.app_with("never", &["ENV NEVER_READY=1"]);
    let commit = |name: &str, image: &str, more: &str| {
        let manifest = stage.manifest(&[(name, image)], more);
        let compose = stage.web("").replace("  web:\n", &format!("  {name}:\n"));
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        stage.commit(name, &files);
    };
    commit("web", &v1, "");
    stage.reconcile();
    stage.serves("v1");
    let (old, before) = (stage.container("web"), stage.snapshot());

    commit("front", &v2, "");
    let remove = format!("docker rm -f {old}");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&old, "has port", "prune: true", &remove]);
    stage.unchanged(&before);

    // What had the port has it again when the new one is not up.
    let id = stage.id("web");
    commit("front", &never, "prune: true\n");
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["rolled back", "front is not up"]);
    stage.serves("v1");
    assert_eq!((stage.id("web"), stage.names().len()), (id, 1));

    commit("front", &v2, "prune: true\n");
    stage.reconcile();
    stage.serves("v2");
    assert_eq!(stage.names(), [stage.container("front")]);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    assert!(docker(&["ps", "--all", "--quiet", "--filter", &format!("name={old}")]).is_empty());
}
