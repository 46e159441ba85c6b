//! The result of a rollback: what was done, and what happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::Report;
use crate::config::Config;
use crate::desired::StackName;
use crate::plan::{Pin, ReleaseId};
use crate::rollback::{Done, FileChange, Revert, Way};
use crate::source::{RepoPath, Revision, SourceError, local_path};

/// The result of a rollback.
#[derive(Serialize)]
pub struct RollbackReport {
    /// Which stack.
    pub stack: StackName,
    /// To which release.
    pub release: ReleaseId,
    /// The subject of its commit.
    pub subject: String,
    /// How.
    pub way: Word,
    /// The commit that says so in Git; none for a pin, and where it was not pushed.
    pub commit: Option<Revision>,
    /// The branch that it is for.
    pub branch: Option<String>,
    /// What happens to each file.
    pub files: BTreeMap<RepoPath, FileChange>,
    /// Files that other stacks read too.
    pub shared: BTreeMap<String, BTreeSet<RepoPath>>,
    /// Why it was not pushed.
    pub why: Option<String>,
    /// What a person has to run.
    pub by_hand: Vec<String>,
    /// The pin that keeps this host from following Git.
    pub pinned: Option<Pin>,
    /// The attempt that has migrated the data since, in a way that the release can't work with.
    pub migrated: Option<u64>,
}

/// How a stack goes back, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Git says so already.
    Already,
    /// A commit was pushed.
    Pushed,
    /// A commit was not to be pushed.
    NotPushed,
    /// The remote refused the commit.
    Refused,
    /// This host is pinned.
    Pinned,
}

impl RollbackReport {
    /// Makes the report of a rollback.
    pub fn new(done: Done, config: &Config) -> Self {
        let mut report = Self {
            stack: done.stack,
            release: done.release,
            subject: done.subject,
            way: Word::Already,
            commit: None,
            branch: None,
            files: BTreeMap::new(),
            shared: BTreeMap::new(),
            why: None,
            by_hand: Vec::new(),
            pinned: done.pinned,
            migrated: done.migrated,
        };
        match done.way {
            Way::Already { head } => report.commit = Some(head.revision),
            Way::Pinned(pin) => (report.way, report.pinned) = (Word::Pinned, Some(pin)),
            Way::Pushed(revert) => {
                (report.way, report.commit) = (Word::Pushed, Some(revert.commit.clone()));
                report.take(revert);
            }
            Way::NotPushed(revert) => {
                report.way = Word::NotPushed;
                report.why = Some(why_not_pushed(config, &revert.branch).to_owned());
                let sign = config.verifies(&revert.branch);
                report.by_hand = by_hand(&revert, &report.release, sign);
                report.take(revert);
            }
            Way::Refused(revert, error) => {
                report.way = Word::Refused;
                let checked_out = matches!(error, SourceError::CheckedOut { .. });
                let here = local_path(&config.repository.url).filter(|_| checked_out);
                report.by_hand = match here {
                    Some(path) => in_place(&revert, &report.release, &path),
                    None => by_hand(&revert, &report.release, false),
                };
                report.why = Some(error.to_string());
                report.take(revert);
            }
        }
        report
    }

    fn take(&mut self, revert: Revert) {
        self.branch = Some(revert.branch);
        self.shared = revert.shared;
        self.files = revert.files;
    }
}

/// Returns the commands that make the commit in a clone that may push.
fn by_hand(revert: &Revert, release: &ReleaseId, sign: bool) -> Vec<String> {
    let branch = &revert.branch;
    let mut commands = vec![
        "git fetch origin".to_owned(),
        format!(
            "git checkout --detach {}",
            quoted(&format!("origin/{branch}"))
        ),
    ];
    commands.extend(changes(revert, release, sign));
    commands.push(format!(
        "git push origin {}",
        quoted(&format!("HEAD:{branch}"))
    ));
    commands
}

/// Returns the commands that make the commit in the work tree that is at the branch.
fn in_place(revert: &Revert, release: &ReleaseId, path: &Path) -> Vec<String> {
    let mut commands = vec![format!("cd {}", quoted(&path.display().to_string()))];
    commands.extend(changes(revert, release, false));
    commands
}

