//! Why there is nothing that a manifest could be written for.

use std::io;
use std::path::PathBuf;

use crate::diagnostic::Diagnostics;
use crate::engine::EngineError;
use crate::source::PathError;

/// Why no manifest can be proposed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Nothing is here.
    #[error(
        "{}: there is no Compose file, and no project that runs from here\n  hint: name a file (-f FILE) or a project that runs (--project NAME){}",
        dir.display(),
        known(running)
    )]
    Nothing {
        /// Where it was looked.
        dir: PathBuf,
        /// The projects that run, each with its directory.
        running: Vec<(String, PathBuf)>,
    },
    /// The engine has no such project.
    #[error(
        "no project {name} runs here\n  hint: start it, or name its directory: moored init DIR{}",
        known(running)
    )]
    NotRunning {
        /// What was asked for.
        name: String,
        /// The projects that run, each with its directory.
        running: Vec<(String, PathBuf)>,
    },
    /// Several projects run from one directory.
    #[error(
        "several projects run from {}: {}\n  hint: say which one, and where its moored.yaml goes: moored init --project {} {}",
        dir.display(),
        names.join(", "),
        names.first().map_or("", String::as_str),
        dir.join(names.first().map_or("", String::as_str)).display()
    )]
    Several {
        /// From where.
        dir: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// What a project was started from is not there any more.
    #[error(
        "{} is gone, and project {project} was started from it\n  hint: put it back, or name the file that took its place: -f FILE",
        file.display()
    )]
    Gone {
        /// Which project.
        project: String,
        /// Its Compose file, or a file with its values.
        file: PathBuf,
    },
    /// The stack can't have this name.
    #[error("{0}\n  hint: give it another one: --stack NAME")]
    Name(String),
    /// A file of the project can't be in the repository with the others.
    #[error(
        "{} lies outside of {}, with which it would have to be in one repository\n  hint: name a directory of a repository that has both, or move it",
        file.display(),
        directory.display()
    )]
    Outside {
        /// Which file.
        file: PathBuf,
        /// The directory with the others.
        directory: PathBuf,
    },
    /// A file can't be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A manifest is there already.
    #[error(
        "{} is there already, and stays as it is\n  hint: --stdout prints the new one, --force writes over it, and another directory takes another stack",
        path.display()
    )]
    Exists {
        /// Which one.
        path: PathBuf,
    },
    /// The manifest can't be written.
    #[error("failed to write {}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A path that no repository can have.
    #[error("{0}")]
    Path(PathError),
    /// The files say something that can't be.
    #[error("{0}")]
    Wrong(#[from] Diagnostics),
    /// The engine can't be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

fn known(running: &[(String, PathBuf)]) -> String {
    if running.is_empty() {
        return String::new();
    }
    let each = running.iter();
    let each = each.map(|(name, dir)| format!("\n    {name}  {}", dir.display()));
    format!("; these run:{}", each.collect::<String>())
}
