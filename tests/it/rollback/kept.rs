//! Under which holds the last release is kept as it was, and under which it is left alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moored::gates::Suspension;
use moored::journal::Outcome;
use moored::plan::{Hold, Kind, Plan, Weight};
use moored::report::{self, Report as _};
use moored::stacks::LoadError;
use moored::trust::Refusal;

use super::{Town, run, shop};
use crate::support::fake_engine::{Faults, World};
use crate::support::origin::oid;

/// Returns the plan of a pass of the one stack, and how it ended.
#[track_caller]
fn pass(town: &Town) -> (Plan, Option<Outcome>) {
    let passed = town.pass().remove(".").unwrap().unwrap();
    (passed.looked.plan, passed.outcome)
}

/// Returns the names of what holds a plan.
fn names(plan: &Plan) -> Vec<String> {
    let heavy = plan.holds.iter().filter(|hold| hold.is_heavy());
    let name = |hold: &Hold| serde_json::to_value(hold).unwrap()["hold"].clone();
    heavy
        .map(|hold| name(hold).as_str().unwrap().to_owned())
        .collect()
}

fn compose(town: &Town, text: &str) {
    town.commit(&[("compose.yaml", text)]);
}

/// What the head of a branch is held for although the last release has nothing to do with it.
type Case = (&'static str, fn(&mut Town));

const ABOUT_THE_REVISION: &[Case] = &[
    ("image-missing", |town| drop(town.shop("nowhere:v9"))),
    ("image-denied", |town| {
        town.bench.engine.world().registry.denies = true;
        town.shop("nowhere:v9");
    }),
    ("image-unknown", |town| {
        town.bench.engine.world().registry.down = true;
        town.shop("nowhere:v9");
    }),
    ("image-not-pulled", |town| {
        compose(
            town,
            "services: {web: {image: 'nowhere:v9', pull_policy: never}}\n",
        );
    }),
    ("not-permitted", |town| {
        compose(
            town,
            "services: {web: {image: 'app:v2', privileged: true}}\n",
        );
    }),
    ("external-missing", |town| {
        compose(
            town,
            "services: {web: {image: 'app:v2', networks: [far]}}\n\
             networks: {far: {external: true}}\n",
        );
    }),
    ("history-rewritten", |town| {
        let tree = town
            .origin
            .repository
            .find_commit(oid(&town.head()))
            .unwrap();
        (town.origin).commit_tree("main", tree.tree_id(), &[], "from scratch");
    }),
];

#[test]
fn the_last_release_is_mended_whatever_keeps_the_next_revision_from_coming() {
    for (name, head) in ABOUT_THE_REVISION {
        let mut town = Town::new();
        town.release("app:v1");
        head(&mut town);
        let (plan, outcome) = pass(&town);
        assert_eq!((names(&plan), outcome), (vec![(*name).to_owned()], None));
        for dies in [World::stop, World::remove] {
            dies(&mut town.bench.engine.world(), "shop-web-1");
            let (plan, outcome) = pass(&town);
            assert_eq!(outcome, Some(Outcome::Succeeded), "{name}: {plan}");
            assert_eq!(plan.kind, Kind::Heal, "{name}");
            assert_eq!(names(&plan), [*name], "it is held as before");
            assert!(plan.weight() > Some(Weight::Notice));
            assert_eq!(town.image("shop"), "app:v1", "{name}");
            assert!(runs(&town), "{name}");
            let (plan, outcome) = pass(&town);
            assert_eq!((names(&plan), outcome), (vec![(*name).to_owned()], None));
        }
    }
}

fn runs(town: &Town) -> bool {
    let world = town.bench.engine.world();
    world.find("shop-web-1").unwrap().shown.is_running()
}

/// What a person, or a crash, or the data, has the whole stack left alone for.
const ABOUT_THE_STACK: &[Case] = &[
    ("waits", |town| {
        let suspension = Suspension {
            reason: "disk".to_owned(),
            until: None,
            since: None,
            by: None,
        };
        town.bench.record().suspend(&shop(), &suspension).unwrap();
        town.shop("app:v2");
    }),
    ("waits", |town| {
        let manifest = "stack: shop\nsoak: 0s\nsuspend: {reason: fair}\n";
        town.commit(&[("moored.yaml", manifest)]);
        town.commit(&[("compose.yaml", "services: {web: {image: 'nowhere:v9'}}\n")]);
    }),
    ("stuck", |town| {
        town.shop("bad:v1");
        let faults = Faults::fail_on("rename_container shop-web-1.old");
        town.bench.engine.faults(faults);
        let (_, outcome) = pass(town);
        assert!(
            matches!(outcome, Some(Outcome::Stuck { .. })),
            "{outcome:?}"
        );
        town.bench.engine.faults(Faults::none());
    }),
    ("crashes", |town| {
        town.shop("app:v2");
        for crash in 1..=3 {
            town.bench.engine.faults(Faults::kill_before(1));
            let passed = catch_unwind(AssertUnwindSafe(|| town.pass()));
            assert!(passed.is_err(), "crash {crash}");
        }
        town.bench.engine.faults(Faults::none());
    }),
    ("stays", |town| {
        town.commit(&[
            ("moored.yaml", "stack: shop\nsoak: 0s\non_failure: hold\n"),
            ("compose.yaml", "services: {web: {image: 'bad:v1'}}\n"),
        ]);
        let (_, outcome) = pass(town);
        assert!(matches!(outcome, Some(Outcome::Held { .. })), "{outcome:?}");
    }),
];

#[test]
fn a_stack_that_is_to_be_left_alone_is_left_alone_whatever_else_holds_it() {
    for (name, head) in ABOUT_THE_STACK {
        let mut town = Town::new();
        town.release("app:v1");
        head(&mut town);
        let left: Vec<String> = {
            let mut world = town.bench.engine.world();
            let all = world.containers.values();
            let names: Vec<String> = all.map(|kept| kept.shown.name.clone()).collect();
            for name in &names {
                world.stop(name);
            }
            names
        };
        assert!(!left.is_empty(), "{name}");
        let before = town.bench.engine.world().calls.len();
        let (plan, outcome) = pass(&town);
        assert_eq!(outcome, None, "{name}: {plan}");
        assert!(names(&plan).contains(&(*name).to_owned()), "{plan}");
        assert_eq!(town.bench.engine.world().calls.len(), before, "{name}");
    }
}

/// A town whose release was pulled as `app@sha256:one…`, with a head whose image nobody has.
fn pulled() -> (Town, String) {
    let town = Town::new();
    let one = format!("sha256:{}", "1".repeat(64));
    let mut world = town.bench.engine.world();
    let (image, fate) = world.images.get_mut("app:v1").unwrap();
    // Whoever has it from elsewhere too is not to look for it there.
    image.repo_digests = vec![format!("copies.example/app@{one}"), format!("app@{one}")];
    let pushed = (image.clone(), fate.clone());
    world.registry.images.insert(one.clone(), pushed);
    drop(world);
    town.release("app:v1");
    let two = format!("sha256:{}", "2".repeat(64));
    let mut world = town.bench.engine.world();
    world.registry.tags.insert("app:v1".to_owned(), two);
    drop(world);
    town.shop("nowhere:v9");
    pass(&town);
    (town, one)
}

#[test]
fn the_image_of_the_release_comes_back_whatever_its_tag_stands_for_by_now() {
    let (town, one) = pulled();
    let mut world = town.bench.engine.world();
    world.remove("shop-web-1");
    world.images.remove("app:v1");
    drop(world);
    let (plan, outcome) = pass(&town);
    assert_eq!(outcome, Some(Outcome::Succeeded), "{plan}");
    assert!(plan.to_string().contains(&one[..19]), "{plan}");
    assert!(runs(&town));
}

#[test]
fn the_image_of_the_release_comes_back_although_its_tag_is_gone() {
    let (town, one) = pulled();
    let mut world = town.bench.engine.world();
    world.remove("shop-web-1");
    world.images.remove("app:v1");
    world.registry.tags.remove("app:v1");
    drop(world);
    let (plan, outcome) = pass(&town);
    assert_eq!(outcome, Some(Outcome::Succeeded), "{plan}");
    assert!(plan.to_string().contains(&one[..19]), "{plan}");
    assert!(runs(&town));
}

/// Returns whether a pass changes nothing, as two images can't be had: that of the head, and that of
/// the release for this reason.
#[track_caller]
fn stays_down(town: &Town, why: &str) {
    let (plan, outcome) = pass(town);
    assert_eq!((names(&plan).len(), outcome), (2, None), "{plan}");
    assert!(plan.steps.is_empty(), "{plan}");
    let said =
        |hold: &Hold| matches!(hold, Hold::ImageMissing { cause, .. } if cause.contains(why));
    assert!(plan.holds.iter().any(said), "{plan}");
}

#[test]
fn another_image_under_the_tag_is_not_put_in_the_place_of_the_released_one() {
    let (town, _) = pulled();
    let mut world = town.bench.engine.world();
    world.remove("shop-web-1");
    let other = world.images["app:v2"].clone();
    world.images.insert("app:v1".to_owned(), other);
    drop(world);
    stays_down(&town, "another one than that of the last release");
}

#[test]
fn an_image_that_came_from_no_registry_is_not_pulled_from_one() {
    for known in [None, Some("copies.example/app")] {
        let town = Town::new();
        let two = format!("sha256:{}", "2".repeat(64));
        let mut world = town.bench.engine.world();
        let (image, _) = world.images.get_mut("app:v1").unwrap();
        image.repo_digests = known.iter().map(|known| format!("{known}@{two}")).collect();
        drop(world);
        town.release("app:v1");
        town.shop("nowhere:v9");
        let mut world = town.bench.engine.world();
        world.remove("shop-web-1");
        world.images.remove("app:v1");
        let other = world.images["app:v2"].clone();
        world.registry.images.insert(two.clone(), other);
        world.registry.tags.insert("app:v1".to_owned(), two);
        drop(world);
        stays_down(&town, "nobody knows how a registry calls");
    }
}

#[test]
fn an_image_with_another_name_holds_its_own_service_alone() {
    let town = Town::new();
    let both = "services: {web: {image: 'app:v1'}, api: {image: 'app:v2'}}\n";
    town.commit(&[
        ("moored.yaml", "stack: shop\nsoak: 0s\n"),
        ("compose.yaml", both),
    ]);
    town.succeeds();
    compose(&town, &both.replace("app:v1", "nowhere:v9"));
    let mut world = town.bench.engine.world();
    let other = world.images["app:v1"].clone();
    world.images.insert("app:v2".to_owned(), other);
    for dies in ["shop-web-1", "shop-api-1"] {
        world.stop(dies);
    }
    world.remove("shop-web-1");
    drop(world);
    let (plan, outcome) = pass(&town);
    assert_eq!(outcome, Some(Outcome::Succeeded), "{plan}");
    assert!(runs(&town));
    assert!(
        town.bench
            .engine
            .world()
            .find("shop-api-1")
            .unwrap()
            .shown
            .is_running()
    );
    town.bench.engine.world().remove("shop-api-1");
    stays_down(&town, "another one than that of the last release");
}

/// A head that can't be loaded: what it is, what it changes, and whether the release is kept.
type Broken = (&'static str, &'static [(&'static str, &'static str)], bool);

const BROKEN: &[Broken] = &[
    (
        "a Compose file that is no YAML",
        &[("compose.yaml", "services: {web: [\n")],
        true,
    ),
    (
        "an environment file that is not on the host",
        &[(
            "compose.yaml",
            "services: {web: {image: 'app:v2', env_file: /nowhere/web.env}}\n",
        )],
        true,
    ),
    (
        "a manifest that is no YAML: it may say suspend",
        &[("moored.yaml", "stack: [shop\n")],
        false,
    ),
    (
        "a manifest that says suspend",
        &[
            ("moored.yaml", "stack: shop\nsuspend: {reason: fair}\n"),
            ("compose.yaml", "services: {web: [\n"),
        ],
        false,
    ),
    (
        "another stack",
        &[
            ("moored.yaml", "stack: other\n"),
            ("compose.yaml", "services: {web: [\n"),
        ],
        false,
    ),
];

#[test]
fn the_release_is_kept_while_the_head_can_not_be_loaded_and_the_findings_are_told() {
    for (what, files, is_kept) in BROKEN {
        let town = Town::new();
        town.release("app:v1");
        town.commit(files);
        town.bench.engine.world().stop("shop-web-1");
        for _ in 0..2 {
            let passed = town.pass().remove(".").unwrap();
            let Err(LoadError::State(_)) = passed else {
                panic!("{what} is loaded");
            };
            assert_eq!(runs(&town), *is_kept, "{what}");
        }
        let status = run(report::status(&town.view(), None)).unwrap();
        let refused = &status.0[0].refused;
        let is_told = matches!(refused, Some(Refusal::NotLoadable(_)));
        assert!(is_told, "{what}: {}", status.text());
        assert!(status.text().contains("can't be loaded"));
        assert_eq!(town.image("shop"), "app:v1");
        town.release("app:v2");
    }
}
