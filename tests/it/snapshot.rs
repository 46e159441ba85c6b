//! Snapshots of a host, and plans against them, on an engine in memory. Every scenario does it too,
//! see `scenarios.rs`.

use std::path::PathBuf;
use std::sync::LazyLock;

use moored::check::Elsewhere;
use moored::journal::Outcome;
use moored::labels;
use moored::pass::{ByStack, Looked};
use moored::snapshot::{self, HIDDEN, Snapshot, SnapshotError};

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;

/// Values that must not turn up: long and short, under names that tell and names that do not.
const CANARIES: [&str; 4] = [
    "canary-one-4f1d8a1b92e07c35",
    "cnry2x",
    "canary-three-77b1e0",
    "c4y",
];

fn files(web: &str) -> Files {
    let compose = format!(
        "services:\n  web:\n    image: app:v1\n    environment: {{LEVEL: info, FROM: \
         '${{NAME_TOKEN}}'}}\n    command: [serve, '--password=${{DB_PASSWORD}}']\n{web}"
    );
    let manifest = "stack: shop\nvariable_files: [/etc/shop/variables.env]\n\
                    env: {web: {files: [/etc/shop/web.env], require: [SESSION_KEY]}}\n";
    Files::from([
        ("moored.yaml".to_owned(), manifest.as_bytes().to_vec()),
        ("compose.yaml".to_owned(), compose.into_bytes()),
    ])
}

/// Returns a host on which these files were deployed.
fn deployed(files: &Files) -> Bench {
    let mut bench = Bench::new();
    HostYaml::default().stock(&bench);
    write_host_files(&mut bench, "");
    let passed = bench.pass(&bench.load(files, '1').unwrap()).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    bench
}

fn write_host_files(bench: &mut Bench, salt: &str) {
    let [one, two, three, four] = CANARIES;
    let web = format!("SESSION_KEY={one}{salt}\nNAME={two}{salt}\nPIN={four}{salt}\n");
    let variables = format!("DB_PASSWORD={three}{salt}\nNAME_TOKEN={one}{salt}\n");
    for (path, text) in [
        ("/etc/shop/web.env", web),
        ("/etc/shop/variables.env", variables),
    ] {
        let path = PathBuf::from(path);
        bench.host.0.insert(path, text.into_bytes());
    }
}

/// Takes a snapshot, and reads it as somebody elsewhere does; no canary is in it, and no digest by
/// which one could be tried out.
fn taken(bench: &Bench, files: &Files) -> Snapshot {
    let looked = bench.look(&bench.load(files, '1').unwrap());
    let looked: ByStack<Looked> = ByStack::from([(".".to_owned(), Ok(looked))]);
    let taken = snapshot::take(&bench.view(), &looked);
    assert_eq!(taken.failed.len(), 0, "{:?}", taken.failed);
    let json = serde_json::to_string_pretty(&taken).unwrap();
    for canary in CANARIES {
        assert!(!json.contains(canary), "{canary} is in:\n{json}");
    }
    let world = bench.engine.world();
    let labels = world.containers.values().map(|one| &one.shown.spec.labels);
    let hashes: Vec<&String> = labels
        .filter_map(|all| all.get(labels::CONFIG_HASH))
        .collect();
    assert!(!hashes.is_empty());
    for hash in hashes {
        assert!(!json.contains(hash), "the hash of Compose is in:\n{json}");
    }
    drop(world);
    Snapshot::parse(json.as_bytes()).unwrap()
}

/// Returns the plan for files, made away from the host.
fn plan(bench: &Bench, snapshot: &Snapshot, files: &Files) -> String {
    let host = Elsewhere::new(None, Some(HIDDEN)).unwrap();
    let desired = bench.load_with(files, '2', &host).unwrap();
    let sees_all = host.into_unseen().is_empty();
    let kept = snapshot.stacks.values().next().unwrap();
    let looked = snapshot::look_at(snapshot, kept, &desired, sees_all);
    looked.unwrap().plan.to_string()
}

/// Returns the plan for files, made on the host.
fn plan_of_host(bench: &Bench, files: &Files) -> String {
    bench
        .look(&bench.load(files, '2').unwrap())
        .plan
        .to_string()
}

#[test]
fn nothing_differs_where_nothing_does() {
    let bench = deployed(&files(""));
    let snapshot = taken(&bench, &files(""));
    let plan = plan(&bench, &snapshot, &files(""));
    assert_eq!(plan, plan_of_host(&bench, &files("")));
    assert!(!plan.contains("changed"), "{plan}");
}

