//! Databases of Postgres: a real server, its own tools, a real engine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use moored::backup::{BackupError, Content, Listed, Restored, drill, restore, verify};
use moored::desired::backups::Drill;
use moored::engine::docker::Docker;
use serde_json::json;

use super::Stage;
use super::torn::sha256;
use crate::support::docker_cli::{ENDPOINT, Sandbox, docker, eventually, try_docker};
use crate::support::put;
use crate::support::vehicles::images;

/// A server with the database `app` of the user `app`, which has 1000 users.
struct Server {
    stage: Stage,
    container: String,
    _sandbox: Sandbox,
}

const PASSWORD: &str = "canary-5up3rs3cret";

impl Server {
    fn start() -> Self {
        let sandbox = Sandbox::new("backup");
        let image = sandbox.name("postgres:15");
        images("database_image", &[&image]);
        let name = sandbox.name("db");
        let settings = [
            "-e",
            "POSTGRES_USER=app",
            "-e",
            &format!("POSTGRES_PASSWORD={PASSWORD}"),
        ];
        let mut run = vec!["run", "-d", "--name", &name];
        run.extend(settings);
        run.push(&image);
        let container = docker(&run);
        let mut stage = Stage::new(
            |_| json!({"postgres": {"service": "db", "database": "app", "user": "app"}}),
        );
        stage.container = Some(container.clone());
        stage.engine = Box::new(Docker::connect(ENDPOINT).unwrap());
        let server = Self {
            stage,
            container,
            _sandbox: sandbox,
        };
        eventually("the server is up", || {
            server.try_sql("app", "select 1").is_ok()
        });
        server.sql(
            "CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);
             INSERT INTO users (name) SELECT E'user\\n' || n FROM generate_series(1, 1000) n;
             CREATE SCHEMA audit; CREATE TABLE audit.\"Log \"\"x\"\"\" (entry bytea);
             INSERT INTO audit.\"Log \"\"x\"\"\" SELECT decode(repeat(md5(n::text), 500), 'hex') FROM generate_series(1, 50) n;
             CREATE TABLE parts (day int) PARTITION BY RANGE (day);
             CREATE TABLE parts_one PARTITION OF parts FOR VALUES FROM (0) TO (10);
             INSERT INTO parts VALUES (1), (2);",
        );
        server
    }

    fn try_sql(&self, database: &str, script: &str) -> Result<String, String> {
        try_docker(&[
            "exec",
            &self.container,
            "psql",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "app",
            "-d",
            database,
            "-c",
            script,
        ])
    }

    fn sql(&self, script: &str) -> String {
        self.try_sql("app", script).unwrap()
    }

    fn databases(&self) -> String {
        let list = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
        self.try_sql("postgres", list).unwrap()
    }

    fn restore(&self, backup: &Listed) -> Result<Restored, BackupError> {
        self.stage.with(async |work| restore(work, backup).await)
    }

    fn verify(&self, backup: &Listed) -> Result<(), BackupError> {
        self.stage.with(async |work| verify(work, backup).await)
    }
}

#[test]
fn a_dump_is_taken_verified_and_refused_when_it_is_cut_off() {
    let server = Server::start();
    let backup = server.stage.taken();
    let manifest = &backup.manifest;
    assert_eq!(manifest.file, "app_20260211_140302.dump");
    let expected = [("audit.Log \"x\"", 50), ("parts_one", 2), ("users", 1000)];
    let expected = expected.map(|(table, rows)| (table.to_owned(), rows));
    assert_eq!(manifest.content.rows(), Some(&expected.into()));
    assert!(
        manifest.tools["pg_dump"].starts_with("15."),
        "{:?}",
        manifest.tools
    );
    assert!(manifest.tools["postgres"].starts_with("15."));
    server.verify(&backup).unwrap();

    let whole = std::fs::read(&backup.path).unwrap();
    let length = whole.len();
    let offsets = [0, 4, 100, length / 3, length * 6 / 10, length - 1];
    for offset in offsets {
        put(&backup.path, &whole[..offset]);
        let message = server.verify(&backup).unwrap_err().to_string();
        assert!(message.contains("bytes, and had"), "{message}");
        assert!(server.restore(&backup).is_err());
        // Where the manifest was cut to fit, the tools say it.
        let mut fitted = backup.clone();
        fitted.manifest.size = offset as u64;
        fitted.manifest.sha256 = sha256(&whole[..offset]);
        let error = server.verify(&fitted).unwrap_err();
        assert!(
            matches!(error, BackupError::Unsound { .. }),
            "{offset}: {error}"
        );
        assert!(server.restore(&fitted).is_err());
    }
    assert_eq!(server.sql("SELECT count(*) FROM users"), "1000");
    assert_eq!(server.databases(), "app postgres");
}

