//! What the mapping of services shares: where paths lie, what is declared, what was read and found.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::sealed::Sealed;
use crate::desired::compose::env_file;
use crate::desired::manifest::Manifest;
use crate::desired::project_files::ProjectFiles;
use crate::desired::{PlacedFile, Places, ServiceName, StackName, Wanted, placed};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::model::{Network, Volume};
use crate::secret::{Sensitive, worth_hiding};
use crate::source::{ReadError, RepoPath};
use crate::yaml::Node;

/// A project while its services are mapped.
pub(in crate::desired) struct Project<'a> {
    pub(in crate::desired) stack: &'a StackName,
    pub(in crate::desired) manifest: &'a Manifest,
    /// The manifest once more as a tree, for the places in it.
    pub(in crate::desired) manifest_node: Option<&'a Node>,
    pub(in crate::desired) files: &'a ProjectFiles<'a>,
    pub(in crate::desired) variables: Variables,
    /// Values of the files that are environment, not Compose, by the names of the files.
    pub(in crate::desired) env_files: BTreeMap<String, Vec<(String, String)>>,
    /// Services of the files that no active profile has.
    pub(in crate::desired) inactive: BTreeSet<String>,
    /// Values of secrets that a variable holds, by their key.
    pub(in crate::desired) secrets: BTreeMap<String, String>,
    /// The files that SOPS has encrypted.
    pub(in crate::desired) sealed: Sealed<'a>,
    pub(in crate::desired) networks: BTreeMap<String, Wanted<Network>>,
    pub(in crate::desired) volumes: BTreeMap<String, Wanted<Volume>>,
    /// What was read and found on the way.
    pub(in crate::desired) found: RefCell<Found>,
}

/// What comes up while services are mapped, beyond the services.
#[derive(Default)]
pub(in crate::desired) struct Found {
    pub(in crate::desired) files: BTreeMap<RepoPath, PlacedFile>,
    pub(in crate::desired) warnings: Vec<Diagnostic>,
    pub(in crate::desired) secrets: Vec<Sensitive>,
    /// Encrypted files that were read.
    pub(in crate::desired) sealed: BTreeSet<RepoPath>,
    pub(in crate::desired) network_places: BTreeMap<String, Places>,
    pub(in crate::desired) volume_places: BTreeMap<String, Places>,
    refused: Vec<Diagnostic>,
    /// Services of whose environment something could not be read.
    unread: BTreeSet<ServiceName>,
}

/// Values for `${...}`.
#[derive(Default)]
pub(in crate::desired) struct Variables {
    /// From the repository.
    pub(in crate::desired) committed: BTreeMap<String, String>,
    /// From files of the host.
    pub(in crate::desired) host: BTreeMap<String, String>,
    /// What every other one is taken for, where a file of the host may set it that can't be seen.
    pub(in crate::desired) unseen: Option<String>,
}

impl Variables {
    /// Returns a value; what Git says wins over what the host says.
    pub(in crate::desired) fn get(&self, name: &str) -> Option<String> {
        self.committed
            .get(name)
            .or_else(|| self.host.get(name))
            .or(self.unseen.as_ref())
            .cloned()
    }

    /// Returns whether a text holds a value of the host, and must not be shown.
    ///
    /// Very short values (`1`, `yes`) tell nobody anything and stand in every other text.
    pub(in crate::desired) fn is_tainted(&self, text: &str) -> bool {
        holds_one(text, self.host.values().chain(&self.unseen))
    }
}

fn holds_one<'v>(text: &str, mut values: impl Iterator<Item = &'v String>) -> bool {
    const TELLING: usize = 4;
    values.any(|value| value.len() >= TELLING && text.contains(value.as_str()))
}

