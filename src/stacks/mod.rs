//! Finds out what Git wants of this host: fetches the state repository and loads every stack
//! from the commit that it is at, or from its last release where that commit is not followed.
//!
//! [`load`] does it for a pass; [`find`] and [`at_revision`] read one stack of one commit.
//! Modules: `head` decides whether a commit is followed, `stays` loads what was released before;
//! `gate` finds what it waits for, `nameless` rules that are for nobody; `pinned`, `host_files`, `publish`; `shared` finds what stacks
//! have in common, `together` what is wrong with them; [`lacking`] what one lacks that can't be loaded.

mod gate;
mod head;
mod host_files;
mod nameless;
mod pinned;
mod publish;
mod shared;
mod stays;
mod supposed;
mod together;

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use crate::config::Repository;
use crate::desired::{self, DesiredState, HostFiles, StackName, manifest};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::EngineError;
use crate::events::Event;
use crate::host::View;
use crate::lock::{Lock, LockError};
use crate::plan::Pin;
use crate::record::RecordError;
use crate::source::{self, Changes, CommitInfo, ReadError, RepoPath, Revision, SourceError, Tree};
use crate::trust::{Refusal, Standing};
pub use gate::{LOOK_BACK, approvers, closed, in_git, waiting};
use head::{Head, Released};
pub use head::{standing, standing_in};
use host_files::FilesOfThisHost;
use pinned::PinnedStacks;
pub use publish::{Published, commit_text, publish};
pub use shared::check_together;
pub use stays::{instead, unloadable};
use stays::{kept, manifest_at};
pub use supposed::{Lacking, lacking};
use together::{refuse_doubles, report_gone};

/// Why a stack could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The state repository could not be fetched.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The mirror of the state repository is in use.
    #[error("{0}")]
    Mirror(#[from] LockError),
    /// The commit's files could not be read.
    #[error("failed to read the state repository: {0}")]
    Read(#[from] ReadError),
    /// What the repository says is wrong.
    #[error("{0}")]
    State(#[from] Diagnostics),
    /// The record of earlier passes could not be read.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The head of the branch is not followed, and there is no release to stay at.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The engine could not be asked what is left of a stack that is gone.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A stack is pinned to a commit that can't be read.
    #[error(
        "stack {stack} is {pin}, and that commit can't be read: {source}\n  hint: nothing is \
         changed; moored retry --stack {stack} lifts the pin"
    )]
    Pinned {
        /// Which stack.
        stack: StackName,
        /// Its pin.
        pin: Box<Pin>,
        /// Why it can't be read.
        source: ReadError,
    },
}

impl From<Refusal> for LoadError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// A stack as one commit has it.
pub struct AtRevision {
    /// Directory of its manifest.
    pub dir: String,
    /// What the commit wants.
    pub desired: Result<DesiredState, LoadError>,
    /// What the commit stores at every path that loading it asked for.
    pub files: Changes,
}

/// What was loaded, by the directory of the manifest.
pub type Loaded = BTreeMap<String, Result<DesiredState, LoadError>>;

/// Fetches the state repository and loads the stacks of this host; `only` names one of them.
///
/// # Errors
/// The state repository can't be fetched or read at all.
pub async fn load(view: &View, only: Option<&str>) -> Result<Loaded, LoadError> {
    view.forget_host_files();
    let mut pinned = PinnedStacks::load(view)?;
    if let Some(name) = only
        && let Some(one) = pinned.take(name)
    {
        // Git has no say in it, so it need not be asked.
        return Ok([one].into());
    }
    let mut loaded = Loaded::new();
    let by_branch = by_branch(view);
    let branches = by_branch.len();
    for (branch, wanted) in by_branch {
        match (load_branch(view, &branch, wanted.as_deref()).await, wanted) {
            (Ok(stacks), _) => loaded.extend(stacks),
            // Other branches have nothing to do with it.
            (Err(LoadError::Source(error)), Some(dirs)) if branches > 1 => {
                let refuse = |dir: &String| (dir.clone(), Err(LoadError::Source(error.clone())));
                loaded.extend(dirs.iter().map(refuse));
            }
            // Nor has a stack that does not follow it.
            (Err(error), _) if only.is_none() && !pinned.is_empty() => {
                loaded.insert(format!("branch {branch}"), Err(error));
            }
            (Err(error), _) => return Err(error),
        }
    }
    pinned.replace(&mut loaded);
    nameless::hold(view, &mut loaded)?;
    refuse_doubles(&mut loaded);
    check_shared(view, &mut loaded);
    report_gone(view, &mut loaded).await?;
    match only {
        Some(name) => pick(loaded, name),
        None => Ok(loaded),
    }
}

