//! What is done to the inside of a container: commands, the end of its output, a kill.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use moored::engine::model::{Exec, Executed, Image};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::support::cuts::Cuts;
use crate::support::docker_cli::docker;
use crate::support::fake_engine::{End, FakeEngine, Fate, Said};

type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Runs a command; returns how it ended and what it wrote.
async fn run(
    engine: &dyn moored::engine::WriteEngine,
    id: &str,
    command: &[&str],
    input: Option<Vec<u8>>,
) -> (Result<Executed, EngineError>, Vec<u8>) {
    let mut output = Vec::new();
    let command = words(command);
    let exec = Exec {
        command: &command,
        env: &BTreeMap::new(),
        user: None,
        working_dir: None,
        privileged: false,
    };
    let input = input.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Input);
    let ended = engine.exec(id, &exec, input, &mut output).await;
    (ended, output)
}

/// Bytes without a pattern that a chunk could repeat.
fn noise(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..))
        .take(count)
        .collect()
}

fn ended(code: i64, errors: &str) -> Executed {
    let errors = errors.to_owned();
    Executed { code, errors }
}

#[tokio::test]
async fn a_command_has_a_code_an_output_and_errors() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let script = "echo out; echo err >&2; exit 3";
    let (end, output) = run(&engine, &id, &["sh", "-c", script], None).await;
    assert_eq!((end, output), (Ok(ended(3, "err\n")), b"out\n".to_vec()));
    let (end, output) = run(&engine, &id, &["cat"], None).await;
    assert_eq!((end, output), (Ok(ended(0, "")), Vec::new()), "no input");

    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done";
    let (end, _) = run(&engine, &id, &["sh", "-c", script], None).await;
    let errors = end.unwrap().errors;
    assert!(errors.len() <= 16 << 10 && errors.len() > 15 << 10);
    assert!(errors.starts_with("line ") && errors.ends_with("\nline 4999\n"));

    let (end, _) = run(&engine, &id, &["sh", "-c", "kill -9 $$"], None).await;
    assert_eq!(end, Ok(ended(137, "")));
}

#[tokio::test]
async fn a_command_has_environment_and_user() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let command = words(&["sh", "-c", "echo $A $(id -u)"]);
    let exec = Exec {
        command: &command,
        env: &[("A".to_owned(), Sensitive::new("x=y"))].into(),
        user: Some("1000:1000"),
        working_dir: None,
        privileged: false,
    };
    let mut output = Vec::new();
    let end = engine.exec(&id, &exec, None, &mut output).await;
    assert_eq!((end, output), (Ok(ended(0, "")), b"x=y 1000\n".to_vec()));
}

#[tokio::test]
async fn what_goes_in_and_out_is_exact_to_the_byte() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let bytes = noise(9_000_001);
    let (end, output) = run(&engine, &id, &["cat"], Some(bytes.clone())).await;
    assert_eq!(end, Ok(ended(0, "")));
    assert!(output == bytes, "{} of {}", output.len(), bytes.len());
    let (end, output) = run(&engine, &id, &["cat"], Some(Vec::new())).await;
    assert_eq!((end, output), (Ok(ended(0, "")), Vec::new()));
    let (end, output) = run(&engine, &id, &["head", "-c", "50000000", "/dev/zero"], None).await;
    assert_eq!((end, output.len()), (Ok(ended(0, "")), 50_000_000));
}

#[tokio::test]
async fn a_command_that_did_not_get_its_whole_input_does_not_count_as_done() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let (end, _) = run(&engine, &id, &["true"], Some(noise(30_000_000))).await;
    let said = expect_error!(end, Unavailable);
    assert!(said.contains("before all of its input"), "{said}");
    // It failed by itself, and says why.
    let refuses = ["sh", "-c", "echo bad line 1 >&2; exit 3"];
    let (end, _) = run(&engine, &id, &refuses, Some(noise(30_000_000))).await;
    assert_eq!(end, Ok(ended(3, "bad line 1\n")));
    // What was sent whole was there to be read.
    let (end, _) = run(&engine, &id, &["true"], Some(noise(10))).await;
    assert_eq!(end, Ok(ended(0, "")));
}

/// Takes nothing for a while, then everything.
struct Stalls(Pin<Box<tokio::time::Sleep>>, usize);

impl AsyncWrite for Stalls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if !self.0.is_elapsed() {
            std::task::ready!(std::future::Future::poll(self.0.as_mut(), context));
        }
        self.1 += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The engine throws output away that is not taken within two seconds of the command's end. How
/// much of it must wait where for that, depends on the buffers on the way: hence many sizes.
#[tokio::test]
async fn a_slow_reader_of_the_output_gets_all_of_it() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let sizes = (1_000_000..2_800_000_usize).step_by(40_000);
    let slowly = sizes.map(async |size| {
        let stall = Box::pin(tokio::time::sleep(Duration::from_secs(6)));
        let mut output = Stalls(stall, 0);
        let command = words(&["head", "-c", &size.to_string(), "/dev/zero"]);
        let exec = Exec {
            command: &command,
            env: &BTreeMap::new(),
            user: None,
            working_dir: None,
            privileged: false,
        };
        let end = engine.exec(&id, &exec, None, &mut output).await;
        assert_eq!((end, output.1), (Ok(ended(0, "")), size));
    });
    futures_util::future::join_all(slowly).await;
}

