//! Every property of a container is seen to change, and nothing else is.

mod changes;
mod compose;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::diff::compare;
use super::*;
use crate::engine::model::{
    Container, ContainerSpec, ContainerState, Endpoint, Image, Logging, Mount, MountSource,
};
use crate::secret::{DigestKey, Sensitive};
use changes::{ASKED, CHANGES, Change, NAMELESS, UNSEEN, never_seen};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn map(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

/// A container that has something of everything, in two networks.
fn base() -> ContainerSpec {
    let place = |aliases: &[&str]| Endpoint {
        aliases: set(aliases),
        ..Endpoint::default()
    };
    ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: "back".to_owned(),
        networks: [("back", place(&["app"])), ("front", place(&["www"]))]
            .map(|(name, place)| (name.to_owned(), place))
            .into(),
        env: [("A".to_owned(), Some(Sensitive::new("1")))].into(),
        ..ContainerSpec::default()
    }
}

fn container(spec: ContainerSpec) -> Container {
    Container {
        id: "1".to_owned(),
        name: "app".to_owned(),
        image_id: "sha256:1".to_owned(),
        spec: Arc::new(spec),
        state: ContainerState::Running,
        health: None,
        pid: None,
        restart_count: 0,
        started_at: String::new(),
        oom_killed: false,
        ended_by_itself: false,
        addresses: BTreeMap::new(),
    }
}

fn image() -> Image {
    Image {
        id: "sha256:1".to_owned(),
        ..Image::default()
    }
}