fn changes(revert: &Revert, release: &ReleaseId, sign: bool) -> impl Iterator<Item = String> {
    let of = |wanted: FileChange| {
        let paths = revert.files.iter().filter(|(_, change)| **change == wanted);
        let paths: Vec<String> = paths.map(|(path, _)| quoted(path.as_str())).collect();
        (!paths.is_empty()).then(|| paths.join(" "))
    };
    // A path that has a character of Git's patterns in it means that file alone.
    let git = "git --literal-pathspecs";
    let removed = of(FileChange::Removed).map(|paths| format!("{git} rm -q -- {paths}"));
    let revision = &release.revision;
    let put_back = of(FileChange::PutBack);
    let put_back = put_back.map(|paths| format!("{git} checkout {revision} -- {paths}"));
    let sign = if sign { " --gpg-sign" } else { "" };
    let commit = format!("git commit{sign} -m {}", quoted(&revert.subject));
    removed.into_iter().chain(put_back).chain([commit])
}

/// Returns why a commit was made and not pushed.
pub(super) fn why_not_pushed(config: &Config, branch: &str) -> &'static str {
    if config.verifies(branch) {
        "commits must be signed here (verify in the settings), and moored has no key"
    } else if config.repository.push {
        "--no-push was given"
    } else {
        "repository.push is false in the settings"
    }
}

pub(super) fn quoted(text: &str) -> String {
    shell_words::quote(text).into_owned()
}

impl Report for RollbackReport {
    fn text(&self) -> String {
        let (stack, release) = (&self.stack, &self.release);
        let name = format!("{release} ({})", self.subject);
        let mut text = match self.way {
            Word::Already => format!("{stack}  Git says {name} already\n"),
            Word::Pushed => format!("{stack}  Git says {name} again\n"),
            Word::Pinned => format!("{stack}  is kept at {name} on this host\n"),
            Word::NotPushed | Word::Refused => {
                let why = self.why.as_deref().unwrap_or_default();
                format!("{stack}  is not rolled back to {name}: {why}\n")
            }
        };
        let mut line = |what: &str, rest: &str| text = format!("{text}  {what:<9} {rest}\n");
        if let (Some(commit), branch) = (&self.commit, &self.branch) {
            let on = branch
                .as_ref()
                .map_or_else(String::new, |branch| format!(" on branch {branch}"));
            line("commit", &format!("{}{on}", commit.short()));
        }
        for (path, change) in &self.files {
            line(change.word(), &path.to_string());
        }
        for (other, paths) in &self.shared {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            let shared = format!(
                "{} is read by {other} too, which changes with it",
                paths.join(", ")
            );
            line("shared", &shared);
        }
        if !self.by_hand.is_empty() {
            line(
                "by hand",
                &format!("where a person may push to {}:", self.on()),
            );
            for command in &self.by_hand {
                line("", &format!("  {command}"));
            }
        }
        for (what, next) in self.next() {
            line(what, &next);
        }
        text
    }
}

impl RollbackReport {
    fn on(&self) -> &str {
        self.branch.as_deref().unwrap_or("the branch")
    }

    /// Returns what happens next and what to do for it, and what stands in the way.
    fn next(&self) -> Vec<(&'static str, String)> {
        let (stack, release) = (&self.stack, &self.release);
        let pin = self.pinned.as_ref().map(|pin| pin.notice(stack.as_str()));
        let deploys = "the controller's next pass deploys it; moored reconcile does it now";
        let meanwhile =
            format!("moored rollback {stack} --to {release} --hold pins this host meanwhile");
        let next = match (self.way, &pin) {
            (Word::Pinned, _) | (Word::Already | Word::Pushed, None) => Some(deploys.to_owned()),
            (Word::NotPushed | Word::Refused, None) => Some(meanwhile),
            (Word::Already | Word::Pushed | Word::NotPushed | Word::Refused, Some(_)) => None,
        };
        let next = next.map(|next| ("next", next));
        let data = self.migrated.map(|live| {
            let what = format!(
                "attempt {live} migrated it since; that pass holds until a backup from before is \
                 restored, or moored.yaml says accept_schema: \"{live}\""
            );
            ("data", what)
        });
        let pin = pin.map(|pin| ("held", pin));
        data.into_iter().chain(next).chain(pin).collect()
    }
}
