//! Restores a dump into a scratch database, and swaps it with the live one when it is whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::rows::table_name;
use super::swap::{BEFORE, CLEAN, COUNT, CREATE, DRESS, DRILL, SCRATCH, SWAP};
use super::{Tools, words};
use crate::backup::BackupError;
use crate::backup::error::io;
use crate::backup::transfer::Call;
use crate::files::{self, Mode};
use crate::secret::Sensitive;

/// A dump, and what must be in it.
pub(in crate::backup) struct Dump<'a> {
    /// Where it is.
    pub(in crate::backup) path: &'a Path,
    /// Its name, for messages.
    pub(in crate::backup) file: &'a str,
    /// Rows by table.
    pub(in crate::backup) rows: &'a BTreeMap<String, u64>,
}

/// Whose the restored objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backup) enum Owners {
    /// Those of the dump.
    Kept,
    /// All belong to who restored: a role of the dump is not on this server.
    Replaced,
}

/// The databases that a restore works with.
struct Names {
    live: String,
    scratch: String,
    before: String,
    /// Says of a scratch database which restore made it.
    token: String,
}

/// The server cuts longer names off.
const LONGEST: usize = 63;

impl Names {
    fn new(live: &str, scratch: &str) -> Result<Self, BackupError> {
        let random = files::random_bytes(8).map_err(io("read", Path::new("/dev/urandom")))?;
        Ok(Self {
            token: format!("moored {}", hex::encode(random)),
            scratch: with_end(live, scratch),
            before: with_end(live, BEFORE),
            live: live.to_owned(),
        })
    }
}

/// Returns a name with an end that the server does not cut off.
fn with_end(name: &str, end: &str) -> String {
    if name.len() + end.len() <= LONGEST {
        return format!("{name}{end}");
    }
    let digest = files::digest(name.as_bytes(), Mode::Plain);
    let digits = digest.get(..8).unwrap_or_default();
    let room = LONGEST - end.len() - digits.len();
    let cut = (0..=room).rev().find(|at| name.is_char_boundary(*at));
    let head = cut.and_then(|at| name.get(..at)).unwrap_or_default();
    format!("{head}{digits}{end}")
}

/// Restores a dump in the place of the live database. Until the swap, which is one transaction,
/// nothing is changed there.
pub(in crate::backup) async fn restore(
    tools: &Tools<'_>,
    dump: &Dump<'_>,
) -> Result<Owners, BackupError> {
    let names = Names::new(tools.connection.database(), SCRATCH)?;
    let owners = match fill(tools, &names, dump).await {
        Ok(owners) => owners,
        Err(error) => return Err(clean_up(tools, &names, error).await),
    };
    let swapped = async {
        tools
            .admin("prepare the swap of databases", DRESS, &names)
            .await?;
        tools.admin("swap the databases", SWAP, &names).await
    };
    match swapped.await {
        Ok(()) => Ok(owners),
        Err(error) => Err(clean_up(tools, &names, error).await),
    }
}

/// Restores a dump into a scratch database, asks it, and drops it.
pub(in crate::backup) async fn drill(
    tools: &Tools<'_>,
    dump: &Dump<'_>,
    query: Option<&str>,
) -> Result<Option<String>, BackupError> {
    let names = Names::new(tools.connection.database(), DRILL)?;
    let drilled = async {
        fill(tools, &names, dump).await?;
        match query {
            Some(query) => tools.first(query, &names.scratch).await.map(Some),
            None => Ok(None),
        }
    };
    let drilled = drilled.await;
    match drilled {
        Ok(answer) => tools.drop_scratch(&names).await.map(|()| answer),
        Err(error) => {
            // What went wrong first is what matters; the next drill cleans up too.
            let _cleaned = tools.drop_scratch(&names).await;
            Err(error)
        }
    }
}

/// Takes back what an unfinished restore has done; returns what it failed of.
async fn clean_up(tools: &Tools<'_>, names: &Names, error: BackupError) -> BackupError {
    // If this fails too, the next restore does it before anything else.
    let _cleaned = tools.admin("clean up after a restore", CLEAN, names).await;
    error
}

/// Makes the scratch database anew and fills it.
async fn fill(tools: &Tools<'_>, names: &Names, dump: &Dump<'_>) -> Result<Owners, BackupError> {
    tools.make_scratch(names).await?;
    let mut owners = Owners::Kept;
    match tools.load(dump, &names.scratch, owners).await {
        Err(BackupError::Program { said, .. }) if lacks_role(&said) => {
            owners = Owners::Replaced;
            tools.make_scratch(names).await?;
            tools.load(dump, &names.scratch, owners).await?;
        }
        other => other?,
    }
    let found = tools.count(&names.scratch).await?;
    for (table, rows) in dump.rows {
        if found.get(table) != Some(rows) {
            let restored = found.get(table).map_or_else(
                || "is missing".to_owned(),
                |restored| format!("has {restored} rows"),
            );
            return Err(BackupError::Differs {
                file: dump.file.to_owned(),
                what: format!("table {table} {restored}, and {rows} were backed up"),
            });
        }
    }
    Ok(owners)
}

