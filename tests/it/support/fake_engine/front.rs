//! nginx in a container: every container whose image is called `nginx` is one.
//!
//! It reads the `*.conf` files that its mounts show below `/etc/nginx` when it is started, and when
//! a command inside it says `nginx -s reload`. As the real one, it looks names up then, and keeps
//! the addresses: [`Loaded`] has the very containers that visitors are sent to, and
//! [`World::gaps`] every call after which one of them was not running, and every reload that sent
//! visitors to one that was not ready.
//!
//! A configuration with the word `broken` is invalid; with `taken` it passes its test, and a
//! reload returns 0 and goes on with what was loaded before (N4 of the fault catalogue).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use moored::engine::model::{Container, ContainerState, MountSource};
use moored::labels;

use super::commands::Said;
use super::fate::{End, Fate, Kept, exited};
use super::world::{World, is_running};

/// Where nginx reads.
const ROOT: &str = "/etc/nginx";

/// What a proxy has loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    /// What it answers when it is asked which configuration it has.
    pub(crate) marker: String,
    /// Ids of the containers behind each address that it sends visitors to.
    upstreams: BTreeMap<String, BTreeSet<String>>,
    is_taken: bool,
}

impl World {
    /// Returns what the proxy that visitors come to answers; `None` = nobody listens.
    pub(crate) fn marker(&self) -> Option<&str> {
        let loaded = self.proxies().next().map(|(_, loaded)| loaded)?;
        Some(&loaded.marker)
    }

    /// Has the proxy answer with another marker than that of its files.
    pub(crate) fn load_by_hand(&mut self, marker: &str) {
        for loaded in self.loaded.values_mut() {
            loaded.marker = marker.to_owned();
        }
    }

    /// Says what each proxy has loaded, and to which containers it sends visitors.
    pub(crate) fn fronts(&self) -> Vec<String> {
        let name = |id: &String| {
            let kept = self.containers.get(id);
            kept.map_or("nobody", |kept| kept.shown.name.as_str())
        };
        let shown = |(address, ids): (&String, &BTreeSet<String>)| {
            let names: Vec<&str> = ids.iter().map(name).collect();
            format!(", {address} is {}", names.join(" and "))
        };
        let line = |(one, loaded): (&Container, &Loaded)| {
            let upstreams: String = loaded.upstreams.iter().map(shown).collect();
            format!("{} has loaded {}{upstreams}", one.name, loaded.marker)
        };
        self.proxies().map(line).collect()
    }

    fn proxies(&self) -> impl Iterator<Item = (&Container, &Loaded)> {
        self.loaded.iter().filter_map(|(id, loaded)| {
            let shown = &self.containers.get(id)?.shown;
            (shown.state == ContainerState::Running).then_some((shown, loaded))
        })
    }

    /// Notes what visitors meet after a call.
    pub(super) fn watch_traffic(&mut self, after: &str) {
        if self.loaded.is_empty() {
            return;
        }
        let runs = |id: &String| {
            let kept = self.containers.get(id);
            kept.is_some_and(|kept| kept.shown.state == ContainerState::Running)
        };
        let mut gaps = Vec::new();
        for (_, loaded) in self.proxies() {
            let away = loaded
                .upstreams
                .iter()
                .filter(|(_, ids)| !ids.iter().all(runs));
            gaps.extend(away.map(|(address, _)| format!("nobody at {address} after: {after}")));
        }
        if self.proxies().next().is_none() {
            gaps.push(format!("no proxy after: {after}"));
        }
        self.gaps.extend(gaps);
    }

    /// Does what an nginx does when its container is started.
    pub(super) fn start_proxy(&mut self, id: &str) {
        let Some(container) = self.find(id).map(|kept| kept.shown.clone()) else {
            return;
        };
        if !container.spec.image.starts_with("nginx:") {
            return;
        }
        let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let mut command = words(&container.spec.entrypoint);
        command.extend(words(&container.spec.command));
        if command.starts_with(&["nginx".to_owned(), "-T".to_owned()]) {
            let said = self.test(&container);
            let Some(kept) = self.find_mut(id) else {
                return;
            };
            kept.printed = said.stderr + &String::from_utf8_lossy(&said.stdout);
            let end = End::code(said.code);
            kept.fate = Fate::Works { looks: 1, end };
            return;
        }
        // A file that is mounted by itself is looked up again.
        self.files_in
            .retain(|(name, path), _| *name != container.name || !path.starts_with(ROOT));
        match self.read_config(&container) {
            Ok((_, loaded)) if !loaded.is_taken => {
                self.loaded.insert(container.id, loaded);
            }
            Ok(_) | Err(_) => {
                if let Some(kept) = self.find_mut(id) {
                    kept.end(exited(1));
                }
            }
        }
    }

