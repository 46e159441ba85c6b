//! `ready` and `smoke` checks: on the engine in memory with real servers, and on the real one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moored::desired::checks::{Ready, Smoke};
use moored::engine::docker::Docker;
use moored::engine::model::{ContainerSpec, ContainerState, Image};
use moored::engine::{EngineError, WriteEngine};
use moored::execute::StepError;
use moored::execute::checks::Checks;
use tokio::sync::watch;

use crate::support::docker_cli::{ENDPOINT, Sandbox, docker};
use crate::support::fake_engine::{End, FakeEngine, Fate, Faults, Said};
use crate::support::loopback::{Loopback, Reply, reply};

const WEB: &str = "shop-web-1";

/// A service that runs in the network of the host, and what is told of it.
struct Stage {
    engine: FakeEngine,
    told: Mutex<Vec<String>>,
    giver: watch::Sender<bool>,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Fate::Runs { healthy_after: 0 }, "").await
    }

    /// With a container of this fate, which prints something when it starts.
    async fn with(fate: Fate, prints: &str) -> Self {
        let engine = FakeEngine::default();
        let runs = (Image::default(), Fate::Runs { healthy_after: 0 });
        engine.world().images.insert("app".to_owned(), runs);
        let spec = ContainerSpec {
            image: "app".to_owned(),
            command: Some(vec!["serve".to_owned()]),
            network_mode: "host".to_owned(),
            ..ContainerSpec::default()
        };
        engine.world().job("app", "serve", fate, prints);
        engine.create_container(WEB, &spec).await.unwrap();
        engine.start_container(WEB).await.unwrap();
        Self {
            engine,
            told: Mutex::default(),
            giver: watch::channel(false).0,
        }
    }

    /// Makes a check as a manifest has it.
    async fn ready(&self, check: &str) -> Result<(), StepError> {
        let check: Ready = read(check);
        self.checks(&|line| self.told.lock().unwrap().push(line))
            .ready(&check, WEB)
            .await
    }

    async fn smoke(&self, check: &str, before: Option<Duration>) -> Result<(), StepError> {
        let check: Smoke = read(check);
        self.checks(&|line| self.told.lock().unwrap().push(line))
            .smoke(&check, Some(WEB), before)
            .await
    }

    fn checks<'a>(&'a self, tell: &'a (dyn Fn(String) + Send + Sync)) -> Checks<'a> {
        Checks {
            engine: &self.engine,
            given_up: self.giver.subscribe(),
            tell,
        }
    }

    fn says(&self, code: i64, stdout: &str, stderr: &str) {
        let said = Said {
            code,
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.to_owned(),
            ..Said::default()
        };
        self.engine.world().says(WEB, "/app/check", said);
    }
}

/// Reads a check in YAML's flow form, which JSON is too.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    moored::document::read("check", text.as_bytes(), &[]).unwrap()
}

fn http(server: &Loopback, timeout: &str) -> String {
    let port = server.port;
    format!("{{service: web, http: /readyz, port: {port}, timeout: {timeout}}}")
}

fn exec(timeout: &str) -> String {
    format!("{{service: web, exec: [/app/check], timeout: {timeout}}}")
}

/// What is said, without what differs from run to run.
fn said(asked: Result<(), StepError>, server: Option<&Loopback>) -> String {
    let text = asked.unwrap_err().to_string();
    match server {
        Some(server) => text.replace(&server.port.to_string(), "PORT"),
        None => text,
    }
}

#[tokio::test]
async fn a_service_is_asked_until_it_is_ready_by_the_name_that_it_has_for_itself() {
    let stage = Stage::new().await;
    let server = Loopback::new(|n| reply(if n < 3 { 503 } else { 204 }, "")).await;
    let check = http(&server, "60s");
    let began = Instant::now();
    stage.ready(&check).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(server.asked(), 4);
    let request = server.last().to_lowercase();
    assert!(request.starts_with("get /readyz http/1.1\r\n"), "{request}");
    let host = format!("\r\nhost: localhost:{}\r\n", server.port);
    assert!(request.contains(&host), "{request}");
    assert_eq!(request.matches("\r\nhost:").count(), 1);
}

