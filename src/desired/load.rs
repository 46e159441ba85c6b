//! Loads a stack: manifest, variables, Compose files, environment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::checks::Ready;
use super::compose::load::Request;
use super::compose::{self, env_file};
use super::findings::{Findings, Surroundings};
use super::host_files::HostFiles;
use super::manifest::{self, Manifest, ServiceName};
use super::mapping::{self, Found, Project, Sealed, Variables};
use super::migrations::Migration;
use super::named;
use super::placed::{self, Taken};
use super::project_files::{self, ProjectFiles};
use super::proxy::DesiredProxy;
use super::{DesiredState, PlacedFile};
use super::{proxy, strategy, transaction};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret::{Sensitive, worth_hiding};
use crate::source::{CommitInfo, ReadError, RepoPath, Tree};
use crate::trust::{Gate, Standing};
use crate::yaml::{self, Node};

/// Where a stack comes from and goes to.
pub struct Place<'a> {
    /// Directory of the manifest in the repository.
    pub dir: &'a RepoPath,
    /// The commit that is read.
    pub commit: &'a CommitInfo,
    /// Returns the project directory of a stack that names none.
    pub default_directory: &'a dyn Fn(&str) -> PathBuf,
    /// Time zone of a stack that names none.
    pub time_zone: &'a TimeZone,
}

/// Compose files that are looked for when the manifest names none, as `docker compose` does it: the
/// first that is there.
const COMPOSE_NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// What is put over it: the first that is there.
const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Long enough to catch a process that ends at once, short enough not to be felt.
const A_SECOND: Duration = Duration::from_secs(1);

/// Loads the desired state of one stack.
///
/// # Errors
/// Everything that is wrong with it; nothing is changed then.
pub fn load(
    tree: &Tree,
    place: &Place<'_>,
    host: &dyn HostFiles,
) -> Result<DesiredState, Diagnostics> {
    let path = place
        .dir
        .join(manifest::FILE_NAME)
        .map_err(|error| Diagnostic::file(place.dir.as_str(), error.to_string()))?;
    let text = read_file(tree, &path, place.commit)?;
    let manifest = manifest::parse(path.as_str(), &text)?;
    // The typed reading has no places; the tree has. It reads the same text, so it can't fail
    // where the other did not, but for the strictness of Go's YAML: then places are left out.
    let manifest_node = yaml::parse(path.as_str(), &text).ok();
    let findings = || Findings::new(path.as_str(), manifest_node.as_ref());
    named::refuse_reads(&manifest, host, findings())?;
    let paths = compose_files(tree, place, &path, &manifest, manifest_node.as_ref())?;
    let first = paths.first().and_then(RepoPath::parent);
    let compose_dir = first.unwrap_or_else(RepoPath::root);
    let (own_directory, directory) = directories(place, &manifest);
    let files = ProjectFiles {
        listed: project_files::listed(&directory, &compose_dir, paths),
        stack: &manifest.stack,
        directory: &directory,
        compose_dir: &compose_dir,
        tree,
        host,
        of_host: RefCell::default(),
    };
    let mut found = Found::default();
    let variables = variables(&manifest, &files, &mut found)?;
    let request = request(&manifest, &files);
    let model = compose::load::load(&request, &|name: &str| variables.get(name), &files)?;
    found.warnings.extend(model.warnings);
    found.secrets.extend(secrets_of(&model.env_files));
    let project = Project {
        stack: &manifest.stack,
        manifest: &manifest,
        manifest_node: manifest_node.as_ref(),
        files: &files,
        variables,
        env_files: model.env_files,
        inactive: model.inactive,
        secrets: model.secrets,
        sealed: Sealed::beside(place.dir),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        found: RefCell::new(found),
    };
    let composed = mapping::map(&model.tree, project)?;
    let around = Surroundings {
        manifest: &manifest,
        tree,
        dir: place.dir,
        compose_dir: &compose_dir,
        project_directory: &directory,
        own_directory: &own_directory,
        services: &composed.services,
        at_rest: &composed.at_rest,
        files: &composed.found.files,
    };
    let (proxy, host_placed) = settle(&around, findings())?;
    let named = named::places(&around, &host_placed, manifest_node.as_ref());
    let page = page(tree, place, &manifest)?;
    let checklist = checklist(tree, place, &manifest)?;
    let time_zone = (manifest.time_zone).unwrap_or_else(|| place.time_zone.clone());
    Ok(DesiredState {
        stack: manifest.stack.clone(),
        commit: place.commit.clone(),
        standing: Standing::default(),
        gate: Gate::default(),
        suspended: manifest.suspend.map(|suspend| suspend.in_zone(&time_zone)),
        expires: manifest.expires.map(|moment| moment.ends(&time_zone)),
        services: composed.services,
        at_rest: composed.at_rest,
        networks: composed.networks,
        volumes: composed.volumes,
        network_places: composed.found.network_places,
        volume_places: composed.found.volume_places,
        compose_files: request.files,
        project_directory: directory.clone(),
        files: composed.found.files,
        host_placed,
        named,
        proxy,
        soak: manifest.soak.map_or(A_SECOND, |soak| soak.min(A_SECOND)),
        soak_after: manifest.soak.filter(|soak| *soak > A_SECOND),
        time_zone,
        maintenance: manifest.maintenance,
        maintenance_page: page,
        backups: manifest.backups,
        migrations: stopping_all(manifest.migrations, &composed.replicas),
        jobs: manifest.jobs,
        ready: asking_all(manifest.ready, &composed.replicas),
        smoke: manifest.smoke,
        on_failure: manifest.on_failure,
        accept_schema: manifest.accept_schema.map(|accepted| accepted.to_string()),
        checklist,
        drift: manifest.drift,
        prune: manifest.prune,
        owners: manifest.owners,
        secrets: composed.found.secrets,
        host_files: files.of_host.into_inner(),
        sealed_files: composed.found.sealed,
        warnings: composed.found.warnings,
        exposed: Vec::new(),
    })
}

