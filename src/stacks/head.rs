//! Decides whether the head of a branch is followed: who has signed it, and whether its history
//! goes on from what was released.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::stays::{manifest_at, suspension};
use super::{LoadError, find};
use crate::config::{Commits, Verify};
use crate::desired::StackName;
use crate::gates::Suspension;
use crate::host::View;
use crate::source::{self, CommitInfo, ReadError, Revision, Tree};
use crate::trust::{self, AllowedSigners, Distrust, Refusal, Rewrite, Standing, UntrustedHead};

/// Most commits of which each is verified: years of a state repository.
const MOST_VERIFIED: usize = 10_000;

/// The head of one branch, as the stacks on it see it.
pub(super) struct Head<'a> {
    view: &'a View,
    branch: &'a str,
    commit: CommitInfo,
    /// The files of allowed signers that were read.
    signers: BTreeMap<PathBuf, Result<AllowedSigners, Distrust>>,
    /// What was released on this host, once somebody asked.
    released: Option<Vec<Released>>,
    /// Releases of stacks in directories that the settings do not name any more, by when.
    elsewhere: BTreeMap<Timestamp, CommitInfo>,
    /// Whether the head descends from a commit.
    descends: BTreeMap<Revision, bool>,
}

/// The last release of a stack, and where its manifest is at that.
#[derive(Clone)]
pub(super) struct Released {
    pub(super) commit: CommitInfo,
    pub(super) dir: String,
    at: Timestamp,
}

/// Returns what the settings say to the head of a stack's branch, as the last fetch found it;
/// does not ask the remote.
///
/// # Errors
/// The record or the mirror can't be read.
pub fn standing(view: &View, stack: &StackName) -> Result<Standing, LoadError> {
    let dir = Released::of(view, stack)?.map(|release| release.dir);
    standing_in(view, &dir.unwrap_or_default(), stack)
}

/// Returns what the settings say to the head of the branch that a stack in a directory follows, as
/// the last fetch found it; does not ask the remote.
///
/// # Errors
/// The record or the mirror can't be read.
pub fn standing_in(view: &View, dir: &str, stack: &StackName) -> Result<Standing, LoadError> {
    let branch = view.config.branch_of(dir);
    let Some(head) = source::fetched(&view.mirror(), branch) else {
        return Ok(Standing::Followed);
    };
    let tree = Tree::at_commit(&view.mirror(), &head)?;
    let Some(commit) = tree.commit() else {
        return Ok(Standing::Followed);
    };
    let mut head = Head::new(view, branch, commit);
    if let Some(refusal) = head.refusal(dir)? {
        return Ok(Standing::Refused(refusal));
    }
    head.history(dir, stack)
}

impl<'a> Head<'a> {
    /// Takes the head of a branch.
    pub(super) fn new(view: &'a View, branch: &'a str, commit: &CommitInfo) -> Self {
        Self {
            view,
            branch,
            commit: commit.clone(),
            signers: BTreeMap::new(),
            released: None,
            elsewhere: BTreeMap::new(),
            descends: BTreeMap::new(),
        }
    }

    /// Returns why the head is not to be read for a directory: nobody who may has signed it.
    ///
    /// # Errors
    /// The record can't be read.
    pub(super) fn refusal(&mut self, dir: &str) -> Result<Option<Refusal>, LoadError> {
        let Some(rule) = self.view.config.verify_of(dir) else {
            return Ok(None);
        };
        let release = match self.release_in(dir)? {
            Some(release) => Some(release.commit),
            // What is new there came after what was released of the others on the branch.
            None => self.last_on_branch()?,
        };
        let refused = self.verify(rule, release.as_ref()).err();
        Ok(refused.map(|(commit, why)| {
            Refusal::NotTrusted(UntrustedHead {
                branch: self.branch.to_owned(),
                head: self.commit.revision.clone(),
                commit,
                why,
            })
        }))
    }