async fn load_branch(
    view: &View,
    branch: &str,
    wanted: Option<&[String]>,
) -> Result<Loaded, LoadError> {
    let tree = {
        let mirror = lock_mirror(view).await?;
        fetch(view, branch, &mirror).await?
    };
    let Some(commit) = tree.commit() else {
        return Ok(Loaded::new());
    };
    let mut head = Head::new(view, branch, commit);
    let dirs = match wanted {
        Some(dirs) => dirs.to_vec(),
        // Not even their names are read from a commit that nobody vouches for.
        None => match head.refusal("")? {
            Some(refusal) => {
                let dirs = head.released_dirs()?;
                if dirs.is_empty() {
                    return Err(refusal.into());
                }
                dirs
            }
            None => every_stack(&tree)?,
        },
    };
    let load = |dir: String| {
        let desired = load_followed(view, &tree, &mut head, &dir);
        (shown(&dir), desired)
    };
    Ok(dirs.into_iter().map(load).collect())
}

fn shown(dir: &str) -> String {
    if dir.is_empty() { "." } else { dir }.to_owned()
}

/// Loads the stack in a directory from the head of its branch, or from its last release where the
/// head is not followed.
fn load_followed(
    view: &View,
    tree: &Tree,
    head: &mut Head<'_>,
    dir: &str,
) -> Result<DesiredState, LoadError> {
    if let Some(refusal) = head.refusal(dir)? {
        let release = head.release_in(dir)?;
        let suspended = head.suspended_by_somebody_trusted(dir, release.as_ref())?;
        return kept(view, release, refusal, suspended);
    }
    let mut desired = load_one(view, tree, dir)?;
    match head.history(dir, &desired.stack)? {
        Standing::Refused(refusal) => {
            let release = Released::of(view, &desired.stack)?;
            kept(view, release, refusal, desired.suspended)
        }
        standing @ (Standing::Followed | Standing::Rewritten) => {
            desired.standing = standing;
            let head = &desired.commit.revision;
            desired.gate = gate::gate(view, head, dir, &desired.stack)?;
            Ok(desired)
        }
    }
}

/// Returns the directory of a stack at a revision that the mirror has, among those that the
/// settings name; none when it has none there.
///
/// # Errors
/// The commit can't be read.
pub fn find(
    view: &View,
    revision: &Revision,
    stack: &StackName,
) -> Result<Option<String>, ReadError> {
    let tree = Tree::at_commit(&view.mirror(), revision)?;
    let dirs: Vec<String> = match &view.config.stacks {
        Some(sources) => sources.iter().map(|source| source.dir.clone()).collect(),
        None => manifests(&tree)?,
    };
    let is_it = |dir: &String| {
        let manifest = manifest_at(&tree, dir);
        manifest.is_some_and(|manifest| manifest.stack == *stack)
    };
    Ok(dirs.into_iter().find(is_it))
}

/// Loads the stack in a directory at a revision that the mirror has.
///
/// # Errors
/// The commit can't be read.
pub fn at_revision(view: &View, revision: &Revision, dir: &str) -> Result<AtRevision, ReadError> {
    // A tree of its own: it notes what is asked of it.
    let tree = Tree::at_commit(&view.mirror(), revision)?;
    let desired = load_one(view, &tree, dir);
    let files = tree.asked().into_iter().map(|path| {
        let stored = tree.stored(&path)?;
        Ok((path, stored))
    });
    Ok(AtRevision {
        dir: shown(dir),
        desired,
        files: files.collect::<Result<_, _>>()?,
    })
}

