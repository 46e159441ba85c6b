//! Times the parts of a pass that ask nobody: reading what Git wants, and planning.
//!
//! Run with `cargo bench`. Times of different machines don't compare: what counts is how they grow
//! with the number of services, which is to be in proportion.

#![expect(clippy::unwrap_used, reason = "what a benchmark is given is known")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use divan::{Bencher, black_box};
use moored::desired::{self, DesiredState, HostFiles, Place};
use moored::engine::api::ApiVersion;
use moored::engine::model::{Container, ContainerState, Health, Image};
use moored::observe::{ImageState, ObservedState};
use moored::permits::Permits;
use moored::plan::{Action, Context, History, Plan, Release, plan};
use moored::policy::Policy;
use moored::secret::DigestKey;
use moored::source::{CommitInfo, RepoPath, Revision, Tree};

/// Numbers of services in one stack.
const SERVICES: [usize; 4] = [1, 10, 100, 1000];

fn main() {
    divan::main();
}

/// A host that has no file.
struct NoFiles;

impl HostFiles for NoFiles {
    fn read(&self, _: &Path) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

fn tree(services: usize) -> Tree {
    let mut compose = "x-env: &env {MODE: production, LEVEL: \"2\"}\nservices:\n".to_owned();
    for i in 0..services {
        write!(
            compose,
            "  web-{i}:\n    image: registry.example/web:${{TAG:-v1}}\n    environment: \
             {{<<: *env, NAME: web-{i}}}\n    ports: [\"127.0.0.1:{}:80\"]\n    volumes: \
             [\"data-{i}:/data\"]\n    depends_on: [{}]\n    healthcheck: {{test: [CMD, ok], \
             interval: 5s}}\n",
            10_000 + i,
            if i == 0 {
                String::new()
            } else {
                format!("web-{}", i / 2)
            },
        )
        .unwrap();
    }
    compose.push_str("volumes:\n");
    for i in 0..services {
        writeln!(compose, "  data-{i}:").unwrap();
    }
    let files = BTreeMap::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into_bytes()),
    ]);
    Tree::from_files(files).unwrap()
}

fn load(tree: &Tree) -> DesiredState {
    let commit = CommitInfo {
        revision: Revision::try_from("0123456789".repeat(4)).unwrap(),
        subject: String::new(),
        author_name: String::new(),
        author_email: String::new(),
        committed_at: 0,
    };
    let place = Place {
        dir: &RepoPath::root(),
        commit: &commit,
        default_directory: &|_| PathBuf::from("/srv/shop"),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    desired::load(tree, &place, &NoFiles).unwrap()
}

#[divan::bench(args = SERVICES)]
fn load_a_stack(bencher: Bencher, services: usize) {
    let tree = tree(services);
    bencher.bench(|| load(black_box(&tree)));
}

/// A host with nothing on it but the image of the services.
fn empty_host() -> ObservedState {
    let image = Image {
        id: "sha256:1".to_owned(),
        ..Image::default()
    };
    let image = ImageState::Here(Box::new(image));
    let mut observed = ObservedState::bare(ApiVersion::parse("1.41").unwrap());
    observed.images = BTreeMap::from([("registry.example/web:v1".to_owned(), image)]);
    observed
}

/// Does on a host in memory what a plan for an empty one says; returns the release.
fn carry_out(plan: &Plan, host: &mut ObservedState) -> Option<Release> {
    let mut release = None;
    for step in &plan.steps {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what else there is changes nothing that a plan sees"
        )]
        match step.action.clone() {
            Action::CreateNetwork(one) => drop(host.networks.insert(one.name.clone(), one)),
            Action::CreateVolume(one) => drop(host.volumes.insert(one.name.clone(), one)),
            Action::Create { name, spec, .. } => host.containers.push(Container {
                id: name.clone(),
                name,
                image_id: "sha256:1".to_owned(),
                spec: Arc::new(*spec),
                state: ContainerState::Running,
                health: Some(Health::Healthy),
                pid: Some(1),
                restart_count: 0,
                started_at: String::new(),
                oom_killed: false,
                ended_by_itself: false,
                addresses: BTreeMap::new(),
            }),
            Action::Record(draft) => {
                let services = draft.services.into_iter();
                release = Some(Release {
                    id: draft.id,
                    services: services.map(|(name, (_, facts))| (name, facts)).collect(),
                    images: BTreeMap::new(),
                    files: draft.files,
                    schema: draft.schema,
                    backups: BTreeMap::new(),
                    jobs: draft.jobs,
                    backups_said: Some(draft.backups_said),
                    host_placed: draft.host_placed,
                    proxy: draft.proxy,
                    expires: draft.expires,
                });
            }
            _ => {}
        }
    }
    host.containers.sort_by(|a, b| a.name.cmp(&b.name));
    release
}

/// Measures plans of a stack for a host, an empty one or one where it is deployed.
fn measure(bencher: Bencher, services: usize, deployed: bool) {
    let desired = load(&tree(services));
    let (mut observed, mut history) = (empty_host(), History::default());
    let key = DigestKey::new(vec![7; 32]);
    let policy = Policy::new(&Permits::default(), Path::new("/var/lib/moored"), "");
    let context = Context {
        instance: "bench",
        key: &key,
        now: 0,
        policy: &policy,
    };
    if deployed {
        let first = plan(&desired, &observed, &history, &context);
        history.release = carry_out(&first, &mut observed);
        let then = plan(&desired, &observed, &history, &context);
        assert!(then.is_empty() && then.holds.is_empty(), "{then}");
    }
    bencher.bench(|| plan(black_box(&desired), &observed, &history, &context));
}

#[divan::bench(args = SERVICES)]
fn plan_a_first_deploy(bencher: Bencher, services: usize) {
    measure(bencher, services, false);
}

#[divan::bench(args = SERVICES)]
fn plan_without_a_change(bencher: Bencher, services: usize) {
    measure(bencher, services, true);
}
