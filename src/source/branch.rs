//! Checks the name of the branch to follow.

use std::path::Path;

use super::error::SourceError;
use crate::secret::escape_control;

/// Longest name in bytes: it becomes the name of a file, and gets `.lock` behind it.
const LONGEST: usize = 240;

/// Says whether `branch` can be followed.
///
/// Stricter than `git check-ref-format`: characters that a shell gives a meaning to are refused
/// as well, because the name ends up in logs and notifications that people paste from.
pub(super) fn check(branch: &str) -> Result<(), SourceError> {
    let refuse = |reason: &str| SourceError::InvalidBranch {
        branch: escape_control(&branch.chars().take(LONGEST).collect::<String>()),
        reason: reason.to_owned(),
    };
    let known = |c: char| c.is_alphanumeric() || "._/-+#@,=%".contains(c);
    if branch.is_empty() {
        Err(refuse("it is empty"))
    } else if branch.len() > LONGEST {
        Err(refuse("it is too long"))
    } else if branch.starts_with('-') {
        Err(refuse("it begins with a hyphen"))
    } else if branch.starts_with("refs/") {
        Err(refuse("write the branch alone, without refs/heads/"))
    } else if branch == "HEAD" || branch == "@" {
        Err(refuse("name the branch itself"))
    } else if !branch.chars().all(known) {
        Err(refuse(
            "it has a character that is not used in branch names",
        ))
    } else if !is_well_formed(branch) {
        Err(refuse("Git does not allow it"))
    } else {
        Ok(())
    }
}

/// The rules of git-check-ref-format(1) that are left when characters are checked. Not asked of
/// libgit2: its start loads TLS certificates, which only a fetching child needs.
fn is_well_formed(branch: &str) -> bool {
    !branch.contains("..")
        && !branch.ends_with('.')
        && branch.split('/').all(|component| {
            let lock = Path::new(component).extension();
            !component.is_empty()
                && !component.starts_with('.')
                && lock.is_none_or(|extension| extension != "lock")
        })
}

/// Returns the full name of the branch's ref.
pub(super) fn reference(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_that_people_use() {
        for name in [
            "main",
            "release/1.2",
            "feature/ABC-12_x",
            "dependabot/npm/a-1.2",
            "f\u{fc}r",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn refuses_hostile_names() {
        let long = "x".repeat(300);
        for name in [
            "",
            "main; curl x|sh",
            "$(id)",
            "`id`",
            "--upload-pack=x",
            "-oProxyCommand=x",
            "refs/heads/../x",
            "refs/heads/main",
            "a..b",
            "@{u}",
            "@",
            "HEAD",
            "x.lock",
            "x.",
            "/x",
            "x/",
            "a//b",
            ".x",
            "a b",
            "a:b",
            "a*",
            "a\nb",
            "a\0b",
            "main:refs/heads/other",
            "^main",
            &long,
        ] {
            let refused = matches!(check(name), Err(SourceError::InvalidBranch { .. }));
            assert!(refused, "{name:?}");
        }
    }

    #[test]
    fn lets_through_nothing_that_git_refuses() {
        let parts = ["a", ".", "/", "-", "@", ".lock", "..", "+", "%"];
        let mut names = vec![String::new()];
        for _ in 0..4 {
            let longer = names
                .iter()
                .flat_map(|name| parts.map(|part| format!("{name}{part}")));
            names = longer.collect();
            for name in &names {
                if check(name).is_ok() {
                    assert!(git2::Reference::is_valid_name(&reference(name)), "{name}");
                }
            }
        }
    }
}
