//! Turns a commit into an immutable tree of files. The only room that knows libgit2.
//!
//! [`fetch()`] brings the remote's branch into a mirror on this host, in a child process that
//! can be killed; [`Tree`] reads the files of one commit from there; [`commit_on`] writes a commit
//! there and [`push()`] sends it; [`Watch`] says when a look is worth while. Modules: `fetch`, `push`
//! and `helper` (parent) and `child`, `mirror`, `connection`, `credentials`, `known_hosts`, `leftovers` (in the
//! child); `write`; `url` and `branch` check what the settings name;
//! `tree` over `commit`, `directory` and `memory`, and `local`, which finds a commit by its name; `path`, `revision`,
//! `signature`, `trailers`, `error`; `watch`; `start`.

mod branch;
mod child;
mod commit;
mod connection;
mod credentials;
mod directory;
mod error;
mod fetch;
mod helper;
mod known_hosts;
mod leftovers;
mod local;
mod memory;
mod mirror;
mod path;
mod push;
mod revision;
mod signature;
mod start;
mod trailers;
mod tree;
mod url;
mod watch;
mod write;

pub use child::fetch_child;
pub use commit::{Blob, descends_from};
pub use error::SourceError;
pub use fetch::{CHILD_ARGUMENT, FetchAnswer, Limits, fetch, fetch_within};
pub use local::{LocalError, WorkTree, at_revision, work_tree};
pub use mirror::{fetched, set_aside};
pub use path::{PathError, RepoPath};
pub use push::{Push, push, push_within};
pub use revision::{CommitInfo, Revision, RevisionError};
pub use signature::{Signature, commits_since, signature_of};
pub use start::start;
pub use trailers::trailers;
pub use tree::{
    DEEPEST_SEARCH, Entry, EntryKind, LARGEST_FILE, MOST_SEARCHED, MOST_WALKED, ReadError, Tree,
};
pub use url::local_path;
pub use watch::{Watch, WatchError};
pub use write::{Changes, CommitError, CommitText, commit_on, write_file};