/// Returns whether a program failed because a role does not exist, in the words of the
/// C locale, which we ask for.
fn lacks_role(said: &str) -> bool {
    said.contains("role \"") && said.contains("does not exist")
}

#[derive(Deserialize)]
struct Counted {
    schema: String,
    table: String,
    rows: u64,
}

impl Tools<'_> {
    async fn make_scratch(&self, names: &Names) -> Result<(), BackupError> {
        let doing = "make a scratch database";
        self.drop_scratch(names).await?;
        self.admin(doing, CREATE, names).await
    }

    async fn drop_scratch(&self, names: &Names) -> Result<(), BackupError> {
        self.admin("clean up after a restore", CLEAN, names).await
    }

    /// Returns the variables for another database, under the name by which the programs of a killed
    /// restore are known.
    fn env_of(&self, database: &str) -> BTreeMap<String, Sensitive> {
        let mut env = self.connection.env_of(database);
        let name = with_end(self.connection.database(), SCRATCH);
        env.insert("PGAPPNAME".to_owned(), Sensitive::new(name));
        env
    }

    async fn load(
        &self,
        dump: &Dump<'_>,
        database: &str,
        owners: Owners,
    ) -> Result<(), BackupError> {
        let mut command = words(&["pg_restore", "--exit-on-error", "--no-password"]);
        if owners == Owners::Replaced {
            command.extend(words(&["--no-owner", "--no-privileges"]));
        }
        // Without a database pg_restore writes SQL; a connection string of one word only takes
        // its parts from the environment.
        command.extend(words(&["--dbname", &conninfo(database)]));
        let env = self.env_of(database);
        let call = Call {
            doing: "restore the dump",
            command: &command,
            env: &env,
        };
        self.programs
            .feed(&call, dump.path, &mut tokio::io::sink())
            .await
    }

    /// Runs a script beside the database.
    async fn admin(
        &self,
        doing: &'static str,
        script: &str,
        names: &Names,
    ) -> Result<(), BackupError> {
        // A database can't be renamed by who is in it.
        let beside = if names.live == "postgres" {
            "template1"
        } else {
            "postgres"
        };
        let variables = [
            format!("--set=live={}", names.live),
            format!("--set=scratch={}", names.scratch),
            format!("--set=before={}", names.before),
            format!("--set=token={}", names.token),
        ];
        self.psql(doing, script, beside, &variables).await.map(drop)
    }

    async fn count(&self, database: &str) -> Result<BTreeMap<String, u64>, BackupError> {
        let text = self
            .psql("count the restored rows", COUNT, database, &[])
            .await?;
        let counted = text.lines().filter(|line| !line.is_empty()).map(|line| {
            let one: Counted = serde_json::from_str(line)?;
            Ok((table_name(&one.schema, &one.table), one.rows))
        });
        counted
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| BackupError::NotPossible {
                what: format!("psql's count of the restored rows can't be read: {error}"),
                hint: "look at what psql says in the container".to_owned(),
            })
    }

    /// Returns the first value of a query, which may change nothing.
    async fn first(&self, query: &str, database: &str) -> Result<String, BackupError> {
        let query = query.trim().trim_end_matches(';');
        let script = format!("SET default_transaction_read_only = on;\n{query}\n;\n");
        let text = self
            .psql("ask the restored database", &script, database, &[])
            .await?;
        let line = text.lines().next().unwrap_or_default();
        Ok(line.split('|').next().unwrap_or_default().to_owned())
    }

    async fn psql(
        &self,
        doing: &'static str,
        script: &str,
        database: &str,
        variables: &[String],
    ) -> Result<String, BackupError> {
        let mut command = words(&[
            "psql",
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--quiet",
            "--no-password",
            "--set=ON_ERROR_STOP=1",
        ]);
        command.extend_from_slice(variables);
        let mut env = self.env_of(database);
        env.insert("PGCLIENTENCODING".to_owned(), Sensitive::new("UTF8"));
        let call = Call {
            doing,
            command: &command,
            env: &env,
        };
        let input = std::io::Cursor::new(script.as_bytes().to_vec());
        let mut output = Vec::new();
        self.programs
            .run(&call, Some(Box::new(input)), &mut output)
            .await?;
        String::from_utf8(output).map_err(|_| BackupError::NotPossible {
            what: "psql answers in another encoding than UTF-8".to_owned(),
            hint: "set client_encoding of the user to UTF8".to_owned(),
        })
    }
}

/// Returns a connection string that names a database whatever is in its name.
fn conninfo(database: &str) -> String {
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_enough_and_differ() {
        assert_eq!(with_end("app", SCRATCH), "app_moored_restore");
        let long = "ü".repeat(31);
        let (one, other) = (with_end(&long, SCRATCH), with_end(&long, BEFORE));
        assert!(one.len() <= LONGEST && other.len() <= LONGEST && one != other);
        let similar = with_end(&("ü".repeat(30) + "x"), SCRATCH);
        assert_ne!(one, similar);
    }
}
