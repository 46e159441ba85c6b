//! The vocabulary of `host.yaml`: what is on a host, and what happens there by hand.
//!
//! On every host are the images `app:v1`, `app:v2`, `app:v3`, `db:v1`, `db:v2` (with a health
//! check and a volume), `job:v1` and `job:v2` (which end with 0), `nginx:v1` and `nginx:v2` (proxies,
//! see `fake_engine::front`). `images:` puts others beside or
//! in place of them, `registry:` says what a registry has.

use std::collections::BTreeMap;
use std::sync::Arc;

use moored::desired::DesiredState;
use moored::diagnostic::Diagnostics;
use moored::engine::ReadEngine as _;
use moored::engine::model::{
    ContainerState, Endpoint, Health, Healthcheck, Image, Network, Restart, Volume,
};
use moored::files::{Mode, digest};
use moored::labels;
use moored::maintenance::{self, Flag, Owner};
use moored::permits::Permits;
use moored::secret::Sensitive;
use serde::Deserialize;

use super::bench::Bench;
use super::fake_engine::{End, Fate, Faults, HALF, Ledger, MIGRATE, Said, Work, World};
use super::foreign::{compose_up, foreign, foreign_proxy};
use super::gate::{GateYaml, suspend};

/// `host.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostYaml {
    /// How the pass ends: `succeeded`, `nothing to do`, `held`, `rolled back`, `failed`.
    #[serde(default = "succeeded")]
    pub(crate) expect: String,
    /// Images on the host.
    #[serde(default)]
    images: BTreeMap<String, ImageYaml>,
    /// Images at the registry.
    #[serde(default)]
    registry: BTreeMap<String, ImageYaml>,
    /// That the service `app` keeps rows in `/bench/data/app.db`, see [`Ledger`]: `strict`, or
    /// `compatible` where the code before works with migrated data.
    #[serde(default)]
    ledger: Option<String>,
    /// What containers of an image do that are run with a command, by `IMAGE WORD`: the image and
    /// the command's first word.
    #[serde(default)]
    jobs: BTreeMap<String, JobYaml>,
    /// Exit codes of commands inside containers, by `IMAGE WORD`.
    #[serde(default)]
    says: BTreeMap<String, i64>,
    /// What comes after `1.` in the version of its API; left out = 41.
    #[serde(default)]
    api: Option<usize>,
    /// What the settings permit, beside mounts of `/bench`; left out = the default.
    #[serde(default)]
    pub(crate) policy: Option<Permits>,
    /// What a change has to wait for.
    #[serde(default)]
    pub(crate) gate: GateYaml,
    /// Calls that fail in the pass, such as `create_container shop-web-1.new`.
    #[serde(default)]
    pub(crate) fails: Option<String>,
    /// What happens by hand before anything else, see [`apply`].
    #[serde(default)]
    pub(crate) before: Vec<String>,
    /// What happens by hand after `before/` was released, one line each, see [`apply`].
    #[serde(default)]
    pub(crate) by_hand: Vec<String>,
}

fn succeeded() -> String {
    "succeeded".to_owned()
}

