//! Finds the values that a project was started with: those of its files, and those that only what
//! runs still shows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{InitError, Project, disk};
use crate::desired::DesiredState;
use crate::desired::compose::env_file;
use crate::desired::compose::interpolate::interpolate;
use crate::diagnostic::Position;
use crate::yaml::{self, Kind, Map, Node};

/// What stands for a value that is looked for; no image has it.
const SENTINEL: &str = "\u{1}";

/// Which profiles are active.
const PROFILES: &str = "COMPOSE_PROFILES";

/// The values of a project's variables.
pub(super) struct Values {
    /// Files of the host that have some which are used.
    pub(super) files: Vec<PathBuf>,
    /// Those that no file has, and what runs tells.
    pub(super) solved: BTreeMap<String, String>,
    of_files: BTreeMap<String, String>,
    /// What the Compose files say of each service's image.
    images: BTreeMap<String, Written>,
}

/// What the Compose files say of an image.
#[derive(Default)]
struct Written {
    /// The text, with its variables.
    template: Option<Node>,
    /// Whether it may come from another service or file.
    extends: bool,
}

impl Values {
    /// Reads the values of a project's files, and finds those that are missing.
    pub(super) fn of(project: &Project) -> Result<Self, InitError> {
        let mut values = Self {
            files: Vec::new(),
            solved: BTreeMap::new(),
            of_files: BTreeMap::new(),
            images: written_images(project)?,
        };
        for path in &project.variable_files {
            let text = disk::must_read(path, &project.name)?;
            let name = path.display().to_string();
            let entries = env_file::parse(&name, &text, &|_| None)?;
            let set = entries.into_iter();
            let set = set.filter_map(|(name, value)| Some((name, value?)));
            values.of_files.extend(set);
            values.files.push(path.clone());
        }
        for (service, written) in &values.images {
            let live = project.containers.get(service);
            let (Some(live), Some(template)) = (live, &written.template) else {
                continue;
            };
            let found = values.solve(template, &live.spec.image);
            if let Some((name, value)) = found
                && !values.solved.contains_key(&name)
            {
                values.solved.insert(name, value);
            }
        }
        Ok(values)
    }

    /// Returns the value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let solved = self.solved.get(name);
        solved.or_else(|| self.of_files.get(name)).cloned()
    }

    /// Switches on the profiles of services that run.
    pub(super) fn wake(&mut self, tree: &Node, services: &BTreeSet<&str>) {
        let mut profiles: BTreeSet<String> = BTreeSet::new();
        for service in services {
            let of_service = tree.at(&["services", service, "profiles", "0"]);
            profiles.extend(of_service.and_then(Node::go_string));
        }
        let set = self.get(PROFILES).unwrap_or_default();
        profiles.extend(set.split(',').map(str::to_owned));
        profiles.remove("");
        let profiles: Vec<String> = profiles.into_iter().collect();
        self.solved.insert(PROFILES.to_owned(), profiles.join(","));
    }

    /// Returns the images of services that the Compose files only build.
    pub(super) fn images_without(&self, project: &Project) -> BTreeMap<String, String> {
        let built = self.images.iter();
        let built = built.filter(|(_, written)| written.template.is_none() && !written.extends);
        built
            .map(|(service, _)| {
                let live = project.containers.get(service);
                // What Docker Compose calls the image that it has built.
                let own = || format!("{}-{service}", project.name);
                let image = live.map_or_else(own, |live| live.spec.image.clone());
                (service.clone(), image)
            })
            .collect()
    }

    /// Returns the images that the manifest has to have: where a file of the host decides which it
    /// is, and where another one runs.
    pub(super) fn images(
        &self,
        project: &Project,
        state: &DesiredState,
    ) -> BTreeMap<String, String> {
        let mut images = BTreeMap::new();
        for (name, service) in &state.services {
            let wanted = &service.spec.image;
            let live = project.containers.get(name.service());
            let live = live.map(|live| &live.spec.image);
            let written = self.images.get(name.service());
            let template = written.and_then(|written| written.template.as_ref());
            let of_host = template.is_some_and(|template| self.is_of_host(template));
            let image = live.unwrap_or(wanted);
            if of_host || image != wanted {
                images.insert(name.service().to_owned(), image.clone());
            }
        }
        images
    }

    /// Returns whether a file of the host has the value of a variable in a text.
    fn is_of_host(&self, template: &Node) -> bool {
        let of_host = |name: &str| {
            let solved = self.solved.contains_key(name);
            !solved && self.of_files.contains_key(name)
        };
        let (_, asked) = self.filled(template, &|_| None);
        asked.iter().any(|name| of_host(name))
    }

    /// Finds the one variable that a text lacks to become what runs.
    fn solve(&self, template: &Node, live: &str) -> Option<(String, String)> {
        let (text, asked) = self.filled(template, &|_| None);
        if text.is_some_and(|text| text == live) {
            return None;
        }
        let mut missing = asked.iter().filter(|name| self.get(name).is_none());
        let (name, None) = (missing.next()?, missing.next()) else {
            return None;
        };
        let sentinel = |asked: &str| (asked == name).then(|| SENTINEL.to_owned());
        let (text, _) = self.filled(template, &sentinel);
        let text = text?;
        let (before, after) = text.split_once(SENTINEL)?;
        let value = live.strip_prefix(before)?.strip_suffix(after)?;
        (!value.is_empty()).then(|| (name.clone(), value.to_owned()))
    }

    /// Puts the known values and `more` into a text; returns it with the names that it asks for.
    fn filled(
        &self,
        template: &Node,
        more: &dyn Fn(&str) -> Option<String>,
    ) -> (Option<String>, BTreeSet<String>) {
        let asked = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            more(name).or_else(|| self.get(name))
        };
        let mut node = template.clone();
        let filled = interpolate("", &mut node, &lookup, &mut Vec::new());
        let text = filled.ok().and_then(|()| node.go_string());
        (text, asked.into_inner())
    }
}

/// Returns what the Compose files say of the image of each service.
fn written_images(project: &Project) -> Result<BTreeMap<String, Written>, InitError> {
    let mut images: BTreeMap<String, Written> = BTreeMap::new();
    for path in &project.files {
        let text = disk::must_read(path, &project.name)?;
        let name = path.display().to_string();
        for (_, document) in yaml::parse_documents(&name, &text)? {
            let services = document.at(&["services"]).and_then(Node::as_map);
            for entry in services.into_iter().flat_map(Map::iter) {
                let written = images.entry(entry.key.clone()).or_default();
                written.extends |= entry.value.at(&["extends"]).is_some();
                let image = entry.value.at(&["image"]).and_then(Node::go_string);
                if let Some(image) = image {
                    let kind = Kind::Str(image);
                    written.template = Some(Node::new(&"".into(), Position::default(), kind));
                }
            }
        }
    }
    Ok(images)
}
