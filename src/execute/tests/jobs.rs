//! One-off containers on the engine in memory.

use std::sync::Mutex;

use super::*;
use crate::engine::EngineError;
use crate::execute::one_off::{self, Ended, OneOff, OneOffError};

async fn run_job(
    engine: &FakeEngine,
    given_up: watch::Receiver<bool>,
) -> Result<Ended, OneOffError> {
    run_for(engine, 10 * SECOND, given_up).await
}

async fn run_for(
    engine: &FakeEngine,
    within: Duration,
    given_up: watch::Receiver<bool>,
) -> Result<Ended, OneOffError> {
    let spec = spec("app", "migrate deploy");
    let one = OneOff {
        name: "job",
        spec: &spec,
        within,
    };
    one_off::run(engine, &one, given_up, &nobody).await
}

fn works(engine: &FakeEngine, looks: usize, code: i64) {
    let fate = Fate::Works {
        looks,
        end: End::code(code),
    };
    engine.world().job("app", "migrate", fate, "one\ntwo\n");
}

fn ended(code: i64) -> Ended {
    Ended {
        code,
        oom_killed: false,
        output: "one\ntwo\n".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_once_and_tells_its_code_and_output() {
    let engine = host();
    works(&engine, 5, 3);
    assert_eq!(run_job(&engine, patient()).await.unwrap(), ended(3));
    // The next process finds it there and does not run it again.
    assert_eq!(run_job(&engine, patient()).await.unwrap(), ended(3));
    assert_eq!(
        calls(&engine),
        ["create_container job", "start_container job"]
    );
    let spec = spec("app", "migrate deploy");
    for _ in 0..2 {
        one_off::remove(&engine, "job", &spec).await.unwrap();
    }
    assert!(engine.world().find("job").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_made_or_started_before_is_taken_over() {
    let engine = host();
    works(&engine, 5, 0);
    let spec = spec("app", "migrate deploy");
    let once = ContainerSpec {
        restart: Restart::No,
        ..spec
    };
    engine.create_container("job", &once).await.unwrap();
    assert_eq!(run_job(&engine, patient()).await.unwrap(), ended(0));
    engine.remove_container("job").await.unwrap();
    engine.create_container("job", &once).await.unwrap();
    engine.start_container("job").await.unwrap();
    let before = calls(&engine).len();
    // Nobody can give up what runs.
    assert_eq!(run_job(&engine, impatient()).await.unwrap(), ended(0));
    assert_eq!(calls(&engine).len(), before, "it only waits");
}

#[tokio::test(start_paused = true)]
async fn a_container_of_somebody_else_is_neither_run_nor_removed() {
    for label in [
        labels::INSTANCE,
        labels::STACK,
        labels::SERVICE,
        labels::JOB,
    ] {
        let engine = host();
        let mut theirs = spec("app", "serve");
        theirs.labels.insert(label.to_owned(), "other".to_owned());
        engine.create_container("job", &theirs).await.unwrap();
        let error = run_job(&engine, patient()).await.unwrap_err();
        assert!(
            matches!(error, OneOffError::NotStarted(EngineError::Conflict { .. })),
            "{error}"
        );
        let spec = spec("app", "migrate deploy");
        one_off::remove(&engine, "job", &spec).await.unwrap();
        assert_eq!(calls(&engine), ["create_container job"], "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_started_is_told_from_what_is_in_doubt() {
    for call in ["create_container", "start_container"] {
        let engine = host();
        engine.faults(Faults::fail_on(call));
        let error = run_job(&engine, patient()).await.unwrap_err();
        assert!(
            matches!(error, OneOffError::NotStarted(_)),
            "{call}: {error}"
        );
    }
    for (lost, in_doubt) in [(1, false), (2, true)] {
        let engine = host();
        works(&engine, 5, 0);
        engine.faults(Faults::lose_answer(lost));
        let error = run_job(&engine, patient()).await.unwrap_err();
        assert_eq!(matches!(error, OneOffError::Engine(_)), in_doubt, "{lost}");
        engine.faults(Faults::none());
        assert_eq!(run_job(&engine, patient()).await.unwrap(), ended(0));
        let starts = calls(&engine);
        let starts = starts
            .iter()
            .filter(|line| line.starts_with("start"))
            .count();
        assert_eq!(starts, 1, "{lost}");
    }
    let engine = host();
    works(&engine, 5, 0);
    engine.faults(Faults::die_after_call(2));
    let error = run_job(&engine, patient()).await.unwrap_err();
    assert!(matches!(error, OneOffError::Engine(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_job_is_given_up_only_before_its_start() {
    let engine = host();
    let error = run_job(&engine, impatient()).await.unwrap_err();
    assert!(matches!(error, OneOffError::GivenUp), "{error}");
    assert_eq!(calls(&engine), Vec::<String>::new());

    works(&engine, 30, 0);
    let (stop, given_up) = watch::channel(false);
    let later = async {
        tokio::time::sleep(SECOND).await;
        stop.send_replace(true);
    };
    let (answer, ()) = tokio::join!(run_job(&engine, given_up), later);
    assert_eq!(answer.unwrap(), ended(0));
}

#[tokio::test(start_paused = true)]
async fn a_job_without_an_end_is_killed_at_its_deadline() {
    let engine = host();
    engine
        .world()
        .job("app", "migrate", Fate::Silent, "one\ntwo\n");
    let began = Instant::now();
    let error = run_for(&engine, 10 * SECOND, patient()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "it was killed because it had not ended after 10s"
    );
    let OneOffError::Deadline { output, .. } = error else {
        panic!("a deadline");
    };
    assert_eq!(output, "one\ntwo\n");
    assert!(began.elapsed() < 11 * SECOND);
    let killed = ContainerState::Exited {
        code: 137,
        oom_killed: false,
    };
    assert_eq!(engine.world().find("job").unwrap().shown.state, killed);
}

#[tokio::test(start_paused = true)]
async fn a_job_tells_every_two_seconds_how_far_it_is() {
    let engine = host();
    works(&engine, 49, 0);
    let told = Mutex::new(Vec::new());
    let spec = spec("app", "migrate deploy");
    let one = OneOff {
        name: "job",
        spec: &spec,
        within: 600 * SECOND,
    };
    let tell = |word| told.lock().unwrap().push(word);
    one_off::run(&engine, &one, patient(), &tell).await.unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        [
            "migrate deploy: running for 2s, 9m 58s left; two",
            "migrate deploy: running for 4s, 9m 56s left; two",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ran_out_of_memory_or_was_taken_away() {
    let engine = host();
    let end = End {
        code: 137,
        oom_killed: true,
    };
    let fate = Fate::Works { looks: 3, end };
    engine.world().job("app", "migrate", fate, "");
    assert!(run_job(&engine, patient()).await.unwrap().oom_killed);

    engine.remove_container("job").await.unwrap();
    works(&engine, 50, 0);
    let away = async {
        tokio::time::sleep(SECOND).await;
        engine.world().remove("job");
    };
    let (answer, ()) = tokio::join!(run_job(&engine, patient()), away);
    let error = answer.unwrap_err();
    assert!(matches!(error, OneOffError::Engine(_)), "{error}");
}
