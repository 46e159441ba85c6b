use proptest::prelude::*;

use super::*;
use crate::yaml::parse;

fn found(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    check(&parse("c.yaml", text.as_bytes()).unwrap(), &mut findings);
    findings.iter().map(ToString::to_string).collect()
}

fn service(keys: &str) -> String {
    format!("services: {{a: {{image: x, {keys}}}}}")
}

#[test]
fn takes_what_the_specification_defines() {
    for keys in [
        "environment: {A: 1, B: true, C: null, D: 1.5}, labels: ['a=b', 'c']",
        "command: null, entrypoint: [a, b]",
        "command: 'a b', pid: null, deploy: null, develop: null",
        "ports: [80, '80', {target: 1, published: 2}, {target: '1'}], x-a: {b: c}",
        "cpu_count: 0, cpu_percent: 100, oom_score_adj: -1000, cpus: 1.5, scale: '2'",
        "depends_on: {b: {condition: service_healthy, restart: 'true', required: false}}",
        "depends_on: [b, c], networks: {n: null, m: {aliases: [x], priority: 1.0}}",
        "volumes: ['a:/b', {type: tmpfs, tmpfs: {size: 5, mode: 0o777}}]",
        "ulimits: {nofile: 5, RTPRIO: {soft: 1, hard: '2'}}, gpus: all",
        "gpus: [{count: 1, other: [key]}], logging: {options: {a: null, b: 1}}",
        "pull_policy: every_12h, container_name: '/ab', cgroup: host, use_api_socket: true",
        "pre_start: [{image: i, per_replica: true}], post_start: [{command: null}]",
        "storage_opt: {a: {b: c}}, extra_hosts: {a: [b, b], c: d}, mem_reservation: 2.0",
        "build: {no_cache_filter: a, ssh: {default: null}}, provider: {type: t, options: {a: [1]}}",
        "env_file: [a, {path: b, required: 'no', format: raw}], dns: [], expose: [80, '80']",
    ] {
        assert_eq!(found(&service(keys)), [""; 0], "{keys}");
    }
    for file in [
        "{}",
        "{version: '3', name: a, x-y: [1], include: [a, {path: [b], env_file: c}]}",
        "{networks: {n: null, 'a b': {external: {name: x}}}, volumes: {v: null}}",
        "{secrets: {s: {external: {name: x, more: y}}}, configs: {c: {content: x}}}",
        "{models: {m: {model: x, runtime_flags: [a]}}, services: {a.b-c_1: {}}}",
    ] {
        assert_eq!(found(file), [""; 0], "{file}");
    }
}

fn refuse(cases: &[(&str, &str)]) {
    for (keys, expected) in cases {
        assert_eq!(found(&service(keys)), [*expected], "{keys}");
    }
}

#[test]
fn refuses_wrong_types_in_a_service() {
    refuse(&[
        (
            "imgae: y",
            "c.yaml:1:26: services.a: unknown key \"imgae\"\n  hint: did you mean \"image\"?",
        ),
        (
            "zzz: y",
            "c.yaml:1:26: services.a: unknown key \"zzz\"\n  hint: take it out, or write x-zzz, which means nothing to Compose",
        ),
        (
            "hostname: [a]",
            "c.yaml:1:36: services.a.hostname must be a string, not a list\n  hint: write one value, without dash and brackets",
        ),
        (
            "user: 1000",
            "c.yaml:1:32: services.a.user must be a string, not an integer\n  \
             hint: put quotes around the value",
        ),
        (
            "ports: null",
            "c.yaml:1:33: services.a.ports must be a list, not nothing\n  \
             hint: write a value, or take the key out",
        ),
        (
            "environment: 'A=b'",
            "c.yaml:1:39: services.a.environment must be a mapping or a list, not a string\n  hint: write a list: [VALUE]",
        ),
        (
            "environment: {A: [b]}",
            "c.yaml:1:43: services.a.environment.A must be a string, a number, a boolean or \
             nothing, not a list\n  hint: write one value, without dash and brackets",
        ),
        (
            "command: [a, 1]",
            "c.yaml:1:39: services.a.command[1] must be a string, not an integer\n  \
             hint: put quotes around the value",
        ),
    ]);
}

