//! What a person asks for beside Git does not touch what Docker Compose runs either.

use moored::plan::{self, Context, Hold, Restoring, Schema, Weight};

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::foreign::compose_up;

#[test]
fn a_restore_waits_for_the_adoption_of_what_it_stops() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let manifest =
        "stack: shop\nbackups:\n  rows: {sqlite: /bench/data/app.db, to: /bench/backups}\n";
    let compose = "services:\n  app: {image: 'app:v1', volumes: ['/bench/data:/data']}\n  \
                   other: {image: 'app:v1'}\n";
    let files = Files::from([
        ("moored.yaml".to_owned(), manifest.into()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let desired = bench.load(&files, '1').unwrap();
    compose_up(&bench, &desired, &[]);
    let restore = || {
        let looked = bench.look(&desired);
        let (name, backup) = desired.backups.iter().next().unwrap();
        let record = bench.record();
        let context = Context {
            instance: record.instance(),
            key: &crate::support::bench::key(),
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
        plan::restore(&desired, &looked.observed, &looked.history, &context, &wish)
    };
    let held = restore();
    assert!(held.is_empty(), "{held}");
    assert_eq!(held.weight(), Some(Weight::Blocking), "{held}");
    let [Hold::NotAdopted { service, would, .. }] = held.holds.as_slice() else {
        panic!("{held}");
    };
    assert_eq!(
        (service.as_str(), would.join(" ")),
        ("app", "start stop".to_owned())
    );

    bench.adopt(&desired);
    let plan = restore();
    let verbs: Vec<&str> = plan.steps.iter().map(|step| step.action.verb()).collect();
    assert_eq!(verbs, ["stop", "restore", "start", "ready"], "{plan}");
    assert_eq!(plan.holds.len(), 0, "{plan}");
}
