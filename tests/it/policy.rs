//! Nothing that the settings do not permit gets to the engine, whatever Git, a plan or a command by
//! hand asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use moored::engine::model::{
    ContainerSpec, Device, Endpoint, Exec, LongMount, Mount, MountSource, Network, Volume,
};
use moored::engine::{EngineError, ReadEngine as _, WriteEngine as _};
use moored::execute;
use moored::journal::Outcome;
use moored::labels;
use moored::permits::{Grant, Permits};
use moored::plan::{self, Context, Hold, Kind};
use moored::policy::{Gated, Policy};
use proptest::prelude::*;
use tokio::sync::watch;

use crate::support::bench::{Bench, Files, key, run};
use crate::support::by_hand::{self, HostYaml};
use crate::support::fake_engine::FakeEngine;
use crate::support::town::{self, Town};

fn host() -> Bench {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    bench
}

fn gated(bench: &Bench, permits: &str) -> Gated {
    let permits: Permits = serde_yaml::from_str(permits).unwrap();
    let policy = Policy::new(&permits, &bench.state_dir(), "fake");
    Gated::new(Arc::new(bench.engine.clone()), policy)
}

/// Returns whether a container has something that no stack may have by default; said here once
/// more, by other means than the policy's.
fn is_forbidden(spec: &ContainerSpec) -> bool {
    let spaces = &spec.namespaces;
    let modes = [
        &spec.network_mode,
        &spaces.ipc,
        &spaces.pid,
        &spaces.uts,
        &spaces.user,
        &spaces.cgroup,
    ];
    let shares = modes
        .iter()
        .any(|mode| *mode == "host" || mode.ends_with(":theirs"));
    let mounts = spec.mounts.values().any(|mount| {
        let MountSource::Bind { path, .. } = &mount.source else {
            return false;
        };
        let mut names = Vec::new();
        for name in path.split('/').filter(|name| !["", "."].contains(name)) {
            if name == ".." {
                names.pop();
            } else {
                names.push(name);
            }
        }
        names.first() != Some(&"srv")
    });
    let capabilities = spec.cap_add.iter().any(|name| {
        let name = name.trim_start_matches("CAP_");
        ["ALL", "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "BPF"].contains(&name)
    });
    let devices = !spec.devices.is_empty() || !spec.device_cgroup_rules.is_empty();
    let odd = spec.runtime.as_deref() == Some("other")
        || !spec.annotations.is_empty()
        || !spec.limits.cgroup_parent.is_empty()
        || spec
            .security_opt
            .iter()
            .any(|option| option.contains("unconfined"))
        || spec.sysctls.keys().any(|name| !name.starts_with("net."))
        || spec.networks.contains_key("host");
    spec.privileged || shares || mounts || capabilities || devices || odd
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("srv"),
        Just("etc"),
        Just("run"),
        Just("var"),
        Just("docker.sock"),
        Just(".."),
        Just("."),
        Just("x"),
    ];
    prop::collection::vec(name, 0..5).prop_map(|names| format!("/{}", names.join("/")))
}

fn mode() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => Just("host".to_owned()),
        1 => Just("container:theirs".to_owned()),
        1 => Just("private".to_owned()),
    ]
}

fn maybe<T: std::fmt::Debug + Clone>(one: T) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.1, Just(one))
}

/// What a container asks for: places, capabilities, options and parameters.
type Places = (
    Vec<String>,
    Vec<&'static str>,
    Vec<&'static str>,
    Vec<&'static str>,
);

/// Network, `pid`, `ipc` and `userns_mode`.
type Modes = (String, String, String, String);

