//! Writes the first `moored.yaml` of a project that Docker Compose runs, or whose files lie here.
//!
//! [`running()`] lists the projects of an engine by the labels of their containers; [`propose()`] makes
//! a [`Proposal`] of a [`Project`]: the manifest, the host's settings, and what belongs into Git.
//! What is written live is loaded as a pass would load it before anybody sees it; what is only
//! guessed stands in comments. No value of a variable file is in either, but for what `images` needs.
//! Modules: `running`; `variables` (values that nobody wrote down), `disk` (files, and which of them
//! say what the project is), `place` (where they lie in the repository), `draft` (the text), `guess`
//! over `data` (databases in mounted directories), `settings`, `error`.

mod data;
mod disk;
mod draft;
mod error;
mod guess;
mod place;
mod running;
mod settings;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use error::InitError;
pub use place::Target;
pub use running::{Running, containers, running};

use crate::check;
use crate::desired::compose::load::{self, Request};
use crate::desired::{self, DesiredState, Place, StackName, manifest};
use crate::engine::model::Container;
use crate::source::{CommitInfo, RepoPath, Tree};
use disk::Disk;
use draft::Draft;
use place::Placed;
use variables::Values;

/// A project of Docker Compose.
pub struct Project {
    /// Its name, which the stack gets.
    pub name: String,
    /// Where its relative paths begin; absolute.
    pub directory: PathBuf,
    /// Its Compose files, later ones over earlier ones; absolute.
    pub files: Vec<PathBuf>,
    /// Files with values for `${...}`; absolute.
    pub variable_files: Vec<PathBuf>,
    /// What runs of it, by service.
    pub containers: BTreeMap<String, Container>,
}

/// What is proposed for a project.
pub struct Proposal {
    /// Name of the stack.
    pub stack: StackName,
    /// The text of the manifest.
    pub manifest: String,
    /// The text of the host's settings.
    pub settings: String,
    /// The directory of the repository: the work tree that there is, or is to be.
    pub root: PathBuf,
    /// Files that belong into Git beside the manifest, and lie where they belong.
    pub commit: Vec<PathBuf>,
    /// Files that belong into Git and lie elsewhere: from where to where.
    pub copy: Vec<(PathBuf, PathBuf)>,
    /// Files with values that stay on the host and out of Git.
    pub stay: Vec<PathBuf>,
}

/// Makes a proposal for a project, to be written to a directory.
///
/// # Errors
/// The project can't be loaded, or not be told to others by files of a repository.
pub fn propose(project: &Project, target: &Target) -> Result<Proposal, InitError> {
    let stack = StackName::try_from(project.name.clone()).map_err(InitError::Name)?;
    let mut values = Values::of(project)?;
    let disk = Disk::default();
    let request = |profiles: &[&str]| Request {
        files: project.files.clone(),
        project_directory: project.directory.clone(),
        project: Some(project.name.clone()),
        profiles: profiles.iter().map(|one| (*one).to_owned()).collect(),
        images: BTreeMap::new(),
        home: None,
    };
    let model = load::load(&request(&[]), &|name: &str| values.get(name), &disk)?;
    let sleeping = project.containers.keys();
    let sleeping: BTreeSet<&str> = sleeping
        .filter(|name| model.inactive.contains(*name))
        .map(String::as_str)
        .collect();
    if !sleeping.is_empty() {
        let all = load::load(&request(&["*"]), &|name: &str| values.get(name), &disk)?;
        values.wake(&all.tree, &sleeping);
    }
    // An included project has values of its own; those of a host are no files of a repository.
    let (of_host, documents) = disk.into_documents();
    for file in of_host {
        if !project.variable_files.contains(&file) && !values.files.contains(&file) {
            values.files.push(file);
        }
    }
    let placed = Placed::of(project, &documents, target)?;
    let mut draft = Draft {
        stack: stack.to_string(),
        compose: placed.compose.clone(),
        project_directory: Some(project.directory.clone()),
        variable_files: values.files.clone(),
        variables: values.solved.clone(),
        images: values.images_without(project),
    };
    let state = load_draft(&draft, &placed)?;
    draft.images.extend(values.images(project, &state));
    if project.containers.is_empty() && !needs_directory(&state, project, &values.files) {
        draft.project_directory = None;
    }
    let state = load_draft(&draft, &placed)?;
    let guesses = guess::all(project, &state, &placed);
    let (mut commit, mut copy) = (Vec::new(), Vec::new());
    let configs = guesses.iter().flat_map(|one| &one.commit);
    for path in placed.files.values().chain(configs) {
        let to = placed.on_disk(path);
        if to == *path {
            commit.push(to);
        } else {
            copy.push((path.clone(), to));
        }
    }
    Ok(Proposal {
        manifest: draft.text(&guesses),
        settings: settings::text(project, &state, target, placed.root()),
        root: placed.root().to_owned(),
        stack,
        commit,
        copy,
        stay: values.files,
    })
}

/// Returns whether anything of a project is found from its directory on.
fn needs_directory(state: &DesiredState, project: &Project, variable_files: &[PathBuf]) -> bool {
    let specs = state.services.values().map(|service| &service.spec);
    let mut mounted = specs.flat_map(crate::policy::sources_of);
    mounted.any(|path| Path::new(path).starts_with(&project.directory))
        || state.host_files.iter().any(|path| {
            let of_stack = !variable_files.contains(path);
            of_stack && path.starts_with(&project.directory)
        })
}

/// Loads what a draft comes to, as a pass on this host would.
fn load_draft(draft: &Draft, placed: &Placed) -> Result<DesiredState, InitError> {
    let text = draft.text(&[]);
    let path = placed.manifest.as_str().to_owned();
    let files = placed.contents.iter();
    let files = files.map(|(path, content)| (path.clone(), content.clone()));
    let files = files.chain([(path, text.into_bytes())]);
    let tree = Tree::from_files(files.collect()).map_err(InitError::Path)?;
    let place = Place {
        dir: &placed.manifest.parent().unwrap_or_else(RepoPath::root),
        commit: &CommitInfo::uncommitted(),
        default_directory: &check::default_directory,
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    Ok(desired::load(&tree, &place, &Disk::default())?)
}

/// Returns where the manifest of a directory is.
pub fn manifest_of(dir: &Path) -> PathBuf {
    dir.join(manifest::FILE_NAME)
}