fn git_facts(spec: &ContainerSpec) -> Facts {
    let key = DigestKey::new(vec![1; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    desired(spec, Some(&image()), &set(&["A"]), veil)
}

fn live_facts(spec: ContainerSpec, known: Known<'_>) -> Facts {
    let key = DigestKey::new(vec![1; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    live(&container(spec), known, veil)
}

/// Returns the fields in which a live container differs from Git.
fn differ(git: &ContainerSpec, live: ContainerSpec) -> BTreeSet<String> {
    let git = git_facts(git);
    let known = Known {
        git: &git,
        release: None,
        is_of_git: &|| false,
    };
    let live = live_facts(live, known);
    let reasons = compare(&git, None, &live, true);
    reasons.iter().map(|one| one.field.to_string()).collect()
}

fn changed(changes: &[&Change]) -> ContainerSpec {
    let mut spec = base();
    for (_, change) in changes {
        change(&mut spec);
    }
    spec
}

#[test]
fn each_change_is_named_and_nothing_else() {
    for change in CHANGES.iter().chain([&NAMELESS]) {
        let expected = set(&[change.0]);
        assert_eq!(differ(&changed(&[change]), base()), expected, "in Git");
        assert_eq!(differ(&base(), changed(&[change])), expected, "on the host");
        assert_eq!(differ(&changed(&[change]), changed(&[change])), set(&[]));
    }
}

#[test]
fn no_field_is_without_a_change() {
    let changes = CHANGES.iter().chain(ASKED).chain(UNSEEN);
    let told = changes.flat_map(|change| git_facts(&changed(&[change])));
    let base = git_facts(&base());
    let seen = told.filter(|(field, fact)| base.get(field) != Some(fact));
    assert_eq!(
        never_seen(&seen.map(|(field, _)| field).collect()),
        [].into()
    );
}

#[test]
fn what_the_engine_fills_in_is_compared_where_git_asks() {
    for change in ASKED {
        let expected = set(&[change.0]);
        assert_eq!(differ(&changed(&[change]), base()), expected, "in Git");
        assert_eq!(differ(&base(), changed(&[change])), set(&[]), "filled in");
        // What Git asked for and does no more.
        let before = git_facts(&changed(&[change]));
        let git = git_facts(&base());
        let known = Known {
            git: &git,
            release: Some(&before),
            is_of_git: &|| false,
        };
        let live = live_facts(changed(&[change]), known);
        let reasons = compare(&git, Some(&before), &live, true);
        let fields: Vec<String> = reasons.iter().map(|one| one.field.to_string()).collect();
        assert_eq!(fields, [change.0]);
    }
}

#[test]
fn what_the_engine_never_shows_is_what_the_container_was_made_from() {
    for change in UNSEEN {
        let (git, before) = (git_facts(&changed(&[change])), git_facts(&base()));
        let fields = |git: &Facts, release: Option<&Facts>, is_of_git| {
            let known = Known {
                git,
                release,
                is_of_git: &|| is_of_git,
            };
            let live = live_facts(base(), known);
            let reasons = compare(git, release, &live, true);
            let names = reasons.iter().map(|one| one.field.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(fields(&git, Some(&before), false), [change.0], "new in Git");
        assert_eq!(
            fields(&before, Some(&git), false),
            [change.0],
            "gone from Git"
        );
        assert_eq!(fields(&git, Some(&git), false), [""; 0], "as released");
        assert_eq!(
            fields(&git, Some(&before), true),
            [""; 0],
            "made by a killed pass"
        );
        assert_eq!(fields(&git, None, false), [""; 0], "made by somebody else");
    }
}

#[test]
fn what_the_kernel_can_not_do_is_no_difference_once_it_was_asked_for() {
    let weight = |spec: &mut ContainerSpec| spec.limits.blkio.weight = 300;
    let git = git_facts(&changed(&[&("", weight)]));
    let differs = |is_of_git| {
        let known = Known {
            git: &git,
            release: None,
            is_of_git: &|| is_of_git,
        };
        !compare(&git, None, &live_facts(base(), known), true).is_empty()
    };
    assert_eq!((differs(false), differs(true)), (true, false));
}

fn bind(spec: &mut ContainerSpec, target: &str, path: &str) {
    let mut mount = Mount::anonymous();
    mount.source = MountSource::Bind {
        path: path.to_owned(),
        create: true,
    };
    spec.mounts.insert(target.to_owned(), mount);
}

#[test]
fn the_same_in_other_words_is_no_difference() {
    type Pair = (fn(&mut ContainerSpec), fn(&mut ContainerSpec));
    let pairs: [Pair; 10] = [
        (
            |spec| bind(spec, "/data/", "/var/../srv//./data/"),
            |spec| bind(spec, "/data", "/srv/data"),
        ),
        (|_| {}, |spec| spec.namespaces.ipc = "private".to_owned()),
        (|_| {}, |spec| spec.namespaces.ipc = "shareable".to_owned()),
        (|_| {}, |spec| spec.runtime = Some("runc".to_owned())),
        (
            |_| {},
            |spec| {
                spec.logging = Some(Logging {
                    driver: "json-file".to_owned(),
                    options: map("max-size", "1m"),
                });
            },
        ),
        (
            |spec| spec.security_opt = set(&["label:disable"]),
            |spec| spec.security_opt = set(&["label=disable"]),
        ),
        (
            |spec| spec.privileged = true,
            |spec| {
                spec.privileged = true;
                spec.security_opt = set(&["label=disable"]);
            },
        ),
        (
            |spec| spec.resources.pids_limit = -1,
            |spec| spec.resources.pids_limit = 0,
        ),
        (
            |spec| spec.volumes_from = set(&["db:rw"]),
            |spec| spec.volumes_from = set(&["db"]),
        ),
        (
            |spec| {
                spec.hostname = Some("www".to_owned());
            },
            |spec| {
                spec.hostname = Some("www".to_owned());
                let place = spec.networks.entry("front".to_owned()).or_default();
                place.aliases.clear();
            },
        ),
    ];
    for (index, (git, live)) in pairs.into_iter().enumerate() {
        let (git, live) = (changed(&[&("", git)]), changed(&[&("", live)]));
        assert_eq!(differ(&git, live), set(&[]), "pair {index}");
    }
    // Somebody's own choice where Git makes none.
    let mut live = base();
    live.namespaces.ipc = "container:x".to_owned();
    assert_eq!(differ(&base(), live), set(&["ipc"]));
}

#[test]
fn host_names_of_the_host_are_filled_in() {
    let mut git = base();
    git.networks.clear();
    git.network_mode = "host".to_owned();
    let mut live = git.clone();
    live.hostname = Some("vm".to_owned());
    assert_eq!(differ(&git, live), set(&[]));
}

#[test]
fn passwords_in_options_are_hidden() {
    let mut spec = base();
    spec.logging = Some(Logging {
        driver: "splunk".to_owned(),
        options: map("splunk-token", "hunter2"),
    });
    let place = spec.networks.entry("back".to_owned()).or_default();
    place.driver_opts = map("com.example.api_key", "hunter2");
    let mut mount = Mount::anonymous();
    mount.long.labels = map("token", "hunter2");
    spec.mounts.insert("/data".to_owned(), mount);
    let facts = git_facts(&spec);
    for field in [
        Field::LogOption("splunk-token".to_owned()),
        Field::Network("back".to_owned()),
        Field::Mount("/data".to_owned()),
    ] {
        assert!(matches!(facts[&field], Fact::Hidden(_)), "{field}");
    }
}

proptest! {
    #[test]
    fn any_changes_on_both_sides_are_named_each(
        git in prop::collection::btree_set(0..CHANGES.len(), 0..9),
        live in prop::collection::btree_set(0..CHANGES.len(), 0..9),
    ) {
        let pick = |indices: &BTreeSet<usize>| -> Vec<&Change> {
            indices.iter().map(|index| &CHANGES[*index]).collect()
        };
        let expected: BTreeSet<String> = git
            .symmetric_difference(&live)
            .map(|index| CHANGES[*index].0.to_owned())
            .collect();
        let seen = differ(&changed(&pick(&git)), changed(&pick(&live)));
        prop_assert_eq!(seen, expected);
    }
}
