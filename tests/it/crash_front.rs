//! The same as in `crash` for what stands in front: a commit of the proxy's configuration alone,
//! a blue-green service with a new image, both at once, and a service that is stopped and started
//! behind a proxy.
//!
//! However a story is disturbed, it ends with the old release serving or with the new one, the
//! proxy answers with the release that is recorded, nothing half made is left, and, where that is
//! promised, visitors met nobody at no moment.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use moored::desired::DesiredState;
use moored::journal::Outcome;
use moored::plan::Hold;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::{Fate, Faults, Said};

/// What a commit changes, and what comes of it.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    strategy: &'static str,
    /// Images of the service `web`.
    images: [&'static str; 2],
    /// A line of the proxy's configuration.
    lines: [&'static str; 2],
    /// Whether the new release can't be: it ends with the old one.
    fails: bool,
    /// Whether visitors meet somebody all the time.
    seamless: bool,
}

const BLUE_GREEN: &str = "strategy: {web: {kind: blue-green, drain: 2s}}\n";

const STORIES: [Story; 8] = [
    Story {
        name: "a configuration",
        strategy: "",
        images: ["app:v1", "app:v1"],
        lines: ["", "gzip on;"],
        fails: false,
        seamless: true,
    },
    Story {
        name: "a configuration that is not applied",
        strategy: "",
        images: ["app:v1", "app:v1"],
        lines: ["", "# taken"],
        fails: true,
        seamless: true,
    },
    Story {
        name: "blue-green",
        strategy: BLUE_GREEN,
        images: ["slow:v1", "slow:v2"],
        lines: ["", ""],
        fails: false,
        seamless: true,
    },
    Story {
        name: "blue-green with a configuration",
        strategy: BLUE_GREEN,
        images: ["app:v1", "slow:v2"],
        lines: ["", "gzip on;"],
        fails: false,
        seamless: true,
    },
    Story {
        name: "blue-green, never ready",
        strategy: BLUE_GREEN,
        images: ["app:v1", "sick:v2"],
        lines: ["", ""],
        fails: true,
        seamless: true,
    },
    Story {
        name: "blue-green, not applied",
        strategy: BLUE_GREEN,
        images: ["app:v1", "slow:v2"],
        lines: ["", "# taken"],
        fails: true,
        seamless: true,
    },
    Story {
        name: "blue-green, a failed smoke test",
        strategy: BLUE_GREEN,
        images: ["app:v1", "wrong:v2"],
        lines: ["", ""],
        fails: true,
        seamless: true,
    },
    Story {
        name: "stopped and started behind it",
        strategy: "",
        images: ["app:v1", "slow:v2"],
        lines: ["", "gzip on;"],
        fails: false,
        seamless: false,
    },
];

/// How a story ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Old,
    New,
}

impl Story {
    fn load(&self, bench: &Bench, new: bool, digit: char) -> DesiredState {
        let at = usize::from(new);
        let (image, line) = (self.images[at], self.lines[at]);
        let strategy = self.strategy;
        let texts = [
            (
                "moored.yaml",
                format!(
                    "stack: shop
proxy:
  nginx:
    service: front
    configs: {{nginx/site.conf: /etc/nginx/conf.d/site.conf}}
    marker: http://FRONT/__moored
smoke: [{{exec: [smoke], service: web, timeout: 2s}}]
{strategy}"
                ),
            ),
            (
                "compose.yaml",
                format!(
                    "services:
  web: {{image: '{image}'}}
  front: {{image: 'nginx:v1', volumes: ['./nginx:/etc/nginx/conf.d:ro']}}
"
                ),
            ),
            (
                "nginx/site.conf",
                format!(
                    "upstream web {{
  server @moored.web:80@;
}}
server {{
  {line}
  location = /__moored {{ return 200 \"@moored.marker@\"; }}
}}
"
                ),
            ),
        ];
        let files: Files = texts
            .map(|(path, text)| (path.to_owned(), text.into_bytes()))
            .into();
        bench.load(&files, digit).unwrap()
    }

    fn after(&self, bench: &Bench) -> DesiredState {
        self.load(bench, true, '2')
    }

    /// A host with the release before.
    fn host(&self) -> Bench {
        let bench = Bench::new();
        let stock: HostYaml = serde_yaml::from_str(
            "images: {'slow:v1': {health: healthy after 3}, 'slow:v2': {health: healthy after 3}, 'sick:v2': {health: unhealthy}, 'wrong:v2': {}}",
        )
        .unwrap();
        stock.stock(&bench);
        let wrong = Said {
            code: 1,
            ..Said::default()
        };
        bench.engine.world().says("wrong:v2", "smoke", wrong);
        let passed = bench.pass(&self.load(&bench, false, '1')).unwrap();
        assert_eq!(passed.outcome, Some(Outcome::Succeeded));
        bench.clock.advance(3600);
        let mut world = bench.engine.world();
        world.calls.clear();
        world.gaps.clear();
        drop(world);
        bench
    }
}

