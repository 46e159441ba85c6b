//! Lints a state repository away from its hosts, for CI: everything that is wrong with any stack,
//! in one go.
//!
//! [`check()`] loads every stack as a pass does, with an [`Elsewhere`] in the place of the host. What
//! only the host knows is left unsaid: [`Checked::unseen`] names the files. Modules: `elsewhere`;
//! `form` finds more than the first thing that is wrong with a manifest.

mod elsewhere;
mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Serialize;

pub use elsewhere::Elsewhere;

use crate::desired::{self, DesiredState, Place, Service, ServiceName, manifest};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, Position};
use crate::policy;
use crate::source::{CommitInfo, ReadError, RepoPath, Tree};
use crate::yaml::{self, Node};

/// What a state repository comes to.
pub struct Checked {
    /// How many stacks it has.
    pub stacks: usize,
    /// What was found, in the order of the files.
    pub findings: Vec<Finding>,
    /// Files that could not be looked into: those of hosts, and encrypted ones.
    pub unseen: BTreeSet<String>,
}

/// One finding, in the form that programs read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Path inside the repository, or absolute for a file of a host.
    pub file: String,
    /// Line, from 1, where the format gives one.
    pub line: Option<u32>,
    /// Column in characters, from 1, where the format gives one.
    pub column: Option<u32>,
    /// What it is: a lower-case sentence without a final dot.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No host would take the stack.
    Error,
    /// It is taken, and still worth a look.
    Warning,
}

impl Checked {
    /// Returns whether a host would refuse any of it.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|one| one.severity == Severity::Error)
    }
}

impl Finding {
    fn new(found: Diagnostic, severity: Severity) -> Self {
        let position: Option<Position> = found.location.position;
        Self {
            file: found.location.file,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            message: found.message,
            hint: found.hint,
            severity,
        }
    }
}

/// What one stack comes to, before and after it is known what hangs on files that can't be seen.
struct Loaded {
    result: Result<DesiredState, Diagnostics>,
    unseen: BTreeSet<String>,
}

/// Stands for every variable that a file of the host may set: the one text that is an image's tag,
/// a port, a number and a switch alike.
const ONE: &str = "1";

/// Another such text: a finding that is the same for both does not hang on the value.
const TWO: &str = "2";

/// Checks every stack of a tree; `hosts` has files of hosts below it as they are below `/` there.
///
/// # Errors
/// The tree, or `hosts`, can't be read at all.
pub fn check(tree: &Tree, hosts: Option<&Path>) -> Result<Checked, ReadError> {
    let manifests = tree.find_named(manifest::FILE_NAME)?;
    let mut checked = Checked {
        stacks: manifests.len(),
        findings: Vec::new(),
        unseen: BTreeSet::new(),
    };
    if manifests.is_empty() {
        let found = Diagnostic::file(manifest::FILE_NAME, "no stack has one")
            .hint("a directory with a moored.yaml is a stack, see docs/manifest.md");
        checked.add([found], Severity::Error);
    }
    let mut dirs_of: BTreeMap<String, Vec<RepoPath>> = BTreeMap::new();
    for path in &manifests {
        let stack = checked.stack(tree, path, hosts)?;
        if let Some(name) = stack {
            dirs_of.entry(name).or_default().push(path.clone());
        }
    }
    for (name, paths) in dirs_of.iter().filter(|(_, paths)| paths.len() > 1) {
        let all: Vec<&str> = paths.iter().map(RepoPath::as_str).collect();
        let message = format!("stack {name} is declared in {}", all.join(" and in "));
        let doubles = all.iter().map(|file| {
            Diagnostic::file(file, message.clone())
                .hint("no host takes both; that is right only where each is for another host")
        });
        checked.add(doubles, Severity::Warning);
    }
    checked.findings.sort();
    checked.findings.dedup();
    Ok(checked)
}

/// Loads a stack away from its host.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(
    tree: &Tree,
    dir: &RepoPath,
    host: &Elsewhere,
    directory: &dyn Fn(&str) -> PathBuf,
    time_zone: &TimeZone,
) -> Result<DesiredState, Diagnostics> {
    let uncommitted = CommitInfo::uncommitted();
    let place = Place {
        dir,
        commit: tree.commit().unwrap_or(&uncommitted),
        default_directory: directory,
        time_zone,
    };
    desired::load(tree, &place, host)
}

/// Returns where a host with the default settings keeps the files of a stack.
pub fn default_directory(stack: &str) -> PathBuf {
    Path::new("/var/lib/moored/stacks")
        .join(stack)
        .join("project")
}

impl Checked {
    fn add(&mut self, found: impl IntoIterator<Item = Diagnostic>, severity: Severity) {
        let found = found.into_iter();
        self.findings
            .extend(found.map(|one| Finding::new(one, severity)));
    }

