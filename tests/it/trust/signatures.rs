//! Commits that are signed, and by whom.

use moored::config::Commits;
use moored::journal::Outcome;
use moored::plan::{Hold, Kind};
use moored::report::{self, PlanReport, Report as _};
use moored::rollback::Way;
use moored::source::Revision;
use moored::stacks::LoadError;
use moored::trust::{Distrust, Refusal};
use moored::{reconcile, stacks};

use super::{distrust, guarded, held, refused, release, rule};
use crate::support::origin::oid;
use crate::support::put;
use crate::support::signing::{object_of, sign_with, write_raw};
use crate::support::town::{Town, named, run};

#[test]
fn a_signed_head_is_deployed_and_an_unsigned_one_is_held() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    let v1 = town.head();
    let v2 = town.shop("app:v2");
    let hold = held(&town);
    insta::assert_snapshot!(named(&hold.to_string(), &[(&v1, "V1"), (&v2, "V2")]), @"commit V2 of branch main is not signed; it is not followed until a commit on top is signed by somebody who may");
    assert_eq!(town.image("shop"), "app:v1");
    let json = serde_json::to_value(&hold).unwrap();
    assert_eq!(json["hold"], "not-trusted");
    assert_eq!(json["why"], "unsigned");
    assert_eq!(json["head"], v2.as_str());

    let status = run(report::status(&town.view(), None)).unwrap();
    assert!(status.text().contains("is not signed"), "{}", status.text());
    let looked = run(reconcile::look(&town.view(), None)).unwrap();
    let plan = PlanReport::new(&looked).text();
    assert!(plan.contains("is not signed"), "{plan}");

    // A commit on top vouches for all of it.
    town.commit(&[("note", "seen")]);
    signing.sign(&town.origin, "main", "ada");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn a_host_without_a_release_stays_empty() {
    let (town, signing) = guarded();
    town.shop("app:v1");
    let refusal = refused(&town);
    assert!(
        matches!(&refusal, Refusal::NotTrusted(head) if head.why == Distrust::Unsigned),
        "{refusal}"
    );
    signing.sign(&town.origin, "main", "eve");
    let refusal = refused(&town);
    assert!(
        matches!(&refusal, Refusal::NotTrusted(head) if matches!(head.why, Distrust::UnknownSigner { .. })),
        "{refusal}"
    );
    release(&town, &signing, "app:v1", "ada");
}

#[test]
fn a_commit_that_nobody_vouches_for_is_not_even_read() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    town.commit(&[
        ("moored.yaml", "stack: [\n"),
        ("other/moored.yaml", "stack: other\n"),
    ]);
    assert_eq!(distrust(&town), Distrust::Unsigned);
    assert_eq!(
        town.bench
            .told
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains("other"))
            .count(),
        0
    );
}

