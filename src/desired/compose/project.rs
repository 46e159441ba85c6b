//! What the reading of services shares: where paths resolve, what is declared, what was read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::env_file;
use super::resources::ByKey;
use crate::desired::host_files::HostFiles;
use crate::desired::manifest::Manifest;
use crate::desired::{PlacedFile, StackName, Wanted, placed};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::model::{Network, Volume};
use crate::secret::{Sensitive, worth_hiding};
use crate::source::{ReadError, RepoPath, Tree};
use crate::yaml::Node;

/// A project while its services are read.
pub(in crate::desired) struct Project<'a> {
    pub(in crate::desired) stack: &'a StackName,
    pub(in crate::desired) manifest: &'a Manifest,
    /// The manifest once more as a tree, for the places in it.
    pub(in crate::desired) manifest_node: Option<&'a Node>,
    /// Where relative paths resolve on the host.
    pub(in crate::desired) directory: PathBuf,
    /// Where they resolve in the repository: beside the first Compose file.
    pub(in crate::desired) compose_dir: RepoPath,
    pub(in crate::desired) tree: &'a Tree,
    pub(in crate::desired) host: &'a dyn HostFiles,
    pub(in crate::desired) variables: Variables,
    pub(in crate::desired) networks: ByKey<Network>,
    pub(in crate::desired) volumes: ByKey<Volume>,
    /// What was read and found on the way.
    pub(in crate::desired) found: RefCell<Found>,
}

/// What comes up while services are read, beyond the services.
#[derive(Default)]
pub(in crate::desired) struct Found {
    pub(in crate::desired) files: BTreeMap<RepoPath, PlacedFile>,
    pub(in crate::desired) warnings: Vec<Diagnostic>,
    pub(in crate::desired) host_files: BTreeSet<PathBuf>,
    pub(in crate::desired) secrets: Vec<Sensitive>,
}

/// Values for `${...}`.
#[derive(Default)]
pub(in crate::desired) struct Variables {
    /// From the repository.
    pub(in crate::desired) committed: BTreeMap<String, String>,
    /// From files of the host.
    pub(in crate::desired) host: BTreeMap<String, String>,
}

impl Variables {
    /// Returns a value; what Git says wins over what the host says.
    pub(in crate::desired) fn get(&self, name: &str) -> Option<String> {
        self.committed
            .get(name)
            .or_else(|| self.host.get(name))
            .cloned()
    }

    /// Returns whether a text holds a value of the host, and must not be shown.
    ///
    /// Very short values (`1`, `yes`) tell nobody anything and stand in every other text.
    pub(in crate::desired) fn is_tainted(&self, text: &str) -> bool {
        const TELLING: usize = 4;
        self.host
            .values()
            .any(|value| value.len() >= TELLING && text.contains(value.as_str()))
    }
}

impl Project<'_> {
    /// Returns the name on the engine of a declared network.
    pub(in crate::desired) fn network(&self, key: &str) -> Option<String> {
        match self.networks.get(key)? {
            Wanted::Own(network) | Wanted::External(network) => Some(network.name.clone()),
        }
    }

    /// Returns the name on the engine of a declared volume.
    pub(in crate::desired) fn volume(&self, key: &str) -> Option<String> {
        match self.volumes.get(key)? {
            Wanted::Own(volume) | Wanted::External(volume) => Some(volume.name.clone()),
        }
    }

    /// Returns the value at a path of the manifest, for its place.
    pub(in crate::desired) fn manifest_place(&self, path: &[&str]) -> Option<&Node> {
        self.manifest_node?.at(path)
    }

    /// Notes something that is not wrong and still worth saying.
    pub(in crate::desired) fn warn(&self, at: &Node, message: &str) {
        self.found
            .borrow_mut()
            .warnings
            .push(Diagnostic::new(at.location(), message));
    }

    /// Notes which files of the repository lie at a relative path, to be placed on the host.
    ///
    /// Returns their paths below the project directory: none when the repository has nothing
    /// there, because it is a directory of data.
    pub(in crate::desired) fn place(&self, relative: &str) -> Result<Vec<RepoPath>, String> {
        // A path that leaves the repository can't be in it.
        let Ok(path) = self.compose_dir.join(relative) else {
            return Ok(Vec::new());
        };
        let files = match self.tree.read(&path) {
            Ok(content) => vec![(path.clone(), content, placed::mode(self.tree, &path))],
            Err(ReadError::Missing { .. }) => return Ok(Vec::new()),
            Err(ReadError::NotAFile { .. }) => placed::beneath(self.tree, &path)?,
            Err(error) => return Err(error.to_string()),
        };
        let mut placed = Vec::new();
        for (file, content, mode) in files {
            let Some(below) = placed::below(&self.compose_dir, &file) else {
                return Err(format!(
                    "{file} is in the repository, above the Compose file; only files beside it \
                     or below can be mounted by a relative path"
                ));
            };
            let mounted_singly = file == path;
            let file = PlacedFile {
                content,
                mode,
                mounted_singly,
            };
            let mut found = self.found.borrow_mut();
            // Mounted both by itself and with its directory: the inode must stay.
            let singly = found
                .files
                .get(&below)
                .is_some_and(|known| known.mounted_singly);
            let mounted_singly = file.mounted_singly || singly;
            found.files.insert(
                below.clone(),
                PlacedFile {
                    mounted_singly,
                    ..file
                },
            );
            placed.push(below);
        }
        Ok(placed)
    }

    /// Reads an environment file of the repository; `None` when it has none there.
    pub(in crate::desired) fn committed_env_file(
        &self,
        relative: &str,
        raw: bool,
    ) -> Result<Option<env_file::Entries>, Diagnostics> {
        let Ok(path) = self.compose_dir.join(relative) else {
            return Ok(None);
        };
        match self.tree.read(&path) {
            Ok(content) => self.parse_env(&path.to_string(), &content, raw).map(Some),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(Diagnostic::file(path.as_str(), error.to_string()).into()),
        }
    }

    /// Reads an environment file of the host; `None` when it has none there. Its values are
    /// secret from then on.
    pub(in crate::desired) fn host_env_file(
        &self,
        path: &Path,
        raw: bool,
    ) -> Result<Option<env_file::Entries>, Diagnostics> {
        let name = path.display().to_string();
        self.found.borrow_mut().host_files.insert(path.to_owned());
        let content = match self.host.read(path) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            Err(why) => return Err(Diagnostic::file(&name, why).into()),
        };
        let entries = self.parse_env(&name, &content, raw)?;
        let known = entries
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let secrets = known.filter(|(name, value)| worth_hiding(name, value));
        let secrets: Vec<Sensitive> = secrets
            .map(|(_, value)| Sensitive::new(value.clone()))
            .collect();
        self.found.borrow_mut().secrets.extend(secrets);
        Ok(Some(entries))
    }

    fn parse_env(
        &self,
        name: &str,
        content: &[u8],
        raw: bool,
    ) -> Result<env_file::Entries, Diagnostics> {
        let lookup = |variable: &str| self.variables.get(variable);
        if raw {
            env_file::parse_raw(name, content, &lookup)
        } else {
            env_file::parse(name, content, &lookup)
        }
    }
}