    /// Runs `nginx …` inside a proxy's container.
    pub(super) fn exec_nginx(&mut self, container: &Container, command: &[String]) -> Option<Said> {
        if !container.spec.image.starts_with("nginx:") || command.first()? != "nginx" {
            return None;
        }
        if command.get(1)? == "-T" {
            return Some(self.test(container));
        }
        match self.read_config(container) {
            Ok((_, loaded)) => {
                if !loaded.is_taken {
                    let ids = loaded.upstreams.values().flatten();
                    let not_ready = ids
                        .filter_map(|id| self.find(id))
                        .filter(|kept| !kept.is_well());
                    let gap =
                        |kept: &Kept| format!("{} is not ready and has visitors", kept.shown.name);
                    let gaps: Vec<String> = not_ready.map(gap).collect();
                    self.gaps.extend(gaps);
                    self.loaded.insert(container.id.clone(), loaded);
                }
                Some(Said::default())
            }
            Err(cause) => Some(refused(&cause)),
        }
    }

    fn test(&self, container: &Container) -> Said {
        match self.read_config(container) {
            Ok((dump, _)) => Said {
                stdout: dump.into_bytes(),
                ..Said::default()
            },
            Err(cause) => refused(&cause),
        }
    }

    /// Reads the configuration as a container sees it: what `nginx -T` prints, and what a reload
    /// loads.
    fn read_config(&self, container: &Container) -> Result<(String, Loaded), String> {
        let mut dump = format!(
            "# configuration file {ROOT}/nginx.conf:\nhttp {{ include {ROOT}/conf.d/*.conf; }}\n"
        );
        let mut loaded = Loaded::default();
        for path in config_paths(container) {
            let path = path.display().to_string();
            let content = self.read_file(&container.id, &path, usize::MAX);
            let Ok(Some(content)) = content else { continue };
            let text = String::from_utf8(content).unwrap();
            if text.contains("broken") {
                return Err(format!("unknown directive \"broken\" in {path}:1"));
            }
            loaded.is_taken |= text.contains("taken");
            for line in text.lines().map(str::trim) {
                let words: Vec<&str> = line.split([' ', ';', '"']).collect();
                match words.as_slice() {
                    ["server", address, ..] if address.contains(':') => {
                        let host = address.split(':').next().unwrap_or_default();
                        let ids = self.resolve(container, host);
                        let ids = ids.ok_or_else(|| {
                            format!("host not found in upstream \"{address}\" in {path}:1")
                        })?;
                        loaded.upstreams.insert((*address).to_owned(), ids);
                    }
                    ["ssl_certificate" | "ssl_certificate_key", file, ..] => {
                        let there = self.read_file(&container.id, file, usize::MAX);
                        let whole = there.ok().flatten().filter(|pem| !pem.starts_with(b"half"));
                        whole.ok_or_else(|| format!("cannot load certificate \"{file}\""))?;
                    }
                    _ => {}
                }
                if let Some((_, rest)) = line.split_once("return 200 \"") {
                    loaded.marker = rest.split('"').next().unwrap_or_default().to_owned();
                }
            }
            dump = format!("{dump}\n# configuration file {path}:\n{text}\n");
        }
        Ok((dump, loaded))
    }

    /// Looks a name up as a container does; `None` = nobody has it.
    fn resolve(&self, asking: &Container, host: &str) -> Option<BTreeSet<String>> {
        let named = |(name, _): &(String, String)| name == host;
        if asking.spec.extra_hosts.iter().any(named) {
            return Some(BTreeSet::new());
        }
        let has_name = |one: &Container| {
            let shared = asking.spec.networks.keys();
            let shared = shared.filter_map(|network| one.spec.networks.get(network));
            let mut shared = shared.peekable();
            let meets = shared.peek().is_some();
            let alias = shared.any(|endpoint| endpoint.aliases.contains(host));
            meets && (alias || one.name == host)
        };
        let running = self
            .containers
            .values()
            .filter(|kept| is_running(&kept.shown.state));
        let ids = running.filter(|kept| has_name(&kept.shown)).map(|kept| {
            assert!(
                kept.shown
                    .spec
                    .labels
                    .get(labels::ONEOFF)
                    .map(String::as_str)
                    != Some("True"),
                "{host} leads to {}",
                kept.shown.name
            );
            kept.shown.id.clone()
        });
        let ids: BTreeSet<String> = ids.collect();
        (!ids.is_empty()).then_some(ids)
    }
}

fn refused(cause: &str) -> Said {
    Said {
        code: 1,
        stderr: format!("nginx: [emerg] {cause}\n"),
        ..Said::default()
    }
}

/// Returns the configuration files that a container's mounts show.
fn config_paths(container: &Container) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (target, mount) in &container.spec.mounts {
        let MountSource::Bind { path, .. } = &mount.source else {
            continue;
        };
        if !target.starts_with(ROOT) {
            continue;
        }
        let target = Path::new(target);
        if Path::new(path).is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            let names = entries.map(|entry| target.join(entry.unwrap().file_name()));
            found.extend(names.filter(|name| name.extension().is_some_and(|end| end == "conf")));
        } else {
            found.insert(target.to_owned());
        }
    }
    found
}
