//! A host with an engine in memory, and the real repository that it follows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use git2::FileMode;
use moored::config::Verify;
use moored::desired::StackName;
use moored::host::View;
use moored::journal::Outcome;
use moored::labels;
use moored::pass::{PassError, Passed};
use moored::reconcile;
use moored::report::{Report as _, RollbackReport};
use moored::rollback::{self, Ask, Done, RollbackError};
use moored::source::{Revision, Tree};
use moored::stacks::{self, LoadError};
use tokio::sync::watch;

use super::bench::Bench;
use super::by_hand::HostYaml;
use super::origin::Origin;

/// A host and the remote that it follows.
pub(crate) struct Town {
    pub(crate) bench: Bench,
    pub(crate) origin: Origin,
    pub(crate) url: PathBuf,
    /// The settings' `stacks`, as YAML; empty = left out.
    pub(crate) stacks: &'static str,
    pub(crate) push: bool,
    /// The settings' `verify` and `allow_force_push`.
    pub(crate) verify: Option<Verify>,
    pub(crate) allow_force_push: bool,
    /// The settings' `windows` and `approvals`, as YAML; empty = left out.
    pub(crate) windows: String,
    pub(crate) approvals: String,
}

/// How each stack or directory came out of a pass.
pub(crate) type Passes = BTreeMap<String, Result<Passed, LoadError>>;

impl Town {
    pub(crate) fn new() -> Self {
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
            verify: None,
            allow_force_push: false,
            windows: String::new(),
            approvals: String::new(),
        }
    }

    pub(crate) fn view(&self) -> View {
        let mut view = self.bench.view();
        view.config.repository.url = self.url.display().to_string();
        view.config.repository.push = self.push;
        view.config.repository.verify.clone_from(&self.verify);
        view.config.repository.allow_force_push = self.allow_force_push;
        if !self.stacks.is_empty() {
            view.config.stacks = Some(serde_yaml::from_str(self.stacks).unwrap());
        }
        if !self.windows.is_empty() {
            view.config.windows = serde_yaml::from_str(&self.windows).unwrap();
        }
        if !self.approvals.is_empty() {
            view.config.approvals = serde_yaml::from_str(&self.approvals).unwrap();
        }
        view.program = PathBuf::from(env!("CARGO_BIN_EXE_moored"));
        view
    }

    /// Puts files on a branch; an empty text takes the file away.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> Revision {
        self.commit_to("main", files)
    }

    pub(crate) fn commit_to(&self, branch: &str, files: &[(&str, &str)]) -> Revision {
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
    pub(crate) fn shop(&self, image: &str) -> Revision {
        self.commit(&[
            ("moored.yaml", "stack: shop\nsoak: 0s\n"),
            (
                "compose.yaml",
                &format!("services: {{web: {{image: '{image}'}}}}\n"),
            ),
        ])
    }

    /// Puts one there and passes.
    pub(crate) fn release(&self, image: &str) -> Revision {
        let revision = self.shop(image);
        self.succeeds();
        revision
    }

    pub(crate) fn head(&self) -> Revision {
        self.head_of("main")
    }

    pub(crate) fn head_of(&self, branch: &str) -> Revision {
        let name = format!("refs/heads/{branch}");
        Revision::from(self.origin.repository.refname_to_id(&name).unwrap())
    }

    /// Returns the files of a commit of the remote, by path.
    pub(crate) fn files(&self, revision: &Revision) -> BTreeMap<String, String> {
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
    pub(crate) fn try_pass(&self, only: Option<&str>) -> Result<Passes, LoadError> {
        let (_keep, stop) = watch::channel(false);
        let (view, hands) = (self.view(), self.bench.hands(stop));
        let mut all = Passes::new();
        for (dir, desired) in run(stacks::load(&view, only))? {
            let passed = match run(reconcile::pass_loaded(&view, &hands, &dir, desired)) {
                Err(PassError::Load(error) | PassError::Kept { error, .. }) => Err(error),
                passed => Ok(passed.unwrap()),
            };
            all.insert(dir, passed);
        }
        Ok(all)
    }

    pub(crate) fn pass(&self) -> Passes {
        self.try_pass(None).unwrap()
    }

    /// Does a pass of which nothing is held and no attempt fails.
    #[track_caller]
    pub(crate) fn succeeds(&self) {
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
    pub(crate) fn image(&self, stack: &str) -> String {
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

    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Done, RollbackError> {
        run(rollback::rollback(&self.view(), ask))
    }

    pub(crate) fn back(&self) -> Result<Done, RollbackError> {
        self.ask(&plain())
    }

    pub(crate) fn back_to(&self, to: &str) -> Result<Done, RollbackError> {
        self.ask(&Ask {
            to: Some(to),
            ..plain()
        })
    }

    pub(crate) fn hold(&self) -> Result<Done, RollbackError> {
        self.ask(&Ask {
            hold: true,
            ..plain()
        })
    }

    /// Returns what is printed, without what differs from run to run.
    pub(crate) fn printed(&self, done: Done) -> String {
        let report = RollbackReport::new(done, &self.view().config);
        let text = self.bench.stable(&report.text());
        text.replace(&self.url.display().to_string(), "/remote")
    }
}

pub(crate) fn plain() -> Ask<'static> {
    Ask {
        stack: None,
        to: None,
        hold: false,
        push: true,
        by: Some("ada".to_owned()),
    }
}

pub(crate) fn shop() -> StackName {
    "shop".to_owned().try_into().unwrap()
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// Replaces commits with what they are called.
pub(crate) fn named(text: &str, names: &[(&Revision, &str)]) -> String {
    names.iter().fold(text.to_owned(), |text, (commit, name)| {
        text.replace(commit.as_str(), name)
            .replace(commit.short(), name)
    })
}
