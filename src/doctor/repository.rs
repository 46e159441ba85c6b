//! Looks whether the state repository can be had, with everything that the settings say of it.

use std::collections::BTreeMap;

use super::{Area, Check, Diagnosis, Verdict, mend};
use crate::config::Auth;
use crate::host::View;
use crate::source::{SourceError, Tree};
use crate::stacks::{self, LoadError};

/// Fetches every branch that is followed, within the deadline of a pass; returns what they have.
pub(super) async fn check(view: &View, found: &mut Diagnosis) -> BTreeMap<String, Tree> {
    let url = &view.config.repository.url;
    let mut trees = BTreeMap::new();
    let mirror = match stacks::lock_mirror(view).await {
        Ok(mirror) => mirror,
        Err(error) => {
            found.add(Check::missing(Area::Repository, url).found(error.to_string()));
            return trees;
        }
    };
    for branch in stacks::by_branch(view).keys() {
        match stacks::fetch(view, branch, &mirror).await {
            Ok(tree) => {
                let commit = tree.commit().map(|commit| commit.revision.short());
                let commit = commit.unwrap_or_default();
                let check = Check::ok(Area::Repository, url);
                found.add(check.found(format!("branch {branch} is at {commit}")));
                trees.insert(branch.clone(), tree);
            }
            Err(LoadError::Source(SourceError::AuthFile { path, .. }))
                if is_told(found, &path.display().to_string()) => {}
            Err(error) => {
                let check = Check::missing(Area::Repository, url).found(error.to_string());
                found.add(Check {
                    remedy: remedy(view, branch, &error),
                    ..check
                });
            }
        }
    }
    trees
}

/// Returns whether a file of the settings is among what is missing.
fn is_told(found: &Diagnosis, path: &str) -> bool {
    let mut checks = found.checks.iter();
    checks.any(|check| check.subject == path && check.verdict == Verdict::Missing)
}

fn remedy(view: &View, branch: &str, error: &LoadError) -> Option<String> {
    let LoadError::Source(error) = error else {
        return None;
    };
    match error {
        SourceError::HostKeyUnknown { .. } => match &view.config.repository.auth {
            Auth::SshKey { known_hosts, .. } => {
                Some(mend::scan(&view.config.repository.url, known_hosts))
            }
            Auth::Token { .. } | Auth::Helper { .. } | Auth::None => None,
        },
        SourceError::BranchMissing { .. } | SourceError::EmptyRepository { .. } => Some(format!(
            "git push origin HEAD:{branch}   # from where the state is"
        )),
        SourceError::Unsupported { .. }
        | SourceError::CredentialsInUrl { .. }
        | SourceError::InvalidBranch { .. } => {
            Some("correct repository in the settings".to_owned())
        }
        SourceError::AuthFailed { .. } => {
            Some("let the key or token of repository.auth read the repository".to_owned())
        }
        SourceError::AuthFile { .. }
        | SourceError::Unreachable { .. }
        | SourceError::Certificate { .. }
        | SourceError::HostKeyChanged { .. }
        | SourceError::NotARepository { .. }
        | SourceError::TimedOut { .. }
        | SourceError::TooLarge { .. }
        | SourceError::Corrupt { .. }
        | SourceError::Mirror { .. }
        | SourceError::PushRefused { .. }
        | SourceError::CheckedOut { .. }
        | SourceError::Outrun { .. }
        | SourceError::PushTimedOut { .. }
        | SourceError::Child { .. } => None,
    }
}
