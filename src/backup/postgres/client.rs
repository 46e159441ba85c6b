//! Says how a person reaches a database, with the client in a container.

use std::collections::BTreeMap;

use super::Connection;
use crate::backup::BackupError;
use crate::desired::backups::Postgres;
use crate::secret::Sensitive;

/// How a person reaches a database.
pub struct Client {
    /// The program in the container.
    pub program: &'static str,
    /// Its environment: where the database is, and who connects.
    pub env: BTreeMap<String, Sensitive>,
    /// What must not be shown.
    pub secrets: Vec<Sensitive>,
}

/// Reads how a database is reached, and the file that says so.
///
/// # Errors
/// The file can't be read or makes no sense.
pub fn client(postgres: &Postgres) -> Result<Client, BackupError> {
    let connection = Connection::new(&postgres.target)?;
    let mut env = connection.env();
    // It is a person who reads what this program says.
    env.remove("LC_ALL");
    Ok(Client {
        program: "psql",
        env,
        secrets: connection.secrets().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::backups::Target;

    #[test]
    fn the_connection_is_in_the_environment_alone() {
        let found = client(&Postgres {
            service: "db".to_owned().try_into().unwrap(),
            target: Target::Local {
                database: "app".to_owned(),
                user: "ada".to_owned(),
            },
        });
        let found = found.ok().unwrap();
        let env = |name: &str| found.env.get(name).map(Sensitive::expose);
        assert_eq!(
            (env("PGDATABASE"), env("PGUSER")),
            (Some("app"), Some("ada"))
        );
        assert_eq!(env("LC_ALL"), None);
    }
}
