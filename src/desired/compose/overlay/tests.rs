use super::*;
use crate::yaml::parse;

fn node(text: &str) -> Node {
    parse("c.yaml", text.as_bytes()).unwrap()
}

fn of_service(base: &str, over: &str) -> Result<Node, Diagnostic> {
    service("a", node(base), node(over))
}

#[test]
fn values_of_a_service() {
    for (base, over, expected) in [
        ("{image: x, user: u}", "{image: y}", "{image: y, user: u}"),
        ("{ports: ['1']}", "{ports: ['2']}", "{ports: ['1', '2']}"),
        ("{image: x}", "{image: }", "{image: x}"),
        ("{image: }", "{image: y}", "{image: y}"),
        // Replaced as a whole.
        ("{command: [a, b]}", "{command: c}", "{command: c}"),
        ("{command: [a, b]}", "{command: }", "{command: }"),
        ("{entrypoint: x}", "{entrypoint: [y]}", "{entrypoint: [y]}"),
        (
            "{healthcheck: {test: [CMD, a], interval: 1s}}",
            "{healthcheck: {test: b}}",
            "{healthcheck: {test: b, interval: 1s}}",
        ),
        (
            "{ulimits: {nofile: {soft: 1, hard: 2}}}",
            "{ulimits: {nofile: {soft: 3}, core: 1}}",
            "{ulimits: {nofile: {soft: 3}, core: 1}}",
        ),
        // Lists of texts.
        (
            "{environment: {B: 1, A: x, C: }}",
            "{environment: [A=y, D]}",
            "{environment: [A=x, B=1, C, A=y, D]}",
        ),
        (
            "{dns: 1.1.1.1}",
            "{dns: [8.8.8.8]}",
            "{dns: [1.1.1.1, 8.8.8.8]}",
        ),
        ("{env_file: a}", "{env_file: }", "{env_file: [a]}"),
        (
            "{labels: {F: 1e6, T: true}}",
            "{labels: {}}",
            "{labels: [F=1e+06, T=true]}",
        ),
        (
            "{extra_hosts: {a: [1.1.1.1, 2.2.2.2]}}",
            "{extra_hosts: ['a=1.1.1.1', 'b=1']}",
            "{extra_hosts: ['a=1.1.1.1', 'a=2.2.2.2', 'b=1']}",
        ),
        // Short forms become mappings.
        (
            "{build: .}",
            "{build: {target: t}}",
            "{build: {context: ., target: t}}",
        ),
        (
            "{build: {target: t}}",
            "{build: x}",
            "{build: {target: t, context: x}}",
        ),
        (
            "{depends_on: [x]}",
            "{depends_on: {x: {condition: service_healthy}, y: {condition: z}}}",
            "{depends_on: {x: {condition: service_healthy, required: true}, y: {condition: z}}}",
        ),
        (
            "{networks: [x]}",
            "{networks: {x: {aliases: [b]}}}",
            "{networks: {x: {aliases: [b]}}}",
        ),
        (
            "{networks: {x: {aliases: [b]}}}",
            "{networks: [x, y]}",
            "{networks: {x: {aliases: [b]}, y: }}",
        ),
        ("{models: [x]}", "{models: [y]}", "{models: {x: , y: }}"),
        // The options of a log driver.
        (
            "{logging: {driver: a, options: {x: '1'}}}",
            "{logging: {options: {y: '1'}}}",
            "{logging: {driver: a, options: {x: '1', y: '1'}}}",
        ),
        (
            "{logging: {driver: a, options: {x: '1'}}}",
            "{logging: {driver: b}}",
            "{logging: {driver: b}}",
        ),
    ] {
        let merged = of_service(base, over).unwrap();
        assert!(
            merged.same_value(&node(expected)),
            "{base} + {over} = {merged:?}"
        );
    }
}

#[test]
fn address_pools_join_by_their_subnet() {
    let pools = |text: &str| node(&format!("networks: {{n: {{ipam: {{config: {text}}}}}}}"));
    for (base, over, expected) in [
        (
            "[{subnet: a, x: 1}]",
            "[{subnet: a, y: 2}]",
            "[{subnet: a, x: 1, y: 2}]",
        ),
        ("[{subnet: a}]", "[{subnet: b}]", "[{subnet: b}]"),
        (
            "[{subnet: a, x: 1}, {subnet: b}]",
            "[{subnet: a, y: 2}, {subnet: b, y: 3}]",
            "[{subnet: b, y: 3}, {subnet: b, y: 3}]",
        ),
    ] {
        let mut merged = pools(base);
        file(&mut merged, pools(over)).unwrap();
        let got = merged.at(&["networks", "n", "ipam", "config"]).unwrap();
        assert!(got.same_value(&node(expected)), "{base} + {over} = {got:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_both_places() {
    let refused = |base, over| of_service(base, over).unwrap_err().message;
    insta::assert_snapshot!(refused("{ports: [1]}", "{ports: 2}"), @"services.a.ports is an integer here and a list in c.yaml:1:9, so that they can't be merged");
    insta::assert_snapshot!(refused("{networks: [1]}", "{networks: [x]}"), @"services.a.networks must have names only");
    insta::assert_snapshot!(refused("{labels: {a: {b: c}}}", "{labels: {}}"), @"services.a.labels must have texts only, not a mapping");
    insta::assert_snapshot!(refused("{logging: {driver: a}}", "{logging: }"), @"services.a.logging is nothing here and a mapping in c.yaml:1:11, so that they can't be merged");
}