/// Passes until there is nothing to do.
///
/// Where even the way back failed, a person looks at the host and says that it is well.
fn settle(bench: &Bench, desired: &DesiredState, case: &str) {
    bench.engine.faults(Faults::none());
    bench.clock.kill_in(0);
    let mut last = String::new();
    for _ in 0..5 {
        let plan = bench.pass(desired).unwrap().looked.plan;
        let stuck = plan
            .holds
            .iter()
            .any(|hold| matches!(hold, Hold::Stuck { .. }));
        if stuck {
            assert!(case.contains("failed call"), "{case}: {plan}");
            forgive(bench, desired);
        } else if plan.is_empty() {
            return;
        }
        last = plan.to_string();
    }
    panic!("{case}: still at it:\n{last}");
}

fn forgive(bench: &Bench, desired: &DesiredState) {
    let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
    assert!(bench.record().forgive(&desired.stack, now).unwrap());
}

/// Checks what must hold wherever everything is settled, and says how it ended.
fn check(bench: &Bench, story: &Story, desired: &DesiredState, case: &str) -> End {
    let plan = bench.look(desired).plan;
    assert!(plan.is_empty(), "{case}: the second plan:\n{plan}");
    let record = bench.record();
    for attempt in record.attempts(&desired.stack, 100).unwrap() {
        let ended = attempt.status.outcome.is_some();
        assert!(ended, "{case}: attempt {} is open", attempt.number);
    }
    let world = bench.engine.world();
    if story.seamless {
        assert_eq!(world.gaps, Vec::<String>::new(), "{case}");
    }
    let containers: BTreeSet<String> = world
        .containers
        .values()
        .map(|kept| {
            format!(
                "{} {} {}",
                kept.shown.name, kept.shown.spec.image, kept.shown.state
            )
        })
        .collect();
    let serves = |image: &str| {
        let all = [
            format!("shop-web-1 {image} running"),
            "shop-front-1 nginx:v1 running".to_owned(),
        ];
        containers == all.into()
    };
    let fronts = world.fronts().join("\n");
    assert!(fronts.ends_with(":80 is shop-web-1"), "{case}: {fronts}");
    let released = record.last_release(&desired.stack).unwrap().unwrap();
    let recorded = released.proxy.unwrap().marker;
    assert_eq!(
        world.marker(),
        Some(recorded.as_str()),
        "{case}: what is loaded"
    );
    let conf = std::fs::read_to_string(bench.project().join("nginx/site.conf")).unwrap();
    assert!(
        conf.contains(&recorded),
        "{case}: what would be loaded: {conf}"
    );
    let is_new = released.id.revision.as_str().starts_with('2');
    let [before, after] = story.images;
    let changes = story.lines[0] != story.lines[1];
    let line = |at: usize| {
        !changes || (story.lines[1].is_empty() || conf.contains(story.lines[1])) == (at == 1)
    };
    if serves(after) && is_new && line(1) {
        return End::New;
    }
    assert!(
        serves(before) && !is_new && line(0),
        "{case}: neither old nor new: new {is_new}, {containers:?}, {conf}\n{plan}"
    );
    let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { .. });
    assert!(plan.holds.iter().any(failed), "{case}: not held:\n{plan}");
    End::Old
}

/// How long an undisturbed story takes, in looks at the clock and in calls.
fn undisturbed(story: &Story) -> (i64, usize) {
    let bench = story.host();
    let desired = story.after(&bench);
    let began = bench.clock.seconds();
    bench.pass(&desired).unwrap();
    let length = (
        bench.clock.seconds() - began,
        bench.engine.world().calls.len(),
    );
    settle(&bench, &desired, story.name);
    let end = check(&bench, story, &desired, story.name);
    assert_eq!(end == End::Old, story.fails, "{}", story.name);
    length
}

/// How a disturbed story goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// With the same commit.
    Same,
    /// With a revert.
    Reverted,
    /// With the next commit, which is the old one but for its line.
    Moved,
}

fn disturbed(case: &str, story: &Story, then: Then, disturb: impl Fn(&Bench)) {
    let bench = story.host();
    disturb(&bench);
    drop(bench.pass_or_die(&story.after(&bench)));
    match then {
        Then::Same => {
            let desired = story.after(&bench);
            settle(&bench, &desired, case);
            let end = check(&bench, story, &desired, case);
            if end == End::Old {
                try_again(&bench, story, case);
            }
        }
        Then::Reverted => {
            let desired = story.load(&bench, false, '3');
            settle(&bench, &desired, case);
            ends_at(&bench, story, &desired, [story.images[0], ""], case);
        }
        Then::Moved => {
            let [before, after] = story.images;
            let next = if before == after { after } else { "app:v3" };
            let moved = Story {
                images: [before, next],
                lines: [story.lines[0], "gzip off;"],
                ..*story
            };
            let desired = moved.load(&bench, true, '3');
            settle(&bench, &desired, case);
            ends_at(&bench, &moved, &desired, [next, "gzip off;"], case);
        }
    }
}