/// Loads the stacks of this host from files that are not what a branch has: a working tree, or
/// another commit. Nobody vouches for them, so they are for looking alone. They wait for what they
/// would wait for on the branch.
///
/// # Errors
/// The tree can't be searched, or has no stack of the name `only`.
pub fn of_tree(view: &View, tree: &Tree, only: Option<&str>) -> Result<Loaded, LoadError> {
    view.forget_host_files();
    let dirs: Vec<String> = match &view.config.stacks {
        Some(sources) => sources.iter().map(|source| source.dir.clone()).collect(),
        None => every_stack(tree)?,
    };
    let load = |dir: &str| {
        tree.forget_asked();
        let mut desired = load_one(view, tree, dir)?;
        desired.gate = gate::gate_of_tree(view, tree, dir, &desired.stack)?;
        Ok(desired)
    };
    let dirs = dirs.into_iter();
    let mut loaded: Loaded = dirs.map(|dir| (shown(&dir), load(&dir))).collect();
    nameless::hold(view, &mut loaded)?;
    refuse_doubles(&mut loaded);
    check_shared(view, &mut loaded);
    match only {
        Some(name) => pick(loaded, name),
        None => Ok(loaded),
    }
}

/// Loads the stacks of this host as they were released last, without asking Git; `only` names one
/// of them. A stack that has no release is left out.
///
/// # Errors
/// A commit is not there any more, or the record can't be read.
pub fn released(view: &View, only: Option<&str>) -> Result<Loaded, LoadError> {
    view.forget_host_files();
    let mut loaded = Loaded::new();
    let Some(record) = &view.record else {
        return Ok(loaded);
    };
    for stack in record.stacks()? {
        let Some(release) = record.last_release(&stack)? else {
            continue;
        };
        let revision = &release.id.revision;
        let Some(dir) = find(view, revision, &stack)? else {
            continue;
        };
        let found = at_revision(view, revision, &dir)?;
        if only.is_none_or(|only| only == stack.as_str() || only == found.dir) {
            loaded.insert(found.dir, found.desired);
        }
    }
    Ok(loaded)
}

/// Returns the branches to fetch with their directories; `None` = every stack on the branch.
pub fn by_branch(view: &View) -> BTreeMap<String, Option<Vec<String>>> {
    let default = &view.config.repository.branch;
    let Some(sources) = &view.config.stacks else {
        return [(default.clone(), None)].into();
    };
    let mut branches: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for source in sources {
        let branch = source.branch.as_ref().unwrap_or(default);
        let dirs = branches.entry(branch.clone()).or_default();
        dirs.get_or_insert_default().push(source.dir.clone());
    }
    branches
}

/// Waits for the mirror's lock: whoever fetches, writes a commit there or pushes it has it.
///
/// # Errors
/// It is taken all the time, or can't be used.
pub async fn lock_mirror(view: &View) -> Result<Lock, LoadError> {
    /// A little more than a fetch may take at most.
    const PATIENCE: usize = 1300;
    const BETWEEN_TRIES: Duration = Duration::from_millis(100);
    let path = view.config.state_dir.join("mirror.lock");
    let holder = format!("process {}", std::process::id());
    // A plan asked for by hand and the controller's pass may both want to fetch.
    let lock = (|| async { Lock::take(&path, "the mirror of the state repository", &holder) })
        .retry(
            ConstantBuilder::default()
                .with_delay(BETWEEN_TRIES)
                .with_max_times(PATIENCE),
        )
        .when(|error| matches!(error, LockError::Taken { .. }))
        .await?;
    Ok(lock)
}

