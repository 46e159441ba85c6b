//! Bumps and promotions: a real repository, a real record, an engine in memory.

use moored::config::{Commits, Verify};
use moored::pass::Looked;
use moored::promote::{self, Ask, Done, PromoteError, Way};
use moored::reconcile;
use moored::report::{PromotionReport, Report as _};

use crate::support::origin::oid;
use crate::support::signing::Signing;
use crate::support::town::{Town, run};

const DIGEST: &str = "sha256:9f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e0";

const STAGING: &str = "stack: shop-staging\nsoak: 0s\nimages:\n  web: app:v2\n";

const PRODUCTION: &str = "\
# Nobody edits this by hand.
stack: shop-production
soak: 0s

images:   # promoted
  # The site.
  web: app:v1   # since May

prune: true
";

const COMPOSE: &str = "services:\n  web:\n    image: app:v1\n";

/// A town with staging at `app:v2`, which has a digest, and production at `app:v1`.
fn town() -> Town {
    let town = Town::new();
    {
        let mut world = town.bench.engine.world();
        let mut image = world.images["app:v2"].clone();
        image.0.repo_digests = vec![format!("app@{DIGEST}")];
        world.images.insert("app:v2".to_owned(), image.clone());
        world.images.insert(format!("app:v2@{DIGEST}"), image);
    }
    town.commit(&[
        ("staging/moored.yaml", STAGING),
        ("staging/compose.yaml", COMPOSE),
        ("production/moored.yaml", PRODUCTION),
        ("production/compose.yaml", COMPOSE),
    ]);
    town.succeeds();
    town
}

fn ask() -> Ask {
    Ask {
        push: true,
        by: Some("ada".to_owned()),
    }
}

fn staging(town: &Town) -> Looked {
    let looked = run(reconcile::look(&town.view(), Some("staging"))).unwrap();
    looked.into_values().next().unwrap().unwrap()
}

fn promote(town: &Town) -> Result<Done, PromoteError> {
    let from = staging(town);
    run(promote::promote(&town.view(), &from, "production", &ask()))
}

fn bump(town: &Town, service: &str, image: &str) -> Result<Done, PromoteError> {
    let what = (service, image);
    run(promote::bump(
        &town.view(),
        Some("shop-production"),
        what,
        &ask(),
    ))
}

fn manifest(town: &Town) -> String {
    town.files(&town.head())["production/moored.yaml"].clone()
}

#[test]
fn production_takes_the_digest_that_runs_well_in_staging() {
    let town = town();
    let before = town.head();
    let done = promote(&town).unwrap();
    let Way::Pushed(commit) = &done.way else {
        panic!("{:?}", done.way)
    };
    assert_eq!(*commit, town.head());
    let image = format!("app:v2@{DIGEST}");
    assert_eq!(manifest(&town), PRODUCTION.replace("app:v1", &image));
    let commit = town.origin.repository.find_commit(oid(commit)).unwrap();
    assert_eq!(commit.parent_id(0).unwrap(), oid(&before));
    let message = commit.message().unwrap().to_owned();
    let (first, short) = (&before, before.short());
    for text in [
        format!("Promote shop-staging 1-{short} to shop-production\n\n"),
        format!("web: {image}\n  was app:v1\n"),
        "Well in shop-staging on ".to_owned(),
        format!("release 1-{short} of commit {first}\n    change\n"),
        "released at 2026-01-01 00:0".to_owned(),
        format!("web: app@{DIGEST}\n    container "),
        " running, since ".to_owned(),
        "\nRun by ada on ".to_owned(),
    ] {
        assert!(message.contains(&text), "no {text:?} in {message}");
    }
    assert_eq!(message, done.message);
    let printed = PromotionReport::new(done, &town.view().config).text();
    assert!(
        printed.contains("from      shop-staging, release 1-"),
        "{printed}"
    );
    town.succeeds();
    assert_eq!(town.image("shop-production"), image);
    // Again there is nothing to do.
    let head = town.head();
    assert!(matches!(promote(&town).unwrap().way, Way::Already));
    assert_eq!(town.head(), head);
}

