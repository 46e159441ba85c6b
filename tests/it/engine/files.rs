//! Files of containers, as the container sees them, and signals.

use std::path::Path;

use super::*;
use moored::engine::ReadEngine;
use moored::engine::model::{CopiedFile, Exec, Image, LongMount, Mount, MountSource};

use crate::support::docker_cli::{docker, eventually};
use crate::support::fake_engine::FakeEngine;
use crate::support::put;

const LIMIT: usize = 64 * 1024;

fn bind(path: &Path) -> Mount {
    Mount {
        source: MountSource::Bind {
            path: path.to_str().unwrap().to_owned(),
            create: false,
        },
        read_only: true,
        options: Vec::new(),
        long: LongMount::default(),
    }
}

async fn text(engine: &impl ReadEngine, id: &str, path: &str) -> Option<String> {
    let content = engine.read_file(id, path, LIMIT).await;
    let content = content.unwrap_or_else(|failure| panic!("{path}: {failure}"));
    content.map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Writes a file the way editors and Git do: another one in its place.
fn replace(path: &Path, content: &str) {
    let fresh = path.with_extension("fresh");
    put(&fresh, content);
    std::fs::rename(fresh, path).unwrap();
}

/// A sleeper with mounts; it runs.
async fn with_mounts(
    sandbox: &Sandbox,
    engine: &Docker,
    name: &str,
    mounts: &[(&str, Mount)],
) -> String {
    let image = sandbox.image(name, &[]);
    let mounts = mounts.iter().cloned();
    let asked = ContainerSpec {
        mounts: mounts
            .map(|(target, mount)| (target.to_owned(), mount))
            .collect(),
        ..sleeper(&image)
    };
    let created = engine.create_container(&sandbox.name(name), &asked).await;
    let id = created.unwrap();
    engine.start_container(&id).await.unwrap();
    id
}

#[tokio::test]
async fn a_running_container_keeps_a_file_that_was_replaced_on_the_host() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let host = tempfile::tempdir().unwrap();
    let (single, directory) = (host.path().join("single.conf"), host.path().join("conf.d"));
    std::fs::create_dir(&directory).unwrap();
    let within = directory.join("site.conf");
    for path in [&single, &within] {
        put(path, "old\n");
    }
    let mounts = [
        ("/etc/single.conf", bind(&single)),
        ("/etc/conf.d", bind(&directory)),
    ];
    let id = with_mounts(&sandbox, &engine, "web", &mounts).await;
    for path in [&single, &within] {
        replace(path, "new\n");
    }
    // The outside eye: a process in there.
    assert_eq!(docker(&["exec", &id, "cat", "/etc/single.conf"]), "old");
    assert_eq!(
        text(&engine, &id, "/etc/single.conf").await.as_deref(),
        Some("old\n")
    );
    assert_eq!(
        text(&engine, &id, "/etc/conf.d/site.conf").await.as_deref(),
        Some("new\n")
    );

    // In place, the file stays the one that is mounted.
    put(host.path().join("single.conf"), "newer\n");
    assert_eq!(
        text(&engine, &id, "/etc/single.conf").await.as_deref(),
        Some("old\n")
    );
    engine.stop_container(&id).await.unwrap();
    assert_eq!(
        text(&engine, &id, "/etc/single.conf").await.as_deref(),
        Some("newer\n"),
        "what it would start with"
    );
    engine.start_container(&id).await.unwrap();
    assert_eq!(
        text(&engine, &id, "/etc/single.conf").await.as_deref(),
        Some("newer\n")
    );
    put(host.path().join("single.conf"), "in place\n");
    assert_eq!(
        text(&engine, &id, "/etc/single.conf").await.as_deref(),
        Some("in place\n")
    );
}