#[tokio::test]
async fn what_is_waited_for_is_told_and_what_was_seen_last_is_the_error() {
    let stage = Stage::new().await;
    let server = Loopback::always(503, "").await;
    let refused = stage.ready(&http(&server, "3s")).await;
    assert!(matches!(refused, Err(StepError::NotUp { .. })));
    insta::assert_snapshot!(said(refused, Some(&server)), @"web is not up: GET :PORT/readyz: answered 503 Service Unavailable, wanted 200 to 299, after 3s");
    let told = stage.told.lock().unwrap().join("\n");
    let told = told.replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(told, @"web: GET :PORT/readyz: answered 503 Service Unavailable, wanted 200 to 299; 1s left");
}

#[tokio::test]
async fn one_answer_that_hangs_does_not_take_all_the_time() {
    let stage = Stage::new().await;
    let hangs = Reply {
        after: Duration::MAX,
        ..reply(200, "")
    };
    let server = Loopback::new(move |n| {
        if n == 0 {
            hangs.clone()
        } else {
            reply(200, "")
        }
    })
    .await;
    let began = Instant::now();
    stage.ready(&http(&server, "15s")).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(9));
    let told = stage.told.lock().unwrap().join("\n");
    assert!(told.contains("no answer yet; 13s left"), "{told}");
}

#[tokio::test]
async fn a_container_that_ends_fails_at_once_with_its_last_words() {
    let end = Fate::Ends(End {
        code: 1,
        oom_killed: true,
    });
    let stage = Stage::with(end, "starting\nno such table: users\n").await;
    // It has answered the first question only by the time that all is over.
    let server = Loopback::new(|_| Reply {
        after: Duration::from_secs(30),
        ..reply(200, "")
    })
    .await;
    let began = Instant::now();
    let refused = stage.ready(&http(&server, "1h")).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    insta::assert_snapshot!(said(refused, Some(&server)), @"
    web is not up: GET :PORT/readyz: it is exited (1, out of memory)
      its last words:
        starting
        no such table: users
    ");
}

#[tokio::test]
async fn a_container_that_falls_in_another_way_fails_at_once() {
    let server = Loopback::always(503, "").await;
    let fall = async |change: &dyn Fn(&FakeEngine)| {
        let stage = Stage::new().await;
        // It was up for weeks, with a restart now and then.
        stage
            .engine
            .world()
            .find_mut(WEB)
            .unwrap()
            .shown
            .restart_count = 3;
        let check = http(&server, "1h");
        let later = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            change(&stage.engine);
            std::future::pending::<()>().await;
        };
        let asked = tokio::select! {
            asked = stage.ready(&check) => asked,
            () = later => unreachable!(),
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("still asking"),
        };
        said(asked, Some(&server))
    };
    let state = |state: ContainerState| {
        move |engine: &FakeEngine| {
            engine.world().find_mut(WEB).unwrap().shown.state = state.clone();
        }
    };
    let lines = [
        fall(&|engine| engine.world().find_mut(WEB).unwrap().shown.restart_count = 4).await,
        fall(&state(ContainerState::Restarting)).await,
        fall(&state(ContainerState::Paused)).await,
        fall(&|engine| engine.world().remove(WEB)).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    web is not up: GET :PORT/readyz: it ended and was started again by the engine
    web is not up: GET :PORT/readyz: it ended and was started again by the engine
    web is not up: GET :PORT/readyz: it is paused
    web is not up: GET :PORT/readyz: its container is gone
    ");
}

#[tokio::test]
async fn nobody_waits_for_what_was_given_up() {
    let stage = Stage::new().await;
    let server = Loopback::always(503, "").await;
    let check = http(&server, "1h");
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.giver.send_replace(true);
    };
    let (asked, ()) = tokio::join!(stage.ready(&check), later);
    assert!(matches!(asked, Err(StepError::GivenUp)), "{asked:?}");
}

#[tokio::test]
async fn an_engine_that_went_away_is_the_error() {
    let stage = Stage::new().await;
    stage.engine.faults(Faults::die_after_call(0));
    let asked = stage.ready(&exec("1h")).await;
    let lost = matches!(
        asked,
        Err(StepError::Engine(EngineError::Unavailable { .. }))
    );
    assert!(lost, "{asked:?}");
}