/// A file whose end can't be read, or a disk that is full.
struct Fails;

impl AsyncRead for Fails {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Err(std::io::Error::other("bad sector")))
    }
}

impl AsyncWrite for Fails {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(std::io::Error::other("disk full")))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_can_not_be_run() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let name = sandbox.name("web");
    let command = words(&["cat"]);
    let exec = Exec {
        command: &command,
        env: &BTreeMap::new(),
        user: None,
        working_dir: None,
        privileged: false,
    };
    let unreadable: Option<Input> = Some(Box::new(Fails));
    let said = expect_error!(
        engine
            .exec(&id, &exec, unreadable, &mut tokio::io::sink())
            .await,
        Refused
    );
    let expected = format!("failed to run cat in container {name}: its input can't be read: ");
    assert_eq!(said, expected + "bad sector");
    let input: Option<Input> = Some(Box::new(b"x".as_slice()));
    let said = expect_error!(engine.exec(&id, &exec, input, &mut Fails).await, Refused);
    assert!(
        said.ends_with("its output can't be written: disk full"),
        "{said}"
    );

    let (end, _) = run(&engine, &id, &["no-such-program"], None).await;
    let said = expect_error!(end, Refused);
    assert!(said.contains("executable file not found"), "{said}");
    docker(&["pause", &id]);
    let (end, _) = run(&engine, &id, &["true"], None).await;
    expect_error!(end, Conflict);
    docker(&["unpause", &id]);
    engine.kill_container(&id).await.unwrap();
    let (end, _) = run(&engine, &id, &["true"], None).await;
    let said = expect_error!(end, Conflict);
    assert!(said.contains(&format!("container {name}")), "{said}");
    engine.remove_container(&id).await.unwrap();
    let (end, _) = run(&engine, &id, &["true"], None).await;
    expect_error!(end, NotFound);
}

#[tokio::test]
async fn a_container_that_is_killed_takes_its_commands_with_it() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let kill = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        engine.kill_container(&id).await.unwrap();
    };
    let script = "echo begun; sleep 600";
    let command = ["sh", "-c", script];
    let ((end, output), ()) = tokio::join!(run(&engine, &id, &command, None), kill);
    assert_eq!((end, output), (Ok(ended(137, "")), b"begun\n".to_vec()));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_no_success() {
    let sandbox = Sandbox::new("eng");
    let cuts = Cuts::new(ENDPOINT);
    let engine = Docker::connect(&cuts.endpoint()).unwrap();
    let id = running(&sandbox, &engine, "web").await;
    for (command, input) in [
        (["sh", "-c", "echo begun; sleep 2"], None),
        // It takes the break for the end of its input and is content.
        (["sh", "-c", "cat; sleep 1"], Some(noise(100))),
    ] {
        let cut = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            cuts.cut();
        };
        let ((end, _), ()) = tokio::join!(run(&engine, &id, &command, input), cut);
        let said = expect_error!(end, Unavailable);
        assert!(said.contains("the connection ended before"), "{said}");
    }
    let (end, _) = run(&engine, &id, &["true"], None).await;
    assert_eq!(end, Ok(ended(0, "")), "the way is open again");
}

#[tokio::test]
async fn a_kill_can_be_repeated() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let began = Instant::now();
    for _ in 0..2 {
        engine.kill_container(&id).await.unwrap();
        let killed = ContainerState::Exited {
            code: 137,
            oom_killed: false,
        };
        assert_eq!(read(&engine, &id).await.state, killed);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    engine.remove_container(&id).await.unwrap();
    engine.kill_container(&id).await.unwrap();
}

/// Runs a script in a container of its own to its end; returns the id.
async fn done(sandbox: &Sandbox, engine: &Docker, name: &str, script: &str) -> String {
    let spec = ContainerSpec {
        command: Some(words(&["sh", "-c", script])),
        ..sleeper(&sandbox.image(name, &[]))
    };
    let id = engine.create_container(&sandbox.name(name), &spec).await;
    let id = id.unwrap();
    engine.start_container(&id).await.unwrap();
    wait_for(engine, &id, "the end", is_exited).await;
    id
}