/// Says what speaks against a promotion, which changes nothing.
#[track_caller]
fn not_well(town: &Town) -> String {
    let head = town.head();
    let refused = promote(town).unwrap_err();
    assert!(matches!(refused, PromoteError::NotWell { .. }), "{refused}");
    assert_eq!(town.head(), head);
    refused.to_string()
}

#[test]
fn what_is_not_known_to_be_well_is_not_promoted() {
    let town = town();
    // Git is ahead of what runs.
    town.commit(&[("staging/moored.yaml", &STAGING.replace("v2", "v3"))]);
    let refused = not_well(&town);
    assert!(refused.contains("web: image"), "{refused}");
    town.commit(&[("staging/moored.yaml", STAGING)]);
    promote(&town).unwrap();
    // What failed is held.
    town.commit(&[("staging/moored.yaml", &STAGING.replace("app:v2", "bad:v1"))]);
    drop(town.pass());
    let refused = not_well(&town);
    assert!(refused.contains("this revision failed"), "{refused}");
    town.commit(&[("staging/moored.yaml", STAGING)]);
    town.succeeds();
    // What was stopped by hand differs.
    town.bench.engine.world().stop("shop-staging-web-1");
    let refused = not_well(&town);
    assert!(refused.contains("web: state"), "{refused}");
}

#[test]
fn nothing_is_promoted_from_a_stack_that_was_never_released() {
    let town = Town::new();
    town.commit(&[
        ("staging/moored.yaml", STAGING),
        ("staging/compose.yaml", COMPOSE),
    ]);
    let refused = not_well(&town);
    assert!(refused.contains("nothing has been released"), "{refused}");
}

#[test]
fn an_image_without_a_digest_is_not_promoted() {
    let town = town();
    town.commit(&[("staging/moored.yaml", &STAGING.replace("v2", "v3"))]);
    town.succeeds();
    let refused = promote(&town).unwrap_err();
    assert!(
        matches!(refused, PromoteError::NoDigest { .. }),
        "{refused}"
    );
}

#[test]
fn what_can_not_be_promoted_says_why() {
    let town = town();
    let from = staging(&town);
    let to = |to: &str| run(promote::promote(&town.view(), &from, to, &ask())).unwrap_err();
    let same = to("staging");
    assert!(matches!(same, PromoteError::SameStack { .. }), "{same}");
    let unknown = to("prod").to_string();
    assert!(
        unknown.contains("shop-production, shop-staging"),
        "{unknown}"
    );
    let flow = "stack: shop-production\nsoak: 0s\nimages: {web: 'app:v1'}\n";
    town.commit(&[("production/moored.yaml", flow)]);
    let head = town.head();
    let refused = promote(&town).unwrap_err();
    assert!(matches!(refused, PromoteError::Edit(_)), "{refused}");
    let hand = format!("by hand, in images: web: app:v2@{DIGEST}");
    assert!(refused.to_string().contains(&hand), "{refused}");
    assert_eq!(town.head(), head);
    let none = "stack: shop-production\nsoak: 0s\n";
    let without = STAGING.replace("images:\n  web: app:v2\n", "");
    town.commit(&[
        ("production/moored.yaml", none),
        ("staging/moored.yaml", &without),
        ("staging/compose.yaml", &COMPOSE.replace("v1", "v2")),
    ]);
    town.succeeds();
    let refused = promote(&town).unwrap_err();
    assert!(
        matches!(refused, PromoteError::NothingNamed { .. }),
        "{refused}"
    );
}