#[test]
fn each_thing_that_can_be_wrong_has_its_name() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    let base = town.head();
    let again = || {
        town.origin.point("main", oid(&base));
        town.shop("app:v2")
    };

    again();
    signing.sign(&town.origin, "main", "eve");
    assert!(
        matches!(distrust(&town), Distrust::UnknownSigner { key } if key.starts_with("SHA256:"))
    );

    again();
    sign_with(&town.origin, "main", |payload| {
        signing.armour("ada", "file", payload)
    });
    assert!(matches!(distrust(&town), Distrust::OtherPurpose { namespace } if namespace == "file"));

    // The signature of another commit.
    again();
    sign_with(&town.origin, "main", |_| {
        signing.armour("ada", "git", b"tree 1\n\n")
    });
    assert!(matches!(distrust(&town), Distrust::Forged { .. }));

    again();
    let cut = |payload: &[u8]| {
        signing
            .armour("ada", "git", payload)
            .replace("-----END SSH SIGNATURE-----", "")
    };
    sign_with(&town.origin, "main", cut);
    assert!(matches!(distrust(&town), Distrust::Malformed { .. }));

    again();
    sign_with(&town.origin, "main", |_| {
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----".to_owned()
    });
    assert!(matches!(distrust(&town), Distrust::Malformed { .. }));

    for (armour, kind) in [
        (
            "-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----",
            "OpenPGP",
        ),
        (
            "-----BEGIN SIGNED MESSAGE-----\nMI\n-----END SIGNED MESSAGE-----",
            "X.509",
        ),
    ] {
        again();
        sign_with(&town.origin, "main", |_| armour.to_owned());
        let why = distrust(&town);
        assert!(matches!(&why, Distrust::OtherKind { what } if what.contains(kind)));
        assert!(why.to_string().contains("gpg.format=ssh"), "{why}");
    }

    // A second signature, good as the first one is.
    let plain = again();
    let signed = signing.sign(&town.origin, "main", "ada");
    let object = object_of(&town.origin, &signed);
    let header = object.find("gpgsig ").unwrap()..object.find("\n\n").unwrap() + 1;
    let header = &object[header];
    let twice = object.replace(header, &format!("{header}{header}"));
    write_raw(&town.origin, "main", &twice);
    assert_eq!(distrust(&town), Distrust::SeveralSignatures);
    // One in the message only.
    let message = object_of(&town.origin, &plain) + "\n" + header;
    write_raw(&town.origin, "main", &message);
    assert_eq!(distrust(&town), Distrust::Unsigned);
    // Another tree under the same signature.
    let tree = |image: &str| {
        town.origin.point("main", oid(&base));
        let commit = town.shop(image);
        let commit = town.origin.repository.find_commit(oid(&commit)).unwrap();
        commit.tree_id().to_string()
    };
    let swapped = object.replace(&tree("app:v2"), &tree("app:v3"));
    assert_ne!(swapped, object);
    write_raw(&town.origin, "main", &swapped);
    assert!(matches!(distrust(&town), Distrust::Forged { .. }));
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn a_file_of_signers_that_can_not_be_used_lets_nobody_in() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    town.shop("app:v2");
    signing.sign(&town.origin, "main", "ada");
    let good = std::fs::read_to_string(signing.file()).unwrap();
    for text in [
        "",
        "nonsense\n",
        &format!("{good}ada cert-authority {}\n", signing.public("ada")),
    ] {
        put(signing.file(), text);
        let why = distrust(&town);
        assert!(matches!(&why, Distrust::SignersFile { .. }), "{why}");
        assert!(why.to_string().contains("allowed_signers"), "{why}");
    }
    std::fs::remove_file(signing.file()).unwrap();
    assert!(matches!(distrust(&town), Distrust::SignersFile { .. }));
    put(signing.file(), good);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn a_key_counts_while_it_is_valid() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    town.shop("app:v2");
    signing.sign(&town.origin, "main", "ada");
    // The commits of these tests are of 2023-11-14.
    for options in [
        "valid-before=\"20231101Z\"",
        "namespaces=\"git\",valid-before=\"20231101Z\"",
    ] {
        signing.allow(&[("ada", options)]);
        assert!(
            matches!(distrust(&town), Distrust::Expired { signer, until, .. }
            if signer == "ada@example.org" && until.starts_with("2023-11-01"))
        );
    }
    signing.allow(&[("ada", "valid-after=\"20231201Z\"")]);
    assert!(matches!(distrust(&town), Distrust::NotYetValid { .. }));
    signing.allow(&[("ada", "namespaces=\"file\"")]);
    assert!(matches!(distrust(&town), Distrust::NotForGit { .. }));
    // One line that lets it sign is enough.
    signing.allow(&[
        ("ada", "valid-before=\"20231101Z\""),
        (
            "ada",
            "valid-after=\"20231101Z\",valid-before=\"20231201Z\"",
        ),
    ]);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn what_is_deployed_stays_when_verification_begins_later() {
    let (mut town, signing) = guarded();
    let verify = town.verify.take();
    town.release("app:v1");
    town.verify = verify;
    assert_eq!(distrust(&town), Distrust::Unsigned);
    assert_eq!(town.image("shop"), "app:v1");
    release(&town, &signing, "app:v2", "ada");
}