    /// Returns whether the head goes on from what was released of a stack.
    ///
    /// # Errors
    /// The record or the mirror can't be read.
    pub(super) fn history(&mut self, dir: &str, stack: &StackName) -> Result<Standing, LoadError> {
        let record = self.view.record.as_ref();
        let past = record.map(|record| record.history(stack)).transpose()?;
        let release = past.as_ref().and_then(|past| past.release.as_ref());
        let Some(released) = release.map(|release| release.id.revision.clone()) else {
            return Ok(Standing::Followed);
        };
        let head = &self.commit.revision;
        let goes_on = match self.descends.get(&released) {
            Some(known) => *known,
            None => source::descends_from(&self.view.mirror(), head, &released)?,
        };
        self.descends.insert(released.clone(), goes_on);
        Ok(if goes_on {
            Standing::Followed
        } else if self.view.config.allows_force_push(dir) {
            Standing::Rewritten
        } else {
            Standing::Refused(Refusal::HistoryRewritten(Rewrite {
                branch: self.branch.to_owned(),
                released,
                head: head.clone(),
            }))
        })
    }

    /// Returns the newest release whose manifest is in a directory.
    ///
    /// # Errors
    /// The record can't be read.
    pub(super) fn release_in(&mut self, dir: &str) -> Result<Option<Released>, LoadError> {
        let released = self.released()?.iter();
        let here = released.filter(|release| release.dir == dir);
        Ok(here.max_by_key(|release| release.at).cloned())
    }

    /// Returns the newest release of a stack that follows the branch, or else of one that the
    /// settings may have named by another directory.
    ///
    /// # Errors
    /// The record can't be read.
    fn last_on_branch(&mut self) -> Result<Option<CommitInfo>, LoadError> {
        let (config, branch) = (&self.view.config, self.branch);
        let released = self.released()?.iter();
        let here = released.filter(|release| config.branch_of(&release.dir) == branch);
        let newest = here.max_by_key(|release| release.at);
        let newest = newest.map(|release| release.commit.clone());
        Ok(newest.or_else(|| self.elsewhere.values().next_back().cloned()))
    }

    /// Returns the directories of all releases.
    ///
    /// # Errors
    /// The record can't be read.
    pub(super) fn released_dirs(&mut self) -> Result<Vec<String>, LoadError> {
        let released = self.released()?.iter();
        Ok(released.map(|release| release.dir.clone()).collect())
    }

    fn released(&mut self) -> Result<&[Released], LoadError> {
        if self.released.is_none() {
            let mut all = Vec::new();
            if let Some(record) = &self.view.record {
                for stack in record.stacks()? {
                    if let Some(release) = Released::of(self.view, &stack)? {
                        all.push(release);
                        continue;
                    }
                    let last = record.releases(&stack, 1)?.pop();
                    self.elsewhere.extend(last.and_then(|last| {
                        let commit = commit_at(self.view, &last.release.id.revision).ok()?;
                        Some((last.at, commit))
                    }));
                }
            }
            self.released = Some(all);
        }
        Ok(self.released.as_deref().unwrap_or_default())
    }