#[test]
fn a_bump_writes_one_line_and_pushes_it() {
    let town = town();
    let done = bump(&town, "web", "app:v3").unwrap();
    assert!(matches!(done.way, Way::Pushed(_)), "{:?}", done.way);
    assert_eq!(manifest(&town), PRODUCTION.replace("app:v1", "app:v3"));
    assert!(
        done.message
            .starts_with("Bump web of shop-production to app:v3\n\nweb: app:v3\n  was app:v1\n")
    );
    town.succeeds();
    assert_eq!(town.image("shop-production"), "app:v3");
    assert!(matches!(
        bump(&town, "web", "app:v3").unwrap().way,
        Way::Already
    ));
    let head = town.head();
    let refused = bump(&town, "site", "app:v3").unwrap_err().to_string();
    assert!(
        refused.contains("no service \"site\"") && refused.contains("web"),
        "{refused}"
    );
    let refused = bump(&town, "web", "APP:v3").unwrap_err();
    assert!(
        matches!(refused, PromoteError::BadImage { .. }),
        "{refused}"
    );
    let which = run(promote::bump(&town.view(), None, ("web", "app:v2"), &ask())).unwrap_err();
    assert!(matches!(which, PromoteError::WhichStack { .. }), "{which}");
    assert_eq!(town.head(), head);
}

#[test]
fn where_it_is_not_pushed_it_says_what_to_do() {
    let mut town = town();
    town.push = false;
    let head = town.head();
    let done = bump(&town, "web", "app:v3").unwrap();
    assert!(matches!(done.way, Way::NotPushed), "{:?}", done.way);
    assert_eq!(town.head(), head);
    let printed = PromotionReport::new(done, &town.view().config).text();
    for text in [
        "repository.push is false",
        "edit production/moored.yaml, in images: web: app:v3",
        "git commit -m 'Bump web of shop-production to app:v3' -m ",
        "git push origin HEAD:main",
    ] {
        assert!(printed.contains(text), "no {text:?} in {printed}");
    }
}

#[test]
fn an_image_that_the_settings_do_not_permit_is_refused_before_it_is_pushed() {
    let mut town = town();
    let from = staging(&town);
    let pattern = "registry.example/shop/*".to_owned().try_into().unwrap();
    town.bench.permits.images_from = Some(vec![pattern]);
    let head = town.head();
    let promoted = run(promote::promote(&town.view(), &from, "production", &ask()));
    for refused in [bump(&town, "web", "app:v3"), promoted] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, PromoteError::NotPermitted { .. }),
            "{error}"
        );
        let said = error.to_string();
        let setting = "policy: {images_from: [docker.io/library/app]}";
        assert!(said.contains(setting), "{said}");
    }
    assert_eq!(town.head(), head);
    let done = bump(&town, "web", "registry.example/shop/web:v3").unwrap();
    assert!(matches!(done.way, Way::Pushed(_)));
}

#[test]
fn the_head_of_the_branch_that_the_stack_follows_must_be_followed() {
    let signing = Signing::new();
    signing.person("ada", "ed25519");
    signing.allow(&[("ada", "")]);
    let mut town = Town::new();
    town.stacks = "[production, {dir: staging, branch: staging}]";
    town.verify = Some(Verify {
        allowed_signers: signing.file(),
        commits: Commits::Head,
    });
    let put = |branch: &str, dir: &str, manifest: &str| {
        let (path, other) = (format!("{dir}/moored.yaml"), format!("{dir}/compose.yaml"));
        town.commit_to(branch, &[(&path, manifest), (&other, COMPOSE)]);
    };
    put("main", "production", PRODUCTION);
    put("staging", "staging", STAGING);
    let bump = |stack: &str| {
        let what = ("web", "app:v3");
        run(promote::bump(&town.view(), Some(stack), what, &ask()))
    };
    for (signed, other) in [("staging", "main"), ("main", "staging")] {
        signing.sign(&town.origin, signed, "ada");
        let of = |branch: &str| match branch {
            "main" => "shop-production",
            _ => "shop-staging",
        };
        let done = bump(of(signed)).unwrap();
        assert!(matches!(done.way, Way::NotPushed), "{:?}", done.way);
        let error = bump(of(other)).unwrap_err();
        assert!(matches!(error, PromoteError::Refused(_)), "{error}");
        // And nobody vouches for it any more.
        town.commit_to(signed, &[("note", signed)]);
    }
}