/// Returns where relative paths would resolve had the manifest not said so, and where they do.
fn directories(place: &Place<'_>, manifest: &Manifest) -> (PathBuf, PathBuf) {
    let own = (place.default_directory)(manifest.stack.as_str());
    let said = manifest.project_directory.clone();
    let directory = said.unwrap_or_else(|| own.clone());
    (own, directory)
}

/// Says what is to be loaded.
fn request(manifest: &Manifest, files: &ProjectFiles<'_>) -> Request {
    let images = manifest.images.iter();
    Request {
        files: files.listed.iter().map(|(_, at)| at.clone()).collect(),
        project_directory: files.directory.to_owned(),
        project: Some(manifest.stack.to_string()),
        profiles: Vec::new(),
        images: images
            .map(|(name, image)| (name.to_string(), image.clone()))
            .collect(),
        home: None,
    }
}

/// Returns the values of environment files of the host that must not be shown anywhere.
fn secrets_of(files: &BTreeMap<String, Vec<(String, String)>>) -> Vec<Sensitive> {
    let of_host = files
        .iter()
        .filter(|(name, _)| Path::new(name).is_absolute());
    let values = of_host.flat_map(|(_, values)| values);
    let hidden = values.filter(|(name, value)| worth_hiding(name, value));
    hidden
        .map(|(_, value)| Sensitive::new(value.clone()))
        .collect()
}

/// Returns migrations that stop all containers of the services that they stop, also those that go
/// because a service is to have none.
fn stopping_all(
    mut migrations: Vec<Migration>,
    replicas: &BTreeMap<ServiceName, u32>,
) -> Vec<Migration> {
    for migration in &mut migrations {
        let stopped = migration.stop.iter();
        migration.stop = stopped
            .flat_map(|name| {
                std::iter::once(name.clone()).chain(containers(name, replicas).skip(1))
            })
            .collect();
    }
    migrations
}