/// All privileges, a device, a runtime, a further network and a control group.
type Rest = (
    bool,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

/// Any container, as the parts that [`spec`] makes one of.
fn container() -> impl Strategy<Value = (Places, Modes, Rest)> {
    let capability = prop_oneof![
        Just("CHOWN"),
        Just("SYS_ADMIN"),
        Just("CAP_NET_ADMIN"),
        Just("ALL"),
        Just("NET_RAW"),
    ];
    let option = prop_oneof![Just("no-new-privileges:true"), Just("seccomp=unconfined")];
    let parameter = prop_oneof![Just("net.core.somaxconn"), Just("kernel.core_pattern")];
    let places = (
        prop::collection::vec(path(), 0..2),
        prop::collection::vec(capability, 0..2),
        prop::collection::vec(option, 0..2),
        prop::collection::vec(parameter, 0..2),
    );
    let modes = (mode(), mode(), mode(), mode());
    let rest = (
        prop::bool::weighted(0.1),
        maybe("/dev/sda"),
        maybe("other"),
        maybe("host"),
        maybe("/parent"),
    );
    (places, modes, rest)
}

fn spec((places, modes, rest): (Places, Modes, Rest)) -> ContainerSpec {
    let (binds, capabilities, options, parameters) = places;
    let (network, pid, ipc, user) = modes;
    let (privileged, device, runtime, joined, parent) = rest;
    let mut spec = ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: if network.contains(':') || network == "host" {
            network
        } else {
            "bridge".to_owned()
        },
        privileged,
        runtime: runtime.map(str::to_owned),
        ..ContainerSpec::default()
    };
    (
        spec.namespaces.pid,
        spec.namespaces.ipc,
        spec.namespaces.user,
    ) = (pid, ipc, user);
    spec.limits.cgroup_parent = parent.unwrap_or_default().to_owned();
    spec.cap_add = capabilities.into_iter().map(str::to_owned).collect();
    spec.security_opt = options.into_iter().map(str::to_owned).collect();
    for name in parameters {
        spec.sysctls.insert(name.to_owned(), "1".to_owned());
    }
    if let Some(name) = joined {
        spec.networks.insert(name.to_owned(), Endpoint::default());
    }
    if let Some(source) = device {
        spec.devices.insert(Device {
            source: source.to_owned(),
            target: "/dev/x".to_owned(),
            permissions: "r".to_owned(),
        });
    }
    for (index, path) in binds.into_iter().enumerate() {
        let source = MountSource::Bind { path, create: true };
        spec.mounts.insert(format!("/{index}"), mount(source));
    }
    spec
}

fn mount(source: MountSource) -> Mount {
    Mount {
        source,
        read_only: true,
        options: Vec::new(),
        long: LongMount::default(),
    }
}

/// Lines of a service, by their keys.
const LINES: &[(&str, &str)] = &[
    ("privileged", "true"),
    ("pid", "host"),
    ("ipc", "host"),
    ("uts", "host"),
    ("userns_mode", "host"),
    ("network_mode", "host"),
    ("cap_add", "[SYS_ADMIN]"),
    ("cap_add", "[CHOWN]"),
    ("devices", "['/dev/sda:/dev/x']"),
    ("device_cgroup_rules", "['c 1:3 mr']"),
    ("security_opt", "['seccomp=unconfined']"),
    ("security_opt", "['no-new-privileges:true']"),
    ("volumes", "['/:/host']"),
    ("volumes", "['/var/run/docker.sock:/socket']"),
    ("volumes", "['/srv/../etc:/host']"),
    ("volumes", "['data:/data', '/srv/x:/x']"),
    ("cgroup_parent", "/x"),
    ("runtime", "other"),
    ("annotations", "{a: b}"),
    ("sysctls", "{kernel.domainname: x}"),
    ("sysctls", "{net.core.somaxconn: 1}"),
    ("command", "[a]"),
    ("read_only", "true"),
    ("cap_drop", "[ALL]"),
    ("init", "true"),
    ("environment", "{A: b}"),
    ("labels", "{a: b}"),
];

fn stack(lines: &BTreeMap<&str, &str>) -> Files {
    let lines = lines.iter();
    let lines = lines.map(|(key, value)| format!("    {key}: {value}\n"));
    let lines = lines.collect::<Vec<String>>().concat();
    let compose = format!("services:\n  web:\n    image: app:v1\n{lines}volumes: {{data: }}\n");
    files(&compose, "stack: shop\n")
}

fn files(compose: &str, manifest: &str) -> Files {
    Files::from([
        ("moored.yaml".to_owned(), manifest.as_bytes().to_vec()),
        ("compose.yaml".to_owned(), compose.as_bytes().to_vec()),
    ])
}

