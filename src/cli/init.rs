//! The subcommand `init`: writes the first manifest of a project.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::Exit;
use super::args::{InitArguments, RenderArguments};
use super::context::{Cli, Failure, print_text};
use super::project::{self, NAMES, normal};
use crate::config;
use crate::desired::compose::load::{Request, load};
use crate::engine::docker::Docker;
use crate::engine::{EngineError, ReadEngine};
use crate::files;
use crate::init::{self, InitError, Project, Proposal, Running, Target};
use crate::report::InitReport;
use crate::source;

/// Readable for everybody: it has no secret in it.
const MODE: u32 = 0o644;

pub(super) async fn init(cli: &Cli, arguments: &InitArguments) -> Result<Exit, Failure> {
    let here = std::env::current_dir().map_err(|error| {
        let why = format!("there is no working directory: {error}");
        (Exit::Failed, why)
    })?;
    let dir = arguments.dir.as_deref().unwrap_or(Path::new("."));
    let dir = normal(&here.join(dir));
    let asked = Asked {
        cli,
        arguments,
        here,
        dir,
    };
    let found = asked.find().await?;
    let target = Target {
        work_tree: source::work_tree(&found.dir),
        dir: found.dir,
    };
    let path = init::manifest_of(&target.dir);
    if !arguments.stdout && !arguments.settings && !arguments.force && path.exists() {
        return Err(failure(&InitError::Exists { path }));
    }
    let proposal = init::propose(&found.project, &target).map_err(|error| failure(&error))?;
    if arguments.settings {
        return print_text(&proposal.settings).map(|()| Exit::Done);
    }
    if arguments.stdout {
        return print_text(&proposal.manifest).map(|()| Exit::Done);
    }
    write(&path, &proposal, arguments.force).map_err(|error| failure(&error))?;
    let runs = !found.project.containers.is_empty();
    let command = asked.command(&found.project, &target);
    let settings = (!cli.path.exists()).then_some((cli.path.as_path(), command.as_slice()));
    cli.print(&InitReport::new(&proposal, &target, path, runs, settings))?;
    Ok(Exit::Done)
}

fn write(path: &Path, proposal: &Proposal, force: bool) -> Result<(), InitError> {
    let refuse = |source: std::io::Error| {
        let path = path.to_owned();
        if source.kind() == ErrorKind::AlreadyExists {
            InitError::Exists { path }
        } else {
            InitError::Write { path, source }
        }
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(refuse)?;
    }
    let text = proposal.manifest.as_bytes();
    if force {
        files::write_atomically(path, text, MODE).map_err(refuse)
    } else {
        files::create_atomically(path, text, MODE).map_err(refuse)
    }
}

/// What a person asked for.
struct Asked<'a> {
    cli: &'a Cli,
    arguments: &'a InitArguments,
    here: PathBuf,
    dir: PathBuf,
}

/// The project that is meant, and where its manifest goes.
struct Found {
    project: Project,
    dir: PathBuf,
}

