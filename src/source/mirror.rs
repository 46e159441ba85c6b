//! Keeps the mirror: a bare repository that is only a cache of the remote.
//!
//! Whatever is wrong with it is cured in one way: clone afresh beside it, and swap only when
//! that worked. The old mirror stays readable all the while.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use git2::{
    Config, ErrorClass, ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions, Tree,
};

use super::branch;
use super::child::Request;
use super::connection::{self, Connection, Talk};
use super::error::SourceError;
use super::fetch::{FetchAnswer, beside};
use super::leftovers;
use super::revision::Revision;
use super::url::Remote;

/// Most packs before the mirror is cloned afresh: every fetch adds one, libgit2 never joins
/// them, and each one makes every look for an object slower.
const MOST_PACKS: usize = 50;

/// Most entries that are checked for their presence: beyond it the check would cost more than
/// it is worth, and reading a missing one is a clear error as well.
const MOST_CHECKED: usize = 100_000;

/// Why an attempt on the present mirror did not succeed.
enum Trouble {
    /// The remote's fault; another mirror would not help.
    Source(SourceError),
    /// Something is wrong with the mirror, or may be.
    Mirror {
        error: git2::Error,
        previous: Option<Oid>,
    },
    /// The mirror is whole and has too many packs.
    Fragmented { previous: Oid },
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// Brings the remote's branch into the mirror.
pub(super) fn bring(request: &Request, remote: &Remote) -> Result<FetchAnswer, SourceError> {
    let path = &request.mirror;
    connection::prepare_home(request, remote)?;
    let attempt = match leftovers::remove(path) {
        Ok(()) => attempt(path, request, remote),
        Err(e) => return Err(unusable(path, &e)),
    };
    let (previous, keep_old) = match attempt {
        Ok(answer) => return Ok(answer),
        Err(Trouble::Source(error)) => return Err(error),
        Err(Trouble::Mirror { previous, .. }) => (previous, true),
        Err(Trouble::Fragmented { previous }) => (Some(previous), false),
    };
    let fresh = beside(path, ".new");
    remove_all(&fresh)?;
    let answer = match attempt_afresh(&fresh, request, remote, previous) {
        Ok(answer) => answer,
        Err(error) => {
            remove_all(&fresh)?;
            return Err(error);
        }
    };
    set_aside(path)?;
    rename(&fresh, path)?;
    if !keep_old {
        remove_all(&beside(path, ".broken"))?;
    }
    Ok(answer)
}

/// Moves a damaged mirror out of the way, so that the next fetch clones afresh. For damage that
/// only reading shows ([`super::ReadError::Damaged`]): a fetch checks that everything is there,
/// not every byte of it.
pub fn set_aside(mirror: &Path) -> Result<(), SourceError> {
    // One is kept for whoever wants to know what happened to it.
    let aside = beside(mirror, ".broken");
    remove_all(&aside)?;
    rename(mirror, &aside)
}

/// Returns what the last fetch found at a branch; none before the first.
pub fn fetched(mirror: &Path, branch: &str) -> Option<Revision> {
    let found = open(mirror).and_then(|mirror| stored(&mirror, &branch::reference(branch)));
    found.ok().flatten().map(Revision::from)
}

/// Returns the newest commit of a branch where the remote is a repository on this host and the
/// mirror has that commit, whole. Then nothing has to be fetched, and no child is started: it would
/// be most of a pass in which nothing changes. What can't be read here is for the child to tell.
///
/// Blocks, on whatever file system they are.
pub(super) fn unmoved(mirror: &Path, branch: &str, remote: &Path) -> Option<Revision> {
    let name = branch::reference(branch);
    let there = stored(&Repository::open(remote).ok()?, &name).ok()??;
    let mirror = open(mirror).ok()?;
    let here = stored(&mirror, &name).ok()??;
    // What moved is for the child to fetch, and to check then.
    if here != there {
        return None;
    }
    check_whole(&mirror, here).ok()?;
    Some(Revision::from(here))
}

fn attempt_afresh(
    path: &Path,
    request: &Request,
    remote: &Remote,
    previous: Option<Oid>,
) -> Result<FetchAnswer, SourceError> {
    match attempt(path, request, remote) {
        Ok(mut answer) => {
            if let Some(previous) = previous {
                let repository = open(path).map_err(|e| damaged(path, remote, &e))?;
                answer.rewound = !descends(&repository, &answer.revision, previous);
            }
            Ok(answer)
        }
        Err(Trouble::Source(error)) => Err(error),
        Err(Trouble::Mirror { error, .. }) => Err(damaged(path, remote, &error)),
        // Not with a mirror that has no packs yet.
        Err(Trouble::Fragmented { .. }) => Err(SourceError::Mirror {
            path: path.to_owned(),
            message: "somebody else writes to it".to_owned(),
        }),
    }
}

fn attempt(path: &Path, request: &Request, remote: &Remote) -> Result<FetchAnswer, Trouble> {
    let unknown = |error| Trouble::Mirror {
        error,
        previous: None,
    };
    if !path.exists() {
        create(path).map_err(|e| unusable(path, &e))?;
        Repository::init_opts(
            path,
            RepositoryInitOptions::new()
                .bare(true)
                .external_template(false),
        )
        .map_err(|e| damaged(path, remote, &e))?;
    }
    let repository = open(path).map_err(unknown)?;
    let name = branch::reference(&request.branch);
    let previous = stored(&repository, &name).map_err(unknown)?;
    if let Some(previous) = previous {
        check_whole(&repository, previous).map_err(unknown)?;
    }
    let broken = |error| Trouble::Mirror { error, previous };
    let mut endpoint = connection::remote(&repository, remote)?;
    let connection = Connection::open(&mut endpoint, request, remote, Talk::Fetch)?;
    let advertised = connection.find_branch(&request.branch)?;
    if Some(advertised) != previous {
        if let Some(previous) = previous
            && leftovers::count_packs(path) > MOST_PACKS
        {
            return Err(Trouble::Fragmented { previous });
        }
        match connection.fetch(&format!("+{name}:{name}")) {
            Ok(()) => {}
            Err(connection::FetchError::Source(error)) => return Err(error.into()),
            Err(connection::FetchError::Mirror(error)) => return Err(broken(error)),
        }
        // libgit2 takes a branch that vanished, and some that did not move, for a success.
        if stored(&repository, &name).map_err(broken)? != Some(advertised) {
            let message = "the branch moved or vanished while it was fetched".to_owned();
            let url = remote.to_string();
            return Err(SourceError::Unreachable { url, message }.into());
        }
        check_whole(&repository, advertised).map_err(broken)?;
    }
    let revision = Revision::from(advertised);
    let rewound = previous.is_some_and(|old| !descends(&repository, &revision, old));
    Ok(FetchAnswer { revision, rewound })
}

/// Opens the mirror with its own configuration and no other.
pub(super) fn open(path: &Path) -> Result<Repository, git2::Error> {
    let repository = Repository::open_bare(path)?;
    // Without the system's level: a `url.*.insteadOf` there would lead to another remote.
    let mut config = Config::open(&path.join("config"))?;
    // The only way to switch redirects off for the first request of a connection.
    if config.get_bool("http.followRedirects").unwrap_or(true) {
        config.set_bool("http.followRedirects", false)?;
    }
    repository.set_config(&config)?;
    Ok(repository)
}

fn stored(repository: &Repository, name: &str) -> Result<Option<Oid>, git2::Error> {
    match repository.refname_to_id(name) {
        Ok(id) => Ok(Some(id)),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Checks that a commit and all its files are there. Presence only: what is read later is
/// checked against its own id by libgit2.
fn check_whole(repository: &Repository, id: Oid) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    let mut waiting: Vec<Tree<'_>> = vec![repository.find_commit(id)?.tree()?];
    let mut seen = 0;
    while let Some(tree) = waiting.pop() {
        for entry in &tree {
            seen += 1;
            if seen > MOST_CHECKED {
                return Ok(());
            }
            if entry.kind() == Some(ObjectType::Tree) {
                waiting.push(repository.find_tree(entry.id())?);
            } else if entry.kind() == Some(ObjectType::Blob) && !odb.exists(entry.id()) {
                return Err(git2::Error::new(
                    ErrorCode::NotFound,
                    ErrorClass::Odb,
                    "objects are missing",
                ));
            }
        }
    }
    Ok(())
}

/// Returns whether `revision` is `old` or comes after it; false when `old` is not known.
fn descends(repository: &Repository, revision: &Revision, old: Oid) -> bool {
    let Ok(new) = Oid::from_str(revision.as_str()) else {
        return false;
    };
    new == old || repository.graph_descendant_of(new, old).unwrap_or(false)
}

fn create(path: &Path) -> io::Result<()> {
    // Only its owner: the mirror may hold what the remote shows to nobody else.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn remove_all(path: &Path) -> Result<(), SourceError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unusable(path, &e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), SourceError> {
    fs::rename(from, to).map_err(|e| unusable(from, &e))
}

fn unusable(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Mirror {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

/// Says what a failure of a new mirror means: this host's disk, or what the remote sent.
fn damaged(path: &Path, remote: &Remote, error: &git2::Error) -> SourceError {
    let message = error.message().to_owned();
    if matches!(error.class(), ErrorClass::Os | ErrorClass::Filesystem) {
        let path = path.to_owned();
        SourceError::Mirror { path, message }
    } else {
        let url = remote.to_string();
        SourceError::Corrupt { url, message }
    }
}
