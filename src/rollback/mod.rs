//! Goes back to an earlier release: by a commit that says so in Git, or by a pin on this host.
//!
//! [`rollback()`] does one [`Ask`] and returns a [`Done`]. Modules: `choose` finds the release when
//! nobody names one, `named` finds the one that somebody names, `revert` makes the commit, `error`.
//! Why it is done like this: `docs/decisions/0008-rollback-commit.md`.

mod choose;
mod error;
mod named;
mod revert;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::desired::StackName;
use crate::host::View;
use crate::lock::Lock;
use crate::plan::{AfterFailure, Pin, ReleaseId};
use crate::record::{Record, Released};
use crate::source::{self, CommitInfo, Push, RepoPath, Revision, SourceError};
use crate::stacks::{self, AtRevision, LoadError, Published};
use choose::Choice;
pub use error::RollbackError;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Which stack; may be left out where there is one.
    pub stack: Option<&'a str>,
    /// Which release; left out = the last healthy one.
    pub to: Option<&'a str>,
    /// By a pin, without Git.
    pub hold: bool,
    /// Whether the commit may be pushed.
    pub push: bool,
    /// Who asks.
    pub by: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// Which stack.
    pub stack: StackName,
    /// To which release.
    pub release: ReleaseId,
    /// The subject of its commit.
    pub subject: String,
    /// How.
    pub way: Way,
    /// A pin that keeps the host from following Git.
    pub pinned: Option<Pin>,
    /// The attempt that has migrated the data since, in a way that the release can't work with.
    pub migrated: Option<u64>,
}

/// How a stack goes back.
#[derive(Clone, Debug)]
pub enum Way {
    /// Git says so already, at this commit.
    Already {
        /// The commit at the head of the branch.
        head: CommitInfo,
    },
    /// A commit says so now.
    Pushed(Revert),
    /// A commit would say so; it was not to be pushed.
    NotPushed(Revert),
    /// A commit would say so; the remote refused it.
    Refused(Revert, SourceError),
    /// The host does so until the pin is lifted.
    Pinned(Pin),
}

/// The commit that makes Git say what it said of a stack at an earlier release.
#[derive(Clone, Debug)]
pub struct Revert {
    /// The commit; the mirror has it.
    pub commit: Revision,
    /// Its parent.
    pub parent: Revision,
    /// The branch that it is for.
    pub branch: String,
    /// First line of its message.
    pub subject: String,
    /// What happens to each file that it changes.
    pub files: BTreeMap<RepoPath, FileChange>,
    /// Other stacks that read some of these files, and so go back with it in part.
    pub shared: BTreeMap<String, BTreeSet<RepoPath>>,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is again as it was.
    PutBack,
    /// It was not there, and goes.
    Removed,
}

impl FileChange {
    /// Returns it in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::PutBack => "put back",
            Self::Removed => "removed",
        }
    }
}

/// Takes a stack back to an earlier release.
///
/// # Errors
/// There is none, Git or the record can't be read, or somebody else pushed meanwhile.
pub async fn rollback(view: &View, ask: &Ask<'_>) -> Result<Done, RollbackError> {
    let record = view.record.as_ref().ok_or(RollbackError::NothingReleased)?;
    let stack = which_stack(record, ask.stack)?;
    let past = record.releases(&stack, stacks::LOOK_BACK)?;
    if past.is_empty() {
        return Err(RollbackError::NothingReleased);
    }
    let work = Work {
        view,
        record,
        ask,
        stack,
        past,
    };
    if ask.hold {
        return work.pin();
    }
    // From here to the push nobody else may work on the mirror.
    let mirror = stacks::lock_mirror(view).await;
    let mirror = mirror.map_err(|error| work.no_git(error))?;
    work.commit(&mirror).await
}

fn which_stack(record: &Record, asked: Option<&str>) -> Result<StackName, RollbackError> {
    let known = record.stacks()?;
    let names = || known.iter().map(ToString::to_string).collect();
    match (asked, known.as_slice()) {
        (None, []) => Err(RollbackError::NothingReleased),
        (None, [only]) => Ok(only.clone()),
        (None, [_, ..]) => Err(RollbackError::WhichStack { known: names() }),
        (Some(asked), _) => {
            let found = known.iter().find(|stack| stack.as_str() == asked);
            found.cloned().ok_or_else(|| RollbackError::UnknownStack {
                asked: asked.to_owned(),
                known: names(),
            })
        }
    }
}

