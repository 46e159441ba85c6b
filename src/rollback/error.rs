//! Why a stack can't be taken back.

use crate::desired::StackName;
use crate::plan::ReleaseId;
use crate::record::RecordError;
use crate::source::{CommitError, ReadError, Revision, SourceError};
use crate::stacks::LoadError;

/// Why a stack can't be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is no release at all.
    #[error("nothing has been released on this host yet, so there is nothing to go back to")]
    NothingReleased,
    /// There are several stacks.
    #[error("which stack? there is: {}\n  hint: moored rollback STACK", known.join(", "))]
    WhichStack {
        /// Their names.
        known: Vec<String>,
    },
    /// No stack of this name was ever released here.
    #[error(
        "no stack \"{}\" was ever released on this host\n  hint: there is: {}",
        asked.escape_default(), known.join(", ")
    )]
    UnknownStack {
        /// The name.
        asked: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No release is called so.
    #[error(
        "stack {stack} has no release \"{}\"; the last ones are:\n    {}",
        to.escape_default(), last.join("\n    ")
    )]
    UnknownRelease {
        /// Which stack.
        stack: StackName,
        /// The name.
        to: String,
        /// The last releases, one a line.
        last: Vec<String>,
    },
    /// Several releases are called so.
    #[error(
        "\"{}\" is the name of several releases that differ; name one:\n    {}",
        to.escape_default(), candidates.join("\n    ")
    )]
    Ambiguous {
        /// The name.
        to: String,
        /// The releases, one a line.
        candidates: Vec<String>,
    },
    /// The first release has none before it.
    #[error("stack {stack} has no earlier release that differs{}", before(release.as_ref()))]
    NoneEarlier {
        /// Which stack.
        stack: StackName,
        /// The last release.
        release: Option<ReleaseId>,
    },
    /// The commit of the last release is gone.
    #[error(
        "the commit of the last release of {stack} ({}) is not in the mirror any more, so it \
         can't be told which one was before it\n  hint: name one with --to; moored history lists \
         them", release.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    )]
    Lost {
        /// Which stack.
        stack: StackName,
        /// The last release.
        release: Option<ReleaseId>,
        /// Its commit.
        commit: Option<Revision>,
    },
    /// The commit of the release can't be read.
    #[error("release {release} can't be gone back to: {source}")]
    Unreadable {
        /// Which release.
        release: ReleaseId,
        /// Why.
        source: ReadError,
    },
    /// The commit of the release has the stack in no directory that counts.
    #[error(
        "no directory of the settings has stack {stack} at release {release}\n  hint: add its \
         directory of then to stacks"
    )]
    NotInSettings {
        /// Which stack.
        stack: StackName,
        /// Which release.
        release: ReleaseId,
    },
    /// What Git said at the release would be refused today.
    #[error("release {release} can't be loaded any more:\n{source}")]
    NotLoadable {
        /// Which release.
        release: ReleaseId,
        /// Why.
        source: Box<LoadError>,
    },
    /// The branch of the stack is not known.
    #[error("no branch of the settings has stack {stack}, or had it at a release")]
    NowhereInGit {
        /// Which stack.
        stack: StackName,
    },
    /// Git can't be asked.
    #[error("{source}\n  hint: moored rollback {stack} --hold takes this host back without Git")]
    NoGit {
        /// Which stack.
        stack: StackName,
        /// Why.
        source: Box<LoadError>,
    },
    /// Putting the files back does not give the release.
    #[error(
        "the files of release {release} beside those of today do not make that release again \
         ({path} differs)\n  hint: revert by hand, or pin the host: moored rollback --hold"
    )]
    Elsewhere {
        /// Which release.
        release: ReleaseId,
        /// A path that can't be put back.
        path: String,
    },
    /// The mirror could not be read.
    #[error("failed to read the state repository: {0}")]
    Read(#[from] ReadError),
    /// The commit could not be made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The commit could not be pushed.
    #[error("{0}")]
    Push(SourceError),
    /// The record could not be read or written.
    #[error("{0}")]
    Record(#[from] RecordError),
}

fn before(release: Option<&ReleaseId>) -> String {
    release.map_or_else(String::new, |release| {
        format!(" from what Git says now; the last one is {release}")
    })
}