#[tokio::test]
async fn the_end_of_what_a_container_wrote() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let quiet = done(&sandbox, &engine, "quiet", "exit 1").await;
    assert_eq!(engine.output(&quiet, 100).await.unwrap(), "");
    let script = "echo one; sleep 1; echo two >&2; sleep 1; echo -n three";
    let few = done(&sandbox, &engine, "few", script).await;
    assert_eq!(
        engine.output(&few, 100).await.unwrap(),
        "one\ntwo\nthree".to_owned()
    );
    assert_eq!(engine.output(&few, 9).await.unwrap(), "three");
    assert_eq!(engine.output(&few, 3).await.unwrap(), "ree");

    let script = "i=0; while [ $i -lt 200000 ]; do echo $i; i=$((i+1)); done";
    let many = done(&sandbox, &engine, "many", script).await;
    let began = Instant::now();
    let text = engine.output(&many, 16 << 10).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(text.len() <= 16 << 10 && text.len() > 16_000);
    let lines: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(lines.iter().copied().eq(200_000 - lines.len()..200_000));

    // One line of 100 MB.
    let script = "head -c 100000000 /dev/zero; echo; echo last";
    let long = done(&sandbox, &engine, "long", script).await;
    let began = Instant::now();
    assert_eq!(engine.output(&long, 1000).await.unwrap(), "last\n");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_container_has_an_address_in_each_of_its_networks() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let network = sandbox.name("net");
    docker(&["network", "create", &network]);
    docker(&["network", "connect", &network, &id]);
    let addresses = read(&engine, &id).await.addresses;
    let names: Vec<&String> = addresses.keys().collect();
    assert_eq!(names, ["bridge", &network]);
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    assert_eq!(
        docker(&["inspect", "-f", &format, &id]),
        addresses[&network]
    );
    engine.stop_container(&id).await.unwrap();
    assert_eq!(read(&engine, &id).await.addresses, BTreeMap::new());
}

#[tokio::test]
async fn memory_that_ran_out_is_told_of_one_that_is_started_again_too() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let limits = ["--memory", "16m", "--memory-swap", "16m"];
    let start = ["run", "-d", "--restart", "always", "--network", "none"];
    let name = sandbox.name("hungry");
    let command = ["--name", &name, &image, "tail", "/dev/zero"];
    let id = docker(&[&start, &limits[..], &command].concat());
    wait_for(&engine, &id, "out of memory", |seen| {
        seen.state == ContainerState::Restarting && seen.oom_killed
    })
    .await;
}

#[tokio::test]
async fn what_the_engine_can_not_start_stays_as_it_was_made() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let spec = ContainerSpec {
        command: Some(words(&["no-such-program"])),
        init: None,
        ..sleeper(&sandbox.image("app", &[]))
    };
    let id = engine.create_container(&sandbox.name("job"), &spec).await;
    let id = id.unwrap();
    expect_error!(engine.start_container(&id).await, Refused);
    assert_eq!(read(&engine, &id).await.state, ContainerState::Created);
}

/// An engine in memory with one container that runs.
async fn fake() -> FakeEngine {
    let engine = FakeEngine::default();
    let image = Image {
        id: "sha256:1".to_owned(),
        ..Image::default()
    };
    let runs = Fate::Runs { healthy_after: 0 };
    let stocked = engine
        .world()
        .images
        .insert("app".to_owned(), (image, runs));
    assert!(stocked.is_none());
    engine
        .create_container("web", &sleeper("app"))
        .await
        .unwrap();
    engine.start_container("web").await.unwrap();
    engine
}

#[tokio::test]
async fn the_engine_in_memory_does_the_same() {
    let engine = fake().await;
    let said = Said {
        code: 3,
        stdout: b"out".to_vec(),
        stderr: "err".to_owned(),
        hangs: false,
    };
    engine.world().says("app", "dump", said);
    let (end, output) = run(&engine, "web", &["dump", "all"], Some(noise(5))).await;
    assert_eq!((end, output), (Ok(ended(3, "err")), b"out".to_vec()));
    let fed = (("web".to_owned(), "dump".to_owned()), noise(5));
    assert_eq!(engine.world().fed, [fed]);
    assert_eq!(
        run(&engine, "web", &["true"], None).await.0,
        Ok(ended(0, ""))
    );

    let end = End::code(7);
    engine.world().job(
        "app",
        "migrate",
        Fate::Works { looks: 3, end },
        "one\ntwo\n",
    );
    let spec = ContainerSpec {
        command: Some(words(&["migrate"])),
        ..sleeper("app")
    };
    engine.create_container("job", &spec).await.unwrap();
    assert_eq!(engine.output("job", 9).await.unwrap(), "");
    engine.start_container("job").await.unwrap();
    assert_eq!(engine.output("job", 9).await.unwrap(), "one\ntwo\n");
    assert_eq!(engine.output("job", 5).await.unwrap(), "two\n");
    let mut looks = 0;
    while !is_exited(&engine.container("job").await.unwrap().unwrap()) {
        looks += 1;
    }
    assert_eq!(looks, 3);

    for _ in 0..2 {
        engine.kill_container("web").await.unwrap();
    }
    expect_error!(run(&engine, "web", &["true"], None).await.0, Conflict);
    engine.kill_container("nobody").await.unwrap();
    expect_error!(run(&engine, "nobody", &["true"], None).await.0, NotFound);
    expect_error!(engine.output("nobody", 1).await, NotFound);
}
