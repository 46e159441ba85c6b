use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    #[serde(default)]
    ready: Vec<Ready>,
    #[serde(default)]
    smoke: Vec<Smoke>,
}

fn read(text: &str) -> Lists {
    crate::document::read("m.yaml", text.as_bytes(), &[]).unwrap()
}

fn refused(text: &str) -> String {
    let lists = crate::document::read::<Lists>("m.yaml", text.as_bytes(), &[]);
    lists.unwrap_err().to_string()
}

/// Refuses one ready check, written as a flow mapping.
fn ready(fields: &str) -> String {
    refused(&format!("ready: [{{service: web, {fields}}}]"))
}

fn smoke(fields: &str) -> String {
    refused(&format!("smoke: [{{{fields}}}]"))
}

type Refused = fn(&str) -> String;

/// Returns what is said of each, a line or two for each.
fn table(rows: &[(Refused, &str)]) -> String {
    let said = rows.iter().map(|(refused, fields)| refused(fields));
    said.collect::<Vec<_>>().join("\n")
}

const ALL: &str = r#"
ready:
  - {service: backend, http: /readyz?deep=1, port: 4000, status: 204, contains: ok, json: {/status: healthy, /db/ok: true, "": null}, timeout: 90s}
  - {service: db, tcp: 5432, timeout: 30s}
  - {service: worker, exec: [/app/check, two words]}
smoke:
  - {http: "http://127.0.0.1/api/health", latency: {at_most: 2.0}}
  - {http: "https://shop.example/", timeout: 5s, latency: {samples: 5, at_most: 1.5}}
  - {tcp: "127.0.0.1:5432"}
  - {tcp: "[::1]:5432"}
  - {exec: [/app/smoke], service: backend}
"#;

#[test]
fn the_printed_form_says_what_is_asked_and_how_long() {
    let lists = read(ALL);
    let lines = |one: &dyn fmt::Display| one.to_string();
    let ready: Vec<String> = lists.ready.iter().map(|one| lines(one)).collect();
    let smoke: Vec<String> = lists.smoke.iter().map(|one| lines(one)).collect();
    assert_eq!(
        ready,
        [
            "GET :4000/readyz?deep=1 ≤ 1m 30s",
            "tcp :5432 ≤ 30s",
            "exec /app/check 'two words' ≤ 1m",
        ]
    );
    assert_eq!(
        smoke,
        [
            "GET http://127.0.0.1/api/health ≤ 30s, at most 2 × as slow",
            "GET https://shop.example/ ≤ 5s, at most 1.5 × as slow",
            "tcp 127.0.0.1:5432 ≤ 30s",
            "tcp [::1]:5432 ≤ 30s",
            "exec /app/smoke in backend ≤ 30s",
        ]
    );
}

#[test]
fn what_is_wanted_of_an_answer_is_read() {
    let lists = read(ALL);
    let ServiceProbe::Http { answer, .. } = &lists.ready[0].probe else {
        panic!("{:?}", lists.ready[0]);
    };
    assert_eq!(answer.status, WantedStatus::Exactly(204));
    assert_eq!(answer.contains.as_deref(), Some("ok"));
    let json: Vec<String> = answer
        .json
        .iter()
        .map(|(pointer, value)| format!("{pointer}={value}"))
        .collect();
    assert_eq!(json, ["=null", "/db/ok=true", "/status=\"healthy\""]);
    let SmokeProbe::Http { answer, .. } = &lists.smoke[0].probe else {
        panic!("{:?}", lists.smoke[0]);
    };
    assert_eq!(*answer, Answer::of_status(WantedStatus::SuccessOrRedirect));
    assert_eq!(lists.smoke[0].latency.unwrap().samples, 20);
}