/// Returns checks of each container of the services that are checked.
fn asking_all(ready: Vec<Ready>, replicas: &BTreeMap<ServiceName, u32>) -> Vec<Ready> {
    let of_each = |check: Ready| {
        let all = containers(&check.service, replicas);
        all.map(move |service| Ready {
            service,
            ..check.clone()
        })
    };
    ready.into_iter().flat_map(of_each).collect()
}

fn containers(
    name: &ServiceName,
    replicas: &BTreeMap<ServiceName, u32>,
) -> impl Iterator<Item = ServiceName> + use<> {
    let (name, count) = (name.clone(), replicas.get(name).copied().unwrap_or(1));
    (1..=count).map(move |number| match number {
        1 => name.clone(),
        number => name.replica(number),
    })
}

/// What the manifest says beyond the Compose files, and what it takes from the tree for it.
type Settled = (Option<DesiredProxy>, BTreeMap<PathBuf, PlacedFile>);

/// Checks the parts of a manifest against one another, and reads the files that they name.
fn settle(around: &Surroundings<'_>, mut findings: Findings<'_>) -> Result<Settled, Diagnostics> {
    transaction::check(around, &mut findings);
    let mut taken = Taken::by_the_rest(around);
    let proxy = proxy::resolve(around, &mut taken, &mut findings);
    strategy::check(around, proxy.as_ref(), &mut findings);
    let host_placed = placed::read(around, &mut taken, &mut findings);
    findings.into_result()?;
    Ok((proxy, host_placed))
}

/// Reads the maintenance page.
fn page(
    tree: &Tree,
    place: &Place<'_>,
    manifest: &Manifest,
) -> Result<Option<Vec<u8>>, Diagnostics> {
    let name = manifest.maintenance.as_ref();
    let name = name.and_then(|one| one.page.as_deref());
    let read = name
        .map(|name| read_beside(tree, place, name))
        .transpose()?;
    Ok(read.map(|(_, content)| content))
}

/// Reads the documents that a person has to go through.
fn checklist(
    tree: &Tree,
    place: &Place<'_>,
    manifest: &Manifest,
) -> Result<Vec<(RepoPath, String)>, Diagnostics> {
    let read = |name: &String| {
        let (path, text) = read_beside(tree, place, name)?;
        Ok((path, String::from_utf8_lossy(&text).into_owned()))
    };
    manifest.checklist.iter().map(read).collect()
}

/// Reads a file that the manifest names relative to itself.
fn read_beside(
    tree: &Tree,
    place: &Place<'_>,
    name: &str,
) -> Result<(RepoPath, Vec<u8>), Diagnostics> {
    let path = place
        .dir
        .join(name)
        .map_err(|error| Diagnostic::file(place.dir.as_str(), error.to_string()).hint(A_FILE))?;
    let content = read_file(tree, &path, place.commit)?;
    Ok((path, content))
}

fn read_file(tree: &Tree, path: &RepoPath, commit: &CommitInfo) -> Result<Vec<u8>, Diagnostics> {
    tree.read(path).map_err(|error| {
        let missing = matches!(error, ReadError::Missing { .. });
        let found = if missing && commit.is_uncommitted() {
            Diagnostic::file(path.as_str(), "does not exist")
                .hint("write the file, or take its name out of moored.yaml")
        } else if missing {
            let message = format!("does not exist at commit {}", commit.revision.short());
            Diagnostic::file(path.as_str(), message)
                .hint("nothing is changed; commit the file, or take its stack out of the settings")
        } else {
            Diagnostic::file(path.as_str(), error.to_string()).hint(A_FILE)
        };
        found.into()
    })
}

/// What to do about a file that can't be one of a stack.
const A_FILE: &str = "name a plain file of the repository, relative to moored.yaml";