/// One rollback at work.
struct Work<'a> {
    view: &'a View,
    record: &'a Record,
    ask: &'a Ask<'a>,
    stack: StackName,
    /// Newest first; never empty.
    past: Vec<Released>,
}

/// The head of the branch that a stack is on.
struct Head {
    branch: String,
    commit: CommitInfo,
    /// Directories of the settings on this branch; none = every one with a manifest.
    wanted: Option<Vec<String>>,
}

impl Work<'_> {
    fn pin(self) -> Result<Done, RollbackError> {
        let before = self.record.pin(&self.stack)?;
        let target = match (self.ask.to, &before) {
            (Some(_), _) => None,
            (None, Some(pin)) => Some(pin.release.revision.clone()),
            (None, None) => self.head_of_mirror(),
        };
        let (target, _) = self.choose(target.as_ref(), true)?;
        // A pin to what can't be loaded would leave the host without a desired state.
        self.content(&target)?;
        let now = self.view.clock.now();
        let pin = Pin {
            release: target.release.id.clone(),
            since: now,
            by: self.ask.by.clone(),
        };
        self.record.set_pin(&self.stack, &pin)?;
        // Asked for by name: it is tried once more, unless the host itself needs a person.
        let history = self.record.history(&self.stack)?;
        let asked = &pin.release.revision;
        let (failed, crashed) = (history.failed.as_ref(), history.crashed.as_ref());
        let failed = failed
            .is_some_and(|failed| failed.revision == *asked && failed.then == AfterFailure::Back);
        let crashed = crashed.is_some_and(|one| one.revision == *asked);
        if failed || crashed {
            self.record.forgive(&self.stack, now)?;
        }
        self.done(&target, Way::Pinned(pin), None)
    }

    async fn commit(self, mirror: &Lock) -> Result<Done, RollbackError> {
        let head = self.fetch_head(mirror).await?;
        let (target, already) = self.choose(Some(&head.commit.revision), false)?;
        let pinned = self.record.pin(&self.stack)?;
        if already {
            let head = head.commit;
            return self.done(&target, Way::Already { head }, pinned);
        }
        let content = self.content(&target)?;
        let Some(revert) = self.revert(&head, &target, &content)? else {
            let head = head.commit;
            return self.done(&target, Way::Already { head }, pinned);
        };
        let push = Push {
            parent: revert.parent.clone(),
            commit: revert.commit.clone(),
        };
        let (view, wanted) = (self.view, self.ask.push);
        let published = stacks::publish(view, &head.branch, &push, wanted, mirror).await;
        let way = match published.map_err(RollbackError::Push)? {
            Published::Pushed => Way::Pushed(revert),
            Published::NotPushed => Way::NotPushed(revert),
            Published::Refused(error) => Way::Refused(revert, error),
        };
        self.done(&target, way, pinned)
    }

    fn done(
        &self,
        target: &Released,
        way: Way,
        pinned: Option<Pin>,
    ) -> Result<Done, RollbackError> {
        let live = self.record.history(&self.stack)?.schema.attempt;
        let then = target.release.schema.attempt;
        Ok(Done {
            stack: self.stack.clone(),
            release: target.release.id.clone(),
            subject: target.subject.clone(),
            way,
            pinned,
            migrated: (then < live).then_some(live),
        })
    }

    fn no_git(&self, source: LoadError) -> RollbackError {
        RollbackError::NoGit {
            stack: self.stack.clone(),
            source: Box::new(source),
        }
    }

    /// Finds the release to go back to when Git wants `wanted`; says with it whether Git wants
    /// that release already.
    fn choose(
        &self,
        wanted: Option<&Revision>,
        hold: bool,
    ) -> Result<(Released, bool), RollbackError> {
        if let Some(to) = self.ask.to {
            return named::find(&self.stack, &self.past, to).map(|found| (found, false));
        }
        let mut known: BTreeMap<Revision, Option<AtRevision>> = BTreeMap::new();
        let dir = self.last_dir();
        let mut files = |revision: &Revision| {
            let found = known.entry(revision.clone()).or_insert_with(|| {
                let found = stacks::find(self.view, revision, &self.stack).ok()?;
                // What does not load has no name, and may still be where it was.
                let dir = found.or_else(|| dir.clone())?;
                stacks::at_revision(self.view, revision, &dir).ok()
            });
            found.as_ref().map(|found| found.files.clone())
        };
        let past: Vec<_> = (self.past.iter().rev())
            .map(|one| files(&one.release.id.revision))
            .collect();
        let wanted = wanted.and_then(&mut files);
        let history = self.record.history(&self.stack)?;
        let failed = history.failed.as_ref();
        let failed = failed.is_some_and(|failed| files(&failed.revision) == wanted);
        let at = |index: usize| self.past.iter().rev().nth(index).cloned();
        let current = || self.past.first().map(|one| one.release.id.clone());
        match choose::choose(&past, wanted.as_ref(), failed) {
            Choice::Release(index) => at(index).map(|one| (one, false)),
            Choice::Already(index) => at(index).map(|one| (one, !hold)),
            Choice::NoneEarlier => None,
            Choice::Unknown => {
                let revision = self.past.first().map(|one| &one.release.id.revision);
                return Err(RollbackError::Lost {
                    stack: self.stack.clone(),
                    release: current(),
                    commit: revision.cloned(),
                });
            }
        }
        .ok_or_else(|| RollbackError::NoneEarlier {
            stack: self.stack.clone(),
            release: current(),
        })
    }

    /// Returns the directory of the stack in its newest release that can be read.
    fn last_dir(&self) -> Option<String> {
        let mut revisions = self.past.iter().map(|one| &one.release.id.revision);
        revisions.find_map(|revision| stacks::find(self.view, revision, &self.stack).ok()?)
    }

    /// Loads what Git said of the stack at a release.
    fn content(&self, target: &Released) -> Result<AtRevision, RollbackError> {
        let release = target.release.id.clone();
        let revision = &release.revision;
        let found = stacks::find(self.view, revision, &self.stack).and_then(|dir| {
            dir.map(|dir| stacks::at_revision(self.view, revision, &dir))
                .transpose()
        });
        match found {
            Err(source) => Err(RollbackError::Unreadable { release, source }),
            Ok(None) => Err(RollbackError::NotInSettings {
                stack: self.stack.clone(),
                release,
            }),
            Ok(Some(AtRevision {
                desired: Err(source),
                ..
            })) => {
                let source = Box::new(source);
                Err(RollbackError::NotLoadable { release, source })
            }
            Ok(Some(found)) => {
                if let Ok(desired) = &found.desired {
                    self.view.redactor.learn(desired.secrets.iter().cloned());
                }
                Ok(found)
            }
        }
    }

    /// Returns what the mirror had at its last fetch, where all stacks are on one branch.
    fn head_of_mirror(&self) -> Option<Revision> {
        let branches = stacks::by_branch(self.view);
        let dir = self.last_dir();
        let (branch, _) = branches
            .iter()
            .find(|(_, wanted)| wants(wanted.as_deref(), dir.as_deref()))?;
        source::fetched(&self.view.mirror(), branch)
    }

    /// Fetches the branch that the stack is on.
    async fn fetch_head(&self, mirror: &Lock) -> Result<Head, RollbackError> {
        let mut heads = Vec::new();
        let mut trouble = None;
        for (branch, wanted) in stacks::by_branch(self.view) {
            match stacks::fetch(self.view, &branch, mirror).await {
                Ok(tree) => heads.extend(tree.commit().cloned().map(|commit| Head {
                    branch,
                    commit,
                    wanted,
                })),
                Err(error) => trouble = Some(error),
            }
        }
        let on = |head: &Head| {
            let dir = stacks::find(self.view, &head.commit.revision, &self.stack);
            let dir = dir.ok().flatten().or_else(|| self.last_dir());
            dir.is_some_and(|dir| wants(head.wanted.as_deref(), Some(&dir)))
        };
        match (heads.into_iter().find(on), trouble) {
            (Some(head), _) => Ok(head),
            (None, Some(error)) => Err(self.no_git(error)),
            (None, None) => Err(RollbackError::NowhereInGit {
                stack: self.stack.clone(),
            }),
        }
    }
}

/// Returns whether a branch has the directory; `None` = every directory.
fn wants(wanted: Option<&[String]>, dir: Option<&str>) -> bool {
    let plain = |dir: &str| RepoPath::new(dir).ok();
    wanted.is_none_or(|dirs| {
        dirs.iter()
            .any(|one| dir.is_some_and(|dir| plain(one) == plain(dir)))
    })
}
