use proptest::prelude::*;

use super::*;
use crate::yaml::parse;

fn read(text: &str) -> Node {
    parse("c.yaml", text.as_bytes()).unwrap()
}

fn service(keys: &str) -> String {
    format!("services: {{a: {{{keys}}}}}")
}

fn is_canonical(keys: &str, expected: &str) {
    let mut tree = read(&service(keys));
    let mut findings = Vec::new();
    canonical(&mut tree, &mut findings);
    assert_eq!(findings, [], "{keys}");
    assert!(
        tree.same_value(&read(&service(expected))),
        "{keys}: {tree:#?}"
    );
}

#[test]
fn short_forms_become_long() {
    for (short, long) in [
        ("build: .", "build: {context: .}"),
        (
            "build: {ssh: [default, a=/b], sbom: true, secrets: [s], additional_contexts: ['a=b']}",
            "build: {ssh: {default: null, a: /b}, sbom: 'true', secrets: [{source: s}], \
             additional_contexts: {a: b}}",
        ),
        (
            "depends_on: [b]",
            "depends_on: {b: {condition: service_started, required: true}}",
        ),
        (
            "depends_on: {b: {condition: service_healthy}}",
            "depends_on: {b: {condition: service_healthy, required: true}}",
        ),
        ("env_file: a", "env_file: [{path: a, required: true}]"),
        (
            "env_file: [a, {path: b, required: false}, {path: c}]",
            "env_file: [{path: a, required: true}, {path: b, required: false}, \
             {path: c, required: true}]",
        ),
        ("label_file: a, dns: b", "label_file: [a], dns: [b]"),
        ("extends: b", "extends: {service: b}"),
        ("gpus: all", "gpus: [{count: all}]"),
        (
            "networks: [n, m], models: [l]",
            "networks: {n: null, m: null}, models: {l: null}",
        ),
        (
            "secrets: [s, {source: t}], configs: [c]",
            "secrets: [{source: s}, {source: t}], configs: [{source: c}]",
        ),
        (
            "devices: ['/a', '/b:/c', '/d:/e:r', '/f::r', {source: /g}]",
            "devices: [{source: /a, target: /a, permissions: rwm}, \
             {source: /b, target: /c, permissions: rwm}, {source: /d, target: /e, permissions: r}, \
             {source: /f, target: /f, permissions: r}, {source: /g}]",
        ),
        (
            "develop: {watch: [{path: ., ignore: a, include: [b]}]}",
            "develop: {watch: [{path: ., ignore: [a], include: [b]}]}",
        ),
        (
            "environment: [A=1], labels: {a: 1}",
            "environment: [A=1], labels: {a: 1}",
        ),
    ] {
        is_canonical(short, long);
    }
}

#[test]
fn ports_become_long() {
    for (short, long) in [
        ("80", "{mode: ingress, target: 80, protocol: tcp}"),
        (
            "'127.0.0.1:8080:80/UDP'",
            "{mode: ingress, host_ip: 127.0.0.1, target: 80, published: '8080', protocol: udp}",
        ),
        (
            "'1-2:3-4'",
            "{mode: ingress, target: 3, published: '1', protocol: tcp}, \
             {mode: ingress, target: 4, published: '2', protocol: tcp}",
        ),
        (
            "'1-2:3'",
            "{mode: ingress, target: 3, published: 1-2, protocol: tcp}",
        ),
        ("{target: 5}", "{target: 5}"),
    ] {
        is_canonical(&format!("ports: [{short}]"), &format!("ports: [{long}]"));
    }
}

#[test]
fn volumes_become_long() {
    for (short, long) in [
        (
            "./a:/b",
            "{type: bind, source: ./a, target: /b, bind: {create_host_path: true}}",
        ),
        (
            "./a:/b/../c/:ro,Z,rslave",
            "{type: bind, source: ./a, target: /c, read_only: true, \
             bind: {selinux: Z, propagation: rslave, create_host_path: true}}",
        ),
        (
            "./a:/b:nocopy",
            "{type: bind, source: ./a, target: /b, bind: {create_host_path: true}, \
             volume: {nocopy: true}}",
        ),
        (
            "vol:/b:ro,rw",
            "{type: volume, source: vol, target: /b, volume: {}}",
        ),
        (
            "vol:/b:z,nocopy",
            "{type: volume, source: vol, target: /b, bind: {selinux: z}, volume: {nocopy: true}}",
        ),
        ("/data", "{type: volume, target: /data, volume: {}}"),
        ("/d", "{type: volume, target: /d}"),
    ] {
        is_canonical(
            &format!("volumes: ['{short}']"),
            &format!("volumes: [{long}]"),
        );
    }
}

