//! What runs and waits, on the engine in memory.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::StepError;
use super::await_service::Wait;
use super::soak::soak;
use crate::desired::ServiceName;
use crate::engine::WriteEngine as _;
use crate::engine::model::{ContainerSpec, ContainerState, Healthcheck, Image, Restart};
use crate::labels;
use crate::plan::Await;

mod jobs;

#[path = "../../../tests/it/support/fake_engine/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests of whole passes need more of it"
)]
mod fake_engine;

use fake_engine::{End, FakeEngine, Fate, Faults, Said};

const SECOND: Duration = Duration::from_secs(1);

/// A host with the image `app`, whose containers run, and `ill`, whose check says nothing.
fn host() -> FakeEngine {
    let engine = FakeEngine::default();
    let healthcheck = Some(Healthcheck {
        test: words("CMD check"),
        interval: 30_000_000_000,
        ..Healthcheck::default()
    });
    let stock = |reference: &str, healthcheck: Option<Healthcheck>, fate: Fate| {
        let image = Image {
            id: format!("sha256:{reference}"),
            healthcheck,
            ..Image::default()
        };
        let images = &mut engine.world().images;
        assert!(images.insert(reference.to_owned(), (image, fate)).is_none());
    };
    stock("app", None, Fate::Runs { healthy_after: 0 });
    stock("silent", healthcheck.clone(), Fate::Silent);
    stock("ill", healthcheck, Fate::Unhealthy { after: 50 });
    engine
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn spec(image: &str, command: &str) -> ContainerSpec {
    let labels = [
        (labels::INSTANCE, "i"),
        (labels::STACK, "shop"),
        (labels::SERVICE, "web"),
        (labels::JOB, "migrate-1"),
    ];
    ContainerSpec {
        image: image.to_owned(),
        command: Some(words(command)),
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        network_mode: "bridge".to_owned(),
        restart: Restart::Always,
        ..ContainerSpec::default()
    }
}

fn service(name: &str) -> ServiceName {
    name.to_owned().try_into().unwrap()
}

/// Somebody who never gives up.
fn patient() -> watch::Receiver<bool> {
    // One whose sender is gone counts as given up.
    Box::leak(Box::new(watch::channel(false).0)).subscribe()
}

fn impatient() -> watch::Receiver<bool> {
    Box::leak(Box::new(watch::channel(true).0)).subscribe()
}

fn nobody(_: String) {}

fn calls(engine: &FakeEngine) -> Vec<String> {
    let world = engine.world();
    world.calls.iter().map(|call| call.line.clone()).collect()
}

// --- readiness ---

async fn up(engine: &FakeEngine, image: &str) {
    engine
        .create_container("web", &spec(image, "serve"))
        .await
        .unwrap();
    engine.start_container("web").await.unwrap();
}

async fn wait(engine: &FakeEngine, until: Await) -> Result<(), StepError> {
    let wait = Wait {
        service: &service("web"),
        container: "web",
        until,
        within: 60 * SECOND,
    };
    wait.run(engine, patient(), &nobody).await
}

fn says(engine: &FakeEngine, code: i64, hangs: bool) {
    let said = Said {
        code,
        hangs,
        ..Said::default()
    };
    engine.world().says("web", "check", said);
}

fn tries(engine: &FakeEngine) -> usize {
    let lines = calls(engine);
    lines.iter().filter(|line| line.starts_with("exec")).count()
}

const HEALTHY: Await = Await::Healthy {
    soak: Duration::ZERO,
};

/// A process that is healthy for a moment, ends, and is started again, over and over.
#[tokio::test(start_paused = true)]
async fn one_healthy_moment_is_not_enough() {
    let engine = host();
    up(&engine, "silent").await;
    says(&engine, 0, false);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        engine.world().find_mut("web").unwrap().restart_count = 1;
    };
    let until = Await::Healthy { soak: SECOND };
    let (answer, ()) = tokio::join!(wait(&engine, until), ends);
    let said = answer.unwrap_err().to_string();
    assert!(said.contains("it ended and was started again"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_try_of_our_own_is_faster_than_the_engine() {
    for (soak, within) in [(Duration::ZERO, SECOND), (SECOND, 2 * SECOND)] {
        let engine = host();
        up(&engine, "silent").await;
        says(&engine, 1, false);
        let began = Instant::now();
        let ready = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            says(&engine, 0, false);
        };
        let (answer, ()) = tokio::join!(wait(&engine, Await::Healthy { soak }), ready);
        answer.unwrap();
        let took = began.elapsed();
        assert!((soak..within).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_fails_is_no_verdict() {
    let engine = host();
    up(&engine, "silent").await;
    says(&engine, 1, false);
    let error = wait(&engine, HEALTHY).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("not passed yet after 1m"), "{said}");
    // 0.1, 0.2, 0.4, 0.8, 1.6 s apart, then 2 s.
    let tries = tries(&engine);
    assert!((25..40).contains(&tries), "{tries}");

    let engine = host();
    up(&engine, "ill").await;
    says(&engine, 1, false);
    let error = wait(&engine, HEALTHY).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("its health check fails"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_is_the_only_one_and_stops_nothing_else() {
    let engine = host();
    up(&engine, "ill").await;
    says(&engine, 0, true);
    let error = wait(&engine, HEALTHY).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("its health check fails"), "{said}");
    assert_eq!(tries(&engine), 1);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_run_the_engine_is_waited_for() {
    let engine = host();
    up(&engine, "silent").await;
    says(&engine, 1, false);
    engine.faults(Faults::fail_on("exec"));
    let heals = async {
        tokio::time::sleep(20 * SECOND).await;
        engine.world().find_mut("web").unwrap().fate = Fate::Runs { healthy_after: 0 };
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(wait(&engine, HEALTHY), heals);
    answer.unwrap();
    assert!(began.elapsed() >= 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_service_without_memory_is_said_to_be_without_memory() {
    let end = End {
        code: 137,
        oom_killed: true,
    };
    for (restart, expected) in [
        (
            Restart::No,
            "web is not up: it was killed for lack of memory",
        ),
        (
            Restart::Always,
            "web is not up: it was killed for lack of memory and was started again by the engine",
        ),
    ] {
        let engine = host();
        let spec = ContainerSpec {
            restart,
            ..spec("app", "serve")
        };
        let fate = Fate::Ends(end.clone());
        engine.world().job("app", "serve", fate, "");
        engine.create_container("web", &spec).await.unwrap();
        engine.start_container("web").await.unwrap();
        let error = wait(&engine, Await::Running { soak: SECOND }).await;
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}

// --- soak ---

async fn watched(engine: &FakeEngine) -> Result<(), StepError> {
    let containers = [(service("web"), "web".to_owned())];
    soak(engine, &containers, 20 * SECOND, patient(), &nobody).await
}

/// Watches while something happens after 5 seconds.
async fn watched_while(engine: &FakeEngine, happens: impl FnOnce()) -> String {
    let later = async {
        tokio::time::sleep(5 * SECOND).await;
        happens();
    };
    let (answer, ()) = tokio::join!(watched(engine), later);
    answer.map_or_else(|error| error.to_string(), |()| "it stayed".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_stays_up_is_watched_to_the_end() {
    let engine = host();
    up(&engine, "silent").await;
    let began = Instant::now();
    assert_eq!(watched_while(&engine, || {}).await, "it stayed");
    assert!(began.elapsed() >= 20 * SECOND && began.elapsed() < 21 * SECOND);
    let none = soak(&engine, &[], 20 * SECOND, patient(), &nobody).await;
    none.unwrap();
}

type ByHand = fn(&FakeEngine);

#[tokio::test(start_paused = true)]
async fn what_does_not_stay_up_is_no_success() {
    let by_hand: [(&str, ByHand); 6] = [
        ("its container is gone", |engine: &FakeEngine| {
            engine.world().remove("web");
        }),
        ("it is exited (0)", |engine: &FakeEngine| {
            engine.world().stop("web");
        }),
        ("it ended and was started again", |engine: &FakeEngine| {
            engine.world().find_mut("web").unwrap().shown.restart_count += 1;
        }),
        ("it ended and was started again", |engine: &FakeEngine| {
            engine.world().find_mut("web").unwrap().shown.started_at = "later".to_owned();
        }),
        ("its health check fails", |engine: &FakeEngine| {
            engine.world().find_mut("web").unwrap().fate = Fate::Unhealthy { after: 0 };
        }),
        (
            "it was killed for lack of memory and started again",
            |engine: &FakeEngine| {
                let mut world = engine.world();
                let shown = &mut world.find_mut("web").unwrap().shown;
                shown.oom_killed = true;
                shown.state = ContainerState::Restarting;
            },
        ),
    ];
    for (expected, happens) in by_hand {
        let engine = host();
        up(&engine, "silent").await;
        let said = watched_while(&engine, || happens(&engine)).await;
        assert_eq!(said, format!("web is not up: {expected}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_may_end_while_it_is_watched() {
    for (code, expected) in [(0, "it stayed"), (1, "web is not up: it is exited (1)")] {
        let engine = host();
        let fate = Fate::Works {
            looks: 9,
            end: End::code(code),
        };
        engine.world().job("app", "serve", fate, "");
        let job = ContainerSpec {
            restart: Restart::No,
            ..spec("app", "serve")
        };
        engine.create_container("web", &job).await.unwrap();
        engine.start_container("web").await.unwrap();
        assert_eq!(watched_while(&engine, || {}).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn watching_can_be_given_up() {
    let engine = host();
    up(&engine, "silent").await;
    let containers = [(service("web"), "web".to_owned())];
    let answer = soak(&engine, &containers, 20 * SECOND, impatient(), &nobody).await;
    assert!(matches!(answer, Err(StepError::GivenUp)));
}