#[test]
fn refuses_values_that_do_not_fit() {
    refuse(&[
        (
            "cgroup: privat",
            "c.yaml:1:34: services.a.cgroup must be one of host, private\n  \
             hint: did you mean \"private\"?",
        ),
        (
            "container_name: z",
            "c.yaml:1:42: services.a.container_name is not one that Compose takes\n  hint: write \
             two or more letters, digits, '.', '_' or '-', beginning with a letter or digit",
        ),
        (
            "cpu_percent: 101",
            "c.yaml:1:39: services.a.cpu_percent must be between 0 and 100\n  hint: write a number: between 0 and 100",
        ),
        (
            "oom_score_adj: 1e9",
            "c.yaml:1:41: services.a.oom_score_adj must be between -1000 and 1000\n  hint: write a number: between -1000 and 1000",
        ),
        (
            "cpu_count: -1",
            "c.yaml:1:37: services.a.cpu_count must be 0 or more\n  hint: write a number: 0 or more",
        ),
        (
            "depends_on: {b: {}}",
            "c.yaml:1:42: services.a.depends_on.b: the key \"condition\" is missing\n  \
             hint: add condition: service_started",
        ),
        (
            "cap_add: [A, B, A]",
            "c.yaml:1:42: services.a.cap_add[2] stands in the list already\n  \
             hint: take one of the two out",
        ),
        (
            "ports: [{target: 1, published: 2}, {published: 2, target: 1}]",
            "c.yaml:1:61: services.a.ports[1] stands in the list already\n  \
             hint: take one of the two out",
        ),
        (
            "networks: {'a b': null}",
            "c.yaml:1:37: services.a.networks: \"a b\" can't be a name\n  hint: names are made of \
             letters, digits, '.', '_' and '-'",
        ),
        (
            "labels: {'': x}",
            "c.yaml:1:35: services.a.labels: a name is empty\n  \
             hint: write a name before the colon",
        ),
        (
            "healthcheck: [CMD, x]",
            "c.yaml:1:39: services.a.healthcheck must be a mapping, not a list\n  hint: write a mapping: KEY: VALUE",
        ),
        (
            "pull_policy: every_x",
            "c.yaml:1:39: services.a.pull_policy is not one that Compose takes\n  hint: write \
             always, never, missing, if_not_present, build, refresh, daily, weekly or a time such \
             as every_12h",
        ),
        (
            "mem_reservation: 1.5",
            "c.yaml:1:43: services.a.mem_reservation must be an integer or a string, not a \
             number\n  hint: put quotes around the value",
        ),
        (
            "use_api_socket: 'true'",
            "c.yaml:1:42: services.a.use_api_socket must be a boolean, not a string\n  hint: take the quotes away, or write a value of that type",
        ),
    ]);
}

#[test]
fn refuses_at_the_top() {
    for (file, expected) in [
        (
            "[a]",
            "c.yaml:1:1: the file must be a mapping, not a list\n  hint: write a mapping: KEY: VALUE",
        ),
        (
            "{servces: {}}",
            "c.yaml:1:2: unknown key \"servces\"\n  hint: did you mean \"services\"?",
        ),
        (
            "{version: 3.8}",
            "c.yaml:1:11: version must be a string, not a number\n  \
             hint: put quotes around the value",
        ),
        (
            "{services: {a: null}}",
            "c.yaml:1:16: services.a must be a mapping, not nothing\n  \
             hint: write a value, or take the key out",
        ),
        (
            "{networks: {n: {drivr: x}}}",
            "c.yaml:1:17: networks.n: unknown key \"drivr\"\n  hint: did you mean \"driver\"?",
        ),
        (
            "{volumes: {v: {external: {nam: x}}}}",
            "c.yaml:1:27: volumes.v.external: unknown key \"nam\"\n  hint: did you mean \"name\"?",
        ),
        (
            "{models: {m: {}}}",
            "c.yaml:1:14: models.m: the key \"model\" is missing\n  hint: add model: VALUE",
        ),
    ] {
        assert_eq!(found(file), [expected], "{file}");
    }
}

#[test]
fn stops_at_what_a_person_can_read() {
    let keys: Vec<String> = (0..1000).map(|i| format!("k{i}: 1")).collect();
    assert_eq!(found(&service(&keys.join(", "))).len(), MAX_FINDINGS);
}

#[test]
fn every_listed_key_is_listed_once() {
    fn walk(rule: &Rule) {
        match rule {
            Rule::Object(object) => {
                let keys: BTreeSet<&str> = object.keys.iter().map(|(key, _)| *key).collect();
                assert_eq!(keys.len(), object.keys.len(), "{keys:?}");
                assert!(object.required.iter().all(|key| keys.contains(key)));
                object.keys.iter().for_each(|(_, rule)| walk(rule));
            }
            Rule::Map(_, rule) | Rule::List(rule) | Rule::Set(rule) => walk(rule),
            Rule::Either(rules) => rules.iter().for_each(walk),
            Rule::Any | Rule::Scalar(_) | Rule::Word(_) | Rule::Pattern(_) | Rule::Within(_) => {}
        }
    }
    walk(&top::FILE);
}

proptest! {
    #[test]
    fn never_panics(key in "[a-z_]{1,12}", value in "[0-9a-z.:\\[\\]{}, -]{0,20}") {
        if let Ok(node) = parse("c.yaml", service(&format!("{key}: {value}")).as_bytes()) {
            check(&node, &mut Vec::new());
        }
    }
}
