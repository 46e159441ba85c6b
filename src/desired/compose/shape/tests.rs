use proptest::prelude::*;

use super::*;
use crate::desired::compose::json;
use crate::yaml::parse;

fn shaped(text: &str) -> (Node, Vec<String>) {
    let mut tree = parse("c.yaml", text.as_bytes()).unwrap();
    let mut findings = Vec::new();
    shape(&mut tree, &mut findings);
    let findings = findings.iter().map(ToString::to_string).collect();
    (tree, findings)
}

/// Returns a service as Go prints it, without what every service has.
fn printed(keys: &str) -> String {
    let (tree, findings) = shaped(&format!("services: {{a: {{{keys}}}}}"));
    assert_eq!(findings, [""; 0], "{keys}");
    let text = json::compact(tree.at(&["services", "a"]).unwrap());
    text.replace(r#""command":null,"#, "")
        .replace(r#","entrypoint":null"#, "")
        .replace(r#""entrypoint":null,"#, "")
        .replace(r#""entrypoint":null"#, "")
}

fn print_as_go_does(cases: &[(&str, &str)]) {
    for (keys, expected) in cases {
        assert_eq!(printed(keys), *expected, "{keys}");
    }
}

#[test]
fn prints_values_as_go_does() {
    print_as_go_does(&[
        ("", "{}"),
        (
            "working_dir: /w, image: i, cap_add: [A], annotations: {b: 1, a: null}",
            r#"{"annotations":{"a":"","b":"1"},"cap_add":["A"],"image":"i","working_dir":"/w"}"#,
        ),
        (
            "image: '', tty: false, init: false, attach: 'no', scale: 0, cpu_shares: 0, labels: {}",
            r#"{"attach":false,"init":false,"scale":0}"#,
        ),
        (
            "cpus: 0.1, cpu_percent: 50.0, cpu_shares: 1.9, cpuset: ''",
            r#"{"cpu_percent":50,"cpus":0.1,"cpu_shares":1}"#,
        ),
        (
            "mem_limit: 1k, memswap_limit: -1, shm_size: 1024, mem_reservation: 0",
            r#"{"mem_limit":"1024","memswap_limit":"-1","shm_size":"1024"}"#,
        ),
        ("mem_limit: 1.5", "{}"),
        (
            "stop_grace_period: 1d2h, healthcheck: {interval: 0s, test: a b, disable: false}",
            r#"{"healthcheck":{"test":["CMD-SHELL","a b"],"interval":"0s"},"stop_grace_period":"26h0m0s"}"#,
        ),
        ("healthcheck: {}", r#"{"healthcheck":{}}"#),
        (
            "healthcheck: {test: [], retries: 0}",
            r#"{"healthcheck":{"retries":0}}"#,
        ),
        (
            "environment: [B=2, A, 'C='], labels: [b, 'a=1']",
            r#"{"environment":{"A":null,"B":"2","C":""},"labels":{"a":"1","b":""}}"#,
        ),
        (
            "environment: {A: 1.10, B: true, C: 1e21, D: null}",
            r#"{"environment":{"A":"1.1","B":"true","C":"1e+21","D":null}}"#,
        ),
        (
            "extra_hosts: ['b:[::1]', 'a=1,2', 'b=0']",
            r#"{"extra_hosts":["a=1","a=2","b=0","b=::1"]}"#,
        ),
        (
            "extra_hosts: {b: '1', a: ['[::1]', '2,3']}",
            r#"{"extra_hosts":["a=2,3","a=::1","b=1"]}"#,
        ),
    ]);
}

#[test]
fn prints_structures_as_go_does() {
    print_as_go_does(&[
        (
            "ulimits: {a: 1, b: {soft: 1, hard: 2}, c: 0, d: {hard: 0, soft: 3}}",
            r#"{"ulimits":{"a":1,"b":{"soft":1,"hard":2},"c":{},"d":{"soft":3}}}"#,
        ),
        (
            "deploy: {}",
            r#"{"deploy":{"resources":{},"placement":{}}}"#,
        ),
        ("deploy: null, develop: null, pid: null", "{}"),
        (
            "deploy: {replicas: 0, resources: {limits: {cpus: '0.50', memory: 1m, pids: 5}}}",
            r#"{"deploy":{"replicas":0,"resources":{"limits":{"cpus":0.5,"memory":"1048576","pids":5}},"placement":{}}}"#,
        ),
        (
            "deploy: {update_config: {delay: 0s, monitor: 5s, max_failure_ratio: 0.1}, restart_policy: {delay: 0s}}",
            r#"{"deploy":{"update_config":{"monitor":"5s","max_failure_ratio":0.1},"resources":{},"restart_policy":{"delay":"0s"},"placement":{}}}"#,
        ),
        (
            "deploy: {resources: {reservations: {devices: [{count: all, capabilities: [gpu]}], generic_resources: [{discrete_resource_spec: {value: 2}}]}}}",
            r#"{"deploy":{"resources":{"reservations":{"devices":[{"capabilities":["gpu"],"count":-1}],"generic_resources":[{"discrete_resource_spec":{"kind":"","value":2}}]}},"placement":{}}}"#,
        ),
        (
            "secrets: [{source: s, mode: 0o440}, {source: t, mode: '0400', uid: '1'}]",
            r#"{"secrets":[{"source":"s","mode":"0440"},{"source":"t","uid":"1","mode":"0400"}]}"#,
        ),
        (
            "ports: [{published: 80, target: 8.0, name: x, x-a: 1}]",
            r#"{"ports":[{"name":"x","target":8,"published":"80"}]}"#,
        ),
        (
            "volumes: [{target: /a, type: volume, volume: {}}, {type: tmpfs, tmpfs: {mode: 0o777, size: 1k}}]",
            r#"{"volumes":[{"type":"volume","target":"/a","volume":{}},{"type":"tmpfs","tmpfs":{"size":"1024","mode":511}}]}"#,
        ),
        (
            "depends_on: {b: {required: false, condition: c}, a: {restart: 'yes', required: true}}",
            r#"{"depends_on":{"a":{"restart":true,"required":true},"b":{"condition":"c","required":false}}}"#,
        ),
        (
            "networks: {b: null, a: {priority: 1.0, aliases: []}}",
            r#"{"networks":{"a":{"priority":1},"b":null}}"#,
        ),
        (
            "env_file: [{path: a, required: true, format: raw}, {path: b, required: 'no', format: raw}]",
            r#"{"env_file":["a",{"path":"b","required":false,"format":"raw"}]}"#,
        ),
        (
            "build: {context: ., ssh: {default: null, a: /b}, no_cache: 'true', args: [A]}",
            r#"{"build":{"context":".","args":{"A":null},"ssh":["a=/b","default"],"no_cache":true}}"#,
        ),
        (
            "blkio_config: {weight: 300, device_read_bps: [{rate: 1k, path: /a}], weight_device: [{}]}",
            r#"{"blkio_config":{"weight":300,"weight_device":[{"Path":"","Weight":0}],"device_read_bps":[{"Path":"/a","Rate":"1024"}]}}"#,
        ),
        (
            "provider: {type: t, options: {b: [1, x], a: true}}",
            r#"{"provider":{"type":"t","options":{"a":["true"],"b":["1","x"]}}}"#,
        ),
        (
            "expose: [80, '81', 1.5], group_add: [1, a], dns: 1.1.1.1, tmpfs: /a",
            r#"{"dns":["1.1.1.1"],"expose":["80","81","1.5"],"group_add":["1","a"],"tmpfs":["/a"]}"#,
        ),
        (
            "storage_opt: {size: 1, b: x, c: null}, logging: {options: {max: 1, n: null}}",
            r#"{"logging":{"options":{"max":"1","n":""}},"storage_opt":{"b":"x","c":"","size":"1"}}"#,
        ),
        (
            "post_start: [{command: a b, environment: [X=1]}], x-y: {z: 1}",
            r#"{"post_start":[{"command":["a","b"],"environment":{"X":"1"}}]}"#,
        ),
    ]);
}

#[test]
fn commands_are_null_empty_or_words() {
    for (keys, expected) in [
        ("", r#"{"command":null,"entrypoint":null}"#),
        (
            "command: null, entrypoint: []",
            r#"{"command":null,"entrypoint":[]}"#,
        ),
        (
            "command: '', entrypoint: sh -c 'a b'",
            r#"{"command":[],"entrypoint":["sh","-c","a b"]}"#,
        ),
        (
            "develop: {watch: [{path: ., action: sync}]}",
            r#"{"develop":{"watch":[{"path":".","action":"sync","exec":{"command":null}}]},"command":null,"entrypoint":null}"#,
        ),
    ] {
        let (tree, _) = shaped(&format!("services: {{a: {{{keys}}}}}"));
        let service = tree.at(&["services", "a"]).unwrap();
        assert_eq!(json::compact(service), expected, "{keys}");
    }
}

#[test]
fn prints_the_top_as_go_does() {
    for (file, expected) in [
        (
            "{x-b: {z: 1, a: [{c: 1, b: 2}]}, services: {}, name: n, version: '3', models: {m: {}}}",
            r#"{"name":"n","services":{},"x-b":{"a":[{"b":2,"c":1}],"z":1}}"#,
        ),
        (
            "{networks: {b: null, a: {ipam: {driver: d, options: {x: y}, config: [{gateway: g, subnet: s}, null]}, enable_ipv6: false, external: false}}}",
            r#"{"networks":{"a":{"ipam":{"driver":"d","config":[{"subnet":"s","gateway":"g"},null]},"enable_ipv6":false},"b":{"ipam":{}}}}"#,
        ),
        (
            "{volumes: {v: null, u: {driver_opts: {a: 1.5, b: true}, external: true}}, secrets: {}}",
            r#"{"volumes":{"u":{"driver_opts":{"a":"1.5","b":"true"},"external":true},"v":{}}}"#,
        ),
        (
            "{configs: {c: {content: x, name: n, labels: [a]}}}",
            r#"{"configs":{"c":{"name":"n","content":"x","labels":{"a":""}}}}"#,
        ),
    ] {
        let (tree, findings) = shaped(file);
        assert_eq!(findings, [""; 0], "{file}");
        assert_eq!(json::compact(&tree), expected, "{file}");
    }
}

#[test]
fn refuses_what_gos_types_refuse() {
    for (keys, expected) in [
        (
            "mem_limit: lots",
            "c.yaml:1:27: services.a.mem_limit: not a size\n  hint: write a size such as 512m, 1.5g or 1073741824",
        ),
        (
            "stop_grace_period: abc",
            "c.yaml:1:35: services.a.stop_grace_period: not a time\n  hint: write a time such as 1m30s \
             or 500ms",
        ),
        (
            "blkio_config: {weight: '300'}",
            "c.yaml:1:39: services.a.blkio_config.weight: expected a whole number, not a string\n  \
             hint: take the quotes away: 3",
        ),
        (
            "healthcheck: {retries: -1}",
            "c.yaml:1:39: services.a.healthcheck.retries: the number is negative\n  hint: write 0 or more",
        ),
        (
            "ports: [{target: 5000000000}]",
            "c.yaml:1:33: services.a.ports[0].target: the number is too large\n  hint: write 4294967295 or less",
        ),
        (
            "environment: ['A =1']",
            "c.yaml:1:29: services.a.environment: the name \"A \" ends in a space\n  hint: write NAME=VALUE without spaces around `=`",
        ),
        (
            "secrets: [{mode: 1.5}]",
            "c.yaml:1:33: services.a.secrets[0].mode: not the mode of a file\n  \
             hint: write the mode in octal and in quotes, such as \"0440\"",
        ),
        (
            "gpus: [{count: some}]",
            "c.yaml:1:31: services.a.gpus[0].count: not a number of devices\n  hint: write all, or 1",
        ),
        (
            "storage_opt: {a: true}",
            "c.yaml:1:29: services.a.storage_opt: a: expected a string, not a boolean\n  hint: put quotes around the value",
        ),
        (
            "extra_hosts: [a]",
            "c.yaml:1:29: services.a.extra_hosts: an address is missing\n  hint: write HOST=ADDRESS, such as db=10.0.0.5",
        ),
        (
            "tty: maybe",
            "c.yaml:1:21: services.a.tty: neither true nor false\n  hint: write true or false",
        ),
        (
            "build: x",
            "c.yaml:1:23: services.a.build must be a mapping, not a string\n  hint: write a mapping: KEY: VALUE",
        ),
    ] {
        let (_, findings) = shaped(&format!("services: {{a: {{{keys}}}}}"));
        assert_eq!(findings, [expected], "{keys}");
    }
}

proptest! {
    #[test]
    fn what_is_shaped_may_be_shaped_again(
        key in "[a-z_]{1,12}|environment|extra_hosts|ulimits|secrets|ports|deploy|build|env_file",
        value in "[0-9a-z.:=\\[\\]{}, -]{0,20}",
    ) {
        let file = format!("services: {{a: {{{key}: {value}}}}}");
        if let Ok(mut tree) = parse("c.yaml", file.as_bytes()) {
            let mut findings = Vec::new();
            shape(&mut tree, &mut findings);
            let once = tree.clone();
            shape(&mut tree, &mut Vec::new());
            // What is refused goes no further, and has no form.
            if findings.is_empty() {
                prop_assert_eq!(json::compact(&once), json::compact(&tree));
            }
        }
    }
}
