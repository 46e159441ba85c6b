//! Lists the places of the host that a manifest names, and refuses to read those that may not be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::findings::{Findings, Surroundings};
use super::host_files::HostFiles;
use super::manifest::Manifest;
use super::proxy::ProxyPlace;
use super::{NamedPlace, PlacedFile, Places};
use crate::diagnostic::Diagnostics;
use crate::permits::Touch;
use crate::yaml::Node;

/// Refuses files of the host with values that may not be read, before any of them is.
///
/// # Errors
/// All of them, with their places.
pub(super) fn refuse_reads(
    manifest: &Manifest,
    host: &dyn HostFiles,
    mut findings: Findings<'_>,
) -> Result<(), Diagnostics> {
    for (keys, path) in read(manifest) {
        if let Some(why) = host.refuses(&manifest.stack, path) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            findings.refuse(&keys, why, "");
        }
    }
    findings.into_result()
}

/// Returns the files of the host with values, and the keys that name them.
fn read(manifest: &Manifest) -> Vec<(Vec<String>, &PathBuf)> {
    let of_variables = manifest.variable_files.iter().enumerate();
    let of_variables = of_variables
        .map(|(index, path)| (vec!["variable_files".to_owned(), index.to_string()], path));
    let of_services = manifest.env.iter().flat_map(|(service, env)| {
        let files = env.files.iter().enumerate();
        files.map(move |(index, path)| {
            let keys = ["env", service.as_str(), "files"].map(str::to_owned);
            let keys = keys.into_iter().chain([index.to_string()]);
            (keys.collect(), path)
        })
    });
    of_variables.chain(of_services).collect()
}

/// Returns every place of the host that a manifest names by itself, or where it has files put.
pub(super) fn places(
    around: &Surroundings<'_>,
    host_placed: &BTreeMap<PathBuf, PlacedFile>,
    node: Option<&Node>,
) -> Vec<NamedPlace> {
    let mut named = Named {
        node,
        found: Vec::new(),
    };
    let manifest = around.manifest;
    for (keys, path) in read(manifest) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let key = if keys.first() == Some(&"env") {
            "env"
        } else {
            "variable_files"
        };
        named.add(key, &keys, path.clone(), Touch::Read);
    }
    for path in host_placed.keys() {
        let mut entries = manifest.files.iter();
        let entry = entries.position(|one| path.starts_with(&one.to.path));
        let entry = entry.unwrap_or_default().to_string();
        let keys = ["files", entry.as_str(), "to"];
        named.add("files", &keys, path.clone(), Touch::Write);
    }
    // Those in a directory of our own are where we put them.
    if around.project_directory != around.own_directory {
        for path in around.files.keys() {
            let path = around.project_directory.join(path.as_str());
            let key = "project_directory";
            named.add(key, &[key], path, Touch::Write);
        }
    }
    if let Some(page) = &manifest.maintenance {
        let keys = ["maintenance", "flag"];
        for path in page.host_places() {
            named.add("maintenance", &keys, path, Touch::Write);
        }
    }
    for (name, backup) in &manifest.backups {
        for (key, path, touch) in backup.host_places() {
            let keys = ["backups", name.as_str(), key];
            named.add("backups", &keys, path.to_owned(), touch);
        }
    }
    if let Some(proxy) = &manifest.proxy
        && proxy.place == ProxyPlace::Host
    {
        for (name, target) in &proxy.configs {
            let keys = proxy.path(&["configs", name]);
            named.add("proxy", &keys, target.clone(), Touch::Configure);
        }
    }
    named.found
}

/// Returns where the parts of a proxy's keys stand that places of the host come from.
pub(super) fn proxy_places(manifest: &Manifest, node: Option<&Node>) -> Places {
    let Some(proxy) = &manifest.proxy else {
        return Places::new();
    };
    let at = |key: &str| {
        let at = node?.at(&proxy.path(&[key]))?;
        Some((key.to_owned(), at.location()))
    };
    ["host", "configs"].into_iter().filter_map(at).collect()
}

struct Named<'a> {
    node: Option<&'a Node>,
    found: Vec<NamedPlace>,
}

impl Named<'_> {
    fn add(&mut self, key: &'static str, keys: &[&str], path: PathBuf, touch: Touch) {
        let at = self.node.and_then(|node| node.at(keys));
        self.found.push(NamedPlace {
            key,
            at: at.map(Node::location),
            path,
            touch,
        });
    }
}
