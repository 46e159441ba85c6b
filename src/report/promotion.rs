//! The result of a bump or a promotion: what was written, and what happens next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use super::rollback::{quoted, why_not_pushed};
use crate::config::Config;
use crate::desired::{ServiceName, StackName};
use crate::promote::{Done, Evidence, ImageChange, Way};
use crate::source::{RepoPath, Revision};

/// The result of a bump or a promotion.
#[derive(Serialize)]
pub struct PromotionReport {
    /// Which stack.
    pub stack: StackName,
    /// How its images come into Git.
    pub way: Word,
    /// Its manifest.
    pub path: RepoPath,
    /// The branch that it is on.
    pub branch: String,
    /// The commit that was pushed.
    pub commit: Option<Revision>,
    /// What changes, by service.
    pub images: BTreeMap<ServiceName, ImageChange>,
    /// What is known of the stack that they come from.
    pub evidence: Option<Evidence>,
    /// Why it was not pushed.
    pub why: Option<String>,
    /// What a person has to do.
    pub by_hand: Vec<String>,
}

/// How images come into Git, in a word.
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
}

impl PromotionReport {
    /// Makes the report of a bump or a promotion.
    pub fn new(done: Done, config: &Config) -> Self {
        let by_hand = by_hand(&done, config.verifies(&done.branch));
        let (way, commit, why) = match done.way {
            Way::Already => (Word::Already, None, None),
            Way::Pushed(commit) => (Word::Pushed, Some(commit), None),
            Way::NotPushed => {
                let why = why_not_pushed(config, &done.branch).to_owned();
                (Word::NotPushed, None, Some(why))
            }
            Way::Refused(error) => (Word::Refused, None, Some(error.to_string())),
        };
        Self {
            stack: done.stack,
            way,
            path: done.path,
            branch: done.branch,
            commit,
            images: done.images,
            evidence: done.evidence,
            by_hand: if why.is_some() { by_hand } else { Vec::new() },
            why,
        }
    }
}

/// Returns what a person does in a clone of the repository instead.
fn by_hand(done: &Done, sign: bool) -> Vec<String> {
    let path = quoted(done.path.as_str());
    let images = done.images.iter().map(|(service, image)| {
        let after = &image.after;
        format!("edit {path}, in images: {service}: {after}")
    });
    let (subject, body) = done.message.split_once('\n').unwrap_or((&done.message, ""));
    let sign = if sign { " --gpg-sign" } else { "" };
    let (subject, body) = (quoted(subject), quoted(body.trim()));
    let commit = format!("git commit{sign} -m {subject} -m {body} -- {path}");
    let branch = quoted(&format!("HEAD:{}", done.branch));
    images
        .chain([commit, format!("git push origin {branch}")])
        .collect()
}

impl Report for PromotionReport {
    fn text(&self) -> String {
        let (stack, path) = (&self.stack, &self.path);
        let mut text = match self.way {
            Word::Already => format!("{stack}  has these images in Git already\n"),
            Word::Pushed => format!("{stack}  has other images in Git now\n"),
            Word::NotPushed | Word::Refused => {
                let why = self.why.as_deref().unwrap_or_default();
                format!("{stack}  has the images in Git that it had: {why}\n")
            }
        };
        let mut line = |what: &str, rest: &str| text = format!("{text}  {what:<9} {rest}\n");
        if let Some(commit) = &self.commit {
            let (commit, branch) = (commit.short(), &self.branch);
            line("commit", &format!("{commit} on branch {branch}, {path}"));
        }
        for (service, image) in &self.images {
            line("image", &format!("{service}: {}", image.after));
            line("  was", &image.before);
        }
        if let Some(evidence) = &self.evidence {
            let since = super::status::display_time(evidence.since);
            let (from, release) = (&evidence.stack, &evidence.release);
            line("from", &format!("{from}, release {release}, since {since}"));
        }
        if !self.by_hand.is_empty() {
            let branch = &self.branch;
            line("by hand", &format!("where a person may push to {branch}:"));
            for one in &self.by_hand {
                line("", &format!("  {}", one.replace('\n', "\n              ")));
            }
        }
        if self.way == Word::Pushed {
            let next = "the controller's next pass deploys it; moored reconcile does it now";
            line("next", next);
        }
        text
    }
}
