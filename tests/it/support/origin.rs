//! A remote repository in a temporary directory.

use std::path::PathBuf;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time};
use moored::source::Revision;

/// A bare repository to fetch from.
pub(crate) struct Origin {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) repository: Repository,
}

impl Origin {
    /// Makes an empty one.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path().join("state.git")).unwrap();
        Self {
            directory,
            repository,
        }
    }

    /// Makes one whose `main` has one commit.
    pub(crate) fn with_main(files: &[(&str, &str)]) -> (Self, Revision) {
        let origin = Self::empty();
        let revision = origin.commit("main", files);
        (origin, revision)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("state.git")
    }

    pub(crate) fn url(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Puts a commit with these files changed on top of a branch.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) -> Revision {
        let entries: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, self.blob(text.as_bytes()), FileMode::Blob))
            .collect();
        self.commit_entries(branch, &entries)
    }

    /// Puts a commit with these entries changed on top of a branch.
    pub(crate) fn commit_entries(
        &self,
        branch: &str,
        entries: &[(&str, Oid, FileMode)],
    ) -> Revision {
        let parent = self
            .repository
            .find_reference(&format!("refs/heads/{branch}"))
            .map(|head| head.peel_to_commit().unwrap());
        let base = if let Ok(parent) = &parent {
            parent.tree().unwrap()
        } else {
            let empty = self.repository.treebuilder(None).unwrap().write().unwrap();
            self.repository.find_tree(empty).unwrap()
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, id, mode) in entries {
            update.upsert(*path, *id, *mode);
        }
        let tree = update.create_updated(&self.repository, &base).unwrap();
        let parents: Vec<Oid> = parent.iter().map(git2::Commit::id).collect();
        self.commit_tree(branch, tree, &parents, "change\n\nbecause")
    }

    /// Points a branch at a new commit of a tree.
    pub(crate) fn commit_tree(
        &self,
        branch: &str,
        tree: Oid,
        parents: &[Oid],
        message: &str,
    ) -> Revision {
        let tree = self.repository.find_tree(tree).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|id| self.repository.find_commit(*id).unwrap())
            .collect();
        let who = Signature::new("Ada", "ada@example.org", &Time::new(1_700_000_000, 60)).unwrap();
        let id = self
            .repository
            .commit(
                None,
                &who,
                &who,
                message,
                &tree,
                &parents.iter().collect::<Vec<_>>(),
            )
            .unwrap();
        self.point(branch, id);
        Revision::from(id)
    }

    /// Points a branch at a commit, like a forced push.
    pub(crate) fn point(&self, branch: &str, id: Oid) {
        self.repository
            .reference(&format!("refs/heads/{branch}"), id, true, "test")
            .unwrap();
    }

    pub(crate) fn delete(&self, branch: &str) {
        self.repository
            .find_reference(&format!("refs/heads/{branch}"))
            .unwrap()
            .delete()
            .unwrap();
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> Oid {
        self.repository.blob(bytes).unwrap()
    }

    /// Writes a tree object as it is, with names that no tool would write.
    pub(crate) fn raw_tree(&self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend(*name);
            bytes.push(0);
            bytes.extend(id.as_bytes());
        }
        let odb = self.repository.odb().unwrap();
        odb.write(ObjectType::Tree, &bytes).unwrap()
    }
}

/// Returns the libgit2 form of a revision.
pub(crate) fn oid(revision: &Revision) -> Oid {
    Oid::from_str(revision.as_str()).unwrap()
}