fn no_container_is_forbidden(engine: &FakeEngine) {
    let world = engine.world();
    for kept in world.containers.values() {
        assert!(!is_forbidden(&kept.shown.spec), "{}", kept.shown.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_request_with_a_forbidden_field_passes_the_gate(parts in container()) {
        let spec = spec(parts);
        let bench = host();
        bench.engine.world().create("theirs", &ContainerSpec {
            image: "app:v1".to_owned(), ..ContainerSpec::default()
        }).unwrap();
        let gate = gated(&bench, "{}");
        let made = run(gate.create_container("web", &spec));
        if is_forbidden(&spec) {
            prop_assert!(matches!(made, Err(EngineError::Refused { .. })), "{made:?}");
            prop_assert!(bench.engine.world().find("web").is_none());
        } else {
            prop_assert!(made.is_ok(), "{made:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_compose_file_gets_a_forbidden_field_to_the_engine(
        lines in prop::collection::vec(prop::sample::select(LINES), 0..5)
    ) {
        let lines: BTreeMap<&str, &str> = lines.into_iter().collect();
        let bench = host();
        let Ok(desired) = bench.load(&stack(&lines), '1') else {
            return Ok(());
        };
        let forbidden = is_forbidden(&desired.services.values().next().unwrap().spec);
        let passed = bench.pass(&desired).unwrap();
        no_container_is_forbidden(&bench.engine);
        let held = passed.looked.plan.holds.iter().any(|hold| matches!(hold, Hold::NotPermitted(_)));
        prop_assert_eq!(held, forbidden, "{}", passed.looked.plan);
        if held {
            prop_assert_eq!(passed.outcome, None);
            prop_assert!(bench.engine.world().calls.is_empty());
        }
    }
}

#[test]
fn what_runs_stays_when_the_settings_become_narrower_and_nothing_new_is_made() {
    let mut bench = host();
    bench.permits.privileged = Grant::Everybody;
    let web = "services: {web: {image: 'app:v1', privileged: true}}\n";
    let manifest = "stack: shop\njobs: {tidy: {service: web, run: [tidy], when: by_hand}}\n";
    let desired = bench.load(&files(web, manifest), '1').unwrap();
    let passed = bench.pass(&desired).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    bench.permits.privileged = Grant::Nobody;
    bench.engine.world().calls.clear();
    let passed = bench.pass(&desired).unwrap();
    let said = passed.looked.plan.to_string();
    assert_eq!(passed.outcome, None, "{said}");
    assert!(said.contains("policy: {privileged: [shop/web]}"), "{said}");
    assert!(said.contains("compose.yaml:1:"), "{said}");
    // A job is a container like its service, whoever asks for it.
    let looked = bench.look(&desired);
    let record = bench.record();
    let context = Context {
        instance: record.instance(),
        key: &key(),
        now: bench.clock.seconds(),
        policy: &bench.policy(),
    };
    let (observed, history) = (&looked.observed, &looked.history);
    let plan = plan::run_job(&desired, observed, history, &context, "tidy").unwrap();
    let (_keep, stop) = watch::channel(false);
    let ended = run(execute::execute(&plan, &bench.hands(stop))).unwrap();
    let error = ended.error().unwrap_or_default();
    assert!(error.contains("do not permit it"), "{ended:?}");
    let world = bench.engine.world();
    assert_eq!(world.containers.len(), 1);
    assert!(world.find("shop-web-1").unwrap().shown.is_running());
}

#[test]
fn the_release_is_kept_while_a_commit_asks_for_too_much() {
    let mut town = Town::new();
    town.release("app:v1");
    let wide = "services: {web: {image: 'app:v2', privileged: true}}\n";
    town.commit(&[("compose.yaml", wide)]);
    let pass = |town: &Town| town.pass().pop_first().unwrap().1.unwrap();
    assert_eq!(pass(&town).outcome, None);
    by_hand::apply(&mut town.bench, "stop web", &|_| panic!("no pass"));
    let passed = pass(&town);
    let plan = &passed.looked.plan;
    assert_eq!(passed.outcome, Some(Outcome::Succeeded), "{plan}");
    assert_eq!(plan.kind, Kind::Heal);
    assert!(
        plan.to_string()
            .contains("policy: {privileged: [shop/web]}")
    );
    assert_eq!(town.image("shop"), "app:v1");
    // What is itself not permitted any more is not made again.
    town.bench.permits.privileged = Grant::Everybody;
    assert_eq!(pass(&town).outcome, Some(Outcome::Succeeded));
    town.bench.permits.privileged = Grant::Nobody;
    by_hand::apply(&mut town.bench, "stop web", &|_| panic!("no pass"));
    assert_eq!(pass(&town).outcome, None);
}

#[test]
fn the_gate_judges_networks_volumes_and_commands() {
    let bench = host();
    let gate = gated(&bench, "{}");
    let refused = |made: Result<(), EngineError>| {
        let said = made.unwrap_err().to_string();
        assert!(said.contains("do not permit it"), "{said}");
    };
    let volume = Volume {
        name: "host".to_owned(),
        driver: "local".to_owned(),
        options: [("type", "none"), ("o", "bind"), ("device", "/etc")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        labels: BTreeMap::new(),
    };
    refused(run(gate.create_volume(&volume)));
    let network = Network {
        name: "lan".to_owned(),
        driver: "macvlan".to_owned(),
        ..Network::default()
    };
    refused(run(gate.create_network(&network)));
    let mut web = ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: "bridge".to_owned(),
        ..ContainerSpec::default()
    };
    let names = [(labels::STACK, "shop"), (labels::SERVICE, "web")];
    web.labels = names
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    run(gate.create_container("web", &web)).unwrap();
    run(gate.start_container("web")).unwrap();
    refused(run(gate.connect("web", "host", &Endpoint::default())));
    let (command, env) = (["id".to_owned()], BTreeMap::new());
    let exec = Exec {
        command: &command,
        env: &env,
        user: None,
        working_dir: None,
        privileged: true,
    };
    let as_root = |gate: &Gated| {
        let ran = run(async { gate.exec("web", &exec, None, &mut tokio::io::sink()).await });
        ran.map(|_| ())
    };
    refused(as_root(&gate));
    let granted = gated(&bench, "{privileged: [shop/web]}");
    if let Err(error) = as_root(&granted) {
        assert!(!error.to_string().contains("do not permit it"), "{error}");
    }
    // It is the same gate, with other settings from now on.
    gate.follow(Policy::new(&Permits::default(), &bench.state_dir(), "fake"));
    refused(as_root(&gate));
    assert!(run(gate.container("web")).unwrap().is_some());
}

#[test]
fn a_network_by_its_id_is_refused() {
    let bench = host();
    let gate = gated(&bench, "{}");
    let spec = ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: "0123456789ab".to_owned(),
        ..ContainerSpec::default()
    };
    let said = run(gate.create_container("web", &spec)).unwrap_err();
    assert!(
        said.to_string().contains("no network of the name"),
        "{said}"
    );
}

#[test]
fn stacks_that_share_a_file_of_secrets_are_told_or_refused() {
    let mut town = Town::new();
    let env = town.bench.place("shared.env");
    std::fs::create_dir_all(env.parent().unwrap()).unwrap();
    moored::files::write_atomically(&env, b"TOKEN=canary-5ecret\n", 0o600).unwrap();
    let manifest = |stack: &str| {
        let file = env.display();
        format!("stack: {stack}\nsoak: 0s\nenv: {{web: {{files: [{file}]}}}}\n")
    };
    let compose = "services: {web: {image: 'app:v1'}}\n";
    town.commit(&[
        ("a/moored.yaml", &manifest("shop-a")),
        ("a/compose.yaml", compose),
        ("b/moored.yaml", &manifest("shop-b")),
        ("b/compose.yaml", compose),
    ]);
    let told = |loaded: moored::stacks::Loaded| {
        loaded
            .into_values()
            .map(|desired| match desired {
                Ok(desired) => desired.warnings.iter().map(ToString::to_string).collect(),
                Err(error) => format!("refused {error}"),
            })
            .collect::<Vec<String>>()
    };
    let shown = |town: &Town| {
        let view = town.view();
        let shown = told(town::run(moored::stacks::load(&view, None)).unwrap());
        // So are those of files that no branch has.
        let tree = moored::source::Tree::at_commit(&view.mirror(), &town.head()).unwrap();
        assert_eq!(
            told(moored::stacks::of_tree(&view, &tree, None).unwrap()),
            shown
        );
        shown
    };
    let told = shown(&town);
    assert!(
        told[0].contains("so does shop-b") && told[1].contains("so does shop-a"),
        "{told:?}"
    );
    assert!(!told.concat().contains("refused") && !told.concat().contains("canary"));
    town.bench.permits.shared_secrets = moored::permits::Strictness::Refuse;
    assert!(shown(&town).iter().all(|said| said.starts_with("refused")));
    town.bench.permits.shared_secrets = moored::permits::Strictness::Allow;
    assert_eq!(shown(&town).concat(), "");
}
