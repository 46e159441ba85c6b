//! The files of a project as its Compose files see them: the repository's, laid over the host.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::StackName;
use super::compose::files::Files;
use super::host_files::HostFiles;
use crate::source::{ReadError, RepoPath, Tree};

/// The project directory of the host with the files of the repository in it: what Git has counts,
/// what it does not have is the host's.
pub(super) struct ProjectFiles<'a> {
    pub(super) stack: &'a StackName,
    /// Where relative paths resolve on the host.
    pub(super) directory: &'a Path,
    /// Where they resolve in the repository: beside the first Compose file.
    pub(super) compose_dir: &'a RepoPath,
    pub(super) tree: &'a Tree,
    pub(super) host: &'a dyn HostFiles,
    /// The Compose files that the manifest names, and where they lie on the host: also those so far
    /// above the first one that the host has no directory for it.
    pub(super) listed: Vec<(RepoPath, PathBuf)>,
    /// Files of the host that were asked for.
    pub(super) of_host: RefCell<BTreeSet<PathBuf>>,
}

impl ProjectFiles<'_> {
    /// Returns where a path of the host lies in the repository; `None` = outside.
    pub(super) fn in_repository(&self, path: &Path) -> Option<RepoPath> {
        if let Some((listed, _)) = self.listed.iter().find(|(_, at)| at == path) {
            return Some(listed.clone());
        }
        let mut ancestors = self.directory.ancestors().enumerate();
        let (up, below) =
            ancestors.find_map(|(up, base)| Some((up, path.strip_prefix(base).ok()?)))?;
        let relative = format!("./{}{}", "../".repeat(up), below.to_str()?);
        self.compose_dir.join(&relative).ok()
    }

    /// Returns whether every file of the host that was asked for can be seen from here.
    pub(super) fn sees_all(&self) -> bool {
        let is_there = |path: &PathBuf| matches!(self.host.read(path), Ok(Some(_)));
        self.host.is_the_host() || self.of_host.borrow().iter().all(is_there)
    }

    /// Returns whether encrypted files can't be read from here, and need not be.
    pub(super) fn is_without_keys(&self) -> bool {
        !self.host.is_the_host() && self.host.age_identity().is_none()
    }

    fn committed(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let Some(path) = self.in_repository(path) else {
            return Ok(None);
        };
        match self.tree.read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Returns paths of the repository with where they lie on the host.
pub(super) fn listed(
    directory: &Path,
    compose_dir: &RepoPath,
    paths: Vec<RepoPath>,
) -> Vec<(RepoPath, PathBuf)> {
    let paths = paths.into_iter();
    let listed = paths.map(|path| {
        let at = on_host(directory, compose_dir, &path);
        (path, at)
    });
    listed.collect()
}

/// Returns where a path of the repository lies on the host: in the project directory, or beside
/// it.
fn on_host(directory: &Path, compose_dir: &RepoPath, path: &RepoPath) -> PathBuf {
    let mut base = directory;
    let mut repository = compose_dir.clone();
    loop {
        if let Some(below) = super::placed::below(&repository, path) {
            return base.join(below.as_str());
        }
        let Some(parent) = repository.parent() else {
            return base.join(path.as_str());
        };
        repository = parent;
        base = base.parent().unwrap_or(base);
    }
}

impl Files for ProjectFiles<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if let Some(content) = self.committed(path)? {
            return Ok(Some(content));
        }
        if let Some(why) = self.host.refuses(self.stack, path) {
            return Err(why);
        }
        self.of_host.borrow_mut().insert(path.to_owned());
        let content = self.host.read(path)?;
        // Elsewhere nobody knows what is in it.
        Ok(content.or_else(|| (!self.host.is_the_host()).then(Vec::new)))
    }

    /// What a stack is comes from one commit, and from nowhere else.
    fn read_document(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        self.committed(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        let Some(path) = self.in_repository(path) else {
            return false;
        };
        matches!(self.tree.read(&path), Err(ReadError::NotAFile { .. }))
    }

    fn name(&self, path: &Path) -> String {
        let path_in = self.in_repository(path);
        match path_in.filter(|path| !matches!(self.tree.read(path), Err(ReadError::Missing { .. })))
        {
            Some(path) => path.to_string(),
            None => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct NoFiles;

    impl HostFiles for NoFiles {
        fn read(&self, _: &Path) -> Result<Option<Vec<u8>>, String> {
            Ok(None)
        }
    }

    #[test]
    fn paths_of_the_host_and_of_the_repository_lead_to_one_another() {
        let compose_dir = RepoPath::new("stacks/shop").unwrap();
        let files = ProjectFiles {
            stack: &StackName::try_from("shop".to_owned()).unwrap(),
            directory: Path::new("/srv/shop"),
            compose_dir: &compose_dir,
            tree: &Tree::from_files(BTreeMap::new()).unwrap(),
            host: &NoFiles,
            listed: Vec::new(),
            of_host: RefCell::default(),
        };
        for (host, repository) in [
            (
                "/srv/shop/nginx/site.conf",
                Some("stacks/shop/nginx/site.conf"),
            ),
            ("/srv/common.yaml", Some("stacks/common.yaml")),
            ("/srv/blog/compose.yaml", Some("stacks/blog/compose.yaml")),
            ("/elsewhere", Some("elsewhere")),
        ] {
            let path = repository.map(|path| RepoPath::new(path).unwrap());
            assert_eq!(files.in_repository(Path::new(host)), path, "{host}");
            if let Some(path) = path {
                assert_eq!(
                    on_host(files.directory, &compose_dir, &path),
                    Path::new(host)
                );
            }
        }
        assert_eq!(
            files.in_repository(files.directory),
            Some(compose_dir.clone())
        );
    }
}