impl Project<'_> {
    /// Returns the name on the engine of a declared network.
    pub(in crate::desired) fn network(&self, key: &str) -> Option<&String> {
        match self.networks.get(key)? {
            Wanted::Own(network) | Wanted::External(network) => Some(&network.name),
        }
    }

    /// Returns the name on the engine of a declared volume.
    pub(in crate::desired) fn volume(&self, key: &str) -> Option<&String> {
        match self.volumes.get(key)? {
            Wanted::Own(volume) | Wanted::External(volume) => Some(&volume.name),
        }
    }

    /// Returns whether a text holds a value of an environment file of the host.
    pub(super) fn holds_env_of_host(&self, text: &str) -> bool {
        let of_host = self.env_files.iter();
        let of_host = of_host.filter(|(name, _)| Path::new(name).is_absolute());
        holds_one(
            text,
            of_host
                .flat_map(|(_, values)| values)
                .map(|(_, value)| value),
        )
    }

    /// Returns the value at a path of the manifest, for its place.
    pub(in crate::desired) fn manifest_place(&self, path: &[&str]) -> Option<&Node> {
        self.manifest_node?.at(path)
    }

    /// Notes something that is not wrong and still worth saying.
    pub(in crate::desired) fn warn(&self, at: &Node, message: impl Into<String>) {
        let found = Diagnostic::new(at.location(), message);
        self.found.borrow_mut().warnings.push(found);
    }

    /// Notes that something is wrong.
    pub(in crate::desired) fn refuse(&self, at: &Node, message: impl Into<String>) {
        self.add(Diagnostic::new(at.location(), message));
    }

    /// Notes that something is wrong, and what to do about it.
    pub(in crate::desired) fn refuse_with_hint(
        &self,
        at: &Node,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Diagnostic::new(at.location(), message).hint(hint));
    }

    /// Notes a finding.
    pub(in crate::desired) fn add(&self, finding: Diagnostic) {
        self.found.borrow_mut().refused.push(finding);
    }

    /// Notes several findings.
    pub(super) fn add_all(&self, findings: Vec<Diagnostic>) {
        self.found.borrow_mut().refused.extend(findings);
    }

    /// Notes that something of the environment of a service could not be read.
    pub(super) fn miss_environment(&self, service: &ServiceName) {
        self.found.borrow_mut().unread.insert(service.clone());
    }

    /// Returns whether the whole environment of a service is known.
    pub(in crate::desired) fn knows_environment(&self, service: &ServiceName) -> bool {
        self.files.sees_all() && !self.found.borrow().unread.contains(service)
    }

    /// Ends with what was found, or with everything that is wrong.
    pub(super) fn into_found(self) -> Result<Found, Diagnostics> {
        let mut found = self.found.into_inner();
        let refused = std::mem::take(&mut found.refused);
        if refused.is_empty() {
            Ok(found)
        } else {
            Err(Diagnostics(refused))
        }
    }

    /// Notes which files of the repository lie at a path of the host, to be placed there.
    ///
    /// Returns their paths below the project directory: none when the repository has nothing
    /// there, because it is a directory of data, or elsewhere.
    pub(in crate::desired) fn place(&self, path: &Path) -> Result<Vec<RepoPath>, String> {
        let Some(path) = self.files.in_repository(path) else {
            return Ok(Vec::new());
        };
        let files = match self.files.tree.read(&path) {
            Ok(content) => vec![(path.clone(), content, placed::mode(self.files.tree, &path))],
            Err(ReadError::Missing { .. }) => return Ok(Vec::new()),
            // A directory elsewhere is one of the host, which may hold what Git has here.
            Err(ReadError::NotAFile { .. }) if !path.is_within(self.files.compose_dir) => {
                return Ok(Vec::new());
            }
            Err(ReadError::NotAFile { .. }) => placed::beneath(self.files.tree, &path)?,
            Err(error) => return Err(error.to_string()),
        };
        let mut placed = Vec::new();
        for (file, content, mode) in files {
            let Some(below) = placed::below(self.files.compose_dir, &file) else {
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

    /// Reads an environment file of the host that the manifest names; `None` when it has none
    /// there. Its values are secret from then on.
    pub(super) fn host_env_file(
        &self,
        path: &Path,
    ) -> Result<Option<env_file::Entries>, Diagnostics> {
        let name = path.display().to_string();
        self.files.of_host.borrow_mut().insert(path.to_owned());
        let content = match self.files.host.read(path) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            Err(why) => {
                let hint = "name a file of NAME=value lines that root of this host can read";
                return Err(Diagnostic::file(&name, why).hint(hint).into());
            }
        };
        let lookup = |variable: &str| self.variables.get(variable);
        let entries = env_file::parse(&name, &content, &lookup)?;
        self.hide_entries(&entries);
        Ok(Some(entries))
    }

    /// Notes the values of variables that must not be shown anywhere.
    pub(super) fn hide_entries(&self, entries: &env_file::Entries) {
        for (name, value) in entries {
            if let Some(value) = value.as_ref().filter(|value| worth_hiding(name, value)) {
                self.hide(value);
            }
        }
    }

    /// Notes the content of a file that must not be shown anywhere: the whole of it, and what a
    /// program would print of it, a line or the value of a variable.
    pub(super) fn hide_content(&self, content: &str) {
        self.hide(content.trim_end());
        for line in content.lines().map(str::trim) {
            if worth_hiding("", line) {
                self.hide(line);
            }
            let Some((name, value)) = line.split_once(['=', ':']) else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            if worth_hiding(name, value) {
                self.hide(value);
            }
        }
    }

    /// Notes a value that must not be shown anywhere.
    pub(super) fn hide(&self, value: &str) {
        let value = Sensitive::new(value.to_owned());
        self.found.borrow_mut().secrets.push(value);
    }
}