#[tokio::test]
async fn the_address_is_that_of_the_network_that_was_joined_first() {
    let stage = Stage::new().await;
    let server = Loopback::always(200, "").await;
    let change = |mode: &str, addresses: &[(&str, &str)]| {
        let world = &mut stage.engine.world();
        let shown = &mut world.find_mut(WEB).unwrap().shown;
        mode.clone_into(&mut Arc::make_mut(&mut shown.spec).network_mode);
        let owned = |(name, ip): &(&str, &str)| ((*name).to_owned(), (*ip).to_owned());
        shown.addresses = addresses.iter().map(owned).collect::<BTreeMap<_, _>>();
    };
    let check = http(&server, "1s");
    change("b", &[("a", "127.1.2.3"), ("b", "127.0.0.1")]);
    stage.ready(&check).await.unwrap();
    change("b", &[("a", "127.0.0.1"), ("b", "127.1.2.3")]);
    stage.ready(&check).await.unwrap_err();
    change("other", &[("a", "127.0.0.1")]);
    stage.ready(&check).await.unwrap();
    change("none", &[]);
    insta::assert_snapshot!(said(stage.ready(&check).await, Some(&server)), @"web is not up: GET :PORT/readyz: it has no address of its own on any network; ask it by exec");
}

#[tokio::test]
async fn tcp_connects_to_the_service() {
    let stage = Stage::new().await;
    let server = Loopback::always(200, "").await;
    let check = |port| format!("{{service: web, tcp: {port}, timeout: 1s}}");
    stage.ready(&check(server.port)).await.unwrap();
    insta::assert_snapshot!(said(stage.ready(&check(1)).await, None), @"web is not up: tcp :1: can't connect: connection refused, after 1s");
}

