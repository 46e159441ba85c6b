//! Says where the files of a project lie in the repository that its manifest is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{InitError, Project, manifest_of};
use crate::source::{RepoPath, WorkTree};

/// Where a manifest goes.
pub struct Target {
    /// Its directory; absolute.
    pub dir: PathBuf,
    /// The work tree that it is in.
    pub work_tree: Option<WorkTree>,
}

/// Where everything lies in the repository.
pub(super) struct Placed {
    pub(super) manifest: RepoPath,
    /// The Compose files of the project as the manifest names them.
    pub(super) compose: Vec<String>,
    /// Files that say what the project is: where they are now, by their path in the repository.
    pub(super) files: BTreeMap<String, PathBuf>,
    /// Their content.
    pub(super) contents: BTreeMap<String, Vec<u8>>,
    layout: Layout,
}

/// How paths of this host become paths of the repository.
struct Layout {
    /// The directory of this host with what is in the repository.
    root: PathBuf,
    /// Where the project's directory is put in the repository; none where it is in it already.
    copied: Option<(PathBuf, PathBuf)>,
}

impl Placed {
    /// Places the files of a project around the manifest.
    ///
    /// # Errors
    /// One of them lies where it can't be in the same repository.
    pub(super) fn of(
        project: &Project,
        documents: &BTreeMap<PathBuf, Vec<u8>>,
        target: &Target,
    ) -> Result<Self, InitError> {
        let layout = Layout::of(project, target);
        let (mut files, mut contents) = (BTreeMap::new(), BTreeMap::new());
        for (path, content) in documents {
            let inside = layout.in_repository(path)?;
            files.insert(inside.to_string(), path.clone());
            contents.insert(inside.to_string(), content.clone());
        }
        let manifest = layout.in_root(&manifest_of(&target.dir))?;
        let dir = manifest.parent().unwrap_or_else(RepoPath::root);
        let named = |path: &PathBuf| Ok(relative(&dir, &layout.in_repository(path)?));
        let compose: Result<_, InitError> = project.files.iter().map(named).collect();
        Ok(Self {
            compose: compose?,
            manifest,
            files,
            contents,
            layout,
        })
    }

    /// Returns the directory of the repository on this host.
    pub(super) fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Returns how the manifest names a file; `None` where it can't be in the repository.
    pub(super) fn named(&self, path: &Path) -> Option<String> {
        let inside = self.layout.in_repository(path).ok()?;
        let dir = self.manifest.parent().unwrap_or_else(RepoPath::root);
        Some(relative(&dir, &inside))
    }

    /// Returns where a file has to be on this host for it to be in the repository.
    pub(super) fn on_disk(&self, path: &Path) -> PathBuf {
        self.layout.on_disk(path).unwrap_or_else(|| path.to_owned())
    }
}

impl Layout {
    fn of(project: &Project, target: &Target) -> Self {
        let (dir, directory) = (&target.dir, &project.directory);
        let root = match &target.work_tree {
            Some(tree) => tree.root.clone(),
            None if dir.starts_with(directory) => directory.clone(),
            None => dir.clone(),
        };
        let is_inside = directory.starts_with(&root);
        Self {
            root,
            copied: (!is_inside).then(|| (directory.clone(), dir.clone())),
        }
    }

    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        match &self.copied {
            Some((from, to)) => Some(to.join(path.strip_prefix(from).ok()?)),
            None => Some(path.to_owned()),
        }
    }

    fn in_repository(&self, path: &Path) -> Result<RepoPath, InitError> {
        let outside = || InitError::Outside {
            file: path.to_owned(),
            directory: match &self.copied {
                Some((from, _)) => from.clone(),
                None => self.root.clone(),
            },
        };
        let path = self.on_disk(path).ok_or_else(outside)?;
        path.strip_prefix(&self.root).map_err(|_| outside())?;
        self.in_root(&path)
    }

    fn in_root(&self, path: &Path) -> Result<RepoPath, InitError> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        RepoPath::new(&below.to_string_lossy()).map_err(InitError::Path)
    }
}

/// Returns a path of the repository as it is written in a file of a directory.
fn relative(dir: &RepoPath, path: &RepoPath) -> String {
    let mut up = 0;
    let mut base = dir.clone();
    while !path.is_within(&base) {
        base = base.parent().unwrap_or_else(RepoPath::root);
        up += 1;
    }
    let below: Vec<&str> = path.components().skip(base.components().count()).collect();
    format!("{}{}", "../".repeat(up), below.join("/"))
}
