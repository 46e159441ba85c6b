//! Rules of the settings that name no stack.

use moored::journal::Outcome;
use moored::plan::{Hold, Kind, Plan, Waits};
use moored::report;

use super::FRIDAYS;
use crate::support::by_hand;
use crate::support::town::{Town, run};

/// A town with a stack in each of these directories, released.
fn with_stacks(names: &[&str]) -> Town {
    let town = Town::new();
    for name in names {
        put(&town, name, name, "app:v1");
    }
    town.succeeds();
    town
}

fn put(town: &Town, dir: &str, name: &str, image: &str) {
    let manifest = format!("stack: {name}\nsoak: 0s\n");
    let compose = format!("services: {{web: {{image: '{image}'}}}}\n");
    let (path, other) = (format!("{dir}/moored.yaml"), format!("{dir}/compose.yaml"));
    town.commit(&[(&path, &manifest), (&other, &compose)]);
}

fn windows(town: &mut Town, names: &[&str]) {
    let rule = FRIDAYS.strip_prefix("shop: ").unwrap();
    let rules = names.iter().map(|name| format!("{name:?}: {rule}"));
    town.windows = rules.collect::<Vec<_>>().join("\n");
}

/// Does a pass; returns which stacks wait because of which rules, and which rules are told.
fn pass(town: &Town) -> (Vec<(String, String)>, Vec<String>) {
    let (mut waiting, mut told) = (Vec::new(), Vec::new());
    for (dir, passed) in town.pass() {
        match passed {
            Ok(passed) => {
                let rules = nameless(&passed.looked.plan);
                let stack = passed.looked.plan.stack.to_string();
                assert_eq!(in_status(town, &stack), rules, "status of {stack}");
                waiting.extend(rules.into_iter().map(|rule| (dir.clone(), rule)));
            }
            Err(error) => told.push(format!("{dir}: {error}")),
        }
    }
    (waiting, told)
}

/// Returns because of which rules a stack waits as its status says.
fn in_status(town: &Town, stack: &str) -> Vec<String> {
    let status = run(report::status(&town.view(), Some(stack))).unwrap();
    let waits = status.0.into_iter().flat_map(|status| status.waits);
    let rules = waits.filter_map(|waits| {
        if let Waits::Nameless(rule) = waits {
            Some(rule.name)
        } else {
            None
        }
    });
    rules.collect()
}

fn nameless(plan: &Plan) -> Vec<String> {
    let mut names = Vec::new();
    for hold in &plan.holds {
        if let Hold::Waits(Waits::Nameless(rule)) = hold {
            names.push(rule.name.clone());
        }
    }
    names
}

#[test]
fn a_rule_is_for_its_directory_however_that_is_written() {
    for name in ["shop", "shop/", "./shop", "/shop/", ".//shop//"] {
        let mut town = with_stacks(&["shop"]);
        windows(&mut town, &[name]);
        put(&town, "shop", "shop", "app:v2");
        let passed = town.pass().remove("shop").unwrap().unwrap();
        assert_eq!(passed.outcome, None, "{name}");
        let plan = passed.looked.plan.to_string();
        assert!(plan.contains("changes are let in at other hours"), "{plan}");
    }
}

#[test]
fn a_rule_that_names_no_stack_holds_those_that_no_other_is_for() {
    let mut town = with_stacks(&["shop", "blog", "wiki"]);
    windows(&mut town, &["shpo", "wiki"]);
    for name in ["shop", "blog", "wiki"] {
        put(&town, name, name, "app:v2");
    }
    let (waiting, told) = pass(&town);
    let meant = |dir: &str| (dir.to_owned(), "shpo".to_owned());
    assert_eq!(waiting, [meant("blog"), meant("shop")]);
    let what = "the host's settings: windows names \"shpo\", and no stack has that name or directory (did you mean \"shop\"?)";
    let hint = "\n  hint: there is: blog, shop, wiki";
    assert_eq!(told, [format!("windows.shpo: {what}{hint}")]);
    let passed = town.pass().remove("shop").unwrap().unwrap();
    let said = passed.looked.plan.holds[0].to_string();
    assert!(
        said.starts_with(&format!("{what}; no other rule")),
        "{said}"
    );
    assert_eq!(town.image("shop"), "app:v1");

    // What was released is kept meanwhile, and going back waits for nothing.
    by_hand::apply(&mut town.bench, "stop =blog-web-1", &|_| panic!("no pass"));
    let passed = town.pass().remove("blog").unwrap().unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    assert_eq!(passed.looked.plan.kind, Kind::Heal);
    put(&town, "blog", "blog", "app:v1");
    let (waiting, _) = pass(&town);
    assert_eq!(waiting, [meant("shop")]);

    windows(&mut town, &["shop", "wiki"]);
    let (waiting, told) = pass(&town);
    assert_eq!((waiting, told), (vec![], vec![]));
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn a_stack_that_is_gone_leaves_its_rule_behind_and_the_others_go_on() {
    let mut town = with_stacks(&["shop", "blog"]);
    windows(&mut town, &["shop"]);
    town.commit(&[("shop/moored.yaml", ""), ("shop/compose.yaml", "")]);
    put(&town, "blog", "blog", "app:v2");
    let (waiting, told) = pass(&town);
    assert_eq!(waiting, []);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(town.image("blog"), "app:v2");
    let status = run(report::status(&town.view(), None)).unwrap();
    assert!(status.0.iter().all(|status| status.refused.is_none()));
}

#[test]
fn a_stack_at_the_root_that_can_not_be_loaded_is_still_known() {
    let mut town = Town::new();
    let compose = "services: {web: {image: 'app:v1'}}\n";
    let manifest = "stack: shop\nsoak: 0s\n";
    town.commit(&[("moored.yaml", manifest), ("compose.yaml", compose)]);
    town.succeeds();
    windows(&mut town, &["shop"]);
    town.commit(&[("moored.yaml", "stack: [\n")]);
    let (_, told) = pass(&town);
    assert!(
        !told.iter().any(|told| told.contains("windows")),
        "{told:?}"
    );
}

#[test]
fn who_renames_or_moves_a_stack_does_not_lose_its_rule() {
    let mut town = Town::new();
    put(&town, "apps/web", "shop", "app:v1");
    town.succeeds();
    windows(&mut town, &["shop"]);
    put(&town, "apps/web", "store", "app:v2");
    let (waiting, _) = pass(&town);
    assert_eq!(waiting, [("apps/web".to_owned(), "shop".to_owned())]);

    // Nor by another directory, where the rule is for that.
    let mut town = Town::new();
    put(&town, "apps/shop", "store", "app:v1");
    town.succeeds();
    windows(&mut town, &["apps/shop"]);
    town.commit(&[
        ("apps/shop/moored.yaml", ""),
        ("apps/shop/compose.yaml", ""),
    ]);
    put(&town, "moved", "store", "app:v2");
    let (waiting, _) = pass(&town);
    assert_eq!(waiting, [("moved".to_owned(), "apps/shop".to_owned())]);
}

#[test]
fn what_can_not_be_loaded_has_its_rule_all_the_same() {
    let mut town = with_stacks(&["shop", "blog"]);
    windows(&mut town, &["shop"]);
    put(&town, "blog", "blog", "app:v2");
    for broken in ["shop/compose.yaml", "shop/moored.yaml"] {
        town.commit(&[(broken, "a: [\n")]);
        let (waiting, told) = pass(&town);
        assert_eq!(waiting, [], "{broken}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("shop:"), "{told:?}");
        assert_eq!(town.image("blog"), "app:v2");
    }
}
