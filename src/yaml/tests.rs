use std::fmt::Write as _;

use proptest::prelude::*;

use super::{parse, parse_documents};
use crate::diagnostic::Position;
use crate::yaml::{Kind, Node};

/// Shows a tree on one line: text in quotes, everything else bare, tags in front.
fn show(node: &Node) -> String {
    let tag = node
        .tag
        .as_ref()
        .map_or(String::new(), |tag| format!("{tag} "));
    let value = match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Str(text) => format!("{text:?}"),
        Kind::Float(value) => format!("{value:?}"),
        Kind::Bool(_) | Kind::Int(_) => node.go_string().unwrap(),
        Kind::Seq(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Map(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|entry| format!("{}: {}", entry.key, show(&entry.value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    };
    format!("{tag}{value}")
}

fn read(text: &str) -> String {
    show(&parse("f.yaml", text.as_bytes()).unwrap())
}

fn refused(text: &[u8]) -> String {
    let findings = parse("f.yaml", text).unwrap_err();
    let lines: Vec<String> = findings
        .0
        .iter()
        .map(|one| format!("{}: {}", one.location, one.message))
        .collect();
    lines.join("\n")
}

#[test]
fn plain_scalars_have_gos_types() {
    for (text, expected) in [
        ("", "null"),
        ("~", "null"),
        ("Null", "null"),
        ("nULL", "\"nULL\""),
        ("true", "true"),
        ("FALSE", "false"),
        ("yes", "\"yes\""),
        ("on", "\"on\""),
        ("Off", "\"Off\""),
        ("y", "\"y\""),
        ("0", "0"),
        ("-5", "-5"),
        ("+5", "5"),
        ("022", "18"),
        ("-022", "-18"),
        ("0777", "511"),
        ("08", "8.0"),
        ("0o17", "15"),
        ("0O17", "15"),
        ("-0o17", "-15"),
        ("0x1F", "31"),
        ("-0X1f", "-31"),
        ("0b101", "5"),
        ("0x", "\"0x\""),
        ("0o8", "\"0o8\""),
        ("0x-1", "\"0x-1\""),
        ("+-1", "\"+-1\""),
        ("1_000", "1000"),
        ("1_000.5", "1000.5"),
        ("0x_1F", "31"),
        ("_1", "\"_1\""),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e18"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("1.10", "1.1"),
        ("5.", "5.0"),
        (".5", "0.5"),
        (".5_5", "0.55"),
        ("._5", "\"._5\""),
        ("-.5", "-0.5"),
        (".", "\".\""),
        ("...x", "\"...x\""),
        ("1e3", "1000.0"),
        ("1E-2", "0.01"),
        ("1e", "\"1e\""),
        ("1e400", "\"1e400\""),
        (".inf", "inf"),
        ("-.INF", "-inf"),
        (".nan", "NaN"),
        ("inf", "\"inf\""),
        ("1:30", "\"1:30\""),
        ("22:22", "\"22:22\""),
        ("1.2.3.4", "\"1.2.3.4\""),
        ("--", "\"--\""),
        ("12px", "\"12px\""),
        ("2001-13-01", "\"2001-13-01\""),
        ("2001-02-30", "\"2001-02-30\""),
        ("01-02-2001", "\"01-02-2001\""),
        ("2001-01", "\"2001-01\""),
        ("2001-01-01 5", "\"2001-01-01 5\""),
        ("2001-01-01T01:02:03", "\"2001-01-01T01:02:03\""),
        ("2001-12-14 21:59:43.10 -5", "\"2001-12-14 21:59:43.10 -5\""),
    ] {
        assert_eq!(
            read(&format!("a: {text}\n")),
            format!("{{a: {expected}}}"),
            "{text}"
        );
    }
}

#[test]
fn quotes_and_blocks_make_text() {
    for (text, expected) in [
        ("'022'", "\"022\""),
        ("\"true\"", "\"true\""),
        ("'2001-01-01'", "\"2001-01-01\""),
        ("\"\\u00e9\\n\"", "\"é\\n\""),
        ("|\n  5\n", "\"5\\n\""),
        (">-\n  a\n  b\n", "\"a b\""),
        ("!!str 022", "\"022\""),
        ("!!str 2001-01-01", "\"2001-01-01\""),
        ("!!str", "\"\""),
        ("!!int \"0x10\"", "16"),
        ("!!float 5", "5.0"),
        ("!!bool 'true'", "true"),
        ("!!null ''", "null"),
        ("! 5", "5"),
        ("!!map {b: 1}", "{b: 1}"),
        ("!!seq [1]", "[1]"),
    ] {
        assert_eq!(
            read(&format!("a: {text}\n")),
            format!("{{a: {expected}}}"),
            "{text}"
        );
    }
}

#[test]
fn the_written_text_stays() {
    let node = parse("f.yaml", b"a: 0x1F\nb: 18446744073709551615\nc: '1'\n").unwrap();
    let written = |key: &str| node.at(&[key]).unwrap().written.clone().unwrap().text;
    assert_eq!(written("a"), "0x1F");
    assert_eq!(written("c"), "1");
    let big = node.at(&["b"]).unwrap().go_string();
    assert_eq!(big.as_deref(), Some("18446744073709551615"));
}

#[test]
fn values_and_keys_know_their_place() {
    let text = "a:\n  é: [1, {b: x}]\n  c: &anchor !!str 5\nd: *anchor\n";
    let node = parse("f.yaml", text.as_bytes()).unwrap();
    let at = |path: &[&str]| {
        let Position { line, column } = node.at(path).unwrap().position;
        (line, column)
    };
    assert_eq!(at(&["a", "é", "0"]), (2, 7));
    assert_eq!(at(&["a", "é", "1", "b"]), (2, 14));
    assert_eq!(at(&["a", "c"]), (3, 20));
    assert_eq!(at(&["d"]), (3, 20));
    let Kind::Map(top) = &node.kind else {
        panic!("a mapping was written");
    };
    assert_eq!(top.key_position("d"), Some(Position { line: 4, column: 1 }));
}

#[test]
fn documents_and_encodings() {
    for (text, expected) in [
        ("", "null"),
        ("# nothing\n", "null"),
        ("---\n", "null"),
        ("--- \na: 1\n...\n", "{a: 1}"),
        ("\u{feff}a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"),
        ("- a\n- - b\n  - c\n", "[\"a\", [\"b\", \"c\"]]"),
        ("just text", "\"just text\""),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    let comments = "# c\n".repeat(2000);
    assert_eq!(
        read(&format!("a:\n{comments}  b: 1\n{comments}c: 2\n")),
        "{a: {b: 1}, c: 2}"
    );
}

#[test]
fn several_documents_are_read_when_asked_for() {
    let text = "a: &a 1\n---\nb: 2\n--- # empty\n...\n";
    let documents = parse_documents("f.yaml", text.as_bytes()).unwrap();
    let shown: Vec<(u32, String)> = documents
        .iter()
        .map(|(start, node)| (start.line, show(node)))
        .collect();
    let expected = [(1, "{a: 1}"), (2, "{b: 2}"), (4, "null")];
    assert_eq!(shown, expected.map(|(line, text)| (line, text.to_owned())));
    assert!(parse_documents("f.yaml", b"a: &a 1\n---\nb: *a\n").is_err());
    assert!(parse_documents("f.yaml", b"").unwrap().is_empty());
}

#[test]
fn merges_are_transitive_and_own_keys_win() {
    for (text, expected) in [
        (
            "x: &x {a: 1, b: 2}\ny: &y {<<: *x, b: 3}\nz: {c: 4, <<: *y}\n",
            "{x: {a: 1, b: 2}, y: {b: 3, a: 1}, z: {c: 4, b: 3, a: 1}}",
        ),
        (
            "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y, {c: 3}]}\n",
            "{x: {a: 1}, y: {a: 2, b: 2}, z: {a: 1, b: 2, c: 3}}",
        ),
        ("z: {<<: {a: 1}, b: 2}\n", "{z: {b: 2, a: 1}}"),
        ("z: {'<<': {a: 1}}\n", "{z: {<<: {a: 1}}}"),
        ("z: {!!merge <<: {a: 1}}\n", "{z: {a: 1}}"),
        (
            "l: &l [1, 2]\nm: [*l, *l]\n",
            "{l: [1, 2], m: [[1, 2], [1, 2]]}",
        ),
        ("k: &k name\n*k : 1\n", "{k: \"name\", name: 1}"),
        ("a: &a 1\nb: &a 2\nc: *a\n", "{a: 1, b: 2, c: 2}"),
    ] {
        assert_eq!(read(text), expected);
    }
}

#[test]
fn reset_and_override_stay_on_the_node() {
    for (text, expected) in [
        ("a: !reset {b: [1]}", "{a: !reset null}"),
        ("a: [1, !reset 2]", "{a: [1, !reset null]}"),
        ("a: !override [1]", "{a: !override [1]}"),
        ("a: !override {b: !reset}", "{a: !override {b: \"\"}}"),
        ("a: !override 5", "{a: !override \"5\"}"),
        ("a: !override {b: !reset 1}", "{a: !override {b: \"1\"}}"),
        // What is reset inside an anchored value is gone where an alias brings it.
        (
            "x: &x {p: !reset 1, q: 2}\ny: *x",
            "{x: {p: !reset null, q: 2}, y: {q: 2}}",
        ),
        (
            "x: &x [!reset 1, 2]\ny: *x",
            "{x: [!reset null, 2], y: [2]}",
        ),
        (
            "x: &x {p: !reset 1}\ny: {<<: *x, q: 2}",
            "{x: {p: !reset null}, y: {q: 2}}",
        ),
        (
            "x: {p: &p !reset 1, q: *p}",
            "{x: {p: !reset null, q: !reset null}}",
        ),
        // A merged value takes the place of the one that was reset.
        (
            "x: &x {p: 1, q: 2}\ny: {p: !reset 3, <<: *x, q: !override 4}",
            "{x: {p: 1, q: 2}, y: {p: !reset 1, q: !override \"4\"}}",
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn refusals_name_the_place() {
    for (text, expected) in [
        (
            "a: 1\nb: 2\na: 3\n",
            "f.yaml:3:1: key \"a\" is already defined in line 1",
        ),
        (
            "a: 1\n'a': 3\n",
            "f.yaml:2:1: key \"a\" is already defined in line 1",
        ),
        (
            "x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n",
            "f.yaml:4:3: key \"<<\" is already defined in line 3",
        ),
        (
            "y: {<<: 1}",
            "f.yaml:1:5: `<<` takes a mapping or a list of mappings",
        ),
        (
            "y: {<<: [1]}",
            "f.yaml:1:5: `<<` takes a mapping or a list of mappings",
        ),
        (
            "a: {1: x}",
            "f.yaml:1:5: non-string key: a key must be a string",
        ),
        (
            "true: x",
            "f.yaml:1:1: non-string key: a key must be a string",
        ),
        ("~: x", "f.yaml:1:1: non-string key: a key must be a string"),
        (
            "1.5: x",
            "f.yaml:1:1: non-string key: a key must be a string",
        ),
        (
            "2001-01-01: x",
            "f.yaml:1:1: non-string key: a key must be a string",
        ),
        (
            "? [a]\n: x",
            "f.yaml:1:3: non-string key: a key must be a string",
        ),
        ("a: !foo x", "f.yaml:1:9: unknown tag !foo"),
        ("a: !!binary eA==", "f.yaml:1:13: unknown tag !!binary"),
        (
            "a: !!int x",
            "f.yaml:1:10: the value is not what the tag !!int says",
        ),
        (
            "a: !!bool yes",
            "f.yaml:1:11: the value is not what the tag !!bool says",
        ),
        (
            "a: !!seq {}",
            "f.yaml:1:10: the value is not what the tag !!seq says",
        ),
        (
            "a: &a [*a]",
            "f.yaml:1:8: the alias stands inside the value that it names",
        ),
        (
            "a: &a {<<: *a}",
            "f.yaml:1:12: the alias stands inside the value that it names",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "f.yaml:2:1: a second YAML document begins here",
        ),
    ] {
        assert_eq!(refused(text.as_bytes()), expected, "{text:?}");
    }
    assert_eq!(
        refused(b"a: 1\nb: \xc3\xa9\xff\n"),
        "f.yaml:2:5: the file is not valid UTF-8"
    );
    for text in ["a: [1", "a: *none", "a: b: c", "a:\n\tb: 1", "a: \"x", "}"] {
        assert!(
            refused(text.as_bytes()).contains("not valid YAML: "),
            "{text:?}"
        );
    }
}

#[test]
fn finds_more_than_one_mistake() {
    assert_eq!(
        refused(b"a: 1\na: 2\n3: x\nb: !foo {}\n").lines().count(),
        3
    );
}

#[test]
fn dates_are_refused_except_in_extensions() {
    for text in [
        "2001-01-01",
        "2001-1-2",
        "2001-01-01T01:02:03Z",
        "2001-01-01t01:02:03.5+02:00",
        "2001-01-01  1:2:3.25",
    ] {
        assert_eq!(
            refused(format!("a: {text}").as_bytes()),
            "f.yaml:1:4: an unquoted date or time, where Compose takes none"
        );
    }
    assert_eq!(
        read("x-a: {b: [2001-01-01]}"),
        "{x-a: {b: [\"2001-01-01\"]}}"
    );
    assert_eq!(
        refused(b"x-a: &a 2001-01-01\nb: *a\nc: *a\n"),
        "f.yaml:1:9: an unquoted date or time, where Compose takes none"
    );
}

/// Nine levels of nine aliases: 9^9 values of a file of a few hundred bytes.
#[test]
fn multiplying_aliases_are_refused() {
    let mut lists = "x0: &a0 [l, l, l, l, l, l, l, l, l]\n".to_owned();
    let mut merges = "x0: &a0 {k: l}\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        let nine = vec![alias; 9].join(", ");
        writeln!(lists, "x{level}: &a{level} [{nine}]").unwrap();
        writeln!(merges, "x{level}: &a{level} {{<<: [{nine}]}}").unwrap();
    }
    for bomb in [&lists, &merges] {
        assert!(
            refused(bomb.as_bytes()).contains("grows beyond 250000 values"),
            "{bomb}"
        );
    }
    let text = "t".repeat(1 << 20);
    let long = format!("x: &x {text}\ny: [*x, *x, *x, *x, *x, *x, *x, *x]\n");
    assert!(refused(long.as_bytes()).contains("grows beyond 8 MiB of text"));
}

#[test]
fn budgets_hold() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(parse("f.yaml", deep(128).as_bytes()).is_ok());
    assert!(refused(deep(129).as_bytes()).contains("more than 128 collections"));
    let by_alias = format!(
        "x: &x {}\ny: {}*x{}\n",
        deep(100),
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(refused(by_alias.as_bytes()).contains("more than 128 collections"));

    let large = vec![b' '; (8 << 20) + 1];
    assert!(refused(&large).contains("the file has more than 8 MiB"));

    let mut keys = String::new();
    for i in 0..=10_000 {
        writeln!(keys, "k{i}: 1").unwrap();
    }
    assert!(refused(keys.as_bytes()).contains("more than 10000 keys"));
}

const SAMPLE: &str = "x-base: &base\n  environment: {A: 1, B: '2', C: 0o17}\n  ports: ['80:80']\n\
services:\n  web:\n    <<: [*base, {tty: true}]\n    image: \"app:${TAG:-v1}\"\n    \
command: |\n      run\n      more\n    deploy: !override {replicas: 2}\n    cpus: 1.5\n";

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _result = parse("f.yaml", &bytes);
    }

    #[test]
    fn never_panics_on_yaml_like_text(text in "[a-c0-9 \\n:{}\\[\\],&*!|>'\"#<~?%.@-]{0,120}") {
        let _result = parse("f.yaml", text.as_bytes());
    }

    #[test]
    fn never_panics_on_mutated_files(
        edits in proptest::collection::vec((0..SAMPLE.len(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, byte, how) in edits {
            let at = at % bytes.len();
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let _result = parse("f.yaml", &bytes);
    }

    #[test]
    fn integers_read_back(value in any::<i64>()) {
        prop_assert_eq!(read(&format!("a: {value}")), format!("{{a: {value}}}"));
    }
}
