//! `source`: real repositories in temporary directories, the real child process.

mod fetch;
mod helper;
mod http;
mod mirror;
mod push;
mod ssh;
mod tls;
mod tree;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use moored::config::{Auth, Repository};
use moored::source::{self, FetchAnswer, Limits, RepoPath, Revision, SourceError, Tree};

/// The side that fetches: a mirror in a directory of its own.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn mirror(&self) -> PathBuf {
        self.directory.path().join("mirror")
    }

    async fn fetch(&self, url: &str, branch: &str) -> Result<FetchAnswer, SourceError> {
        self.fetch_as(url, branch, Auth::None).await
    }

    async fn fetch_as(
        &self,
        url: &str,
        branch: &str,
        auth: Auth,
    ) -> Result<FetchAnswer, SourceError> {
        source::fetch(&settings(url, branch, auth), &self.mirror(), program()).await
    }

    async fn fetch_within(&self, url: &str, limits: Limits) -> Result<FetchAnswer, SourceError> {
        let settings = settings(url, "main", Auth::None);
        source::fetch_within(&settings, &self.mirror(), program(), &limits).await
    }

    fn read(&self, revision: &Revision, path: &str) -> String {
        let tree = Tree::at_commit(&self.mirror(), revision).unwrap();
        String::from_utf8(tree.read(&at(path)).unwrap()).unwrap()
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_moored"))
}

fn settings(url: &str, branch: &str, auth: Auth) -> Repository {
    Repository {
        url: url.to_owned(),
        branch: branch.to_owned(),
        poll: Duration::from_secs(60),
        auth,
        push: true,
        ca_file: None,
        allow_force_push: false,
        verify: None,
    }
}

fn answer(revision: &Revision) -> FetchAnswer {
    FetchAnswer {
        revision: revision.clone(),
        rewound: false,
    }
}

fn at(path: &str) -> RepoPath {
    RepoPath::new(path).unwrap()
}

fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect()
}