#[test]
fn a_change_in_git_is_planned_as_on_the_host() {
    let bench = deployed(&files(""));
    let snapshot = taken(&bench, &files(""));
    for more in [
        "    user: '1000'\n",
        "    labels: {tier: front}\n",
        "    ports: ['127.0.0.1:8080:80']\n",
        "    restart: always\n  worker:\n    image: app:v1\n",
        "    volumes: ['data:/data']\nvolumes: {data: {}}\n",
        "    networks: [back]\nnetworks: {back: {internal: true}}\n",
    ] {
        let files = files(more);
        let plan = plan(&bench, &snapshot, &files);
        assert_eq!(plan, plan_of_host(&bench, &files), "{more}");
    }
}

#[test]
fn a_secret_that_already_differs_on_the_host_is_told_and_another_one_is_not_compared() {
    let mut bench = deployed(&files(""));
    let before = taken(&bench, &files(""));
    write_host_files(&mut bench, "-new");
    let plan_of_before = plan(&bench, &before, &files(""));
    assert!(!plan_of_before.contains("changed"), "{plan_of_before}");
    let after = taken(&bench, &files(""));
    let told = plan(&bench, &after, &files(""));
    assert_eq!(told, plan_of_host(&bench, &files("")));
    assert!(told.contains("env SESSION_KEY (changed)"), "{told}");
}

/// A host with a password like that of many: a word that is in the texts of the stack as well.
fn with_password(password: &str) -> (Bench, Files) {
    let mut files = files("    volumes: ['data:/var/lib/postgresql']\nvolumes: {data: {}}\n");
    let compose = String::from_utf8(files["compose.yaml"].clone()).unwrap();
    let compose = compose.replace("app:v1", "app:postgres");
    files.insert("compose.yaml".to_owned(), compose.into_bytes());
    let mut bench = Bench::new();
    let host = "images: {'app:postgres': {}}\n";
    serde_yaml::from_str::<HostYaml>(host)
        .unwrap()
        .stock(&bench);
    let web = format!("SESSION_KEY={password}\n");
    let variables = "DB_PASSWORD=canary-three\nNAME_TOKEN=canary-one\n";
    for (path, text) in [
        ("/etc/shop/web.env", web.as_str()),
        ("/etc/shop/variables.env", variables),
    ] {
        bench
            .host
            .0
            .insert(PathBuf::from(path), text.as_bytes().to_vec());
    }
    let passed = bench.pass(&bench.load(&files, '1').unwrap()).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    (bench, files)
}

#[test]
fn a_secret_that_is_a_word_of_git_is_hidden_and_is_no_difference() {
    let (bench, files) = with_password("postgres");
    let snapshot = taken(&bench, &files);
    let json = serde_json::to_string(&snapshot).unwrap();
    assert!(!json.contains("postgres"), "{json}");
    let plan = plan(&bench, &snapshot, &files);
    assert!(!plan.contains("replace"), "{plan}");
}

#[test]
fn a_secret_that_is_a_word_of_a_plan_keeps_its_stack_out() {
    for word in ["docker", "running", "labels", "networks"] {
        let (bench, files) = with_password(word);
        let looked = bench.look(&bench.load(&files, '1').unwrap());
        let looked: ByStack<Looked> = ByStack::from([("shop".to_owned(), Ok(looked))]);
        let taken = snapshot::take(&bench.view(), &looked);
        assert!(taken.stacks.is_empty(), "{word}");
        let why = &taken.failed["shop"];
        assert!(why.contains("choose another"), "{why}");
        assert!(!why.contains(word), "{why}");
    }
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let refused = |text: &str| Snapshot::parse(text.as_bytes()).err().unwrap();
    assert!(matches!(refused(""), SnapshotError::Unreadable(_)));
    assert!(matches!(refused("{}"), SnapshotError::Unreadable(_)));
    assert!(matches!(
        refused("{\"format\": 2}"),
        SnapshotError::Unreadable(_)
    ));
    let other = refused("{\"format\": 1}");
    assert!(matches!(other, SnapshotError::OtherFormat { found: 1 }));
    let deep = "[".repeat(100_000);
    assert!(matches!(refused(&deep), SnapshotError::Unreadable(_)));
}

static EMPTY: LazyLock<String> = LazyLock::new(|| {
    let taken = snapshot::take(&Bench::new().view(), &ByStack::new());
    serde_json::to_string(&taken).unwrap()
});

#[test]
fn a_snapshot_of_a_host_without_stacks_is_read() {
    assert!(Snapshot::parse(EMPTY.as_bytes()).is_ok());
}

proptest::proptest! {
    /// Whatever is done to a snapshot on its way, it is read or refused.
    #[test]
    fn never_panics_on_a_broken_snapshot(at in 0..EMPTY.len(), with in ".{0,8}") {
        let mut json = EMPTY.clone();
        json.insert_str(at, &with);
        drop(Snapshot::parse(json.as_bytes()));
    }
}