#[tokio::test]
async fn a_command_passes_with_exit_code_0() {
    let stage = Stage::new().await;
    stage.says(0, "", "");
    stage.ready(&exec("1s")).await.unwrap();
    stage.says(3, "looks\nbad\n\n", "");
    let by_output = said(stage.ready(&exec("1s")).await, None);
    stage.says(1, "looks bad", "warning\n\u{1b}[31mno table\n");
    let by_errors = said(stage.ready(&exec("1s")).await, None);
    let hangs = Said {
        hangs: true,
        ..Said::default()
    };
    stage.engine.world().says(WEB, "/app/check", hangs);
    let by_time = said(stage.ready(&exec("1s")).await, None);
    stage.engine.faults(Faults::fail_on("exec /app/check"));
    let by_engine = said(stage.ready(&exec("1s")).await, None);
    insta::assert_snapshot!([by_output, by_errors, by_time, by_engine].join("\n"), @r#"
    web is not up: exec /app/check: ended with exit code 3: bad, after 1s
    web is not up: exec /app/check: ended with exit code 1: \u{1b}[31mno table, after 1s
    web is not up: exec /app/check: it did not end, after 1s
    web is not up: exec /app/check: can't be run: it was told to fail
    "#);
}

#[tokio::test]
async fn the_stack_is_asked_as_a_visitor_does() {
    let stage = Stage::new().await;
    let server = Loopback::new(|n| reply(if n < 2 { 502 } else { 302 }, "")).await;
    let check = |timeout: &str| format!("{{http: '{}', timeout: {timeout}}}", server.url("/"));
    stage.smoke(&check("60s"), None).await.unwrap();
    assert_eq!(server.asked(), 3);
    let host = format!("\r\nhost: 127.0.0.1:{}\r\n", server.port);
    assert!(server.last().to_lowercase().contains(&host));

    let server = Loopback::always(502, "").await;
    let check = format!("{{http: '{}', timeout: 1s}}", server.url("/"));
    let refused = stage.smoke(&check, None).await;
    assert!(matches!(refused, Err(StepError::Smoke { .. })));
    insta::assert_snapshot!(said(refused, Some(&server)), @"smoke check GET http://127.0.0.1:PORT/ does not pass: answered 502 Bad Gateway, wanted 200 to 399, after 1s");
    let check = format!("{{tcp: '127.0.0.1:{}', timeout: 1s}}", server.port);
    stage.smoke(&check, None).await.unwrap();
    // The container has nothing to do with it.
    stage.engine.world().remove(WEB);
    stage.smoke(&check, None).await.unwrap();
}

#[tokio::test]
async fn a_command_can_be_a_smoke_check() {
    let stage = Stage::new().await;
    stage.says(0, "", "");
    let check = "{exec: [/app/check], service: web, timeout: 1s}";
    stage.smoke(check, None).await.unwrap();
    stage.says(9, "", "shop is closed");
    insta::assert_snapshot!(said(stage.smoke(check, None).await, None), @"smoke check exec /app/check in web does not pass: ended with exit code 9: shop is closed, after 1s");
    stage.engine.world().remove(WEB);
    insta::assert_snapshot!(said(stage.smoke(check, None).await, None), @"smoke check exec /app/check in web does not pass: its container is gone");
    let nobody: Smoke = read(check);
    let nowhere = stage.checks(&|_| {}).smoke(&nobody, None, None).await;
    insta::assert_snapshot!(said(nowhere, None), @"smoke check exec /app/check in web does not pass: web has no container to run it in");
}

#[tokio::test]
async fn a_stack_that_became_slower_than_allowed_fails() {
    let stage = Stage::new().await;
    let slow = Reply {
        after: Duration::from_millis(60),
        ..reply(200, "")
    };
    let server = Loopback::new(move |_| slow.clone()).await;
    let check = |timeout: &str, at_most: f64| {
        let url = server.url("/");
        format!(
            "{{http: '{url}', timeout: {timeout}, latency: {{samples: 3, at_most: {at_most}}}}}"
        )
    };
    let ms = |ms| Some(Duration::from_millis(ms));
    stage.smoke(&check("20s", 1.1), None).await.unwrap();
    assert_eq!(server.asked(), 1, "nothing to compare with");
    stage.smoke(&check("20s", 100.0), ms(10)).await.unwrap();
    assert_eq!(server.asked(), 5);
    stage.smoke(&check("20s", 1.1), ms(59)).await.unwrap();
    let refused = stage.smoke(&check("2s", 2.0), ms(10)).await;
    let text = said(refused, Some(&server));
    let begins = "smoke check GET http://127.0.0.1:PORT/ does not pass: median ";
    assert!(text.starts_with(begins), "{text}");
    let ends = " ms, was 10 ms before: more than 2 × as slow, after 2s";
    assert!(text.ends_with(ends), "{text}");
}

#[tokio::test]
async fn a_stack_that_was_slow_only_at_first_passes() {
    let stage = Stage::new().await;
    let server = Loopback::new(|n| Reply {
        after: Duration::from_millis(if n < 5 { 200 } else { 0 }),
        ..reply(200, "")
    })
    .await;
    let url = server.url("/");
    let check = format!("{{http: '{url}', timeout: 20s, latency: {{samples: 3, at_most: 2}}}}");
    let before = Some(Duration::from_millis(10));
    stage.smoke(&check, before).await.unwrap();
    assert!(server.asked() >= 8, "one, three slow ones, and once more");
}

/// Checks are made in tasks of their own.
#[tokio::test]
async fn checks_can_be_sent_to_another_thread() {
    let stage = Stage::new().await;
    stage.says(0, "", "");
    tokio::spawn(async move {
        stage.ready(&exec("1s")).await.unwrap();
        let check = "{exec: [/app/check], service: web}";
        stage.smoke(check, None).await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_real_service_is_asked_on_the_address_that_the_engine_gave_it() {
    let sandbox = Sandbox::new("checks");
    let image = sandbox.image("web", &[]);
    let (web, network) = (sandbox.name("web"), sandbox.name("net"));
    docker(&["network", "create", &network]);
    let script = "mkdir /www; echo all is ok >/www/readyz; sleep 1; httpd -p 8080 -h /www; \
                  while [ ! -e /end ]; do sleep 0.1; done; echo goodbye; exit 7";
    let run = ["run", "-d", "--name", &web, "--network", &network];
    docker(&[&run[..], &["--init", &image, "sh", "-c", script]].concat());
    let engine = Docker::connect(ENDPOINT).unwrap();
    let (_giver, given_up) = watch::channel(false);
    let checks = Checks {
        engine: &engine,
        given_up,
        tell: &|_| {},
    };
    for check in [
        "http: /readyz, port: 8080, contains: all is ok",
        "tcp: 8080",
        "exec: [wget, -q, -O, /dev/null, 'http://localhost:8080/readyz']",
    ] {
        let check: Ready = read(&format!("{{service: web, {check}}}"));
        checks.ready(&check, &web).await.unwrap();
    }
    let missing: Ready = read("{service: web, exec: [/no/such]}");
    let began = Instant::now();
    let refused = checks.ready(&missing, &web).await.unwrap_err().to_string();
    assert!(
        refused.contains("exec /no/such: can't be run: "),
        "{refused}"
    );
    let absent: Ready = read("{service: web, http: /nothing, port: 8080}");
    let (refused, _) = tokio::join!(checks.ready(&absent, &web), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        docker(&["exec", &web, "sh", "-c", ": >/end"])
    });
    assert!(began.elapsed() < Duration::from_secs(20));
    let refused = refused.unwrap_err().to_string();
    assert_eq!(
        refused,
        "web is not up: GET :8080/nothing: it is exited (7)\n  its last words:\n    goodbye"
    );
}
