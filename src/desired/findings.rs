//! Collects what is wrong with a manifest once the rest of its stack is known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::manifest::Manifest;
use super::{PlacedFile, Service, ServiceName};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::secret::escape_control;
use crate::source::{RepoPath, Tree};
use crate::yaml::Node;

/// What the parts of a manifest are read and checked against.
pub(super) struct Surroundings<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) tree: &'a Tree,
    /// Directory of the manifest.
    pub(super) dir: &'a RepoPath,
    /// Directory of the first Compose file.
    pub(super) compose_dir: &'a RepoPath,
    /// Where relative paths of the Compose files resolve on the host.
    pub(super) project_directory: &'a Path,
    /// Where they would, had the manifest not said so.
    pub(super) own_directory: &'a Path,
    pub(super) services: &'a BTreeMap<ServiceName, Service>,
    /// Services that have no container.
    pub(super) at_rest: &'a BTreeSet<ServiceName>,
    /// Repository files that services mount, by their path below the project directory.
    pub(super) files: &'a BTreeMap<RepoPath, PlacedFile>,
}

/// What is wrong, with places in the manifest.
pub(super) struct Findings<'a> {
    file: &'a str,
    node: Option<&'a Node>,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(file: &'a str, node: Option<&'a Node>) -> Self {
        Self {
            file,
            node,
            found: Vec::new(),
        }
    }

    /// Notes what is wrong at a path of keys, or as near to it as the manifest goes; an empty
    /// hint is none.
    pub(super) fn refuse(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        // Paths of the host may have in them what would turn a terminal's text around.
        let (message, hint) = (escape_control(&message.into()), escape_control(hint));
        let at = (0..=path.len())
            .rev()
            .find_map(|len| self.node?.at(path.get(..len)?));
        let found = match at {
            Some(at) => Diagnostic::new(at.location(), message),
            None => Diagnostic::file(self.file, message),
        };
        self.add(if hint.is_empty() {
            found
        } else {
            found.hint(hint)
        });
    }

    /// Notes what is wrong elsewhere.
    pub(super) fn add(&mut self, found: Diagnostic) {
        self.found.push(found);
    }

    /// Ends with everything that is wrong, if anything is.
    pub(super) fn into_result(self) -> Result<(), Diagnostics> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(Diagnostics(self.found))
        }
    }
}

impl Surroundings<'_> {
    /// Returns what is wrong with the name of a service that has no container, and what to do.
    pub(super) fn no_container(&self, written: &ServiceName) -> (String, String) {
        if self.at_rest.contains(written) {
            let message = format!("service {written} has no container: its replicas are 0");
            return (message, "raise them, or take this out".to_owned());
        }
        let known: Vec<&str> = self.services.keys().map(ServiceName::as_str).collect();
        let hint = suggestion(written.as_str(), known.iter().copied())
            .unwrap_or_else(|| format!("the Compose files have: {}", known.join(", ")));
        (format!("there is no service {written}"), hint)
    }
}
