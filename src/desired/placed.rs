//! Reads files of the repository that are placed on the host: what services mount, and the
//! `files:` part of a manifest.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::PlacedFile;
use super::findings::{Findings, Surroundings};
use crate::files::Mode;
use crate::source::{EntryKind, ReadError, RepoPath, Tree};

/// A file or directory of the repository, and where it is placed on the host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Path relative to the manifest.
    pub from: String,
    /// Where it is placed; ends with `/` where it is a directory.
    pub to: HostPlace,
}

/// An absolute path of the host, and whether it was written as that of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPlace {
    /// The path, without a slash at its end.
    pub path: PathBuf,
    /// Whether there was one.
    pub is_directory: bool,
}

/// Most files of one manifest: a directory of settings has dozens.
const MOST_FILES: usize = 10_000;

impl TryFrom<String> for HostPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let trimmed = text.trim_end_matches('/');
        let is_directory = trimmed.len() < text.len();
        match absolute_file(trimmed) {
            Some(path) => Ok(Self { path, is_directory }),
            None => Err(format!(
                "\"{}\" is not the absolute path of a file or directory on the host, as in \
                 /opt/app/nginx/",
                text.escape_default()
            )),
        }
    }
}

/// Returns a text as the absolute path of a file, in a form that can be compared; `None` = it is
/// something else: relative, with `.` or `..`, or the path of a directory.
pub(super) fn absolute_file(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = |part: Component| matches!(part, Component::RootDir | Component::Normal(_));
    // What ends in / or /. names a directory, whatever the components say.
    let is_file = path.is_absolute()
        && path.components().all(plain)
        && path
            .file_name()
            .is_some_and(|name| text.ends_with(&*name.to_string_lossy()))
        && !text.contains(char::is_control);
    is_file.then(|| path.components().collect())
}

/// Returns a path of the repository as seen from one of its directories; `None` = it is not
/// beneath that.
pub(super) fn below(directory: &RepoPath, path: &RepoPath) -> Option<RepoPath> {
    if directory.is_root() {
        return Some(path.clone());
    }
    let rest = path.as_str().strip_prefix(directory.as_str())?;
    RepoPath::new(rest.strip_prefix('/')?).ok()
}

/// Returns the mode that the repository has for a file.
pub(super) fn mode(tree: &Tree, path: &RepoPath) -> Mode {
    let entries = path.parent().and_then(|parent| tree.list(&parent).ok());
    let executable = entries.unwrap_or_default().into_iter().any(|entry| {
        Some(entry.name.as_str()) == path.file_name()
            && matches!(entry.kind, EntryKind::File { executable: true })
    });
    of(executable)
}

/// Reads every file beneath a directory.
pub(super) fn beneath(
    tree: &Tree,
    directory: &RepoPath,
) -> Result<Vec<(RepoPath, Vec<u8>, Mode)>, String> {
    let files = tree.walk(directory).map_err(|error| error.to_string())?;
    let read = |(file, executable): (RepoPath, bool)| {
        let content = tree.read(&file).map_err(|error| error.to_string())?;
        Ok((file, content, of(executable)))
    };
    files.into_iter().map(read).collect()
}

fn of(executable: bool) -> Mode {
    if executable {
        Mode::Executable
    } else {
        Mode::Plain
    }
}

