//! Who may change a host: signatures that OpenSSH made, and history that was rewritten. Real
//! repositories, the real child process, an engine in memory.

mod history;
mod kinds;
mod signatures;

use moored::config::{Commits, Verify};
use moored::pass::Passed;
use moored::plan::{Hold, Weight};
use moored::stacks::LoadError;
use moored::trust::{Distrust, Refusal};

use crate::support::signing::Signing;
use crate::support::town::Town;

/// A town that wants signatures, and the keys of ada (Ed25519, allowed) and eve (not).
fn guarded() -> (Town, Signing) {
    let signing = Signing::new();
    signing.person("ada", "ed25519");
    signing.person("eve", "ed25519");
    signing.allow(&[("ada", "")]);
    let mut town = Town::new();
    town.verify = Some(rule(&signing, Commits::Head));
    (town, signing)
}

fn rule(signing: &Signing, commits: Commits) -> Verify {
    Verify {
        allowed_signers: signing.file(),
        commits,
    }
}

/// Puts a commit with this image there, signed by somebody, and passes.
fn release(town: &Town, signing: &Signing, image: &str, name: &str) {
    town.shop(image);
    signing.sign(&town.origin, "main", name);
    town.succeeds();
    assert_eq!(town.image("shop"), image);
}

/// Does a pass that must change nothing; returns what holds the stack.
#[track_caller]
fn held(town: &Town) -> Hold {
    let before = town.bench.engine.world().calls.len();
    let mut passes = town.pass();
    assert_eq!(passes.len(), 1);
    let Passed { looked, outcome } = passes.pop_first().unwrap().1.unwrap();
    assert_eq!(outcome, None, "{}", looked.plan);
    assert_eq!(town.bench.engine.world().calls.len(), before);
    assert_eq!(looked.plan.weight(), Some(Weight::Blocking));
    assert!(looked.plan.steps.is_empty());
    let hold = |hold: &&Hold| {
        let kinds = ["history-rewritten", "not-trusted"];
        let json = serde_json::to_value(hold).unwrap();
        kinds.iter().any(|kind| json["hold"] == *kind)
    };
    looked.plan.holds.iter().find(hold).unwrap().clone()
}

/// Returns why nobody vouches for the head, when a release is there to stay at.
#[track_caller]
fn distrust(town: &Town) -> Distrust {
    let hold = held(town);
    let Hold::NotTrusted(head) = hold else {
        panic!("{hold}")
    };
    head.why
}

/// Does a pass on a host without a release; returns why it is refused.
#[track_caller]
fn refused(town: &Town) -> Refusal {
    let refused = match town.try_pass(None) {
        Ok(passes) => passes.into_values().find_map(Result::err),
        Err(error) => Some(error),
    };
    assert!(town.bench.engine.world().calls.is_empty());
    match refused {
        Some(LoadError::Refused(refusal)) => *refusal,
        Some(other) => panic!("{other}"),
        None => panic!("it is not refused"),
    }
}