impl Default for HostYaml {
    fn default() -> Self {
        Self {
            expect: succeeded(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            ledger: None,
            jobs: BTreeMap::new(),
            says: BTreeMap::new(),
            api: None,
            policy: None,
            gate: GateYaml::default(),
            fails: None,
            before: Vec::new(),
            by_hand: Vec::new(),
        }
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ImageYaml {
    env: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    command: Vec<String>,
    volumes: Vec<String>,
    /// `healthy`, `healthy after N`, `silent` or `unhealthy`; left out = no health check.
    health: Option<String>,
    /// Its containers end with this code.
    exits: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobYaml {
    #[serde(default)]
    exits: i64,
    #[serde(default)]
    prints: String,
    /// What it does to the data: `migrate`, `half`, or `tell` for the version.
    #[serde(default)]
    does: Option<String>,
}

/// Splits `IMAGE WORD`.
fn image_and_word(place: &str) -> (&str, &str) {
    place
        .split_once(' ')
        .unwrap_or_else(|| panic!("{place:?} is not IMAGE WORD"))
}

impl ImageYaml {
    fn image(&self, reference: &str) -> (Image, Fate) {
        let image = Image {
            id: format!("sha256:{}", digest(reference.as_bytes(), Mode::Plain)),
            env: self.env.clone(),
            labels: self.labels.clone(),
            command: if self.command.is_empty() {
                vec!["serve".to_owned()]
            } else {
                self.command.clone()
            },
            volumes: self.volumes.iter().cloned().collect(),
            healthcheck: self.health.is_some().then(|| Healthcheck {
                test: vec!["CMD".to_owned(), "check".to_owned()],
                ..Healthcheck::default()
            }),
            ..Image::default()
        };
        let fate = match (self.exits, self.health.as_deref()) {
            (Some(code), _) => Fate::Ends(End {
                code,
                oom_killed: false,
            }),
            (None, Some("silent")) => Fate::Silent,
            (None, Some("unhealthy")) => Fate::Unhealthy { after: 2 },
            (None, Some(health)) => Fate::Runs {
                healthy_after: health
                    .strip_prefix("healthy after ")
                    .map_or(0, |looks| looks.parse().unwrap()),
            },
            (None, None) => Fate::Runs { healthy_after: 0 },
        };
        (image, fate)
    }
}

impl HostYaml {
    /// Puts images on the host and into the registry.
    pub(crate) fn stock(&self, bench: &Bench) {
        let mut world = bench.engine.world();
        world.api_minor = self.api;
        self.stock_jobs(bench, &mut world);
        let plain = ImageYaml::default();
        let db = ImageYaml {
            volumes: vec!["/data".to_owned()],
            health: Some("healthy after 2".to_owned()),
            ..ImageYaml::default()
        };
        let job = ImageYaml {
            exits: Some(0),
            ..ImageYaml::default()
        };
        for (reference, image) in [
            ("app:v1", &plain),
            ("app:v2", &plain),
            ("app:v3", &plain),
            ("db:v1", &db),
            ("db:v2", &db),
            ("job:v1", &job),
            ("job:v2", &job),
            ("nginx:v1", &plain),
            ("nginx:v2", &plain),
        ] {
            world
                .images
                .insert(reference.to_owned(), image.image(reference));
        }
        for (reference, image) in &self.images {
            world
                .images
                .insert(reference.clone(), image.image(reference));
        }
        for (reference, image) in &self.registry {
            let digest = format!("sha256:{}", digest(reference.as_bytes(), Mode::Plain));
            world
                .registry
                .tags
                .insert(reference.clone(), digest.clone());
            world.registry.images.insert(digest, image.image(reference));
        }
    }
}

impl HostYaml {
    fn stock_jobs(&self, bench: &Bench, world: &mut World) {
        let (db, flag) = (bench.place("data/app.db"), bench.place("site/ON"));
        world.ledger = self.ledger.as_ref().map(|kind| {
            let mut ledger = Ledger::new(&db, &flag);
            ledger.compatible = kind == "compatible";
            ledger
        });
        for (place, job) in &self.jobs {
            let (image, first) = image_and_word(place);
            let end = End::code(job.exits);
            world.job(image, first, Fate::Works { looks: 3, end }, &job.prints);
            let (sql, is_query) = match job.does.as_deref() {
                None => continue,
                Some("migrate") => (MIGRATE, false),
                Some("half") => (HALF, false),
                Some("tell") => (
                    "SELECT user_version || '-' || (SELECT count(*) FROM sqlite_schema)
                     FROM pragma_user_version",
                    true,
                ),
                Some(other) => panic!("what is {other:?}?"),
            };
            let (db, sql) = (db.clone(), sql.to_owned());
            world.works(image, first, Work { db, sql, is_query });
        }
        for (place, code) in &self.says {
            says(world, place, *code);
        }
    }
}

fn says(world: &mut World, place: &str, code: i64) {
    let (image, first) = image_and_word(place);
    let said = Said {
        code,
        ..Said::default()
    };
    world.says(image, first, said);
}

fn maintenance_on(bench: &Bench, who: &str, reason: &str) {
    let flag = Flag {
        owner: Owner::Person {
            who: who.to_owned(),
        },
        reason: reason.to_owned(),
        since: jiff::Timestamp::from_second(bench.clock.seconds()).ok(),
    };
    let instance = bench.record().instance().to_owned();
    maintenance::switch_on(&bench.place("site/ON"), None, &flag, &instance).unwrap();
}

/// Does by hand what a line says. A container is named by its service, or by its own name after
/// `=`; `load` loads the state of the scenario, for passes that a line asks for.
pub(crate) fn apply(
    bench: &mut Bench,
    line: &str,
    load: &dyn Fn(&Bench) -> Result<DesiredState, Diagnostics>,
) {
    let words = shell_words::split(line).unwrap();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Passes.
        ["pass"] => drop(bench.pass(&load(bench).unwrap()).unwrap()),
        ["pass", "killed", "before", call] => kill(bench, call, load, Faults::kill_before),
        ["pass", "killed", "after", call] if call.parse::<usize>().is_ok() => {
            kill(bench, call, load, Faults::kill_after);
        }
        ["pass", "killed", "after", call @ ..] => kill_after(bench, &call.join(" "), load),
        ["pass", "with", rest @ ..] => {
            bench.engine.faults(Faults::fail_on(&rest.join(" ")));
            drop(bench.pass(&load(bench).unwrap()).unwrap());
            bench.engine.faults(Faults::none());
        }
        ["an-hour-goes-by"] => bench.clock.advance(3600),
        ["suspend", reason] => suspend(bench, reason, None),
        ["suspend", reason, minutes] => suspend(bench, reason, Some(minutes)),
        ["retry"] => {
            let stack = "shop".to_owned().try_into().unwrap();
            let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
            assert!(bench.record().forgive(&stack, now).unwrap());
        }
        // What a container does while nobody looks.
        ["goes-on", container] => {
            for _ in 0..5 {
                let engine = bench.engine.clone();
                drop(super::bench::run(async {
                    engine.container(container).await
                }));
            }
        }
        ["says", image, first, code] => {
            let place = format!("{image} {first}");
            says(&mut bench.engine.world(), &place, code.parse().unwrap());
        }
        ["ends", image, first, code] => {
            let end = End::code(code.parse().unwrap());
            let mut world = bench.engine.world();
            let place = ((*image).to_owned(), (*first).to_owned());
            world.jobs.get_mut(&place).unwrap().fate = Fate::Works { looks: 3, end };
        }
        ["maintenance-on", who, reason] => maintenance_on(bench, who, reason),
        ["touch-the-flag"] => super::put(bench.place("site/ON"), "somebody\n"),
        // Files.
        ["edit", path, text] => {
            let path = bench.project().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            super::put(path, text);
        }
        ["delete", path] => std::fs::remove_file(bench.project().join(path)).unwrap(),
        ["host-file", path, text] => {
            bench
                .host
                .0
                .insert(path.into(), format!("{text}\n").into_bytes());
        }
        ["put", path, text] => put(bench, path, text),
        ["take-away", path] => std::fs::remove_file(bench.place(path)).unwrap(),
        // The proxy.
        ["proxy", name] => foreign_proxy(bench, name, None),
        ["proxy", name, place] => foreign_proxy(bench, name, Some(place)),
        ["loads", marker] => bench.engine.world().load_by_hand(marker),
        // The engine.
        ["speaks", minor] => bench.engine.world().api_minor = Some(minor.parse().unwrap()),
        // Images.
        ["untag", image] => {
            let mut world = bench.engine.world();
            let untagged = world.images.remove(*image).unwrap();
            world.images.insert(untagged.0.id.clone(), untagged);
        }
        ["registry", "denies"] => bench.engine.world().registry.denies = true,
        ["registry", "down"] => bench.engine.world().registry.down = true,
        // Networks and volumes.
        ["make-network", name] => {
            let network = Network {
                name: (*name).to_owned(),
                driver: "bridge".to_owned(),
                ..Network::default()
            };
            bench.engine.world().make_network(&network).unwrap();
        }
        ["make-volume", name, options @ ..] => {
            let options = options.iter().filter_map(|option| option.split_once('='));
            let volume = Volume {
                name: (*name).to_owned(),
                driver: "local".to_owned(),
                options: options.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                ..Volume::default()
            };
            bench.engine.world().make_volume(&volume).unwrap();
        }
        ["remove-network", name] => {
            bench.engine.world().networks.remove(*name).unwrap();
        }
        ["run", name, image, "published", port] => foreign(bench, name, image, &[], Some(port)),
        ["run", name, image] => foreign(bench, name, image, &[], None),
        ["run-of-other-instance", name, image] => {
            let labels = [(labels::STACK, "shop"), (labels::INSTANCE, "other")];
            foreign(bench, name, image, &labels, None);
        }
        ["compose-up", words @ ..] => compose_up(bench, &load(bench).unwrap(), words),
        ["adopt"] => bench.adopt(&load(bench).unwrap()),
        [verb, container, rest @ ..] => on_container(bench, verb, container, rest),
        _ => panic!("what is {line:?}?"),
    }
}

fn kill(
    bench: &Bench,
    call: &str,
    load: &dyn Fn(&Bench) -> Result<DesiredState, Diagnostics>,
    fault: fn(usize) -> Faults,
) {
    bench.engine.faults(fault(call.parse().unwrap()));
    let passed = bench.pass_or_die(&load(bench).unwrap());
    assert!(passed.is_none(), "the pass is over before call {call}");
    bench.engine.faults(Faults::none());
}

/// Kills the pass after the first call of this line.
fn kill_after(
    bench: &Bench,
    line: &str,
    load: &dyn Fn(&Bench) -> Result<DesiredState, Diagnostics>,
) {
    bench.engine.faults(Faults::kill_after_line(line));
    let passed = bench.pass_or_die(&load(bench).unwrap());
    assert!(passed.is_none(), "the pass is over without {line:?}");
    bench.engine.faults(Faults::none());
}

/// Writes a file of the host.
fn put(bench: &Bench, path: &str, text: &str) {
    let path = bench.place(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    super::put(path, text);
}

fn on_container(bench: &Bench, verb: &str, container: &str, rest: &[&str]) {
    let mut world = bench.engine.world();
    let name = match container.strip_prefix('=') {
        Some(name) => name.to_owned(),
        None => format!("shop-{container}-1"),
    };
    match (verb, rest) {
        ("stop", []) => return world.stop(&name),
        ("end", []) => return world.end(&name),
        ("remove", []) => return world.remove(&name),
        ("rename", [to]) => return world.rename(&name, to).unwrap(),
        // What a container sees in the place of a file of the host.
        ("sees", [path, text]) => {
            let place = (name, (*path).to_owned());
            world
                .files_in
                .insert(place, format!("{text}\n").into_bytes());
            return;
        }
        ("disconnect", [network]) => return world.disconnect(&name, network),
        ("connect", [network, aliases @ ..]) => {
            let place = Endpoint {
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                ..Endpoint::default()
            };
            return world.connect(&name, network, &place).unwrap();
        }
        _ => {}
    }
    let kept = world
        .find_mut(&name)
        .unwrap_or_else(|| panic!("there is no {name}"));
    let shown = &mut kept.shown;
    match (verb, rest) {
        ("end", [code]) => {
            shown.state = ContainerState::Exited {
                code: code.parse().unwrap(),
                oom_killed: false,
            }
        }
        ("kill-for-memory", []) => {
            shown.state = ContainerState::Exited {
                code: 137,
                oom_killed: true,
            }
        }
        ("pause", []) => shown.state = ContainerState::Paused,
        ("restart-again-and-again", []) => {
            kept.fate = Fate::Ends(End {
                code: 1,
                oom_killed: false,
            });
            shown.state = ContainerState::Restarting;
            shown.restart_count = 7;
        }
        ("sicken", []) => {
            kept.fate = Fate::Unhealthy { after: 0 };
            shown.health = Some(Health::Unhealthy);
        }
        ("recover-after", [looks]) => {
            kept.looks = 0;
            kept.fate = Fate::Runs {
                healthy_after: looks.parse().unwrap(),
            };
            shown.health = Some(Health::Starting);
        }
        ("set-env", [name, value]) => {
            let value = Some(Sensitive::new(*value));
            Arc::make_mut(&mut shown.spec)
                .env
                .insert((*name).to_owned(), value);
        }
        ("unset-env", [name]) => drop(Arc::make_mut(&mut shown.spec).env.remove(*name)),
        ("set-image", [image]) => {
            Arc::make_mut(&mut shown.spec).image = (*image).to_owned();
            shown.image_id = format!("sha256:{}", digest(image.as_bytes(), Mode::Plain));
        }
        ("set-memory", [bytes]) => {
            Arc::make_mut(&mut shown.spec).resources.memory = bytes.parse().unwrap();
        }
        ("set-restart", ["always"]) => Arc::make_mut(&mut shown.spec).restart = Restart::Always,
        _ => panic!("what is {verb} {rest:?}?"),
    }
}
