//! Finds the Compose project that a person means, as `docker compose` does: files, folder,
//! variables.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::Exit;
use super::args::RenderArguments;
use super::context::Failure;
use crate::desired::compose::env_file;
use crate::desired::compose::files::Files;
use crate::desired::compose::load::Request;

/// Files that are looked for, in this order.
pub(super) const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Files that go over the one that was found; the first one that is there.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];
/// More than any reader of a file takes.
const MAX_BYTES: u64 = 16 << 20;

/// A project as the command line and the environment name it.
pub(super) struct Project {
    pub(super) request: Request,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) files: Disk,
    /// What is worth saying of the search.
    pub(super) warnings: Vec<String>,
}

impl Project {
    /// Finds the files of a project and the values of its variables.
    pub(super) fn find(
        arguments: &RenderArguments,
        variables: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            (
                Exit::Failed,
                format!("there is no working directory: {error}"),
            )
        })?;
        let mut search = Search {
            disk: Disk { here: here.clone() },
            arguments,
            variables,
            warnings: Vec::new(),
        };
        let mut files: Vec<PathBuf> = arguments.files.iter().map(|file| here.join(file)).collect();
        search.read_variables(&search.directory(&files))?;
        if files.is_empty() {
            files = search.files()?;
            // Another folder may have been found, with variables of its own.
            search.read_variables(&search.directory(&files))?;
        }
        let home = search.variables.get("HOME").map(PathBuf::from);
        let request = Request {
            project_directory: search.directory(&files),
            files,
            project: arguments.project_name.clone(),
            profiles: arguments.profiles.clone(),
            images: BTreeMap::new(),
            home,
        };
        Ok(Self {
            request,
            variables: search.variables,
            files: search.disk,
            warnings: search.warnings,
        })
    }
}

struct Search<'a> {
    disk: Disk,
    arguments: &'a RenderArguments,
    variables: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Search<'_> {
    /// Returns the project directory.
    fn directory(&self, files: &[PathBuf]) -> PathBuf {
        if let Some(directory) = &self.arguments.project_directory {
            return normal(&self.disk.here.join(directory));
        }
        let first = files.first().and_then(|file| file.parent());
        normal(first.unwrap_or(&self.disk.here))
    }

    /// Returns the files that `COMPOSE_FILE` names, or those that are found.
    fn files(&mut self) -> Result<Vec<PathBuf>, Failure> {
        if let Some(named) = self.variables.get("COMPOSE_FILE") {
            let separator = self.variables.get("COMPOSE_PATH_SEPARATOR");
            let separator = separator
                .filter(|one| !one.is_empty())
                .map_or(":", String::as_str);
            return Ok(named
                .split(separator)
                .map(|file| self.disk.here.join(file))
                .collect());
        }
        let start = self.directory(&[]);
        for folder in start.ancestors() {
            let Some(base) = self.first(folder, &NAMES) else {
                continue;
            };
            let mut files = vec![base];
            files.extend(self.first(folder, &OVERRIDES));
            return Ok(files);
        }
        let why = format!(
            "{}: there is no Compose file, here or in a folder above\n  hint: name one: -f FILE",
            start.display()
        );
        Err((Exit::BadState, why))
    }

    fn first(&mut self, folder: &Path, names: &[&str]) -> Option<PathBuf> {
        let mut found = names
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.exists());
        let first = found.next()?;
        if let Some(second) = found.next() {
            let warning = format!(
                "{} is read, and {} is not",
                first.display(),
                second.display()
            );
            self.warnings.push(warning);
        }
        Some(first)
    }

    /// Reads the environment files that are named, or the one of the project directory.
    fn read_variables(&mut self, directory: &Path) -> Result<(), Failure> {
        let mut files: Vec<PathBuf> = self.arguments.env_files.clone();
        if files.is_empty() {
            let named = self.variables.get("COMPOSE_ENV_FILES");
            let named = named.into_iter().flat_map(|named| named.split(','));
            files.extend(named.filter(|file| !file.is_empty()).map(PathBuf::from));
        }
        let mut values = BTreeMap::new();
        if files.is_empty() {
            let disabled = self.variables.get("COMPOSE_DISABLE_ENV_FILE");
            let path = directory.join(".env");
            let is_on =
                |text: &String| ["1", "t", "T", "true", "TRUE", "True"].contains(&text.as_str());
            if !disabled.is_some_and(is_on) && path.exists() && !path.is_dir() {
                self.add(&path, &mut values)?;
            }
        }
        for file in files {
            self.add(&self.disk.here.join(file), &mut values)?;
        }
        for (name, value) in values {
            self.variables.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn add(&self, path: &Path, values: &mut BTreeMap<String, String>) -> Result<(), Failure> {
        let name = self.disk.name(path);
        let refuse = |why: String| (Exit::BadState, why);
        let text = self.disk.read(path);
        let text = text.map_err(|why| refuse(format!("{name}: {why}")))?;
        let text = text.ok_or_else(|| refuse(format!("{name}: there is no such file")))?;
        let lookup = |name: &str| {
            let set = self.variables.get(name);
            set.or_else(|| values.get(name)).cloned()
        };
        let entries = env_file::parse(&name, &text, &lookup);
        let entries = entries.map_err(|found| refuse(found.to_string()))?;
        let set = entries
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        values.extend(set);
        Ok(())
    }
}

/// The files of this host.
pub(super) struct Disk {
    here: PathBuf,
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            // Below a file there is nothing either.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| error.to_string())?;
        Ok(Some(text))
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn name(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.here).unwrap_or(path);
        short.display().to_string()
    }
}

/// Takes `.` and `..` out of an absolute path.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            std::path::Component::Prefix(_)
            | std::path::Component::RootDir
            | std::path::Component::Normal(_) => normal.push(part),
        }
    }
    normal
}
