//! Going back to an earlier release: a real repository, a real record, an engine in memory.

mod commit;
mod held;
mod pin;
mod refused;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use git2::FileMode;
use moored::desired::StackName;
use moored::host::View;
use moored::journal::Outcome;
use moored::labels;
use moored::pass::Passed;
use moored::plan::Hold;
use moored::reconcile;
use moored::report::{Report as _, RollbackReport};
use moored::rollback::{self, Ask, Done, RollbackError};
use moored::source::{Revision, Tree};
use moored::stacks::{self, LoadError};
use tokio::sync::watch;

use crate::support::bench::Bench;
use crate::support::by_hand::HostYaml;
use crate::support::origin::Origin;

/// A host and the remote that it follows.
struct Town {
    bench: Bench,
    origin: Origin,
    url: PathBuf,
    /// The settings' `stacks`, as YAML; empty = left out.
    stacks: &'static str,
    push: bool,
}

/// How each stack or directory came out of a pass.
type Passes = BTreeMap<String, Result<Passed, LoadError>>;

impl Town {
    fn new() -> Self {
        let bench = Bench::new();
        let stock: HostYaml =
            serde_yaml::from_str("images: {'bad:v1': {health: unhealthy}}").unwrap();
        stock.stock(&bench);
        let origin = Origin::empty();
        Self {
            bench,
            url: origin.path(),
            origin,
            stacks: "",
            push: true,
        }
    }

    fn view(&self) -> View {
        let mut view = self.bench.view();
        view.config.repository.url = self.url.display().to_string();
        view.config.repository.push = self.push;
        if !self.stacks.is_empty() {
            view.config.stacks = Some(serde_yaml::from_str(self.stacks).unwrap());
        }
        view.program = PathBuf::from(env!("CARGO_BIN_EXE_moored"));
        view
    }

    /// Puts files on a branch; an empty text takes the file away.
    fn commit(&self, files: &[(&str, &str)]) -> Revision {
        self.commit_to("main", files)
    }

    fn commit_to(&self, branch: &str, files: &[(&str, &str)]) -> Revision {
        let gone: Vec<&str> = (files.iter())
            .filter(|(_, text)| text.is_empty())
            .map(|(path, _)| *path)
            .collect();
        if gone.is_empty() {
            return self.origin.commit(branch, files);
        }
        let repository = &self.origin.repository;
        let head = repository.find_reference(&format!("refs/heads/{branch}"));
        let head = head.unwrap().peel_to_commit().unwrap();
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, text) in files {
            if text.is_empty() {
                update.remove(*path);
            } else {
                let blob = self.origin.blob(text.as_bytes());
                update.upsert(*path, blob, FileMode::Blob);
            }
        }
        let tree = update.create_updated(repository, &head.tree().unwrap());
        (self.origin).commit_tree(branch, tree.unwrap(), &[head.id()], "change")
    }

    /// Puts a stack `shop` of one service at the root.
    fn shop(&self, image: &str) -> Revision {
        self.commit(&[
            ("moored.yaml", "stack: shop\nsoak: 0s\n"),
            (
                "compose.yaml",
                &format!("services: {{web: {{image: '{image}'}}}}\n"),
            ),
        ])
    }

    /// Puts one there and passes.
    fn release(&self, image: &str) -> Revision {
        let revision = self.shop(image);
        self.succeeds();
        revision
    }

    fn head(&self) -> Revision {
        self.head_of("main")
    }

    fn head_of(&self, branch: &str) -> Revision {
        let name = format!("refs/heads/{branch}");
        Revision::from(self.origin.repository.refname_to_id(&name).unwrap())
    }

    /// Returns the files of a commit of the remote, by path.
    fn files(&self, revision: &Revision) -> BTreeMap<String, String> {
        let tree = Tree::at_commit(&self.origin.path(), revision).unwrap();
        let all = tree.walk(&moored::source::RepoPath::root()).unwrap();
        let read = |(path, executable)| {
            let text = String::from_utf8(tree.read(&path).unwrap()).unwrap();
            let mark = if executable { " (executable)" } else { "" };
            (format!("{}{mark}", path.as_str()), text)
        };
        all.into_iter().map(read).collect()
    }

    /// Does a pass as the controller does it.
    fn try_pass(&self, only: Option<&str>) -> Result<Passes, LoadError> {
        let (_keep, stop) = watch::channel(false);
        let (view, hands) = (self.view(), self.bench.hands(stop));
        let mut all = Passes::new();
        for (dir, desired) in run(stacks::load(&view, only))? {
            let passed = desired.map(|desired| run(reconcile::pass(&view, &hands, desired)));
            all.insert(dir, passed.map(Result::unwrap));
        }
        Ok(all)
    }

    fn pass(&self) -> Passes {
        self.try_pass(None).unwrap()
    }

    /// Does a pass of which nothing is held and no attempt fails.
    #[track_caller]
    fn succeeds(&self) {
        for (dir, passed) in self.pass() {
            let passed = passed.unwrap_or_else(|error| panic!("{dir}: {error}"));
            let outcome = &passed.outcome;
            assert!(
                matches!(outcome, None | Some(Outcome::Succeeded)),
                "{dir}: {outcome:?}"
            );
            assert_eq!(passed.looked.plan.weight(), None, "{}", passed.looked.plan);
        }
    }

    /// Returns the image of the one container that a stack has running.
    #[track_caller]
    fn image(&self, stack: &str) -> String {
        let world = self.bench.engine.world();
        let containers = world.containers.values();
        let of_stack = |labels: &BTreeMap<String, String>| {
            labels.get(labels::STACK).is_some_and(|name| name == stack)
        };
        let images: Vec<String> = containers
            .filter(|kept| of_stack(&kept.shown.spec.labels))
            .map(|kept| kept.shown.spec.image.clone())
            .collect();
        assert_eq!(images.len(), 1, "{images:?}");
        images[0].clone()
    }

    fn ask(&self, ask: &Ask<'_>) -> Result<Done, RollbackError> {
        run(rollback::rollback(&self.view(), ask))
    }

    fn back(&self) -> Result<Done, RollbackError> {
        self.ask(&plain())
    }

    fn back_to(&self, to: &str) -> Result<Done, RollbackError> {
        self.ask(&Ask {
            to: Some(to),
            ..plain()
        })
    }

    fn hold(&self) -> Result<Done, RollbackError> {
        self.ask(&Ask {
            hold: true,
            ..plain()
        })
    }

    /// Returns what is printed, without what differs from run to run.
    fn printed(&self, done: Done) -> String {
        let report = RollbackReport::new(done, &self.view().config);
        let text = self.bench.stable(&report.text());
        text.replace(&self.url.display().to_string(), "/remote")
    }
}

fn plain() -> Ask<'static> {
    Ask {
        stack: None,
        to: None,
        hold: false,
        push: true,
        by: Some("ada".to_owned()),
    }
}

fn shop() -> StackName {
    "shop".to_owned().try_into().unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn is_pinned(holds: &[Hold]) -> bool {
    holds.iter().any(|hold| matches!(hold, Hold::Pinned { .. }))
}

/// Replaces commits with what they are called.
fn named(text: &str, names: &[(&Revision, &str)]) -> String {
    names.iter().fold(text.to_owned(), |text, (commit, name)| {
        text.replace(commit.as_str(), name)
            .replace(commit.short(), name)
    })
}

/// Runs Git's own program in a directory.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(directory)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
