//! What is read, and what is refused with which words.

use std::collections::BTreeMap;

use super::*;
use crate::document;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    backups: BTreeMap<BackupName, Backup>,
}

fn read(text: &str) -> Result<Backup, String> {
    let indented = text.trim_end().replace('\n', "\n    ");
    let text = format!("backups:\n  db:\n    {indented}\n");
    document::read::<Sample>("moored.yaml", text.as_bytes(), &["offsite"])
        .map(|mut sample| sample.backups.pop_first().unwrap().1)
        .map_err(|diagnostic| diagnostic.to_string())
}

fn refused(text: &str) -> String {
    read(text).unwrap_err()
}

#[test]
fn reads_the_least_that_must_be_said() {
    let backup = read("sqlite: /data/prod.db\nto: /backups/db/\n").unwrap();
    assert_eq!(backup.source, Source::Sqlite("/data/prod.db".into()));
    assert_eq!(backup.to, PathBuf::from("/backups/db"));
    assert_eq!(
        backup.keep,
        Keep {
            last: 3,
            daily: 7,
            weekly: 4,
            monthly: 6
        }
    );
    assert_eq!(backup.timeout, Duration::from_secs(1800));
    assert_eq!((backup.floors.tables, backup.floors.shrink), (1, 50));
    assert!(!backup.before_deploy && backup.drill.is_none() && backup.schedule.is_none());
}

#[test]
fn reads_everything_that_can_be_said() {
    let text = "postgres: {service: db, database: app, user: app}
to: /backups/db
schedule: \"0 2 * * *\"
keep: {last: 1, daily: 0}
before_deploy: true
floors: {tables: 3, rows: {users: 1, audit.log: 0}, shrink: 10%}
timeout: 1h
drill: {schedule: \"0 4 1 * *\", query: select count(*) from users, at_least: 5}
";
    let backup = read(text).unwrap();
    assert_eq!(backup.source.service().unwrap().as_str(), "db");
    assert_eq!(
        backup.keep,
        Keep {
            last: 1,
            daily: 0,
            weekly: 4,
            monthly: 6
        }
    );
    assert_eq!((backup.floors.tables, backup.floors.shrink), (3, 10));
    assert_eq!(backup.floors.rows["audit.log"], 0);
    assert_eq!(backup.drill.unwrap().at_least, 5);
    let url = read("postgres: {service: api, url_file: /etc/moored/db.url}\nto: /b\n").unwrap();
    assert!(matches!(
        url.source,
        Source::Postgres(Postgres {
            target: Target::UrlFile(_),
            ..
        })
    ));
    let files = read("files: [/srv/uploads, /srv/site.txt]\nto: /b\ndrill: {}\n").unwrap();
    assert_eq!((files.source.kind(), files.floors.tables), (Kind::Files, 0));
    let command = read("command: {service: s, run: [dump], restore: [load, -]}\nto: /b\n").unwrap();
    assert_eq!(command.source.kind(), Kind::Command);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\noffsite: s3://x\n"), @r#"
        moored.yaml:5:5: backups.db: "offsite" is not supported by this version of moored
          hint: take the key out; version 0.1.0 can't honour it
        "#);
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nbefore_deploi: true\n"), @r#"
        moored.yaml:5:5: backups.db: unknown key "before_deploi"
          hint: did you mean "before_deploy"?
        "#);
    insta::assert_snapshot!(refused("to: /b\n"), @"moored.yaml:3:5: backups.db: a backup has exactly one of sqlite, postgres, files and command");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nfiles: [/c]\nto: /b\n"), @"moored.yaml:3:5: backups.db: a backup has exactly one of sqlite, postgres, files and command");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\n"), @"moored.yaml:3:5: backups.db: missing field `to`");
    insta::assert_snapshot!(refused("sqlite: x.db\nto: /b\n"), @"moored.yaml:3:5: backups.db: sqlite: x.db is a path of the host and must be absolute");
    insta::assert_snapshot!(refused("sqlite: /a/../b/x.db\nto: /b\n"), @"moored.yaml:3:5: backups.db: sqlite: /a/../b/x.db must not have ..");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: b\n"), @"moored.yaml:3:5: backups.db: to: b is a path of the host and must be absolute");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /a/./\n"), @"moored.yaml:3:5: backups.db: to: /a is the directory of the database itself; whatever takes that directory away takes the backups with it");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /a/x.db\n"), @"moored.yaml:3:5: backups.db: sqlite: /a/x.db must be the file of a database");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nschedule: '@daily'\n"), @r#"moored.yaml:5:15: backups.db.schedule: "@daily" is not a schedule: nicknames are not taken; write minute, hour, day of month, month and day of week, as in "0 2 * * *""#);
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nschedule: '* * 31 2 *'\n"), @r#"moored.yaml:5:15: backups.db.schedule: "* * 31 2 *" never comes: there is no such day"#);
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nkeep: {last: 0}\n"), @"moored.yaml:5:11: backups.db.keep: last must be at least 1: the newest backup is always kept");
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nfloors: {shrink: 50}\n"), @r#"moored.yaml:5:22: backups.db.floors.shrink: "50" is not a share such as 50%"#);
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\nfloors: {shrink: 101%}\n"), @r#"moored.yaml:5:22: backups.db.floors.shrink: "101%" is not a share such as 50%"#);
    insta::assert_snapshot!(refused("sqlite: /a/x.db\nto: /b\ntimeout: 0s\n"), @"moored.yaml:3:5: backups.db: timeout must be longer than nothing");
}