#[test]
fn every_commit_since_the_release_where_the_settings_say_so() {
    let (mut town, signing) = guarded();
    town.verify = Some(rule(&signing, Commits::All));
    // The first release has nothing to go on from: its head vouches for what was before.
    town.commit(&[("note", "unsigned")]);
    release(&town, &signing, "app:v1", "ada");
    let base = town.head();
    let hidden = town.shop("app:v2");
    town.commit(&[("note", "seen")]);
    let head = signing.sign(&town.origin, "main", "ada");
    let hold = held(&town);
    let Hold::NotTrusted(refused) = &hold else {
        panic!("{hold}")
    };
    assert_eq!((&refused.commit, &refused.head), (&hidden, &head));
    insta::assert_snapshot!(named(&hold.to_string(), &[(&hidden, "HIDDEN"), (&head, "HEAD")]), @"commit HIDDEN of branch main is not signed; it came with HEAD, which is not followed until every commit since the last release is signed by somebody who may");
    // One that was merged in counts too.
    town.origin.point("main", oid(&base));
    town.origin.point("side", oid(&base));
    let side = town.commit_to("side", &[("note", "side")]);
    let main = town.shop("app:v2");
    let tree = town
        .origin
        .repository
        .find_commit(oid(&main))
        .unwrap()
        .tree_id();
    let main = signing.sign(&town.origin, "main", "ada");
    (town.origin).commit_tree("main", tree, &[oid(&main), oid(&side)], "merge");
    signing.sign(&town.origin, "main", "ada");
    let hold = held(&town);
    assert!(hold.to_string().contains(side.short()), "{hold}");
    assert_eq!(town.image("shop"), "app:v1");
    // And with all of them signed it goes on.
    town.origin.point("main", oid(&main));
    town.commit(&[("note", "seen")]);
    signing.sign(&town.origin, "main", "ada");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

/// Puts a stack into a directory of its name.
fn commit_stack(town: &Town, dir: &str, stack: &str, image: &str) -> Revision {
    let manifest = format!("stack: {stack}\nsoak: 0s\n");
    let compose = format!("services: {{web: {{image: '{image}'}}}}\n");
    town.commit(&[
        (&format!("{dir}/moored.yaml"), &manifest),
        (&format!("{dir}/compose.yaml"), &compose),
    ])
}

#[test]
fn every_commit_counts_for_a_stack_that_is_new_on_the_branch() {
    let (mut town, signing) = guarded();
    town.verify = None;
    let file = signing.file().display().to_string();
    let rule = format!("verify: {{allowed_signers: {file}, commits: all}}");
    town.stacks = format!("[staging, {{dir: production, {rule}}}]").leak();
    commit_stack(&town, "staging", "staging", "app:v1");
    let base = signing.sign(&town.origin, "main", "ada");
    town.pass();
    assert_eq!(town.image("staging"), "app:v1");
    let hidden = commit_stack(&town, "production", "production", "app:v2");
    town.commit(&[("note", "seen")]);
    let head = signing.sign(&town.origin, "main", "ada");
    let mut passes = town.pass();
    let Some(Err(LoadError::Refused(refusal))) = passes.remove("production") else {
        panic!("it is not refused");
    };
    let Refusal::NotTrusted(refused) = *refusal else {
        panic!("{refusal}");
    };
    assert_eq!((refused.commit, refused.head), (hidden, head));
    // And with all of them signed it is deployed.
    town.origin.point("main", oid(&base));
    commit_stack(&town, "production", "production", "app:v2");
    signing.sign(&town.origin, "main", "ada");
    town.commit(&[("note", "seen")]);
    signing.sign(&town.origin, "main", "ada");
    town.succeeds();
    assert_eq!(town.image("production"), "app:v2");
}

#[test]
fn every_commit_counts_for_a_stack_whose_directory_was_renamed() {
    // As Git names them, and as the settings do.
    for stacks in [["", ""], ["[one]", "[two]"]] {
        let (mut town, signing) = guarded();
        town.verify = Some(rule(&signing, Commits::All));
        town.stacks = stacks[0];
        commit_stack(&town, "one", "shop", "app:v1");
        signing.sign(&town.origin, "main", "ada");
        town.succeeds();
        town.stacks = stacks[1];
        commit_stack(&town, "two", "shop", "app:v2");
        town.commit(&[("one/moored.yaml", ""), ("one/compose.yaml", "")]);
        town.commit(&[("note", "seen")]);
        signing.sign(&town.origin, "main", "ada");
        for (dir, passed) in town.pass() {
            let outcome = passed.map(|passed| passed.outcome);
            let changed = matches!(outcome, Ok(Some(_)));
            assert!(!changed, "{stacks:?}: {dir}");
        }
        assert_eq!(town.image("shop"), "app:v1", "{stacks:?}");
    }
}

#[test]
fn a_stack_may_have_signers_of_its_own() {
    let (mut town, signing) = guarded();
    town.verify = None;
    let file = signing.file().display().to_string();
    let stacks = format!("[staging, {{dir: production, verify: {{allowed_signers: {file}}}}}]");
    town.stacks = stacks.leak();
    let put = |image: &str| {
        for dir in ["staging", "production"] {
            town.commit(&[
                (
                    &format!("{dir}/moored.yaml"),
                    &format!("stack: {dir}\nsoak: 0s\n"),
                ),
                (
                    &format!("{dir}/compose.yaml"),
                    &format!("services: {{web: {{image: '{image}'}}}}\n"),
                ),
            ]);
        }
    };
    put("app:v1");
    signing.sign(&town.origin, "main", "ada");
    town.succeeds();
    put("app:v2");
    let passes = town.pass();
    let production = passes["production"]
        .as_ref()
        .map_err(ToString::to_string)
        .unwrap();
    assert!(matches!(
        production.looked.plan.holds[0],
        Hold::NotTrusted { .. }
    ));
    assert_eq!(town.image("staging"), "app:v2");
    assert_eq!(town.image("production"), "app:v1");
    let loaded = run(stacks::load(&town.view(), Some("production"))).unwrap();
    assert_eq!(loaded.len(), 1);
    town.commit(&[("note", "seen")]);
    signing.sign(&town.origin, "main", "ada");
    town.succeeds();
    assert_eq!(town.image("production"), "app:v2");
}

#[test]
fn a_key_that_has_expired_can_not_be_used_by_dating_back() {
    let (town, signing) = guarded();
    signing.person("old", "ed25519");
    signing.allow(&[("ada", ""), ("old", "valid-before=\"20231101Z\"")]);
    release(&town, &signing, "app:v1", "ada");
    let v2 = town.shop("app:v2");
    // 2023-10-01, when the key was still good, and before the commit that was released.
    let object = object_of(&town.origin, &v2).replace("1700000000", "1696118400");
    write_raw(&town.origin, "main", &object);
    signing.sign(&town.origin, "main", "old");
    assert!(matches!(distrust(&town), Distrust::Expired { .. }));
}

#[test]
fn a_rollback_is_left_to_a_person_who_can_sign() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    release(&town, &signing, "app:v2", "ada");
    let head = town.head();
    let done = town.back().unwrap();
    assert!(matches!(done.way, Way::NotPushed(_)));
    assert_eq!(town.head(), head);
    let printed = town.printed(done);
    assert!(printed.contains("signed"), "{printed}");
    assert!(printed.contains("git commit --gpg-sign"), "{printed}");
    // The host alone can go back at once.
    town.hold().unwrap();
    town.pass();
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn the_release_is_kept_under_a_head_that_nobody_vouches_for() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    town.shop("app:v2");
    held(&town);
    town.bench.engine.world().stop("shop-web-1");
    let passed = town.pass().remove(".").unwrap().unwrap();
    let plan = &passed.looked.plan;
    assert_eq!(passed.outcome, Some(Outcome::Succeeded), "{plan}");
    assert_eq!(plan.kind, Kind::Heal);
    assert_eq!(town.image("shop"), "app:v1");
    held(&town);
}

