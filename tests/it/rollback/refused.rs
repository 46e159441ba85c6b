//! What can't be gone back to, or not pushed.

use moored::rollback::{Ask, RollbackError};

use super::{Town, plain};

#[test]
fn without_git_it_says_what_else_there_is() {
    let mut town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    town.url = town.url.with_extension("away");
    let error = town.back().unwrap_err().to_string();
    assert!(error.contains("moored rollback shop --hold"), "{error}");
}

#[test]
fn what_can_not_be_gone_back_to_is_refused() {
    let town = Town::new();
    let none = town.back().unwrap_err();
    assert!(matches!(none, RollbackError::NothingReleased), "{none}");
    town.release("app:v1");
    let none = town.back().unwrap_err();
    assert!(matches!(none, RollbackError::NoneEarlier { .. }), "{none}");
    let ask = Ask {
        stack: Some("hop"),
        ..plain()
    };
    let unknown = town.ask(&ask).unwrap_err().to_string();
    assert!(
        unknown.contains("no stack \"hop\"") && unknown.contains("shop"),
        "{unknown}"
    );
    // A file of the host that the release needs is gone.
    let file = town.bench.place("web.env");
    crate::support::put(&file, "A=1\n");
    let needs = format!(
        "services: {{web: {{image: 'app:v2', env_file: [{}]}}}}\n",
        file.display()
    );
    town.commit(&[("compose.yaml", &needs)]);
    town.succeeds();
    town.release("app:v3");
    std::fs::remove_file(&file).unwrap();
    let head = town.head();
    let refused = town.back().unwrap_err();
    assert!(
        matches!(refused, RollbackError::NotLoadable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("web.env"), "{refused}");
    assert_eq!(town.head(), head);
    town.back_to("v1").unwrap();
}

#[test]
fn history_that_was_rewritten_is_not_guessed_at() {
    let town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    town.origin.delete("main");
    let fresh = town.origin.commit(
        "new",
        &[
            ("moored.yaml", "stack: shop\nsoak: 0s\n"),
            ("compose.yaml", "services: {web: {image: 'app:v3'}}\n"),
        ],
    );
    town.origin
        .point("main", git2::Oid::from_str(fresh.as_str()).unwrap());
    std::fs::remove_dir_all(town.view().mirror()).unwrap();
    let lost = town.back().unwrap_err();
    assert!(matches!(lost, RollbackError::Lost { .. }), "{lost}");
    let gone = town.back_to("v1").unwrap_err();
    assert!(matches!(gone, RollbackError::Unreadable { .. }), "{gone}");
    assert_eq!(town.head(), fresh);
}

#[test]
fn a_push_by_somebody_else_is_not_overwritten() {
    let town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    // Somebody pushes between our fetch and our push: the branch is locked meanwhile.
    let lock = town.url.join("refs/heads/main.lock");
    crate::support::put(&lock, "");
    let head = town.head();
    let error = town.back().unwrap_err();
    assert!(matches!(error, RollbackError::Push(_)), "{error}");
    assert!(error.to_string().contains("run it again"), "{error}");
    assert_eq!(town.head(), head);
    std::fs::remove_file(&lock).unwrap();
    town.back().unwrap();
    assert_ne!(town.head(), head);
}
