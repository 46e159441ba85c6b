//! Deploys of a service with data that go well or fail in one of the ways of the failure table.

use moored::desired::DesiredState;
use moored::journal::Outcome;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::{End as Ends, Fate, HALF, Ledger, MIGRATE, Said, Work};

/// A value of the host's files that the migration prints.
pub(super) const CANARY: &str = "canary-5ecret";

/// What becomes of the migration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Migration {
    Works,
    FailsUnchanged,
    FailsHalfWay,
}

/// A deploy.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the manifest"
)]
pub(super) struct Story {
    pub(super) migration: Migration,
    pub(super) compatible: bool,
    pub(super) restores: bool,
    pub(super) status: bool,
    pub(super) transactional: bool,
    /// A check that fails: `ready` or `smoke`.
    pub(super) fails: Option<&'static str>,
    pub(super) ends: End,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Old,
    New,
    Held,
}

const WELL: Story = Story {
    migration: Migration::Works,
    compatible: false,
    restores: false,
    status: true,
    transactional: false,
    fails: None,
    ends: End::New,
};

pub(super) const STORIES: [(&str, Story); 9] = [
    ("all goes well", WELL),
    (
        "the migration fails and changes nothing, as its status says",
        Story {
            migration: Migration::FailsUnchanged,
            ends: End::Old,
            ..WELL
        },
    ),
    (
        "the migration fails and is a transaction",
        Story {
            migration: Migration::FailsUnchanged,
            status: false,
            transactional: true,
            ends: End::Old,
            ..WELL
        },
    ),
    (
        "the migration fails half-way",
        Story {
            migration: Migration::FailsHalfWay,
            ends: End::Held,
            ..WELL
        },
    ),
    (
        "the migration fails half-way and the data is restored",
        Story {
            migration: Migration::FailsHalfWay,
            restores: true,
            ends: End::Old,
            ..WELL
        },
    ),
    (
        "the new code is not up and the old one works with the data",
        Story {
            compatible: true,
            fails: Some("ready"),
            ends: End::Old,
            ..WELL
        },
    ),
    (
        "the new code is not up and the data is restored",
        Story {
            restores: true,
            fails: Some("smoke"),
            ends: End::Old,
            ..WELL
        },
    ),
    (
        "the new code is not up and the old one does not work with the data",
        Story {
            fails: Some("ready"),
            ends: End::Held,
            ..WELL
        },
    ),
    (
        "all goes well and the data would be restored",
        Story {
            restores: true,
            status: false,
            ..WELL
        },
    ),
];

impl Story {
    fn files(&self, image: &str) -> Files {
        let status = if self.status { "status: [schema]," } else { "" };
        let manifest = format!(
            "stack: shop
env: {{app: {{files: [/etc/shop/app.env]}}}}
maintenance: {{flag: /bench/site/ON, page: off.html}}
backups:
  rows: {{sqlite: /bench/data/app.db, to: /bench/backups, before_deploy: true}}
migrations:
  - {{service: app, run: [migrate], stop: [app], {status} compatible: {}, transactional: {}}}
ready: [{{service: app, exec: [ready], timeout: 2s}}]
smoke: [{{exec: [smoke], service: app, timeout: 2s}}]
",
            self.compatible, self.transactional
        );
        let compose = format!(
            "services:
  app: {{image: '{image}', volumes: ['/bench/data:/data'], restart: unless-stopped}}
  proxy: {{image: 'other:v1'}}
"
        );
        [
            ("moored.yaml", manifest),
            ("compose.yaml", compose),
            ("off.html", "<p>soon</p>\n".to_owned()),
        ]
        .map(|(path, text)| (path.to_owned(), text.into_bytes()))
        .into()
    }

    pub(super) fn load(&self, bench: &Bench, image: &str, digit: char) -> DesiredState {
        let mut desired = bench.load(&self.files(image), digit).unwrap();
        for migration in &mut desired.migrations {
            // A manifest that says so needs a probe too, which other tests have.
            migration.restore_on_failed_migration = self.restores;
        }
        desired
    }

    pub(super) fn before(&self, bench: &Bench) -> DesiredState {
        self.load(bench, "app:v1", '1')
    }

    pub(super) fn after(&self, bench: &Bench) -> DesiredState {
        self.load(bench, "app:v2", '2')
    }

    /// A host with version 1.
    pub(super) fn host(&self) -> Bench {
        let mut bench = Bench::new();
        let env = format!("API_TOKEN={CANARY}\n");
        bench.host.0.insert("/etc/shop/app.env".into(), env.into());
        let stock: HostYaml =
            serde_yaml::from_str("images: {'other:v1': {}, 'app:v2-fixed': {}}").unwrap();
        stock.stock(&bench);
        self.stock(&bench);
        let passed = bench.pass(&self.before(&bench)).unwrap();
        assert_eq!(
            passed.outcome,
            Some(Outcome::Succeeded),
            "{}",
            passed.looked.plan
        );
        bench.clock.advance(3600);
        bench.engine.world().calls.clear();
        bench
    }

    fn stock(&self, bench: &Bench) {
        let (db, flag) = (bench.place("data/app.db"), bench.place("site/ON"));
        let mut ledger = Ledger::new(&db, &flag);
        ledger.compatible = self.compatible;
        bench.engine.world().ledger = Some(ledger);
        self.stock_jobs(bench);
    }

    pub(super) fn stock_jobs(&self, bench: &Bench) {
        let db = bench.place("data/app.db");
        let mut world = bench.engine.world();
        let (sql, code) = match self.migration {
            Migration::Works => (MIGRATE, 0),
            Migration::FailsUnchanged => ("SELECT 1", 1),
            Migration::FailsHalfWay => (HALF, 1),
        };
        let version = "SELECT user_version || '-' || (SELECT count(*) FROM sqlite_schema)
                       FROM pragma_user_version";
        for (image, word, sql, code) in [
            ("app:v1", "migrate", "SELECT 1", 0),
            ("app:v2", "migrate", sql, code),
            ("app:v1", "schema", version, 0),
            ("app:v2-fixed", "migrate", MIGRATE, 0),
            ("app:v2-fixed", "schema", version, 0),
            ("app:v2", "schema", version, 0),
        ] {
            let end = Ends::code(code);
            world.job(
                image,
                word,
                Fate::Works { looks: 3, end },
                &format!("by {CANARY}\n"),
            );
            let (db, sql, is_query) = (db.clone(), sql.to_owned(), word == "schema");
            world.works(image, word, Work { db, sql, is_query });
        }
        if let Some(check) = self.fails {
            let said = Said {
                code: 1,
                ..Said::default()
            };
            world.says("app:v2", check, said);
        }
    }
}
