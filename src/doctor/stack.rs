//! Looks at a stack: whether it loads, and what it asks of the host.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Area, Check, Diagnosis, files, front, holds, mend, ports};
use crate::desired::{DesiredState, manifest};
use crate::diagnostic::Diagnostic;
use crate::host::View;
use crate::pass::{Looked, PassError};
use crate::reconcile;
use crate::source::{RepoPath, Tree};
use crate::stacks::{self, Lacking, LoadError};

/// A stack as far as it can be looked at.
pub(super) struct Stack {
    pub(super) name: String,
    pub(super) desired: DesiredState,
    /// Whether values that nobody knows stand in it.
    pub(super) is_supposed: bool,
    /// What the engine was asked about it; `None` where it could not be.
    pub(super) looked: Option<Looked>,
}

/// Loads every stack of the branches that could be fetched, and says what keeps the others from it.
pub(super) async fn load(
    view: &View,
    trees: &BTreeMap<String, Tree>,
    only: Option<&str>,
    found: &mut Diagnosis,
) -> Vec<Stack> {
    if trees.is_empty() {
        return Vec::new();
    }
    let loaded = match stacks::load(view, None).await {
        Ok(loaded) => loaded,
        Err(error) => {
            found.add(of_diagnostics(&error, "."));
            return Vec::new();
        }
    };
    let mut stacks = Vec::new();
    for (dir, desired) in loaded {
        let mut of_stack = Diagnosis::default();
        let stack = match desired {
            Ok(desired) => Some(loads(desired, &mut of_stack)),
            Err(LoadError::State(wrong)) => {
                let inside = if dir == "." { "" } else { dir.as_str() };
                let tree = trees.get(view.config.branch_of(inside));
                let manifest = RepoPath::new(inside).and_then(|dir| dir.join(manifest::FILE_NAME));
                let has_it = |tree: &&Tree| {
                    let manifest = manifest.as_ref();
                    manifest.is_ok_and(|path| tree.read(path).is_ok())
                };
                if let Some(tree) = tree.filter(has_it) {
                    let lacking = stacks::lacking(view, tree, inside, &wrong.0);
                    lacks(&dir, tree, inside, lacking, &wrong.0, &mut of_stack)
                } else {
                    of_stack.add(of_diagnostics(&LoadError::State(wrong), &dir).of(&dir));
                    None
                }
            }
            // It was said of its branch.
            Err(LoadError::Source(_)) => None,
            Err(error) => {
                of_stack.add(of_diagnostics(&error, &dir).of(&dir));
                None
            }
        };
        let name = stack.as_ref().map(|stack| stack.name.clone());
        let is_it = |only: &str| only == dir || name.as_deref() == Some(only);
        if only.is_none_or(is_it) {
            found.checks.extend(of_stack.checks);
            stacks.extend(stack);
        }
    }
    if let Some(only) = only.filter(|_| stacks.is_empty()) {
        let none = found.checks.iter().all(|check| check.area != Area::Stack);
        if none {
            let check = Check::missing(Area::Stack, only).of(only);
            found.add(check.found("there is no stack of this name in the state repository"));
        }
    }
    for stack in &mut stacks {
        look(view, stack, found).await;
    }
    stacks
}

fn of_diagnostics(error: &LoadError, dir: &str) -> Check {
    let text = error.to_string();
    let (first, rest) = text.split_once("\n  hint: ").unzip();
    let check = Check::missing(Area::Stack, dir).found(first.unwrap_or(&text));
    Check {
        remedy: rest.map(str::to_owned),
        ..check
    }
}

fn loads(desired: DesiredState, found: &mut Diagnosis) -> Stack {
    let name = desired.stack.to_string();
    let commit = desired.commit.revision.short();
    let check = Check::ok(Area::Stack, "moored.yaml").of(&name);
    found.add(check.found(format!("loads at {commit}")));
    for path in &desired.host_files {
        if path.exists() {
            found.add(Check::ok(Area::Stack, path.display().to_string()).of(&name));
        }
    }
    warnings(&name, &desired.warnings, found);
    Stack {
        name,
        desired,
        is_supposed: false,
        looked: None,
    }
}

/// Says what a stack lacks that can't be loaded; returns what it would be.
fn lacks(
    dir: &str,
    tree: &Tree,
    inside: &str,
    lacking: Lacking,
    wrong: &[Diagnostic],
    found: &mut Diagnosis,
) -> Option<Stack> {
    let name = lacking.supposed.as_ref().map(|one| one.stack.to_string());
    let name = name.unwrap_or_else(|| dir.to_owned());
    let example = example(tree, inside);
    let files = lacking.supposed.as_ref().map(|one| one.host_files.len());
    let is_only = files.unwrap_or(lacking.files.len()) <= 1;
    for path in &lacking.files {
        let subject = path.display().to_string();
        let check = Check::missing(Area::Stack, subject).of(&name);
        let check = check.found("a file of the host with values is not there");
        found.add(check.mended_by(mend::install(example.as_deref(), is_only, path)));
    }
    let is_told = lacking.files.is_empty() && lacking.findings.is_empty();
    // Together with another stack, or something that does not come again.
    let rest = if is_told { wrong } else { &[] };
    for one in lacking.findings.iter().chain(rest) {
        let check = Check::missing(Area::Stack, one.location.to_string()).of(&name);
        let check = check.found(one.message.clone());
        let remedy = one.hint.clone().filter(|hint| !hint.is_empty());
        found.add(Check { remedy, ..check });
    }
    let desired = lacking.supposed?;
    warnings(&name, &desired.warnings, found);
    Some(Stack {
        name,
        desired,
        is_supposed: true,
        looked: None,
    })
}

/// Returns the example of an environment file that a repository has beside a manifest or at its
/// top.
fn example(tree: &Tree, dir: &str) -> Option<String> {
    const EXAMPLE: &str = ".env.example";
    let dir = RepoPath::new(dir).ok()?;
    let places = [dir.join(EXAMPLE).ok()?, RepoPath::new(EXAMPLE).ok()?];
    let found = places.into_iter().find(|path| tree.read(path).is_ok())?;
    Some(found.to_string())
}

fn warnings(name: &str, warnings: &[Diagnostic], found: &mut Diagnosis) {
    for warning in warnings {
        // Of what a file of the host is open to; what is in Git is for `moored check`.
        if Path::new(&warning.location.file).is_absolute() {
            let check = Check::warn(Area::Stack, warning.location.to_string()).of(name);
            let check = check.found(warning.message.clone());
            found.checks.retain(|one| one.subject != check.subject);
            found.add(Check {
                remedy: warning.hint.clone(),
                ..check
            });
        }
    }
}

/// Asks the engine and the registries what a plan asks them.
async fn look(view: &View, stack: &mut Stack, found: &mut Diagnosis) {
    match Box::pin(reconcile::look_at(view, stack.desired.clone())).await {
        Ok(looked) => stack.looked = Some(looked),
        // That is said of the engine.
        Err(PassError::Engine(_)) => {}
        Err(error) => {
            let check = Check::missing(Area::Stack, "a plan").of(&stack.name);
            found.add(check.found(error.to_string()));
        }
    }
}

/// Looks at what a stack asks of the host.
pub(super) async fn check(view: &View, stack: &Stack, engine: bool, found: &mut Diagnosis) {
    files::check(view, stack, found);
    ports::check(view, stack, engine, found).await;
    front::check(stack, found).await;
    holds::check(view, stack, found);
}
