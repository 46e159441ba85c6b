use super::*;

fn refused(text: &str) -> String {
    parse("config.yaml", text.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn one_line_is_enough() {
    let config = parse("c", b"repository: {url: /srv/state}").unwrap();
    assert_eq!(config.repository.branch, "main");
    assert_eq!(config.repository.poll, Duration::from_secs(30));
    assert_eq!(config.state_dir, Path::new("/var/lib/moored"));
    assert_eq!(config.engine, "unix:///var/run/docker.sock");
    assert!(config.stacks.is_none());
    assert!(matches!(config.repository.auth, Auth::None));
    assert!(config.repository.push);
}

#[test]
fn what_is_listened_to_is_an_address_and_a_port() {
    let listen = |text: &str| {
        let text = format!("repository: {{url: /s}}\nlisten: '{text}'");
        parse("c", text.as_bytes()).map(|config| config.listen)
    };
    for good in ["127.0.0.1:9640", "[::1]:9640", "0.0.0.0:80", "127.0.0.1:0"] {
        assert_eq!(listen(good).unwrap(), Some(good.parse().unwrap()), "{good}");
    }
    for bad in [
        "",
        "9640",
        ":9640",
        "localhost:9640",
        "127.0.0.1",
        "127.0.0.1:99999",
    ] {
        assert!(listen(bad).is_err(), "{bad}");
    }
    let text = b"repository: {url: /s}\nlisten: 127.0.0.1:9\nwebhook: {secret_file: /k}";
    let webhook = parse("c", text).unwrap().webhook.unwrap();
    assert_eq!(webhook.secret_file, Path::new("/k"));
}

#[test]
fn names_of_the_host_are_names() {
    let names = |text: &str| {
        let text = format!("repository: {{url: /s}}\nlisten: 127.0.0.1:9\nlisten_names: {text}");
        parse("c", text.as_bytes()).map(|config| config.listen_names)
    };
    let all = names("[Moored.Example.org, moored]").unwrap();
    assert!(all.iter().eq(["moored", "moored.example.org"]));
    for bad in ["['']", "[http://a]", "['a:80']", "['a.']", "['*']", "a"] {
        assert!(names(bad).is_err(), "{bad}");
    }
    insta::assert_snapshot!(refused("repository: {url: /s}\nlisten_names: [a]"), @"
    config.yaml: listen_names needs an address to listen on
      hint: add listen: 127.0.0.1:9640, and let a proxy with TLS hand on what comes for it
    ");
}

#[test]
fn a_name_is_one_line() {
    assert_eq!(plain_name("ada").as_deref(), Some("ada"));
    assert_eq!(plain_name(" a\nb<c>\u{1b}[2J ").as_deref(), Some("abc[2J"));
    assert_eq!(plain_name(" \n"), None);
    assert_eq!(plain_name(&"x".repeat(100)).unwrap().len(), 64);
}

#[test]
fn stacks_can_have_a_branch_of_their_own() {
    let text = b"repository: {url: /srv/state}\nstacks: [production, {dir: staging, branch: next}]";
    let stacks = parse("c", text).unwrap().stacks.unwrap();
    assert_eq!(stacks[0].dir, "production");
    assert_eq!(stacks[0].branch, None);
    assert_eq!(stacks[1].dir, "staging");
    assert_eq!(stacks[1].branch.as_deref(), Some("next"));
}

#[test]
fn trust_is_the_stacks_own_or_the_repositorys() {
    let text = b"repository: {url: /s, allow_force_push: true, verify: {allowed_signers: /a}}\n\
        stacks:\n  - staging\n  - {dir: production, allow_force_push: false, \
        verify: {allowed_signers: /b, commits: all}}";
    let config = parse("c", text).unwrap();
    let rule = |dir: &str| config.verify_of(dir).unwrap().clone();
    assert_eq!(rule("staging").allowed_signers, Path::new("/a"));
    assert_eq!(rule("staging").commits, Commits::Head);
    assert_eq!(rule("production").allowed_signers, Path::new("/b"));
    assert_eq!(rule("production").commits, Commits::All);
    assert!(config.allows_force_push("staging"));
    assert!(!config.allows_force_push("production"));
    let without = parse("c", b"repository: {url: /s}").unwrap();
    assert_eq!(without.verify_of("staging"), None);
    assert!(!without.allows_force_push("staging"));
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    insta::assert_snapshot!(refused("{}"), @"config.yaml:1:1: missing field `repository`");
    insta::assert_snapshot!(refused("repository: {url: /s, pol: 3s}"), @r#"
    config.yaml:1:23: repository: unknown key "pol"
      hint: did you mean "poll"?
    "#);
    insta::assert_snapshot!(refused("repository: {url: /s, poll: 0s}"), @"
    config.yaml: repository.poll must be between 1s and 1day
      hint: for example poll: 30s
    ");
    insta::assert_snapshot!(refused("repository: {url: /s, poll: often}"), @r#"config.yaml:1:29: repository.poll: "often" is not a duration such as 30s or 5m: expected number at 0"#);
    insta::assert_snapshot!(refused("repository: {url: /s}\nstate_dir: here"), @"
    config.yaml: state_dir must be an absolute path
      hint: for example /var/lib/moored
    ");
    insta::assert_snapshot!(refused("repository: {url: /s}\nage_identity: age.key"), @"
    config.yaml: age_identity must be an absolute path, not age.key
      hint: for example /etc/moored/age.key
    ");
    insta::assert_snapshot!(refused("repository: {url: /s}\nregistries: {config: config.json}"), @"
    config.yaml: registries.config must be an absolute path, not config.json
      hint: for example /etc/moored/config.json
    ");
    insta::assert_snapshot!(refused("repository: {url: /s}\noffsite: {}"), @r#"
    config.yaml:2:1: "offsite" is not supported by this version of moored
      hint: take the key out; version 0.1.0 can't honour it
    "#);
    insta::assert_snapshot!(refused("repository: {url: /s, verify: {allowed_signers: keys}}"), @"
    config.yaml: allowed_signers must be an absolute path, not keys
      hint: for example /etc/moored/keys
    ");
    for twice in ["[b, a, a]", "[a, {dir: a, branch: next}]", "[a, ./a/]"] {
        let said = refused(&format!("repository: {{url: /s}}\nstacks: {twice}"));
        assert!(said.contains(": stacks names a twice\n"), "{twice}: {said}");
    }
    let rule = "{signers: [a@example.org]}";
    let said = refused(&format!(
        "repository: {{url: /s}}\napprovals: {{shop: {rule}, ./shop/: {rule}}}"
    ));
    assert!(said.contains(": approvals names shop twice\n"), "{said}");
    // A word of trust that is misspelt must not be passed over.
    insta::assert_snapshot!(refused("repository: {url: /s}\nstacks: [{dir: a, verfy: {allowed_signers: /k}}]"), @r#"
    config.yaml:2:19: stacks[0]: unknown key "verfy"
      hint: did you mean "verify"?
    "#);
    insta::assert_snapshot!(refused("repository: {url: /s}\nstacks: [{dir: a, verify: {signers: /k}}]"), @r#"
    config.yaml:2:28: stacks[0].verify: unknown key "signers"
      hint: known keys here: allowed_signers, commits
    "#);
    insta::assert_snapshot!(refused("repository: {url: /s}\nlisten: localhost"), @r#"config.yaml:2:9: listen: "localhost" is not an address with a port, such as 127.0.0.1:9640 or [::1]:9640"#);
    insta::assert_snapshot!(refused("repository: {url: /s}\nwebhook: {secret_file: /k}"), @"
    config.yaml: webhook needs an address to listen on
      hint: add listen: 127.0.0.1:9640, and let a proxy with TLS hand on what comes for it
    ");
    insta::assert_snapshot!(refused("repository: {url: /s}\nlisten: 127.0.0.1:9\nwebhook: {secret_file: k}"), @"
    config.yaml: webhook.secret_file must be an absolute path, not k
      hint: for example /etc/moored/k
    ");
    insta::assert_snapshot!(refused("repository: {url: /s, auth: {ssh_key: /k}}"), @"config.yaml:1:29: repository.auth: auth must be {ssh_key: FILE, known_hosts: FILE}, {username: NAME, token_file: FILE} or {credential_helper: [PROGRAM, ARGUMENT…]}");
}

#[test]
fn everything_that_the_settings_rest_on_is_known() {
    let text = b"repository:\n  url: ssh://h/r.git\n  \
        auth: {ssh_key: /k/id, known_hosts: /k/hosts}\n  ca_file: /k/ca\n  \
        verify: {allowed_signers: /k/signers}\n\
        stacks: [{dir: a, verify: {allowed_signers: /k/of-a}}]\nage_identity: /k/age\n\
        listen: 127.0.0.1:1\nwebhook: {secret_file: /k/hook}\nregistries: {config: /k/docker}\n\
        approvals: {a: {signers: [x], allowed_signers: /k/approvers}}\n";
    let config = parse("c.yaml", text).unwrap();
    let config = Config {
        file: Some("/k/c.yaml".into()),
        ..config
    };
    let own = config.own_files();
    let of = |is_secret: bool| {
        let own = own.iter().filter(|one| one.is_secret == is_secret);
        let own: BTreeSet<&str> = own.map(|one| one.path.to_str().unwrap()).collect();
        own
    };
    let secret = [
        "/etc/moored",
        "/k/age",
        "/k/c.yaml",
        "/k/docker",
        "/k/hook",
        "/k/id",
    ];
    assert_eq!(of(true), secret.into());
    let trusted = ["/k/approvers", "/k/ca", "/k/hosts", "/k/of-a", "/k/signers"];
    assert_eq!(of(false), trusted.into());
    // Every path that the settings have is one of these, or no file that they rest on.
    for (auth, path, is_secret) in [
        ("{token_file: /k/token}", "/k/token", true),
        ("{credential_helper: [/k/helper, x]}", "/k/helper", false),
    ] {
        let text = format!("repository: {{url: 'https://h/r.git', auth: {auth}}}\n");
        let own = parse("c.yaml", text.as_bytes()).unwrap().own_files();
        let is_it = |one: &OwnFile| one.path == Path::new(path) && one.is_secret == is_secret;
        assert!(own.iter().any(is_it), "{own:?}");
    }
}