#[test]
fn external_takes_the_name_below_it() {
    for (file, expected) in [
        (
            "networks: {n: {external: {name: x}}, m: null}",
            "networks: {n: {external: true, name: x}, m: null}",
        ),
        (
            "volumes: {v: {external: {}, name: y}}",
            "volumes: {v: {external: true, name: y}}",
        ),
        (
            "secrets: {s: {external: {name: x}, name: x}}",
            "secrets: {s: {external: true, name: x}}",
        ),
    ] {
        let mut tree = read(file);
        let mut findings = Vec::new();
        canonical(&mut tree, &mut findings);
        assert_eq!(findings, [], "{file}");
        assert!(tree.same_value(&read(expected)), "{file}: {tree:#?}");
    }
}

#[test]
fn refuses_short_forms_that_cannot_be_read() {
    for (file, expected) in [
        (
            service("ports: [1.5]"),
            "c.yaml:1:24: services.a.ports[0] is a number, no port\n  \
             hint: put quotes around it, such as \"8080:80\"",
        ),
        (
            service("ports: ['a:1']"),
            "c.yaml:1:24: services.a.ports[0]: the port on the host is not a port or range\n  \
             hint: write TARGET, PUBLISHED:TARGET or IP:PUBLISHED:TARGET, such as 8080:80 or \
             127.0.0.1:53:53/udp",
        ),
        (
            service("volumes: ['vol::/b']"),
            "c.yaml:1:26: services.a.volumes[0]: nothing stands before or after a colon\n  hint: write \
             SOURCE:TARGET or SOURCE:TARGET:OPTIONS, such as ./data:/data:ro",
        ),
        (
            service("devices: ['a:b:c:d']"),
            "c.yaml:1:26: services.a.devices[0]: there are too many colons\n  \
             hint: write the long form: source, target and permissions",
        ),
        (
            service("build: {ssh: [a]}"),
            "c.yaml:1:30: services.a.build.ssh[0]: a key without a path\n  \
             hint: write default, or ID=PATH",
        ),
        (
            service("build: {additional_contexts: [a]}"),
            "c.yaml:1:46: services.a.build.additional_contexts[0] has no value\n  \
             hint: write NAME=PATH, or a mapping of names to paths",
        ),
        (
            service("ulimits: {nofile: 1.5}"),
            "c.yaml:1:34: services.a.ulimits.nofile must be a whole number, or soft and hard of \
             such\n  hint: write 1024",
        ),
        (
            "volumes: {v: {external: {name: x}, name: y}}".to_owned(),
            "c.yaml:1:32: volumes.v has two names: name and external.name differ\n  \
             hint: write the name only once, beside \"external: true\"",
        ),
    ] {
        let mut findings = Vec::new();
        canonical(&mut read(&file), &mut findings);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, [expected], "{file}");
    }
}

#[test]
fn ranges_of_ports_have_a_budget() {
    let ranges = ["'1-65535:1-65535'"; 5].join(", ");
    let mut findings = Vec::new();
    canonical(
        &mut read(&service(&format!("ports: [{ranges}]"))),
        &mut findings,
    );
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("too many"));
}

#[test]
fn defaults_are_written_out() {
    for (before, after) in [
        ("build: {target: x}", "build: {target: x, context: .}"),
        ("build: {context: x}", "build: {context: x}"),
        (
            "secrets: [{source: s}, {source: s, target: t}]",
            "secrets: [{source: s, target: /run/secrets/s}, {source: s, target: t}]",
        ),
        (
            "ports: [{target: 1}, {protocol: udp, mode: host}]",
            "ports: [{target: 1, protocol: tcp, mode: ingress}, {protocol: udp, mode: host}]",
        ),
        (
            "gpus: [{driver: x}, {count: 1}, {device_ids: [a]}]",
            "gpus: [{driver: x, count: all}, {count: 1}, {device_ids: [a]}]",
        ),
        (
            "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}",
            "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: all}]}}}",
        ),
    ] {
        let mut tree = read(&service(before));
        defaults(&mut tree);
        assert!(
            tree.same_value(&read(&service(after))),
            "{before}: {tree:#?}"
        );
    }
}

proptest! {
    #[test]
    fn never_panics(key in "[a-z_]{1,12}", value in "[0-9a-z.:\\[\\]{}, -]{0,20}") {
        if let Ok(mut tree) = parse("c.yaml", service(&format!("{key}: {value}")).as_bytes()) {
            canonical(&mut tree, &mut Vec::new());
            defaults(&mut tree);
        }
    }
}