    /// Returns that the stack in a directory is to be left alone, by the newest commit since its
    /// release that somebody who may has signed: what nobody vouches for does not end that. So it
    /// is where nobody can say which commit that is, or what that says.
    ///
    /// # Errors
    /// The commits can't be read.
    pub(super) fn suspended_by_somebody_trusted(
        &mut self,
        dir: &str,
        release: Option<&Released>,
    ) -> Result<Option<Suspension>, LoadError> {
        let (Some(rule), Some(release)) = (self.view.config.verify_of(dir), release) else {
            return Ok(None);
        };
        let signers = match self.signers(rule) {
            Ok(signers) => signers.clone(),
            Err(why) => return Ok(Some(in_doubt(&self.commit.revision, why))),
        };
        let (mirror, release) = (self.view.mirror(), &release.commit);
        let (head, base) = (&self.commit.revision, &release.revision);
        let Some(since) = source::commits_since(&mirror, head, base, MOST_VERIFIED)? else {
            let most = MOST_VERIFIED;
            return Ok(Some(in_doubt(head, Distrust::TooMany { most })));
        };
        for revision in since {
            let commit = commit_at(self.view, &revision)?;
            match check(self.view, &commit, &signers, Some(release)) {
                Ok(()) => {
                    let manifest = manifest_at(&Tree::at_commit(&mirror, &revision)?, dir);
                    let Some(manifest) = manifest else {
                        let what = "has no moored.yaml that can be read";
                        return Ok(Some(in_doubt(&revision, what)));
                    };
                    return Ok(suspension(self.view, &manifest));
                }
                Err((_, why @ Distrust::Unreadable { .. })) => {
                    return Ok(Some(in_doubt(&revision, why)));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Reads the file of a rule, once.
    fn signers(&mut self, rule: &Verify) -> Result<&AllowedSigners, Distrust> {
        let zone = &self.view.time_zone;
        let read = || AllowedSigners::read(&rule.allowed_signers, zone);
        let file = self.signers.entry(rule.allowed_signers.clone());
        file.or_insert_with(read).as_ref().map_err(Clone::clone)
    }

    /// Verifies what a rule wants verified; names the commit that nobody vouches for.
    fn verify(
        &mut self,
        rule: &Verify,
        release: Option<&CommitInfo>,
    ) -> Result<(), (Revision, Distrust)> {
        let head = self.commit.clone();
        let view = self.view;
        let signers = match self.signers(rule) {
            Ok(signers) => signers,
            Err(why) => return Err((head.revision, why)),
        };
        check(view, &head, signers, release)?;
        let (Commits::All, Some(release)) = (rule.commits, release) else {
            return Ok(());
        };
        let base = &release.revision;
        let mirror = view.mirror();
        let unreadable = |revision: &Revision, error: &ReadError| {
            let message = error.to_string();
            (revision.clone(), Distrust::Unreadable { message })
        };
        let since = source::commits_since(&mirror, &head.revision, base, MOST_VERIFIED)
            .map_err(|error| unreadable(&head.revision, &error))?;
        let most = MOST_VERIFIED;
        let since = since.ok_or((head.revision, Distrust::TooMany { most }))?;
        for revision in since.iter().skip(1) {
            let commit = commit_at(view, revision).map_err(|error| unreadable(revision, &error))?;
            check(view, &commit, signers, Some(release))?;
        }
        Ok(())
    }
}

/// Returns that a stack is left alone because nobody can say whether Git has it left alone.
fn in_doubt(commit: &Revision, why: impl fmt::Display) -> Suspension {
    Suspension {
        reason: format!(
            "nobody can say whether it is suspended: commit {} {why}",
            commit.short()
        ),
        until: None,
        since: None,
        by: None,
    }
}

/// Verifies one commit.
///
/// Its key must have been valid when it was made. That is what the commit says itself, but not
/// before the release that it comes after, so that a key which has expired by then can't be used
/// by dating back; and not later than now.
fn check(
    view: &View,
    commit: &CommitInfo,
    signers: &AllowedSigners,
    release: Option<&CommitInfo>,
) -> Result<(), (Revision, Distrust)> {
    let released = release.map_or(i64::MIN, |release| release.committed_at);
    let now = view.clock.now().as_second();
    let at = commit.committed_at.max(released).min(now);
    let signature = source::signature_of(&view.mirror(), &commit.revision);
    let verified = signature
        .map_err(|error| Distrust::Unreadable {
            message: error.to_string(),
        })
        .and_then(|signature| trust::check(&signature, signers, at));
    match verified {
        Ok(signer) => {
            let (revision, signer) = (commit.revision.as_str(), signer.principals);
            tracing::debug!(revision, signer, "the signature is good");
            Ok(())
        }
        Err(why) => Err((commit.revision.clone(), why)),
    }
}

pub(super) fn commit_at(view: &View, revision: &Revision) -> Result<CommitInfo, ReadError> {
    let tree = Tree::at_commit(&view.mirror(), revision)?;
    let missing = || ReadError::NoCommit {
        revision: revision.clone(),
    };
    tree.commit().cloned().ok_or_else(missing)
}

impl Released {
    /// Returns the last release of a stack; none before the first, and where its commit is not
    /// there any more.
    pub(super) fn of(view: &View, stack: &StackName) -> Result<Option<Self>, LoadError> {
        let Some(record) = &view.record else {
            return Ok(None);
        };
        let Some(last) = record.releases(stack, 1)?.pop() else {
            return Ok(None);
        };
        let revision = &last.release.id.revision;
        let (Ok(commit), Ok(Some(dir))) = (commit_at(view, revision), find(view, revision, stack))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            commit,
            dir,
            at: last.at,
        }))
    }
}