/// With a bind it is `head` in the container that reads, without one the engine; and it has to be
/// the engine when the container does not run. All of them have to say the same.
#[tokio::test]
async fn files_directories_links_and_what_is_not_there() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let host = tempfile::tempdir().unwrap();
    let plain = with_mounts(&sandbox, &engine, "plain", &[]).await;
    let bound = with_mounts(&sandbox, &engine, "bound", &[("/host", bind(host.path()))]).await;
    let script = "mkdir -p /d/sub; echo a > /d/file; : > /d/empty; chmod 600 /d/file; \
        busybox ln -s /d/file /d/sub/absolute; busybox ln -s ../file /d/sub/relative; \
        busybox ln -s sub/relative /d/twice; busybox ln -s /d /way; \
        busybox ln -s nowhere /d/broken; busybox ln -s round /d/round; \
        busybox ln -s ../../../../d/file /d/up; busybox ln -s /d/sub /d/to-directory; \
        head -c 65536 /dev/zero > /d/full; head -c 65537 /dev/zero > /d/more";
    for id in [&plain, &bound] {
        docker(&["exec", id, "sh", "-c", script]);
    }
    for (id, running) in [(&plain, true), (&bound, true), (&bound, false)] {
        if !running {
            engine.stop_container(id).await.unwrap();
        }
        for path in [
            "/d/file",
            "/d/sub/absolute",
            "/d/sub/relative",
            "/d/twice",
            "/way/file",
            "/way/sub/relative",
            "/d/up",
            "/d/./sub/../file",
        ] {
            assert_eq!(
                text(&engine, id, path).await.as_deref(),
                Some("a\n"),
                "{path}"
            );
        }
        assert_eq!(text(&engine, id, "/d/empty").await.as_deref(), Some(""));
        for path in ["/d/none", "/none/file", "/d/broken", "/d/file/below"] {
            assert_eq!(text(&engine, id, path).await, None, "{path}");
        }
        let full = engine.read_file(id, "/d/full", LIMIT).await;
        assert_eq!(full.unwrap().map(|bytes| bytes.len()), Some(LIMIT));
        for (path, cause) in [
            ("/d/more", "it has more than 65536 bytes"),
            ("/d/sub", "it is a directory"),
            ("/d/to-directory", "it is a directory"),
            ("/d/round", "many"),
            ("d/file", "begins with /"),
        ] {
            let said = expect_error!(engine.read_file(id, path, LIMIT).await, Refused);
            assert!(said.contains(cause), "{path}: {said}");
            assert!(said.contains(path), "{path}: {said}");
        }
    }
    assert_eq!(text(&engine, "no-such-container", "/d/file").await, None);
}

#[tokio::test]
async fn a_file_in_memory_is_seen_while_the_container_runs() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let memory = Mount {
        source: MountSource::Tmpfs,
        read_only: false,
        options: Vec::new(),
        long: LongMount::default(),
    };
    let id = with_mounts(&sandbox, &engine, "web", &[("/mem", memory)]).await;
    docker(&["exec", &id, "sh", "-c", "echo m > /mem/file"]);
    assert_eq!(
        text(&engine, &id, "/mem/file").await.as_deref(),
        Some("m\n")
    );
    engine.stop_container(&id).await.unwrap();
    assert_eq!(text(&engine, &id, "/mem/file").await, None);
}

#[tokio::test]
async fn without_a_head_a_file_of_the_host_is_not_guessed() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let host = tempfile::tempdir().unwrap();
    put(host.path().join("file"), "a\n");
    let id = with_mounts(&sandbox, &engine, "web", &[("/host", bind(host.path()))]).await;
    docker(&["exec", &id, "busybox", "rm", "/bin/head"]);
    let said = expect_error!(engine.read_file(&id, "/host/file", LIMIT).await, Refused);
    assert!(
        said.contains("/host/file") && said.contains("`head`"),
        "{said}"
    );
    // Its own files the engine shows as they are.
    let image = text(&engine, &id, "/image").await.unwrap();
    assert!(image.starts_with(&sandbox.name("web")), "{image}");
    engine.stop_container(&id).await.unwrap();
    assert_eq!(
        text(&engine, &id, "/host/file").await.as_deref(),
        Some("a\n")
    );
}

#[tokio::test]
async fn a_signal_reaches_the_first_process_and_nobody_else() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let script = "trap 'echo one more' HUP; echo ready; while :; do sleep 0.1; done";
    let asked = ContainerSpec {
        command: Some(words(&["sh", "-c", script])),
        init: None,
        stop_timeout: Some(0),
        ..sleeper(&image)
    };
    let name = sandbox.name("web");
    let id = engine.create_container(&name, &asked).await.unwrap();
    assert_eq!(read(&engine, &id).await.pid, None, "never started");
    engine.start_container(&id).await.unwrap();
    let pid = read(&engine, &id).await.pid;
    let shown = docker(&["inspect", "-f", "{{.State.Pid}}", &id]);
    assert_eq!(pid.map(|pid| pid.to_string()), Some(shown));
    eventually("it listens", || docker(&["logs", &id]).contains("ready"));
    engine.signal_container(&id, "SIGHUP").await.unwrap();
    eventually("it heard", || docker(&["logs", &id]).contains("one more"));
    assert_eq!(read(&engine, &id).await.pid, pid, "the same process");

    let said = expect_error!(engine.signal_container(&id, "SIGNONE").await, Refused);
    assert!(
        said.contains(&format!("send SIGNONE to container {name}")),
        "{said}"
    );
    engine.stop_container(&id).await.unwrap();
    assert_eq!(read(&engine, &id).await.pid, None);
    let said = expect_error!(engine.signal_container(&id, "SIGHUP").await, Conflict);
    assert!(said.contains("is not running"), "{said}");
    expect_error!(
        engine.signal_container(&name[1..], "SIGHUP").await,
        NotFound
    );
}