fn compose_files(
    tree: &Tree,
    place: &Place<'_>,
    path: &RepoPath,
    manifest: &Manifest,
    node: Option<&Node>,
) -> Result<Vec<RepoPath>, Diagnostics> {
    if manifest.compose.is_empty() {
        return default_compose_files(tree, place, path);
    }
    let mut files = Vec::new();
    for (index, name) in manifest.compose.iter().enumerate() {
        let refuse = |message: String| {
            let at = node.and_then(|node| node.at(&["compose", &index.to_string()]));
            let found = match at {
                Some(at) => Diagnostic::new(at.location(), message),
                None => Diagnostic::file(path.as_str(), message),
            };
            Diagnostics::from(found.hint(A_FILE))
        };
        let file = place
            .dir
            .join(name)
            .map_err(|error| refuse(error.to_string()))?;
        // Read here for the sake of the place, which is in the manifest.
        tree.read(&file)
            .map_err(|error| refuse(error.to_string()))?;
        files.push(file);
    }
    Ok(files)
}

fn default_compose_files(
    tree: &Tree,
    place: &Place<'_>,
    path: &RepoPath,
) -> Result<Vec<RepoPath>, Diagnostics> {
    let find = |name: &str| -> Result<Option<RepoPath>, Diagnostics> {
        let refuse =
            |message: String| Diagnostics::from(Diagnostic::file(name, message).hint(A_FILE));
        let file = place
            .dir
            .join(name)
            .map_err(|error| refuse(error.to_string()))?;
        match tree.read(&file) {
            Ok(_) => Ok(Some(file)),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(refuse(error.to_string())),
        }
    };
    let first = |names: &[&str]| {
        let mut found = names.iter().map(|name| find(name));
        found.find_map(Result::transpose).transpose()
    };
    if let Some(base) = first(&COMPOSE_NAMES)? {
        return Ok([base].into_iter().chain(first(&OVERRIDE_NAMES)?).collect());
    }
    let message = "there is no Compose file beside it";
    Err(Diagnostic::file(path.as_str(), message)
        .hint("add compose.yaml, or name it: compose: [FILE]")
        .into())
}

/// Reads the values for `${...}`: `.env` beside the Compose file, files of the host, and what the
/// manifest says; later ones win.
fn variables(
    manifest: &Manifest,
    files: &ProjectFiles<'_>,
    found: &mut Found,
) -> Result<Variables, Diagnostics> {
    let mut variables = Variables::default();
    if let Ok(path) = files.compose_dir.join(".env")
        && let Ok(text) = files.tree.read(&path)
    {
        let entries = env_file::parse(path.as_str(), &text, &|_| None)?;
        variables.committed.extend(set_ones(entries));
    }
    for path in &manifest.variable_files {
        let name = path.display().to_string();
        files.of_host.borrow_mut().insert(path.clone());
        let text = match files.host.read(path) {
            Ok(Some(text)) => text,
            Ok(None) if !files.host.is_the_host() => {
                variables.unseen = files.host.stand_in().map(str::to_owned);
                continue;
            }
            Ok(None) => {
                let missing = Diagnostic::file(&name, "variable file does not exist");
                return Err(missing
                    .hint("create it on the host, or take it out of variable_files")
                    .into());
            }
            Err(why) => {
                let hint = "name a file of NAME=value lines that root of this host can read";
                return Err(Diagnostic::file(&name, why).hint(hint).into());
            }
        };
        let entries: Vec<_> = set_ones(env_file::parse(&name, &text, &|_| None)?).collect();
        let secrets = entries
            .iter()
            .filter(|(name, value)| worth_hiding(name, value));
        found
            .secrets
            .extend(secrets.map(|(_, value)| Sensitive::new(value.clone())));
        // A file of the host wins over the repository's .env, as --env-file does.
        variables
            .committed
            .retain(|name, _| !entries.iter().any(|(known, _)| known == name));
        variables.host.extend(entries);
    }
    for (name, value) in &manifest.variables {
        variables.committed.insert(name.clone(), value.to_string());
    }
    let project = (
        "COMPOSE_PROJECT_NAME".to_owned(),
        manifest.stack.to_string(),
    );
    variables.committed.extend([project]);
    Ok(variables)
}

fn set_ones(entries: env_file::Entries) -> impl Iterator<Item = (String, String)> {
    entries
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}