impl Asked<'_> {
    async fn find(&self) -> Result<Found, Failure> {
        let engine = self.engine();
        let running = match &engine {
            Ok(engine) => init::running(engine).await,
            Err(_) => Ok(BTreeMap::new()),
        };
        let (running, unknown) = match (running, &engine) {
            (Ok(running), Ok(_)) => (running, None),
            (Err(error), _) => (BTreeMap::new(), Some(error.to_string())),
            (Ok(_), Err(error)) => (BTreeMap::new(), Some(error.to_string())),
        };
        if let (Some(why), Some(_)) = (&unknown, &self.arguments.project) {
            return Err((Exit::Unavailable, why.clone()));
        }
        if let Some(why) = &unknown {
            let note = format!("note: what runs was not looked at: {why}");
            // Who can't be told goes without.
            writeln!(std::io::stderr(), "{}", self.cli.redactor.clean(&note)).unwrap_or_default();
        }
        let chosen = self.choose(&running).map_err(|error| failure(&error))?;
        match (chosen, engine) {
            (Some((name, project)), Ok(engine)) => self.of_running(&engine, name, project).await,
            _ => self.of_files(&running),
        }
    }

    fn engine(&self) -> Result<Docker, EngineError> {
        // Before the first settings there is nothing wrong with their not being there.
        let settings = config::load(&self.cli.path).ok();
        let endpoint = settings.map(|settings| settings.engine);
        Docker::connect(endpoint.as_deref().unwrap_or(config::DEFAULT_ENGINE))
    }

    /// Returns the project that runs and is meant; `None` where files are.
    fn choose<'r>(
        &self,
        running: &'r BTreeMap<String, Running>,
    ) -> Result<Option<(&'r str, &'r Running)>, InitError> {
        if let Some(name) = &self.arguments.project {
            let found = running.get_key_value(name);
            let found = found.map(|(name, project)| (name.as_str(), project));
            return found.map(Some).ok_or_else(|| InitError::NotRunning {
                name: name.clone(),
                running: directories(running),
            });
        }
        if !self.arguments.files.is_empty() || !self.arguments.env_files.is_empty() {
            return Ok(None);
        }
        let stack = self.arguments.stack.as_ref();
        let is_meant = |(name, project): &(&'r String, &'r Running)| {
            let here = is_same(&project.directory, &self.dir);
            here && stack.is_none_or(|stack| stack == *name)
        };
        let found: Vec<(&String, &Running)> = running.iter().filter(is_meant).collect();
        match found.as_slice() {
            [] => Ok(None),
            [(name, project)] => Ok(Some((name.as_str(), project))),
            several => Err(InitError::Several {
                dir: self.dir.clone(),
                names: several.iter().map(|(name, _)| (*name).clone()).collect(),
            }),
        }
    }

    async fn of_running(
        &self,
        engine: &dyn ReadEngine,
        name: &str,
        running: &Running,
    ) -> Result<Found, Failure> {
        let containers = init::containers(engine, running).await;
        let containers = containers.map_err(|error| (Exit::Unavailable, error.to_string()))?;
        let or = |given: Vec<PathBuf>, label: &Vec<PathBuf>| {
            if given.is_empty() {
                label.clone()
            } else {
                given
            }
        };
        let files = or(self.absolute(&self.arguments.files), &running.files);
        let given = self.absolute(&self.arguments.env_files);
        let mut variable_files = or(given, &running.variable_files);
        if variable_files.is_empty() {
            variable_files.extend(of_values(&running.directory));
        }
        let elsewhere = self.arguments.dir.is_some() && !is_same(&self.dir, &running.directory);
        let dir = if elsewhere {
            &self.dir
        } else {
            &running.directory
        };
        Ok(Found {
            project: Project {
                name: name.to_owned(),
                directory: running.directory.clone(),
                files,
                variable_files,
                containers,
            },
            dir: dir.clone(),
        })
    }

    /// Returns files that are named on the command line by their absolute paths.
    fn absolute(&self, files: &[PathBuf]) -> Vec<PathBuf> {
        let files = files.iter();
        files.map(|file| normal(&self.here.join(file))).collect()
    }

    fn of_files(&self, running: &BTreeMap<String, Running>) -> Result<Found, Failure> {
        let has = |name: &&str| self.dir.join(name).is_file();
        let is_empty = !NAMES.iter().any(has) && of_values(&self.dir).is_none();
        if self.arguments.files.is_empty() && is_empty {
            return Err(failure(&InitError::Nothing {
                dir: self.dir.clone(),
                running: directories(running),
            }));
        }
        let files = self.absolute(&self.arguments.files);
        let render = RenderArguments {
            project_directory: files.is_empty().then(|| self.dir.clone()),
            files,
            project_name: self.arguments.stack.clone(),
            profiles: Vec::new(),
            env_files: self.absolute(&self.arguments.env_files),
        };
        // The environment of today is not that of the controller.
        let found = project::Project::find(&render, BTreeMap::new())?;
        let directory = found.request.project_directory.clone();
        let mut variable_files = render.env_files;
        if variable_files.is_empty() {
            variable_files.extend(of_values(&directory));
        }
        let name = match self.arguments.stack.clone() {
            Some(name) => name,
            None => name_of(&found)?,
        };
        Ok(Found {
            project: Project {
                name,
                directory,
                files: found.request.files,
                variable_files,
                containers: BTreeMap::new(),
            },
            dir: self.dir.clone(),
        })
    }

    /// Returns the command that prints the settings for the same project, word for word.
    fn command(&self, project: &Project, target: &Target) -> Vec<String> {
        let dir = target.dir.display().to_string();
        let mut words = vec!["moored".to_owned(), "init".to_owned(), dir];
        let is_running = !project.containers.is_empty();
        let named = if is_running { "--project" } else { "--stack" };
        words.extend([named.to_owned(), project.name.clone()]);
        for (option, files) in [
            ("--file", &self.arguments.files),
            ("--env-file", &self.arguments.env_files),
        ] {
            for file in self.absolute(files) {
                words.extend([option.to_owned(), file.display().to_string()]);
            }
        }
        words.push("--settings".to_owned());
        words
    }
}

/// Returns whether two paths are one directory, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    let same = || Some(one.canonicalize().ok()? == other.canonicalize().ok()?);
    one == other || same() == Some(true)
}

/// Returns the file with values that Docker Compose reads when none is named.
fn of_values(directory: &Path) -> Option<PathBuf> {
    Some(directory.join(".env")).filter(|path| path.is_file())
}

/// Returns the name that Docker Compose gives a project by itself.
fn name_of(found: &project::Project) -> Result<String, Failure> {
    let request = Request {
        files: found.request.files.clone(),
        project_directory: found.request.project_directory.clone(),
        project: None,
        profiles: Vec::new(),
        images: BTreeMap::new(),
        home: None,
    };
    let lookup = |name: &str| found.variables.get(name).cloned();
    let model = load(&request, &lookup, &found.files);
    let model = model.map_err(|found| (Exit::BadState, found.to_string()))?;
    let name = model
        .tree
        .at(&["name"])
        .and_then(crate::yaml::Node::go_string);
    Ok(name.unwrap_or_default())
}

fn directories(running: &BTreeMap<String, Running>) -> Vec<(String, PathBuf)> {
    let each = running.iter();
    each.map(|(name, project)| (name.clone(), project.directory.clone()))
        .collect()
}

fn failure(error: &InitError) -> Failure {
    let exit = match error {
        InitError::Nothing { .. }
        | InitError::NotRunning { .. }
        | InitError::Several { .. }
        | InitError::Name(_)
        | InitError::Exists { .. } => Exit::Usage,
        InitError::Gone { .. }
        | InitError::Outside { .. }
        | InitError::Read { .. }
        | InitError::Path(_)
        | InitError::Wrong(_) => Exit::BadState,
        InitError::Write { .. } => Exit::Failed,
        InitError::Engine(_) => Exit::Unavailable,
    };
    (exit, error.to_string())
}