#[test]
fn what_is_no_backup_leaves_nothing() {
    let mut server = Server::start();
    let postgres = |service: &str, database: &str, user: &str| json!({"postgres": {"service": service, "database": database, "user": user}});
    let refused = |server: &Server, expected: &str| {
        let message = server.stage.take().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(server.stage.names().is_empty());
    };
    server.stage.change(postgres("db", "shop", "app"));
    refused(&server, "database \"shop\" does not exist");
    server.stage.change(postgres("db", "app", "nobody"));
    refused(&server, "role \"nobody\" does not exist");
    // Names are names, whatever is in them.
    server
        .stage
        .change(postgres("db", "host=elsewhere dbname=app", "app"));
    refused(
        &server,
        "database \"host=elsewhere dbname=app\" does not exist",
    );
    server.stage.change(postgres("db", "postgres", "app"));
    refused(&server, "0 tables, and at least 1");
    let mut floors = postgres("db", "app", "app");
    floors["floors"] = json!({"rows": {"users": 1001}});
    server.stage.change(floors);
    refused(&server, "table users has 1000 rows, and at least 1001");
    // A lock that somebody holds for ever.
    let mut locked = postgres("db", "app", "app");
    locked["timeout"] = json!("2s");
    server.stage.change(locked);
    let _locker = Idle::start(&server, "BEGIN; LOCK TABLE users;");
    let began = Instant::now();
    refused(&server, "failed to dump the database within 2 s");
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// A session that stays open, as a program has one.
struct Idle(std::process::Child);

impl Idle {
    fn start(server: &Server, script: &str) -> Self {
        use std::io::{BufRead as _, Write as _};
        let mut child = Command::new("docker")
            .args(["--host", ENDPOINT, "exec", "-i", &server.container])
            .args(["psql", "-XAtq", "-U", "app", "-d", "app"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{script} SELECT 'ready';").unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "ready");
        Self(child)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_restore_swaps_databases_and_keeps_what_no_dump_has() {
    let server = Server::start();
    server.sql(
        "CREATE ROLE reader; CREATE ROLE writer; ALTER TABLE users OWNER TO writer;
         GRANT SELECT ON users TO reader; REVOKE ALL ON DATABASE app FROM PUBLIC;
         GRANT CONNECT ON DATABASE app TO reader WITH GRANT OPTION;
         ALTER DATABASE app SET search_path TO public, audit, \"odd name\";
         ALTER DATABASE app SET work_mem TO '5MB'; ALTER ROLE reader IN DATABASE app SET datestyle TO 'German, DMY';
         COMMENT ON DATABASE app IS 'it''s ours';",
    );
    let seen = || {
        server.sql(
            "SELECT datacl, shobj_description(oid, 'pg_database'), encoding, datcollate, pg_get_userbyid(datdba),
               datallowconn FROM pg_database WHERE datname = 'app';
             SELECT pg_get_userbyid(setrole), setconfig FROM pg_db_role_setting ORDER BY setrole;
             SELECT relowner::regrole, relacl FROM pg_class WHERE relname = 'users';
             SELECT count(*), sum(id), md5(string_agg(name, ',' ORDER BY id)) FROM users;
             SELECT count(*), md5(string_agg(entry, '' ORDER BY entry)) FROM audit.\"Log \"\"x\"\"\";
             SELECT count(*) FROM parts; SELECT nextval('users_id_seq') > 1000;",
        )
    };
    let before = seen();
    let backup = server.stage.taken();
    server.sql("DELETE FROM users WHERE id > 10; CREATE TABLE later (a int); DROP TABLE parts");
    let _idle = Idle::start(&server, "");
    let restored = server.restore(&backup).unwrap();
    assert!(restored.warnings.is_empty());
    assert_eq!(seen(), before);
    assert!(server.try_sql("app", "SELECT * FROM later").is_err());
    assert_eq!(server.databases(), "app postgres");
    // Twice is as good as once, and a database that is gone is made.
    server.restore(&backup).unwrap();
    server.try_sql("postgres", "DROP DATABASE app").unwrap();
    server.restore(&backup).unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM users"), "1000");
}

#[test]
fn a_role_that_is_not_there_costs_its_rights_and_not_the_data() {
    let server = Server::start();
    server.sql("CREATE ROLE gone; GRANT SELECT ON users TO gone; ALTER TABLE parts OWNER TO gone");
    let backup = server.stage.taken();
    server.sql("DROP OWNED BY gone; DROP ROLE gone");
    server.sql("DELETE FROM users");
    let restored = server.restore(&backup).unwrap();
    assert_eq!(restored.warnings.len(), 1);
    assert_eq!(server.sql("SELECT count(*) FROM users"), "1000");
    assert_eq!(server.sql("SELECT count(*) FROM parts"), "2");
}

#[test]
fn what_cannot_be_restored_leaves_the_live_database_alone() {
    let server = Server::start();
    let backup = server.stage.taken();
    server.sql("DELETE FROM users WHERE id > 10");
    let mut wrong = backup.clone();
    let Content::Postgres { rows, .. } = &mut wrong.manifest.content else {
        panic!("another kind");
    };
    rows.insert("users".to_owned(), 1001);
    let error = server.restore(&wrong).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("table users has 1000 rows, and 1001 were backed up"),
        "{error}"
    );
    assert_eq!(server.sql("SELECT count(*) FROM users"), "10");
    assert_eq!(server.databases(), "app postgres");
}

/// Killed at any moment, and called again: what is live is the old or the new, then the new.
#[test]
fn a_restore_that_was_killed_is_finished_by_the_next() {
    let server = Server::start();
    let backup = server.stage.taken();
    let live = || server.try_sql("app", "SELECT count(*) FROM users");
    let began = Instant::now();
    server.restore(&backup).unwrap();
    let whole = began.elapsed();
    let steps = 14;
    let (mut old, mut new) = (0, 0);
    for step in 1..=steps {
        server.sql("DELETE FROM users WHERE id > 10");
        // Up to twice the time that it took: a machine is busier at one moment than at another.
        let moment = whole * 2 * step / steps;
        let killed = server
            .stage
            .with(async |work| tokio::time::timeout(moment, restore(work, &backup)).await);
        match (killed, live().as_deref()) {
            (_, Ok("1000")) => new += 1,
            (Err(_), Ok("10") | Err(_)) => old += 1,
            (killed, found) => panic!("{moment:?}: {:?} {found:?}", killed.is_ok()),
        }
        // What was started in the container goes on by itself, at the same time as this.
        server.restore(&backup).unwrap();
        assert_eq!(live().as_deref(), Ok("1000"), "{moment:?}");
        assert_eq!(server.databases(), "app postgres", "{moment:?}");
    }
    assert!(old > 0 && new > 0, "{old} {new}");
}

/// What is left at the moments that a kill hardly ever meets.
#[test]
fn leftovers_of_the_swap_are_cleaned_up() {
    let server = Server::start();
    let backup = server.stage.taken();
    let admin = |script: &str| server.try_sql("postgres", script).unwrap();
    for left in [
        &[
            "CREATE DATABASE app_moored_restore",
            "ALTER DATABASE app ALLOW_CONNECTIONS false",
        ][..],
        &[
            "CREATE DATABASE app_moored_before",
            "ALTER DATABASE app_moored_before ALLOW_CONNECTIONS false",
        ],
        &["CREATE DATABASE app_moored_drill"],
    ] {
        for script in left {
            admin(script);
        }
        let wanted = Drill {
            schedule: None,
            query: None,
            at_least: 1,
        };
        server.restore(&backup).unwrap();
        server
            .stage
            .with(async |work| drill(work, &backup, &wanted).await)
            .unwrap();
        assert_eq!(server.databases(), "app postgres", "{left:?}");
        assert_eq!(server.sql("SELECT count(*) FROM users"), "1000");
    }
}

#[test]
fn a_drill_asks_a_scratch_database_and_leaves_nothing() {
    let server = Server::start();
    let backup = server.stage.taken();
    server.sql("DELETE FROM users");
    let ask = |query: &str, at_least| {
        let wanted = Drill {
            schedule: None,
            query: Some(query.to_owned()),
            at_least,
        };
        server
            .stage
            .with(async |work| drill(work, &backup, &wanted).await)
    };
    assert_eq!(
        ask("select count(*) from users;", 1000).unwrap().answer,
        Some(1000)
    );
    for (query, expected) in [
        (
            "select count(*) from users",
            "answers 1000, and at least 1001",
        ),
        (
            "select count(*) from orders",
            "relation \"orders\" does not exist",
        ),
        ("delete from users", "read-only transaction"),
        ("select 1 where false", "answers , and"),
    ] {
        let message = ask(query, 1001).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(server.databases(), "app postgres");
    }
    assert_eq!(server.sql("SELECT count(*) FROM users"), "0");
}

/// The tools in one container, the database elsewhere; the password is shown nowhere.
#[test]
fn a_connection_string_reaches_a_database_elsewhere() {
    let mut server = Server::start();
    let url_file = server.stage.dir.path().join("url");
    let address = docker(&[
        "inspect",
        "-f",
        "{{.NetworkSettings.IPAddress}}",
        &server.container,
    ]);
    let source = json!({"postgres": {"service": "db", "url_file": url_file}});
    server.stage.change(source);
    put(
        &url_file,
        format!("postgres://app:{PASSWORD}@{address}/app?schema=public\n"),
    );
    let backup = server.stage.taken();
    assert_eq!(backup.manifest.file, "db_app_20260211_140302.dump");
    server.sql("DELETE FROM users");
    server.restore(&backup).unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM users"), "1000");
    let names = server.stage.names();
    for name in names {
        let bytes = std::fs::read(server.stage.to().join(name)).unwrap();
        assert!(
            !bytes
                .windows(PASSWORD.len())
                .any(|part| part == PASSWORD.as_bytes())
        );
    }
    put(
        &url_file,
        format!("postgres://app:not-{PASSWORD}@{address}/app\n"),
    );
    let message = server.stage.take().unwrap_err().to_string();
    assert!(
        message.contains("password authentication failed"),
        "{message}"
    );
    assert!(!message.contains(PASSWORD), "{message}");
    put(&url_file, format!("postgres://app:{PASSWORD}@{address}/"));
    let message = server.stage.take().unwrap_err().to_string();
    assert!(
        message.contains("names no database") && !message.contains(PASSWORD),
        "{message}"
    );
}