    /// Checks one stack; returns its name when it could be loaded.
    fn stack(
        &mut self,
        tree: &Tree,
        path: &RepoPath,
        hosts: Option<&Path>,
    ) -> Result<Option<String>, ReadError> {
        if let Ok(text) = tree.read(path) {
            let wrong = form::every_finding(path.as_str(), &text);
            if !wrong.is_empty() {
                self.add(wrong, Severity::Error);
                return Ok(None);
            }
        }
        let dir = path.parent().unwrap_or_else(RepoPath::root);
        let first = load_with(tree, &dir, hosts, None)?;
        self.unseen.extend(first.unseen.iter().cloned());
        let second = if first.unseen.is_empty() {
            None
        } else {
            let second = load_with(tree, &dir, hosts, Some(ONE))?;
            // The first may have stopped before it came to a file.
            self.unseen.extend(second.unseen.iter().cloned());
            Some(second)
        };
        let desired = match (first.result, second.map(|second| second.result)) {
            (Ok(desired), None) => {
                self.add(desired.warnings.clone(), Severity::Warning);
                desired
            }
            (Ok(desired), Some(Ok(other))) => {
                let both = common(&desired.warnings, &other.warnings);
                self.add(both, Severity::Warning);
                desired
            }
            // What is right or wrong by a value that can't be seen is not said.
            (Ok(desired), Some(Err(_))) | (Err(_), Some(Ok(desired))) => desired,
            (Err(Diagnostics(found)), None) => {
                self.add(found, Severity::Error);
                return Ok(None);
            }
            (Err(Diagnostics(unset)), Some(Err(Diagnostics(set)))) => {
                let third = load_with(tree, &dir, hosts, Some(TWO))?;
                let other = third.result.err().map(|found| found.0).unwrap_or_default();
                let either: Vec<Diagnostic> = unset.iter().chain(&other).cloned().collect();
                let sure = common(&set, &either);
                if sure.is_empty() {
                    self.add(unset, Severity::Warning);
                } else {
                    self.add(sure, Severity::Error);
                }
                return Ok(None);
            }
        };
        self.moving_tags(tree, path, &desired);
        Ok(Some(desired.stack.to_string()))
    }

    /// Warns of images that may be another one tomorrow, as the policy does by default.
    fn moving_tags(&mut self, tree: &Tree, path: &RepoPath, desired: &DesiredState) {
        let moves = |(name, service): (&ServiceName, &Service)| {
            let message = policy::warning_of(&service.spec.image)?;
            let found = match place_of_image(tree, path, desired, name) {
                Some(at) => Diagnostic::new(at, message),
                None => Diagnostic::file(path.as_str(), message),
            };
            Some(
                found
                    .hint("name a tag that stays, or a digest: a rollback needs the image of then"),
            )
        };
        let found: Vec<Diagnostic> = desired.services.iter().filter_map(moves).collect();
        self.add(found, Severity::Warning);
    }
}

/// Returns where the image of a service is written: in the manifest, else in the last Compose file
/// that names it.
fn place_of_image(
    tree: &Tree,
    manifest: &RepoPath,
    desired: &DesiredState,
    name: &ServiceName,
) -> Option<Location> {
    let text = tree.read(manifest).ok()?;
    let node = yaml::parse(manifest.as_str(), &text).ok()?;
    if let Some(at) = node.at(&["images", name.service()]) {
        return Some(at.location());
    }
    let dir = manifest.parent().unwrap_or_else(RepoPath::root);
    let first = node.at(&["compose", "0"]).and_then(Node::as_str);
    let first = first.and_then(|first| dir.join(first).ok()?.parent());
    let beside = first.unwrap_or(dir);
    let files = desired.compose_files.iter().rev();
    let mut places = files.filter_map(|file| {
        let below = file.strip_prefix(&desired.project_directory).ok()?;
        let file = beside.join(below.to_str()?).ok()?;
        let text = tree.read(&file).ok()?;
        let node = yaml::parse(file.as_str(), &text).ok()?;
        Some(node.at(&["services", name.service(), "image"])?.location())
    });
    places.next()
}

fn load_with(
    tree: &Tree,
    dir: &RepoPath,
    hosts: Option<&Path>,
    stand_in: Option<&'static str>,
) -> Result<Loaded, ReadError> {
    let host = Elsewhere::new(hosts, stand_in)?;
    let result = load(tree, dir, &host, &default_directory, &TimeZone::UTC);
    Ok(Loaded {
        result,
        unseen: host.into_unseen(),
    })
}

/// Returns the findings that stand in both lists.
fn common(one: &[Diagnostic], other: &[Diagnostic]) -> Vec<Diagnostic> {
    let both = one.iter().filter(|found| other.contains(found));
    both.cloned().collect()
}