#[test]
fn json_has_every_scalar() {
    let text = "smoke: [{http: 'http://h/', json: {/a: 1, /b: -1, /c: 1.5, /d: 'x', /e: 18446744073709551615, /f: on}}]";
    let SmokeProbe::Http { answer, .. } = &read(text).smoke[0].probe else {
        panic!("no http");
    };
    let values: Vec<String> = answer.json.values().map(Value::to_string).collect();
    assert_eq!(
        values,
        ["1", "-1", "1.5", "\"x\"", "18446744073709551615", "\"on\""]
    );
}

#[test]
fn the_status_that_nobody_named() {
    let accepted = |wanted: WantedStatus| {
        [199, 200, 299, 300, 399, 400, 503]
            .into_iter()
            .filter(|status| wanted.accepts(*status))
            .collect::<Vec<u16>>()
    };
    assert_eq!(accepted(WantedStatus::Success), [200, 299]);
    assert_eq!(
        accepted(WantedStatus::SuccessOrRedirect),
        [200, 299, 300, 399]
    );
    assert_eq!(accepted(WantedStatus::Exactly(503)), [503]);
}

#[test]
fn slower_counts_above_the_factor_and_the_floor() {
    let latency = Latency {
        samples: 20,
        at_most: 2.0,
    };
    let ms = Duration::from_millis;
    assert_eq!(latency.verdict(ms(12), ms(12)), None);
    assert_eq!(latency.verdict(ms(1), ms(21)), None, "the floor");
    assert_eq!(latency.verdict(ms(100), ms(200)), None, "the factor");
    assert_eq!(latency.verdict(ms(48), ms(12)), None, "faster");
    insta::assert_snapshot!(
        latency.verdict(ms(12), ms(48)).unwrap(),
        @"median 48 ms, was 12 ms before: more than 2 × as slow"
    );
    insta::assert_snapshot!(
        latency.verdict(Duration::from_micros(1250), ms(48)).unwrap(),
        @"median 48 ms, was 1.2 ms before: more than 2 × as slow"
    );
}