#[tokio::test]
async fn the_fake_engine_shows_what_was_put_there_or_what_the_host_has() {
    let engine = FakeEngine::default();
    let host = tempfile::tempdir().unwrap();
    put(host.path().join("site.conf"), "of the host");
    let image = (Image::default(), crate::support::fake_engine::Fate::Silent);
    engine.world().images.insert("i".to_owned(), image);
    let asked = ContainerSpec {
        image: "i".to_owned(),
        mounts: [("/conf.d".to_owned(), bind(host.path()))].into(),
        ..ContainerSpec::default()
    };
    let id = engine.create_container("proxy", &asked).await.unwrap();
    let refused = engine.signal_container(&id, "SIGHUP").await;
    expect_error!(refused, Conflict);
    engine.start_container("proxy").await.unwrap();
    assert_eq!(
        text(&engine, "proxy", "/conf.d/site.conf").await.as_deref(),
        Some("of the host")
    );
    assert_eq!(text(&engine, &id, "/conf.d/none").await, None);
    assert_eq!(text(&engine, &id, "/elsewhere").await, None);
    assert_eq!(text(&engine, "nobody", "/conf.d/site.conf").await, None);
    expect_error!(engine.read_file(&id, "/conf.d", LIMIT).await, Refused);
    let few = engine.read_file(&id, "/conf.d/site.conf", 10).await;
    assert!(expect_error!(few, Refused).contains("more than 10 bytes"));
    let place = ("proxy".to_owned(), "/conf.d/site.conf".to_owned());
    engine.world().files_in.insert(place, b"pinned".to_vec());
    assert_eq!(
        text(&engine, &id, "/conf.d/site.conf").await.as_deref(),
        Some("pinned")
    );
    engine.signal_container(&id, "SIGHUP").await.unwrap();
    let calls = engine.world().calls.clone();
    let lines: Vec<_> = calls.iter().map(|call| call.line.as_str()).collect();
    assert_eq!(lines[1], "signal SIGHUP to proxy", "also when refused");
    assert_eq!(*lines.last().unwrap(), "signal SIGHUP to proxy");
}

#[tokio::test]
async fn files_are_copied_in_and_commands_run_where_they_are() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let image = sandbox.image("app", &["USER 7:7"]);
    let mut spec = sleeper(&image);
    spec.init = None;
    let name = sandbox.name("web");
    let id = engine.create_container(&name, &spec).await.unwrap();
    let file = |content: &str, uid, mode| CopiedFile {
        content: Sensitive::new(content),
        uid,
        gid: 9,
        mode,
    };
    for content in ["first", "hunter2\n"] {
        let files = [
            ("/run/secrets/key", file(content, 8, 0o440)),
            ("/new/of/config", file("", 0, 0o444)),
        ];
        let files = files.map(|(path, file)| (path.to_owned(), file));
        engine.copy_into(&id, &files.into()).await.unwrap();
    }
    engine.start_container(&id).await.unwrap();
    let command = words(&["ls", "-ln", "key"]);
    let exec = Exec {
        command: &command,
        env: &BTreeMap::new(),
        user: Some("0"),
        working_dir: Some("/run/secrets"),
        privileged: false,
    };
    let mut output = Vec::new();
    let ended = engine.exec(&id, &exec, None, &mut output).await.unwrap();
    let listed = String::from_utf8(output).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let fields: Vec<&str> = listed.split_whitespace().collect();
    // As asked for, though the container has another user.
    assert_eq!(
        (fields[0], fields[2], fields[3], fields[4]),
        ("-r--r-----", "8", "9", "8")
    );
    let read = engine.read_file(&id, "/run/secrets/key", 100).await;
    assert_eq!(read, Ok(Some(b"hunter2\n".to_vec())));
    let empty = engine.read_file(&id, "/new/of/config", 100).await;
    assert_eq!(empty, Ok(Some(Vec::new())));

    let files = || [("/key".to_owned(), file("x", 0, 0o444))].into();
    expect_error!(
        engine.copy_into("mooredtest-nobody", &files()).await,
        NotFound
    );
    let closed = ContainerSpec {
        read_only: true,
        ..sleeper(&image)
    };
    let name = sandbox.name("closed");
    let id = engine.create_container(&name, &closed).await.unwrap();
    let said = expect_error!(engine.copy_into(&id, &files()).await, Refused);
    assert!(said.contains("read-only"), "{said}");
}