/// Places of the host that are spoken for, and what each is for.
pub(super) struct Taken(BTreeMap<PathBuf, &'static str>);

impl Taken {
    /// Returns what is taken before a manifest places anything by itself.
    pub(super) fn by_the_rest(around: &Surroundings<'_>) -> Self {
        let mut taken = BTreeMap::new();
        for file in around.files.keys() {
            let path = around.project_directory.join(file.as_str());
            taken.insert(path, "is placed there already, because a service mounts it");
        }
        if let Some(page) = &around.manifest.maintenance {
            let files = page.host_places();
            taken.extend(files.map(|file| (file, "is where the maintenance page has its files")));
        }
        let own = around.own_directory.to_owned();
        taken.insert(own, "is in a directory that belongs to Moored itself");
        Self(taken)
    }

    /// Takes a place.
    ///
    /// # Errors
    /// What it is for already; of two places the one can't be a file and the other beneath it.
    pub(super) fn take(&mut self, path: &Path, purpose: &'static str) -> Result<(), &'static str> {
        let above = path.ancestors().find_map(|other| self.0.get(other));
        let mut onwards = self.0.range(path.to_owned()..);
        let beneath = onwards.next().filter(|(other, _)| other.starts_with(path));
        if let Some(why) = above.or(beneath.map(|(_, why)| why)) {
            return Err(why);
        }
        self.0.insert(path.to_owned(), purpose);
        Ok(())
    }
}

/// What to do where a place is taken.
pub(super) const ONE_PURPOSE: &str =
    "place it elsewhere: a file of the host is written for one reason only";

/// Reads what `files:` names, by where it is placed; what is wrong goes to `findings`.
pub(super) fn read(
    around: &Surroundings<'_>,
    taken: &mut Taken,
    findings: &mut Findings<'_>,
) -> BTreeMap<PathBuf, PlacedFile> {
    let mut placed = BTreeMap::new();
    for (index, one) in around.manifest.files.iter().enumerate() {
        let index = index.to_string();
        let path = |key| ["files", index.as_str(), key];
        let files = match files_of(one, around) {
            Ok(files) => files,
            Err((message, hint)) => {
                findings.refuse(&path("from"), message, hint);
                continue;
            }
        };
        if placed.len() + files.len() > MOST_FILES {
            let message = format!("more than {MOST_FILES} files would be placed on the host");
            let hint = "name a directory with fewer files in it, or put them into an image";
            findings.refuse(&path("from"), message, hint);
            return placed;
        }
        for (target, file) in files {
            if let Err(why) = taken.take(&target, "is placed twice by files") {
                let message = format!("{} {why}", target.display());
                findings.refuse(&path("to"), message, ONE_PURPOSE);
                break;
            }
            placed.insert(target, file);
        }
    }
    placed
}

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

/// Returns what an entry places, and where.
fn files_of(
    one: &Placement,
    around: &Surroundings<'_>,
) -> Result<Vec<(PathBuf, PlacedFile)>, Wrong> {
    const COMMIT: &str = "write the path of a committed file or directory relative to the manifest";
    let from = around.dir.join(&one.from);
    let from = from.map_err(|error| (error.to_string(), COMMIT))?;
    let to = &one.to;
    let placed = |target: PathBuf, content, mode| {
        let file = PlacedFile {
            content,
            mode,
            mounted_singly: false,
        };
        (target, file)
    };
    match around.tree.read(&from) {
        Ok(_) if one.from.ends_with('/') => Err((
            format!("{from} is a file, and no directory"),
            "write it without / at the end",
        )),
        Ok(content) => {
            let mode = mode(around.tree, &from);
            let target = match from.file_name() {
                Some(name) if to.is_directory => to.path.join(name),
                Some(_) | None => to.path.clone(),
            };
            Ok(vec![placed(target, content, mode)])
        }
        Err(ReadError::NotAFile { .. }) => {
            let files = beneath(around.tree, &from).map_err(|error| (error, ""))?;
            if files.is_empty() {
                let message = format!("{from} has no file in it, so that nothing would be placed");
                return Err((message, "take the entry out, or commit a file"));
            }
            let target = |file: &RepoPath| match below(&from, file) {
                Some(below) => to.path.join(below.as_str()),
                None => to.path.clone(),
            };
            let files = files.into_iter();
            Ok(files
                .map(|(file, content, mode)| placed(target(&file), content, mode))
                .collect())
        }
        Err(ReadError::Missing { .. }) => Err((format!("{from} is not in the repository"), COMMIT)),
        Err(error) => Err((error.to_string(), "")),
    }
}