#[test]
fn who_is_not_trusted_does_not_end_a_suspension() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    let suspended = "stack: shop\nsoak: 0s\nsuspend: {reason: fair}\n";
    town.commit(&[("moored.yaml", suspended)]);
    signing.sign(&town.origin, "main", "ada");
    town.pass();
    for name in [None, Some("eve")] {
        town.shop("app:v2");
        if let Some(name) = name {
            signing.sign(&town.origin, "main", name);
        }
        town.bench.engine.world().stop("shop-web-1");
        let passed = town.pass().remove(".").unwrap().unwrap();
        let plan = &passed.looked.plan;
        assert_eq!(passed.outcome, None, "{plan}");
        let suspended = |hold: &Hold| hold.to_string().contains("suspended (fair) in Git");
        assert!(plan.holds.iter().any(suspended), "{plan}");
    }
    release(&town, &signing, "app:v2", "ada");
}

/// Does a pass with the container of the stack down, which must leave it down.
#[track_caller]
fn left_alone(town: &Town, why: &str) {
    town.bench.engine.world().stop("shop-web-1");
    let passed = town.pass().remove(".").unwrap().unwrap();
    let plan = &passed.looked.plan;
    assert_eq!(passed.outcome, None, "{plan}");
    let said = |hold: &Hold| hold.to_string().contains(why);
    assert!(plan.holds.iter().any(said), "{plan}");
}

#[test]
fn a_stack_of_which_nobody_can_say_whether_it_is_suspended_is_left_alone() {
    let (town, signing) = guarded();
    release(&town, &signing, "app:v1", "ada");
    let signers = std::fs::read(signing.file()).unwrap();
    std::fs::remove_file(signing.file()).unwrap();
    town.shop("app:v2");
    let why = "nobody can say whether it is suspended: commit";
    left_alone(&town, why);
    left_alone(&town, "can't be verified");

    crate::support::put(signing.file(), signers);
    town.commit(&[("moored.yaml", "stack: [shop\n")]);
    signing.sign(&town.origin, "main", "ada");
    town.shop("app:v2");
    left_alone(&town, "has no moored.yaml that can be read");
    release(&town, &signing, "app:v2", "ada");
}