/// Brings a branch into the mirror, whose lock the caller shows, and opens its newest commit.
///
/// # Errors
/// It can't be fetched or read.
pub async fn fetch(view: &View, branch: &str, _mirror: &Lock) -> Result<Tree, LoadError> {
    let repository = Repository {
        branch: branch.to_owned(),
        ..view.config.repository.clone()
    };
    let fetched = source::fetch(&repository, &view.mirror(), &view.program).await?;
    tracing::debug!(branch, revision = fetched.revision.as_str(), "fetched");
    if fetched.rewound {
        let (branch, revision) = (branch.to_owned(), fetched.revision.clone());
        view.events.tell(Event::Rewound { branch, revision });
    }
    match Tree::at_commit(&view.mirror(), &fetched.revision) {
        // A fetch looks at what is there, not at every byte of it: one clone afresh mends that.
        Err(ReadError::Damaged { .. }) => {
            source::set_aside(&view.mirror())?;
            let fetched = source::fetch(&repository, &view.mirror(), &view.program).await?;
            Ok(Tree::at_commit(&view.mirror(), &fetched.revision)?)
        }
        tree => Ok(tree?),
    }
}

fn check_shared(view: &View, loaded: &mut Loaded) {
    check_together(&view.policy(), view.config.age_identity.as_deref(), loaded);
}

fn every_stack(tree: &Tree) -> Result<Vec<String>, LoadError> {
    let found = manifests(tree)?;
    if found.is_empty() {
        let commit = tree
            .commit()
            .map(|commit| commit.revision.short().to_owned());
        let message = format!("no stack has one at commit {}", commit.unwrap_or_default());
        let hint = "nothing is changed; a directory with a moored.yaml is a stack, see \
                    docs/manifest.md";
        return Err(
            Diagnostics::from(Diagnostic::file(manifest::FILE_NAME, message).hint(hint)).into(),
        );
    }
    Ok(found)
}

/// Returns the directories that have a manifest.
///
/// # Errors
/// The tree can't be read.
pub fn manifests(tree: &Tree) -> Result<Vec<String>, ReadError> {
    let found = tree.find_named(manifest::FILE_NAME)?;
    let dir = |path: &RepoPath| path.parent().map(|dir| dir.to_string()).unwrap_or_default();
    Ok(found.iter().map(dir).collect())
}

fn load_one(view: &View, tree: &Tree, dir: &str) -> Result<DesiredState, LoadError> {
    let files = FilesOfThisHost::new(view);
    let mut desired = load_with(view, tree, dir, &files)?;
    desired.exposed.extend(files.into_warnings());
    desired.warnings.extend(desired.exposed.iter().cloned());
    Ok(desired)
}

fn load_with(
    view: &View,
    tree: &Tree,
    dir: &str,
    files: &dyn HostFiles,
) -> Result<DesiredState, LoadError> {
    let refuse = |message: String| LoadError::State(Diagnostic::file(dir, message).into());
    let path = RepoPath::new(dir).map_err(|error| refuse(error.to_string()))?;
    let uncommitted = CommitInfo::uncommitted();
    let commit = tree.commit().unwrap_or(&uncommitted);
    let default_directory = |stack: &str| view.project_directory(stack);
    let place = desired::Place {
        dir: &path,
        commit,
        default_directory: &default_directory,
        time_zone: &view.time_zone,
    };
    Ok(desired::load(tree, &place, files)?)
}

fn pick(mut loaded: Loaded, name: &str) -> Result<Loaded, LoadError> {
    let by_stack = loaded.iter().find_map(|(dir, desired)| {
        let desired = desired.as_ref().ok()?;
        (desired.stack.as_str() == name).then(|| dir.clone())
    });
    let dir = by_stack.unwrap_or_else(|| name.trim_end_matches('/').to_owned());
    if let Some(desired) = loaded.remove(&dir) {
        return Ok([(dir, desired)].into());
    }
    let known = loaded.iter().map(|(dir, desired)| match desired {
        Ok(desired) => desired.stack.to_string(),
        Err(_) => dir.clone(),
    });
    let known: Vec<String> = known.collect();
    let message = format!(
        "there is no stack \"{}\" in the state repository",
        name.escape_default()
    );
    let found = Diagnostic::file(manifest::FILE_NAME, message)
        .hint(format!("there is: {}", known.join(", ")));
    Err(Diagnostics::from(found).into())
}
