//! Sends a commit of the mirror to the remote's branch: through the same child, credentials and
//! deadline as a fetch, and only when the branch is where it was.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use git2::{ErrorCode, Indexer, Oid, Repository};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::branch;
use super::child::Request;
use super::connection::{self, Connection, Talk};
use super::error::SourceError;
use super::fetch::{Limits, ask, home_of, request};
use super::mirror;
use super::revision::Revision;
use super::url::Remote;
use crate::config;

/// A commit to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Push {
    /// Where the branch must be: the commit's parent.
    pub parent: Revision,
    /// The commit; the mirror has it.
    pub commit: Revision,
}

/// Moves the configured branch of the remote from a commit to its child.
///
/// `program` is this program's own executable; the caller must hold the mirror's lock, and have
/// fetched the branch.
///
/// # Errors
/// [`SourceError::PushRefused`] when the remote lets nobody in to write, or this one not;
/// [`SourceError::Outrun`] when somebody else pushed meanwhile. Nothing has changed then.
pub async fn push(
    repository: &config::Repository,
    mirror: &Path,
    program: &Path,
    push: &Push,
) -> Result<(), SourceError> {
    push_within(repository, mirror, program, push, &Limits::default()).await
}

/// Does what [`push`] does, within other limits.
pub async fn push_within(
    repository: &config::Repository,
    mirror: &Path,
    program: &Path,
    push: &Push,
    limits: &Limits,
) -> Result<(), SourceError> {
    let remote = Remote::parse(&repository.url)?;
    let mut request = request(repository, mirror, limits)?;
    request.push = Some(push.clone());
    let towards = (&repository.auth, &remote);
    match ask(request, towards, program, limits.deadline).await {
        Err(SourceError::TimedOut { url, seconds }) => {
            Err(SourceError::PushTimedOut { url, seconds })
        }
        done => done,
    }
}

/// Does the child's part.
pub(super) fn send(request: &Request, remote: &Remote, push: &Push) -> Result<(), SourceError> {
    connection::prepare_home(request, remote)?;
    let unusable = |error: git2::Error| SourceError::Mirror {
        path: request.mirror.clone(),
        message: error.message().to_owned(),
    };
    let mirror = mirror::open(&request.mirror).map_err(unusable)?;
    let [parent, commit] = [&push.parent, &push.commit].map(|one| Oid::from_str(one.as_str()));
    let (parent, commit) = (parent.map_err(unusable)?, commit.map_err(unusable)?);
    let name = branch::reference(&request.branch);
    if let Remote::Local(path) = remote {
        send_here(&mirror, path, request, (parent, commit))?;
    } else {
        let mut endpoint = connection::remote(&mirror, remote)?;
        let connection = Connection::open(&mut endpoint, request, remote, Talk::Push)?;
        if connection.find_branch(&request.branch)? != parent {
            return Err(outrun(request, remote));
        }
        connection.push(&format!("{commit}:{name}"))?;
    }
    // The next fetch has nothing to bring then.
    mirror
        .reference(&name, commit, true, "pushed")
        .map(drop)
        .map_err(unusable)
}

fn outrun(request: &Request, remote: &Remote) -> SourceError {
    SourceError::Outrun {
        url: remote.to_string(),
        branch: request.branch.clone(),
    }
}

/// Puts a commit into a repository of this host.
///
/// Not by libgit2's local transport: it moves the branch wherever it is by then, and knows no
/// repository with a work tree.
fn send_here(
    mirror: &Repository,
    path: &Path,
    request: &Request,
    (parent, commit): (Oid, Oid),
) -> Result<(), SourceError> {
    let url = || path.display().to_string();
    let refused = |error: git2::Error| SourceError::PushRefused {
        url: url(),
        message: connection::words(&error),
    };
    // The branch, too, must survive a power cut. libgit2 is told so by configuration alone; this one
    // is the child's own.
    let own = home_of(&request.mirror).join(".gitconfig");
    (git2::Config::open(&own))
        .and_then(|mut config| config.set_bool("core.fsyncObjectFiles", true))
        .map_err(refused)?;
    // Whoever owns the repository must be able to read what we put there, whatever our caller's
    // own files are like.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let remote = Repository::open(path).map_err(|error| SourceError::NotARepository {
        url: url(),
        message: connection::words(&error),
    })?;
    let name = branch::reference(&request.branch);
    if is_checked_out(&remote, &name) {
        return Err(SourceError::CheckedOut {
            url: url(),
            branch: request.branch.clone(),
        });
    }
    let outrun = || self::outrun(request, &Remote::Local(path.to_owned()));
    if remote.refname_to_id(&name).ok() != Some(parent) {
        return Err(outrun());
    }
    copy_objects(mirror, &remote, (parent, commit)).map_err(refused)?;
    match remote.reference_matching(&name, commit, true, parent, "moored") {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked) => {
            Err(outrun())
        }
        Err(error) => Err(refused(error)),
    }
}

/// Returns whether a work tree is at this branch: its files would differ from it all at once.
fn is_checked_out(repository: &Repository, name: &str) -> bool {
    let at_branch = |repository: &Repository| {
        !repository.is_bare()
            && repository
                .find_reference("HEAD")
                .is_ok_and(|head| head.symbolic_target().ok().flatten() == Some(name))
    };
    let linked = repository.worktrees();
    let linked = linked
        .iter()
        .flat_map(|names| names.iter().flatten().flatten());
    let mut linked = linked.filter_map(|name| {
        let worktree = repository.find_worktree(name).ok()?;
        Repository::open_from_worktree(&worktree).ok()
    });
    at_branch(repository) || linked.any(|one| at_branch(&one))
}

/// Copies a commit and what its parent does not have. As one pack: single objects would make
/// directories that belong to us, where the repository's owner could not write any more.
fn copy_objects(
    from: &Repository,
    to: &Repository,
    (parent, commit): (Oid, Oid),
) -> Result<(), git2::Error> {
    let mut walk = from.revwalk()?;
    walk.push(commit)?;
    walk.hide(parent)?;
    let mut builder = from.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack)?;
    let directory = to.commondir().join("objects/pack");
    let io = |error: std::io::Error| git2::Error::from_str(&error.to_string());
    std::fs::create_dir_all(&directory).map_err(io)?;
    let odb = to.odb()?;
    let mut indexer = Indexer::new(Some(&odb), &directory, 0, true)?;
    indexer.write_all(&pack).map_err(io)?;
    let name = indexer.commit()?;
    let [pack, index] = ["pack", "idx"].map(|kind| directory.join(format!("pack-{name}.{kind}")));
    // libgit2 leaves this to the system, and the branch is about to point there.
    for path in [&pack, &index, &directory] {
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(io)?;
    }
    odb.refresh()
}
