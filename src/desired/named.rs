//! Lists the places of the host that a manifest names, and refuses to read those that may not be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::findings::{Findings, Surroundings};
use super::host_files::HostFiles;
use super::maintenance::Maintenance;
use super::manifest::Manifest;
use super::proxy::ProxyPlace;
use super::{NamedPlace, NamedPlaces, PlacedFile, Places};
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

/// Returns every place of the host that a manifest names, or where it has files put.
pub(super) fn places(
    around: &Surroundings<'_>,
    host_placed: &BTreeMap<PathBuf, PlacedFile>,
    node: Option<&Node>,
) -> NamedPlaces {
    let manifest = around.manifest;
    let mut named = Named {
        node,
        found: Vec::new(),
    };
    for (keys, path) in read(manifest) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        named.add(&keys, path.clone(), Touch::Read);
    }
    for path in host_placed.keys() {
        let mut entries = manifest.files.iter();
        let entry = entries.position(|one| path.starts_with(&one.to.path));
        let entry = entry.unwrap_or_default().to_string();
        named.add(&["files", &entry, "to"], path.clone(), Touch::Write);
    }
    // Those in a directory of our own are where we put them.
    let is_own = around.project_directory == around.own_directory;
    for path in around.files.keys().filter(|_| !is_own) {
        let path = around.project_directory.join(path.as_str());
        named.add(&["project_directory"], path, Touch::Write);
    }
    let pages = manifest.maintenance.iter();
    for path in pages.flat_map(Maintenance::host_places) {
        named.add(&["maintenance", "flag"], path, Touch::Write);
    }
    for (name, backup) in &manifest.backups {
        for (key, path, touch) in backup.host_places() {
            named.add(&["backups", name.as_str(), key], path.to_owned(), touch);
        }
    }
    let proxies = manifest.proxy.iter();
    for proxy in proxies.filter(|proxy| proxy.place == ProxyPlace::Host) {
        for (name, target) in &proxy.configs {
            let keys = proxy.path(&["configs", name]);
            named.add(&keys, target.clone(), Touch::Configure);
        }
    }
    NamedPlaces {
        places: named.found,
        proxy: proxy_keys(manifest, node),
    }
}

/// Returns where the keys of a proxy stand that places of the host come from.
fn proxy_keys(manifest: &Manifest, node: Option<&Node>) -> Places {
    let Some(proxy) = &manifest.proxy else {
        return Places::new();
    };
    let at = |key: &str| {
        let at = node?.at(&proxy.path(&[key]))?;
        Some((key.to_owned(), at.location()))
    };
    ["host", "configs"].into_iter().filter_map(at).collect()
}

/// The keys at the top of a manifest under which places of the host are named.
const KEYS: [&str; 7] = [
    "variable_files",
    "env",
    "files",
    "project_directory",
    "maintenance",
    "backups",
    "proxy",
];

struct Named<'a> {
    node: Option<&'a Node>,
    found: Vec<NamedPlace>,
}

impl Named<'_> {
    /// Notes a place that stands at a path of keys.
    fn add(&mut self, keys: &[&str], path: PathBuf, touch: Touch) {
        let at = self.node.and_then(|node| node.at(keys));
        let key = KEYS.into_iter().find(|key| keys.first() == Some(key));
        self.found.push(NamedPlace {
            key: key.unwrap_or_default(),
            at: at.map(Node::location),
            path,
            touch,
        });
    }
}
