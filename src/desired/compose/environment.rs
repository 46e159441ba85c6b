//! Puts together the environment of a service: environment files, host files, `environment`.
//!
//! Order of strength, weakest first, as Compose has it: `env_file`, then `env.SERVICE.files` of
//! the manifest, then `environment`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::env_file::Entries;
use super::fields::Fields;
use super::keys;
use super::project::Project;
use crate::desired::ServiceName;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret::Sensitive;
use crate::yaml::{Kind, Map, Node};

/// The environment of a service, and which of it may be shown.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) env: BTreeMap<String, Option<Sensitive>>,
    /// Names whose value stands in Git.
    pub(super) committed: BTreeSet<String>,
}

/// One `env_file`.
struct File {
    path: String,
    required: bool,
    raw: bool,
}

impl Environment {
    /// Reads everything that makes up the environment of a service.
    pub(super) fn read(
        name: &ServiceName,
        map: &Map,
        project: &Project<'_>,
        fields: &mut Fields<'_>,
    ) -> Self {
        let mut environment = Self::default();
        if let Some(node) = map.get("env_file") {
            for (at, file) in files(node, fields) {
                environment.add_file(at, &file, project, fields);
            }
        }
        let own = project
            .manifest
            .env
            .get(name)
            .map(|env| env.files.as_slice());
        for path in own.unwrap_or_default() {
            environment.add_host_file(path, true, false, project, fields);
        }
        if let Some(node) = map.get("environment") {
            let pairs = fields.pairs(node, "environment").unwrap_or_default();
            for (name, value) in pairs {
                environment.add_pair(name, value, project, node, fields);
            }
        }
        environment
    }

    fn add_file(&mut self, at: &Node, file: &File, project: &Project<'_>, fields: &mut Fields<'_>) {
        let absolute = Path::new(&file.path).is_absolute();
        let committed = if absolute {
            Ok(None)
        } else {
            project.committed_env_file(&file.path, file.raw)
        };
        match committed {
            Ok(Some(entries)) => self.add(entries, true, project),
            Ok(None) => {
                let path = project.directory.join(&file.path);
                let before = fields.findings.len();
                self.add_host_file(&path, file.required, file.raw, project, fields);
                // The place that names a file that is nowhere is the Compose file.
                if let Some(missing) = fields.findings.get_mut(before..)
                    && let [Diagnostic { location, .. }] = missing
                {
                    *location = at.location();
                }
            }
            Err(Diagnostics(found)) => fields.findings.extend(found),
        }
    }

    fn add_host_file(
        &mut self,
        path: &Path,
        required: bool,
        raw: bool,
        project: &Project<'_>,
        fields: &mut Fields<'_>,
    ) {
        match project.host_env_file(path, raw) {
            Ok(Some(entries)) => self.add(entries, false, project),
            Ok(None) if !required => {}
            Ok(None) => {
                let shown = path.display().to_string();
                let message = format!("environment file {shown} does not exist");
                let hint = "create it on the host, or commit it beside the Compose file";
                fields
                    .findings
                    .push(Diagnostic::file(&shown, message).hint(hint));
            }
            Err(Diagnostics(found)) => fields.findings.extend(found),
        }
    }

    fn add(&mut self, entries: Entries, committed: bool, project: &Project<'_>) {
        for (name, value) in entries {
            let Some(value) = value else { continue };
            let shown = committed && !project.variables.is_tainted(&value);
            self.set(name, Some(value), shown);
        }
    }

    fn add_pair(
        &mut self,
        name: String,
        value: Option<String>,
        project: &Project<'_>,
        node: &Node,
        fields: &mut Fields<'_>,
    ) {
        if name.is_empty() || name.contains(['=', '\0', ' ']) {
            let message = format!(
                "\"{}\" can't be the name of a variable",
                name.escape_default()
            );
            fields.refuse(node, message);
            return;
        }
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            fields.refuse(node, format!("the value of {name} holds a NUL character"));
            return;
        }
        if let Some(value) = value {
            let shown = !project.variables.is_tainted(&value);
            self.set(name, Some(value), shown);
        } else {
            // A bare name takes the project's value; without one it is sent bare.
            let shown = project.variables.committed.contains_key(&name);
            let value = project.variables.get(&name);
            self.set(name, value, shown);
        }
    }

    fn set(&mut self, name: String, value: Option<String>, shown: bool) {
        if shown {
            self.committed.insert(name.clone());
        } else {
            self.committed.remove(&name);
        }
        self.env.insert(name, value.map(Sensitive::new));
    }
}

fn files<'n>(node: &'n Node, fields: &mut Fields<'_>) -> Vec<(&'n Node, File)> {
    let items = node.as_seq().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .filter_map(|item| Some((item, file(item, fields)?)))
        .collect()
}

fn file(node: &Node, fields: &mut Fields<'_>) -> Option<File> {
    let Kind::Map(map) = &node.kind else {
        let path = fields.string(node, "env_file")?;
        return Some(File {
            path,
            required: true,
            raw: false,
        });
    };
    fields.keys(map, "env_file", &keys::ENV_FILE, &[]);
    let Some(path) = map.get("path") else {
        fields.refuse(node, "an env_file in long form needs a path");
        return None;
    };
    let path = fields.string(path, "env_file.path")?;
    let required = map
        .get("required")
        .and_then(|node| fields.boolean(node, "env_file.required"));
    let format = map
        .get("format")
        .and_then(|node| Some((node, fields.string(node, "env_file.format")?)));
    let raw = match format {
        None => false,
        Some((_, format)) if format == "raw" => true,
        Some((node, format)) => {
            let message = format!(
                "\"{}\" is not a format of environment files",
                format.escape_default()
            );
            fields.refuse_with_hint(node, message, "leave format out, or write raw");
            return None;
        }
    };
    Some(File {
        path,
        required: required.unwrap_or(true),
        raw,
    })
}