#[test]
fn exactly_one_probe_with_what_belongs_to_it() {
    let said = table(&[
        (ready, "timeout: 3s"),
        (ready, "http: /, port: 80, tcp: 80"),
        (ready, "http: /"),
        (ready, "tcp: 80, port: 80"),
        (ready, "exec: [a], contains: ok"),
        (ready, "tcp: 80, json: {/a: 1}"),
        (smoke, "exec: [a]"),
        (smoke, "http: 'http://h/', service: web"),
        (smoke, "tcp: 'h:1', latency: {at_most: 2}"),
        (smoke, "http: 'http://h/', tcp: 'h:1'"),
    ]);
    insta::assert_snapshot!(said, @"
    m.yaml:1:9: ready[0]: a check has exactly one of http, tcp and exec
    m.yaml:1:9: ready[0]: a check has exactly one of http, tcp and exec
    m.yaml:1:9: ready[0]: http needs the port inside the container, as in port: 8080
    m.yaml:1:9: ready[0]: port belongs to http; a check by tcp has none
    m.yaml:1:9: ready[0]: contains belongs to http; a check by exec has none
    m.yaml:1:9: ready[0]: json belongs to http; a check by tcp has none
    m.yaml:1:9: smoke[0]: exec needs the service that it runs in, as in service: web
    m.yaml:1:9: smoke[0]: service belongs to exec; a check by http has none
    m.yaml:1:9: smoke[0]: latency belongs to http; a check by tcp has none
    m.yaml:1:9: smoke[0]: a check has exactly one of http, tcp and exec
    ");
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let said = table(&[
        (ready, "http: readyz, port: 80"),
        (ready, "http: '/a b', port: 80"),
        (ready, "http: '/\\evil', port: 80"),
        (ready, "http: /, port: 0"),
        (ready, "http: /, port: 80, status: 42"),
        (ready, "http: /, port: 80, contains: ''"),
        (ready, "http: /, port: 80, json: {db/ok: true}"),
        (ready, "http: /, port: 80, json: {/a~b: true}"),
        (ready, "http: /, port: 80, json: {/a: [1]}"),
        (ready, "http: /, port: 80, json: {/a: .nan}"),
        (ready, "exec: []"),
        (ready, "exec: [a], timeout: 0s"),
        (ready, "exec: [a], timeout: 2h"),
        (ready, "exec: [a], timout: 2s"),
        (smoke, "http: 'ftp://h/'"),
        (smoke, "http: h/"),
        (smoke, "tcp: '5432'"),
        (smoke, "tcp: '::1:5432'"),
        (smoke, "tcp: 'h:0'"),
        (smoke, "http: 'http://h/', latency: {at_most: 1}"),
        (smoke, "http: 'http://h/', latency: {at_most: .nan}"),
        (
            smoke,
            "http: 'http://h/', latency: {at_most: 2, samples: 1}",
        ),
    ]);
    insta::assert_snapshot!(said, @r#"
    m.yaml:1:9: ready[0]: "readyz" is not a path: it begins with / and has no space, # or backslash; the service is asked on its own address
    m.yaml:1:9: ready[0]: "/a b" is not a path: it begins with / and has no space, # or backslash; the service is asked on its own address
    m.yaml:1:9: ready[0]: "/\\evil" is not a path: it begins with / and has no space, # or backslash; the service is asked on its own address
    m.yaml:1:39: ready[0].port: invalid value: integer `0`, expected a nonzero u16
    m.yaml:1:9: ready[0]: status 42 is not between 100 and 599
    m.yaml:1:9: ready[0]: contains is empty; every body contains nothing
    m.yaml:1:9: ready[0]: "db/ok" is not a JSON pointer: it begins with /, as in /db/ok
    m.yaml:1:9: ready[0]: "/a~b" is not a JSON pointer: ~ is written ~0, and / inside a name ~1
    m.yaml:1:54: ready[0].json./a: a value must be null, true/false, a number or text; name what is inside a list or an object by a longer pointer
    m.yaml:1:9: ready[0]: JSON has no number NaN
    m.yaml:1:9: ready[0]: exec names a program and its arguments, as in [/app/check, --quick]
    m.yaml:1:44: ready[0].timeout: a timeout of 0s is not between 1s and 1h
    m.yaml:1:44: ready[0].timeout: a timeout of 2h is not between 1s and 1h
    m.yaml:1:35: ready[0]: unknown key "timout"
      hint: did you mean "timeout"?
    m.yaml:1:9: smoke[0]: "ftp://h/" must begin with http:// or https://
    m.yaml:1:9: smoke[0]: "h/" is not an address: relative URL without a base; write it as http://127.0.0.1/health
    m.yaml:1:9: smoke[0]: "5432" is not host and port, as in 127.0.0.1:5432 or [::1]:5432
    m.yaml:1:9: smoke[0]: "::1:5432" is not host and port, as in 127.0.0.1:5432 or [::1]:5432
    m.yaml:1:9: smoke[0]: "h:0" is not host and port, as in 127.0.0.1:5432 or [::1]:5432
    m.yaml:1:9: smoke[0]: at_most: 1 must be more than 1 and at most 100: the factor by which the median may grow
    m.yaml:1:9: smoke[0]: at_most: NaN must be more than 1 and at most 100: the factor by which the median may grow
    m.yaml:1:9: smoke[0]: samples: 1 is not between 3 and 200
    "#);
}

#[test]
fn credentials_in_an_address_are_refused_and_not_repeated() {
    for address in [
        "http://user:hunter22@h/",
        "http://hunter22@h/",
        "ftp://:hunter22@h/",
        "http://user:hunter22@[h/",
    ] {
        let said = smoke(&format!("http: '{address}'"));
        assert!(
            said.contains("the address") || said.contains("credentials"),
            "{said}"
        );
        assert!(!said.contains("hunter22"), "{said}");
    }
}