#[test]
fn what_can_not_be_of_other_kinds_is_said_too() {
    insta::assert_snapshot!(refused("files: []\nto: /b\n"), @"moored.yaml:3:5: backups.db: files names nothing");
    insta::assert_snapshot!(refused("files: [/]\nto: /b\n"), @"moored.yaml:3:5: backups.db: files: / can't be backed up as a whole");
    insta::assert_snapshot!(refused("files: [/srv]\nto: /srv/backups\n"), @"moored.yaml:3:5: backups.db: to: /srv/backups lies in /srv, so every backup would hold those before it");
    insta::assert_snapshot!(refused("files: [/srv, /srv/a]\nto: /b\n"), @"moored.yaml:3:5: backups.db: files: /srv/a lies in /srv and would be in the backup twice");
    insta::assert_snapshot!(refused("files: [/srv]\nto: /b\nfloors: {tables: 1}\n"), @"moored.yaml:3:5: backups.db: floors: a backup of files has no tables; only shrink fits");
    insta::assert_snapshot!(refused("files: [/srv]\nto: /b\ndrill: {query: select 1}\n"), @"moored.yaml:3:5: backups.db: drill: files can't be asked; take query out");
    insta::assert_snapshot!(refused("postgres: {service: db, database: app}\nto: /b\n"), @"moored.yaml:3:5: backups.db: postgres needs database and user, or a url_file on the host");
    insta::assert_snapshot!(refused("postgres: {service: db, user: app, url_file: /u}\nto: /b\n"), @"moored.yaml:3:5: backups.db: url_file says which database and user; take database and user out");
    insta::assert_snapshot!(refused("postgres: {service: db, user: a, database: ''}\nto: /b\n"), @r#"moored.yaml:3:5: backups.db: "" can't be the database: 1 to 63 bytes without control characters"#);
    insta::assert_snapshot!(refused("command: {service: db, run: []}\nto: /b\n"), @"moored.yaml:3:14: backups.db.command: run names no program");
    insta::assert_snapshot!(refused("command: {service: db, run: [a], restore: []}\nto: /b\n"), @"moored.yaml:3:14: backups.db.command: restore names no program");
    insta::assert_snapshot!(refused("command: {service: db, run: [a]}\nto: /b\ndrill: {}\n"), @"moored.yaml:3:5: backups.db: drill: there is no scratch place for what a command writes");
    assert!(BackupName::try_from("../x".to_owned()).is_err());
    assert!(BackupName::try_from("a".repeat(65)).is_err());
}
