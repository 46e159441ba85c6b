//! What a killed pass owed is done, whatever comes in between; and what a person asks for beside Git
//! goes with the release that runs.

use moored::desired::DesiredState;
use moored::engine::model::CopiedFile;
use moored::execute;
use moored::journal::Outcome;
use moored::plan::{self, Action, Context, Plan, Restoring, Schema};
use moored::secret::Sensitive;
use tokio::sync::watch;

use crate::support::bench::{Bench, Files, key, run};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::Faults;
use crate::support::hooks::hook;

const MANIFEST: &str = "stack: shop\njobs:\n  tidy: {service: db, run: [tidy], when: by_hand}\n\
    backups:\n  rows: {sqlite: /bench/data/app.db, to: /bench/backups}\n";

/// A stack in which `web` and `api` are restarted with `db`.
fn stack(bench: &Bench, db: &str, more: &str, digit: char) -> DesiredState {
    let after = "depends_on: {db: {condition: service_started, restart: true}}";
    let compose = format!(
        "services:\n  db: {{image: '{db}'}}\n  web: {{image: app:v1, {after}}}\n  \
         api: {{image: app:v1, {after}}}\n{more}"
    );
    let files = Files::from([
        ("moored.yaml".to_owned(), MANIFEST.into()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    bench.load(&files, digit).unwrap()
}

/// A host where a pass was killed when `db` was another one, before anybody was restarted for it.
fn killed() -> (Bench, DesiredState) {
    let bench = Bench::new();
    let stock = "jobs: {'app:v2 tidy': {}}";
    let stock: HostYaml = serde_yaml::from_str(stock).unwrap();
    stock.stock(&bench);
    let passed = bench.pass(&stack(&bench, "app:v1", "", '1')).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let desired = stack(&bench, "app:v2", "", '2');
    let line = "start_container shop-db-1";
    bench.engine.faults(Faults::kill_after_line(line));
    assert!(bench.pass_or_die(&desired).is_none());
    bench.engine.faults(Faults::none());
    (bench, desired)
}

fn restarts(plan: &Plan) -> Vec<String> {
    let restarts = plan.steps.iter().filter_map(|step| {
        let Action::Restart { service, .. } = &step.action else {
            return None;
        };
        Some(service.to_string())
    });
    restarts.collect()
}

/// Does what a person asks for, as a process of its own.
fn by_hand(
    bench: &Bench,
    desired: &DesiredState,
    planned: impl FnOnce(&moored::pass::Looked, &Context<'_>) -> Plan,
) -> Outcome {
    let record = bench.record();
    let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
    record.end_interrupted(&desired.stack, now).unwrap();
    let looked = bench.look(desired);
    let key = key();
    let context = Context {
        instance: record.instance(),
        key: &key,
        now: bench.clock.seconds(),
        policy: &bench.policy(),
    };
    let plan = planned(&looked, &context);
    let (_keep, stop) = watch::channel(false);
    run(execute::execute(&plan, &bench.hands(stop))).unwrap()
}

/// Plans that the backup of a stack is put back.
fn restore(bench: &Bench, desired: &DesiredState) -> Plan {
    let looked = bench.look(desired);
    let (name, backup) = desired.backups.iter().next().unwrap();
    let record = bench.record();
    let context = Context {
        instance: record.instance(),
        key: &key(),
        now: bench.clock.seconds(),
        policy: &bench.policy(),
    };
    let wish = Restoring {
        name,
        backup,
        file: "rows.db",
        schema: Schema::default(),
        safety: false,
    };
    plan::restore(desired, &looked.observed, &looked.history, &context, &wish)
}

#[test]
fn a_command_by_hand_does_not_take_away_what_is_owed() {
    let (bench, desired) = killed();
    let ended = by_hand(&bench, &desired, |looked, context| {
        let (observed, history) = (&looked.observed, &looked.history);
        plan::run_job(&desired, observed, history, context, "tidy").unwrap()
    });
    assert_eq!(ended, Outcome::Succeeded);
    let plan = bench.look(&desired).plan;
    assert_eq!(restarts(&plan), ["api", "web"], "{plan}");
    bench.pass(&desired).unwrap();
    let plan = bench.look(&desired).plan;
    assert!(plan.is_empty(), "{plan}");
}

#[test]
fn an_attempt_that_fails_before_it_gets_there_owes_it_still() {
    let (bench, desired) = killed();
    let more = "networks: {default: {}, back: {}}\n";
    let other = "  new: {image: app:v1, networks: [back]}\n".to_owned() + more;
    let other = stack(&bench, "app:v2", &other, '3');
    bench.engine.faults(Faults::fail_on("create_network"));
    let passed = bench.pass(&other).unwrap();
    bench.engine.faults(Faults::none());
    let plan = &passed.looked.plan;
    assert_eq!(restarts(plan), ["api", "web"], "{plan}");
    let failed = matches!(
        passed.outcome,
        Some(Outcome::Failed { .. } | Outcome::RolledBack { .. })
    );
    assert!(failed, "{:?}", passed.outcome);
    let plan = bench.look(&desired).plan;
    assert_eq!(restarts(&plan), ["api", "web"], "{plan}");
    bench.pass(&desired).unwrap();
    let plan = bench.look(&desired).plan;
    assert!(plan.is_empty(), "{plan}");
}

#[test]
fn a_restore_starts_who_joins_another_after_that_one() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let data = "volumes: ['/bench/data:/data']";
    let compose = format!(
        "services:\n  app: {{image: app:v1, network_mode: 'service:vpn', {data}}}\n  \
         db: {{image: app:v1}}\n  vpn: {{image: app:v1, {data}}}\n"
    );
    let files = Files::from([
        ("moored.yaml".to_owned(), MANIFEST.into()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let desired = bench.load(&files, '1').unwrap();
    let passed = bench.pass(&desired).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let plan = restore(&bench, &desired);
    let turns = plan.steps.iter().filter(|step| {
        let verb = step.action.verb();
        verb == "stop" || verb == "start"
    });
    let turns = turns.map(|step| {
        let (verb, subject) = (step.action.verb(), step.action.subject());
        format!("{} {verb} {subject} {:?}", step.number, step.after)
    });
    // Taken back, the one that was stopped last is started first.
    assert_eq!(
        turns.collect::<Vec<_>>(),
        [
            "1 stop app []",
            "2 stop vpn []",
            "4 start vpn [3]",
            "5 start app [4]"
        ],
        "{plan}"
    );
}

#[test]
fn a_restore_goes_with_the_release_that_runs() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let said = |digit: char, word: &str| {
        let mut desired = stack(&bench, "app:v1", "", digit);
        let file = CopiedFile {
            content: Sensitive::new(word),
            uid: 0,
            gid: 0,
            mode: 0o444,
        };
        let web = "web".to_owned().try_into().unwrap();
        let service = desired.services.get_mut(&web).unwrap();
        service.spec.copied.insert("/run/settings".to_owned(), file);
        service.post_start = vec![hook(&[word])];
        desired
    };
    let first = said('1', "one");
    let passed = bench.pass(&first).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let around = |desired: &DesiredState| {
        let plan = restore(&bench, desired);
        let around = plan.around.values().map(|one| {
            let commands = one.post_start.iter().flat_map(|hook| hook.command.clone());
            (one.files.len(), commands.collect::<Vec<_>>().join(" "))
        });
        around.collect::<Vec<_>>()
    };
    assert_eq!(around(&first), [(1, "one".to_owned())]);
    // Those of another revision, which is held, are not for its containers.
    assert_eq!(around(&said('2', "two")), []);
}

#[test]
fn a_restore_stops_the_containers_beyond_the_number_too() {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("{}").unwrap();
    stock.stock(&bench);
    let load = |web: u32, idle: u32, digit: char| {
        let service = |image: &str, replicas: u32| {
            format!(
                "{{image: '{image}', volumes: ['/bench/data:/data'], \
                 deploy: {{replicas: {replicas}}}}}"
            )
        };
        let compose = format!(
            "services:\n  web: {}\n  idle: {}\n  other: {{image: app:v1, deploy: {{replicas: {web}}}}}\n",
            service("app:v1", web),
            service("app:v2", idle)
        );
        let manifest = "stack: shop\n\
            backups:\n  rows: {sqlite: /bench/data/app.db, to: /bench/backups}\n";
        let files = Files::from([
            ("moored.yaml".to_owned(), manifest.into()),
            ("compose.yaml".to_owned(), compose.into_bytes()),
        ]);
        bench.load(&files, digit).unwrap()
    };
    let passed = bench.pass(&load(3, 1, '1')).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let plan = restore(&bench, &load(1, 0, '2'));
    let mut stopped = Vec::new();
    for step in &plan.steps {
        if let Action::Stop { container, .. } = &step.action {
            stopped.push(container.name.clone());
        }
    }
    stopped.sort();
    let writers = ["shop-idle-1", "shop-web-1", "shop-web-2", "shop-web-3"];
    assert_eq!(stopped, writers, "{plan}");
    let data = plan
        .steps
        .iter()
        .find(|step| step.action.verb() == "restore");
    let stops = plan
        .steps
        .iter()
        .filter(|step| step.action.verb() == "stop");
    let after = &data.unwrap().after;
    assert!(
        stops
            .map(|step| step.number)
            .all(|stop| after.contains(&stop)),
        "{plan}"
    );
}