/// Checks that a host has ended at a commit that can be.
fn ends_at(bench: &Bench, story: &Story, desired: &DesiredState, is: [&str; 2], case: &str) {
    let [image, line] = is;
    let released = bench
        .record()
        .last_release(&desired.stack)
        .unwrap()
        .unwrap();
    let here = released.id.revision == desired.commit.revision
        // A revert of what never became a release may find nothing to do.
        || released.id.revision.as_str().starts_with('1');
    assert!(here, "{case}: {}", released.id);
    let plan = bench.look(desired).plan;
    assert!(plan.is_empty() && plan.holds.is_empty(), "{case}:\n{plan}");
    let world = bench.engine.world();
    let web = world.find("shop-web-1").unwrap();
    assert_eq!(web.shown.spec.image, image, "{case}");
    assert_eq!(world.containers.len(), 2, "{case}");
    if story.seamless {
        assert_eq!(world.gaps, Vec::<String>::new(), "{case}");
    }
    let fronts = world.fronts().join("\n");
    assert!(fronts.ends_with(":80 is shop-web-1"), "{case}: {fronts}");
    let recorded = released.proxy.unwrap().marker;
    assert_eq!(
        world.marker(),
        Some(recorded.as_str()),
        "{case}: what is loaded"
    );
    let conf = std::fs::read_to_string(bench.project().join("nginx/site.conf")).unwrap();
    assert!(
        conf.contains(&recorded) && conf.contains(line),
        "{case}: {conf}"
    );
}

/// Whatever was in the way is mended, and a person asks for another try.
fn try_again(bench: &Bench, story: &Story, case: &str) {
    let case = format!("{case}, tried again");
    if story.lines[1].contains("taken") {
        return;
    }
    let mut world = bench.engine.world();
    world.said.clear();
    for (_, fate) in world.images.values_mut() {
        *fate = Fate::Runs { healthy_after: 0 };
    }
    drop(world);
    let desired = story.after(bench);
    forgive(bench, &desired);
    settle(bench, &desired, &case);
    assert_eq!(check(bench, story, &desired, &case), End::New, "{case}");
}

/// Runs all cases and shows all that goes wrong.
#[derive(Default)]
struct Wrongs(Vec<String>);

impl Wrongs {
    fn run(&mut self, case: &str, run: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
            self.0.push(format!("{case}: {}", text.unwrap_or_default()));
        }
    }

    fn none(self) {
        let count = self.0.len();
        assert!(count == 0, "{count} wrongs:\n{}", self.0.join("\n---\n"));
    }
}

impl Story {
    fn goes_on(&self) -> &'static [Then] {
        match self.name {
            "a configuration" | "blue-green" => &[Then::Same, Then::Reverted, Then::Moved],
            _ => &[Then::Same],
        }
    }
}

#[test]
fn killed_between_any_two_journal_entries() {
    let mut wrongs = Wrongs::default();
    for story in &STORIES {
        let (ticks, _) = undisturbed(story);
        for n in 1..=ticks {
            for &then in story.goes_on() {
                let case = format!("{}, killed at look {n} at the clock, {then:?}", story.name);
                wrongs.run(&case, || {
                    disturbed(&case, story, then, |bench| bench.clock.kill_in(n));
                });
            }
        }
    }
    wrongs.none();
}

#[test]
fn killed_before_and_after_every_call() {
    every_call(&[
        ("killed before", Faults::kill_before as fn(usize) -> Faults),
        ("killed after", Faults::kill_after),
    ]);
}

#[test]
fn the_engine_goes_away_after_every_call_or_its_answer_is_lost() {
    every_call(&[
        ("cut after", Faults::die_after_call as fn(usize) -> Faults),
        ("lost the answer of", Faults::lose_answer),
    ]);
}

#[test]
fn every_call_fails_once() {
    every_call(&[("failed", Faults::fail_call as fn(usize) -> Faults)]);
}

/// How a call is disturbed.
type Fault = (&'static str, fn(usize) -> Faults);

fn every_call(faults: &[Fault]) {
    let mut wrongs = Wrongs::default();
    for story in &STORIES {
        let (_, calls) = undisturbed(story);
        for n in 1..=calls {
            for (word, fault) in faults {
                for &then in story.goes_on() {
                    let case = format!("{}, {word} call {n}, {then:?}", story.name);
                    wrongs.run(&case, || {
                        disturbed(&case, story, then, |bench| bench.engine.faults(fault(n)));
                    });
                }
            }
        }
    }
    wrongs.none();
}
