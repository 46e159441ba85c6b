//! What SOPS 3.11.0 itself has encrypted (`tests/sops/`), as it is and altered.

use super::{Environment, Identities, environment, whole};

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/sops/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn joined(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().concat()
}

fn identities() -> Identities {
    let text = fixture("age.key");
    Identities::parse("age.key", text.as_bytes()).ok().unwrap()
}

/// Returns what a file brings into an environment, a variable a line.
fn read(name: &str, text: &str) -> Result<String, String> {
    match environment(name, text.as_bytes(), &identities()) {
        Ok(Environment::Lines(text)) => Ok(text.expose().to_owned()),
        Ok(Environment::Values(values)) => Ok(joined(values.iter().map(|one| {
            let (line, text) = (one.position.line, one.text.expose());
            format!("{line}: {:?}={text:?}\n", one.name)
        }))),
        Err(found) => Err(found.to_string()),
    }
}

#[track_caller]
fn refused(name: &str, text: &str) -> String {
    let said = read(name, text).unwrap_err();
    for secret in ["p4ss", "s3cr3t", "MIIB", "AGE-SECRET"] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

#[test]
fn an_environment_file_is_printed_line_by_line() {
    let printed = read("web.sops.env", &fixture("web.sops.env")).unwrap();
    insta::assert_snapshot!(printed, @r#"

    DB_PASSWORD=p4ss word
    QUOTED="a b"
    EMPTY=
    KEY=-----BEGIN-----\nabc\n-----END-----
    REGION_unencrypted=eu-1
    URL=postgres://app:s3cr3t@db/app?x=1&y=2
    "#);
}

#[test]
fn values_of_yaml_and_json_are_taken_as_they_stand() {
    let yaml = read("web.sops.yaml", &fixture("web.sops.yaml")).unwrap();
    insta::assert_snapshot!(yaml, @r#"
    3: "DB_PASSWORD"="p4ss word"
    4: "PORT"="8080"
    5: "RATIO"="0.25"
    6: "DEBUG"="true"
    7: "OFF"="no"
    8: "EMPTY"=""
    9: "KEY"="line one\nline two\n"
    10: "REGION_unencrypted"="eu-1"
    11: "PORT_unencrypted"="8081"
    "#);
    let json = read("web.sops.json", &fixture("web.sops.json")).unwrap();
    insta::assert_snapshot!(json, @r#"
    2: "DB_PASSWORD"="p4ss word"
    3: "PORT"="8080"
    4: "RATIO"="1500"
    5: "DEBUG"="false"
    6: "HTML"="<a href=\"é\">\t\\/😀"
    7: "REGION_unencrypted"="eu-1"
    "#);
}

#[test]
fn a_file_as_a_whole_is_what_it_was() {
    let read = |name: &str| {
        let text = fixture(name);
        whole(name, text.as_bytes(), &identities())
            .map(|content| content.expose().to_owned())
            .map_err(|found| found.to_string())
    };
    let key = "-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n";
    assert_eq!(read("tls.key.sops").unwrap(), key);
    assert!(
        read("web.sops.env")
            .unwrap()
            .contains("DB_PASSWORD=p4ss word\n")
    );
    insta::assert_snapshot!(read("web.sops.yaml").unwrap_err(), @r#"
    web.sops.yaml: only the values in it are encrypted, and a file is wanted as a whole
      hint: encrypt it as a whole, under a name that ends in .sops: sops encrypt --input-type binary FILE > FILE.sops
    "#);
}

/// All rules, with everything that a file may have in it.
#[test]
fn every_rule_of_sops_is_followed() {
    for (name, expected) in [
        ("encrypted_suffix.sops.yaml", "t1 o1 k1 p1"),
        ("unencrypted_regex.sops.yaml", "t1 o1 k1 p1"),
        ("encrypted_regex.sops.yaml", "t1 o1 k1 p1"),
        ("mac_only_encrypted.sops.yaml", "t1 o1"),
        ("mac_only_encrypted.sops.env", "t1 o1"),
    ] {
        let text = fixture(name);
        let read = read(name, &text).unwrap_or_else(|error| panic!("{error}"));
        for value in expected.split(' ') {
            assert!(read.contains(value), "{name}: {read}");
        }
    }
    // Deep values have no place in an environment, and are decrypted for the code all the same.
    let deep = fixture("deep.sops.yaml");
    insta::assert_snapshot!(refused("deep.sops.yaml", &deep), @r#"
    deep.sops.yaml:3:1: none is nothing, where a variable has one value
      hint: write a text, in quotes if it is empty
    deep.sops.yaml:4:1: list is a list, where a variable has one value
      hint: write a text, in quotes if it is empty
    deep.sops.yaml:10:1: map is a mapping, where a variable has one value
      hint: write a text, in quotes if it is empty
    deep.sops.yaml:14:1: open_unencrypted is a mapping, where a variable has one value
      hint: write a text, in quotes if it is empty
    "#);
    let plain = "open: o1";
    let text = fixture("mac_only_encrypted.sops.yaml");
    assert!(text.contains(plain));
    // The code vouches for encrypted values alone, because the file says so.
    let changed = text.replace(plain, "open: o2");
    assert!(read("mac_only_encrypted.sops.yaml", &changed).is_ok());
    let text = fixture("encrypted_regex.sops.yaml").replace(plain, "open: o2");
    insta::assert_snapshot!(refused("encrypted_regex.sops.yaml", &text), @r#"
    encrypted_regex.sops.yaml:17:10: the values are not those that were encrypted: the message authentication code (mac) says otherwise
      hint: change the file with sops alone: sops edit FILE; when nobody but you has had it in hand, sops decrypt --ignore-mac and encrypt it again
    "#);
}

#[test]
fn files_for_others_are_refused_by_name() {
    for name in [
        "other.sops.yaml",
        "groups.sops.yaml",
        "groups.sops.env",
        "comment.sops.yaml",
        "web.sops.ini",
    ] {
        insta::assert_snapshot!(name, refused(name, &fixture(name)));
    }
    let pgp = fixture("web.sops.yaml").replace("    age:\n", "    pgp:\n");
    insta::assert_snapshot!(refused("web.sops.yaml", &pgp), @r#"
    web.sops.yaml: it is encrypted for PGP alone, and here age keys are the only ones
      hint: add the host: sops rotate --in-place --add-age age1wlvz30nacwm9ez7kdkmgmupsjqs3gu4ajmnhktxf720a0dnlla2s70lm36 FILE
    "#);
    let pgp = fixture("web.sops.env").replace("sops_age__", "sops_hc_vault__");
    insta::assert_snapshot!(refused("web.sops.env", &pgp), @r#"
    web.sops.env: it is encrypted for HashiCorp Vault alone, and here age keys are the only ones
      hint: add the host: sops rotate --in-place --add-age age1wlvz30nacwm9ez7kdkmgmupsjqs3gu4ajmnhktxf720a0dnlla2s70lm36 FILE
    "#);
    let plugin = fixture("web.sops.env").replace("recipient=age1", "recipient=age1-../../x");
    assert!(
        read("web.sops.env", &plugin).is_ok(),
        "recipients name no program"
    );
}

#[test]
fn what_is_not_encrypted_is_refused() {
    for (name, text) in [
        ("a.env", "DB_PASSWORD=p4ss\n"),
        ("a.env", ""),
        ("a.yaml", "DB_PASSWORD: p4ss\n"),
        ("a.yaml", ""),
        ("a.yaml", "[p4ss]"),
        ("a.json", "{\"DB_PASSWORD\": \"p4ss\"}"),
        ("a.json", "p4ss\n"),
    ] {
        let said = refused(name, text);
        let expected = format!("{name}: is not encrypted: sops has not been at this file");
        assert!(said.starts_with(&expected), "{text}: {said}");
    }
    for name in ["a.txt", "env", "a.env.sops"] {
        let said = refused(name, "");
        assert!(said.contains("the name does not tell the form"), "{said}");
    }
}

/// Replaces what stands between two texts.
fn with(text: &str, from: &str, to: &str, new: &str) -> String {
    let (before, rest) = text.split_once(from).unwrap();
    let (_, after) = rest.split_once(to).unwrap();
    format!("{before}{from}{new}{to}{after}")
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap()
}

#[test]
fn what_was_altered_is_refused() {
    let env = fixture("web.sops.env");
    let value = |key: &str| line(&env, key).split_once('=').unwrap().1.to_owned();
    let (password, url) = (value("DB_PASSWORD"), value("URL"));
    let mac = line(&env, "sops_mac=");
    let other = fixture("mac_only_encrypted.sops.env");
    let cases = [
        (
            "swapped",
            env.replace(&password, "§")
                .replace(&url, &password)
                .replace('§', &url),
        ),
        ("renamed", env.replace("DB_PASSWORD=", "DB_PASSWORT=")),
        ("plain", env.replace(&password, "p4ss")),
        ("plain and empty", env.replace(&password, "")),
        (
            "left out",
            env.replace(&format!("DB_PASSWORD={password}\n"), ""),
        ),
        (
            "twice",
            env.replace("QUOTED", &format!("DB_PASSWORD={password}\nQUOTED")),
        ),
        ("open changed", env.replace("=eu-1", "=eu-2")),
        (
            "another type",
            env.replace(&password, &password.replace("type:str", "type:int")),
        ),
        (
            "a comment",
            env.replace(&password, &password.replace("type:str", "type:comment")),
        ),
        (
            "no type",
            env.replace(&password, &password.replace(",type:str", "")),
        ),
        (
            "short nonce",
            env.replace(&password, &with(&password, ",iv:", ",tag:", "AAAA")),
        ),
        (
            "another tag",
            env.replace(
                &password,
                &with(&password, ",tag:", "==", "AAAAAAAAAAAAAAAAAAAAAA"),
            ),
        ),
        ("no code", env.replace(&format!("{mac}\n"), "")),
        ("empty code", env.replace(mac, "sops_mac=")),
        (
            "code of another file",
            env.replace(mac, line(&other, "sops_mac=")),
        ),
        (
            "another time",
            with(&env, "sops_lastmodified=", "\n", "2020-01-01T00:00:00Z"),
        ),
        ("no time", env.replace("sops_lastmodified", "sops_lost")),
        (
            "another suffix",
            env.replace("suffix=_unencrypted", "suffix=_open"),
        ),
        ("two rules", format!("{env}sops_encrypted_regex=^X\n")),
        (
            "code of encrypted values",
            format!("{env}sops_mac_only_encrypted=true\n"),
        ),
        (
            "code of what",
            format!("{env}sops_mac_only_encrypted=maybe\n"),
        ),
        (
            "key of another file",
            with(
                &env,
                "map_enc=",
                "\nsops_age__list_1__map_rec",
                "-----BEGIN AGE ENCRYPTED FILE-----\\nAAAA\\n-----END AGE ENCRYPTED FILE-----\\n",
            ),
        ),
        ("no value", {
            let own = env.lines().filter(|line| line.starts_with("sops_"));
            own.collect::<Vec<_>>().join("\n") + "\n"
        }),
        ("windows", env.replace('\n', "\r\n")),
        ("no form", env.replace("QUOTED=", "QUOTED ")),
        ("not text", env.replace("QUOTED=", "QUOTED=\0")),
    ];
    let said = joined(cases.iter().map(|(case, text)| {
        assert_ne!(*text, env, "{case}");
        format!("{case}: {}\n", refused("web.sops.env", text))
    }));
    insta::assert_snapshot!(said);
}

#[test]
fn an_altered_tree_is_refused() {
    let yaml = fixture("web.sops.yaml");
    let port = line(&yaml, "PORT: ");
    let json = fixture("web.sops.json");
    let cases = [
        ("a.yaml", yaml.replace(port, "PORT: 8080")),
        ("a.yaml", yaml.replace(port, "PORT: {a: 1}")),
        ("a.yaml", yaml.replace(port, "PORT: ~")),
        ("a.yaml", yaml.replace(port, &format!("{port}\n{port}"))),
        ("a.yaml", yaml.replace("sops:\n", "sops: 1\nmore:\n")),
        (
            "a.yaml",
            yaml.replace("\nsops:\n", "\nsops: &a [*a]\nmore:\n"),
        ),
        ("a.yaml", format!("{yaml}---\na: b\n")),
        (
            "a.yaml",
            yaml.replace("mac: ENC", "mac: [ENC")
                .replace("    unenc", "]\n    unenc"),
        ),
        (
            "a.yaml",
            yaml.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: '('"),
        ),
        (
            "a.yaml",
            yaml.replace(
                "unencrypted_suffix: _unencrypted",
                "encrypted_regex: '(a{1000}){1000}'",
            ),
        ),
        ("a.json", json.replacen('{', "{,", 1)),
        ("a.json", json.replace("\"eu-1\"", "\"eu-2\"")),
        (
            "a.json",
            json.replace("\"recipient\"", "\"a\"")
                .replace("\"enc\"", "\"b\""),
        ),
    ];
    let cases = cases.iter();
    let said = joined(cases.map(|(name, text)| format!("{}\n", refused(name, text))));
    insta::assert_snapshot!(said);
}

#[test]
fn budgets_end_what_is_too_large() {
    let env = fixture("web.sops.env");
    let long = format!("{env}A={}\n", "x".repeat(1 << 20));
    assert!(refused("a.env", &long).contains("more than 1 MiB"));
    let lines = format!("{}{env}", "\n".repeat(20_001));
    assert!(refused("a.env", &lines).contains("more than 20000 lines"));
    let recipients = joined((0..65).map(|n| format!("sops_age__list_{n}__map_enc=x\n")));
    let said = refused("a.env", &format!("{env}{recipients}"));
    assert!(said.contains("more than 64 age recipients"), "{said}");
}

mod never_panics {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn on_any_text(text in "\\PC{0,200}", form in 0..4_usize) {
            let name = ["a.env", "a.yaml", "a.json", "a.sops"][form];
            let _read = environment(name, text.as_bytes(), &identities());
            let _read = whole(name, text.as_bytes(), &identities());
        }

        #[test]
        fn on_a_file_with_a_hole(at in 0..3000_usize, length in 1..200_usize, form in 0..3_usize) {
            let name = ["web.sops.env", "web.sops.yaml", "web.sops.json"][form];
            let mut text = fixture(name).into_bytes();
            let at = at.min(text.len() - 1);
            let end = (at + length).min(text.len());
            text.drain(at..end);
            let read = environment(name, &text, &identities());
            // What is left vouches for itself, or is refused: comments, recipients and versions
            // are no values.
            let read = read.is_ok().then(|| String::from_utf8_lossy(&text).into_owned());
            if let Some(text) = read {
                for key in ["DB_PASSWORD", "REGION_unencrypted"] {
                    prop_assert!(text.contains(key), "{}", text);
                }
            }
        }
    }
}
