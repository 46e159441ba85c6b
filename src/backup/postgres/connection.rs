//! Reads how a database is reached, and says it in the variables of libpq.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use url::Url;

use crate::backup::BackupError;
use crate::backup::error::io;
use crate::desired::backups::Target;
use crate::secret::Sensitive;

/// How a database is reached.
pub(in crate::backup) struct Connection {
    database: String,
    env: BTreeMap<String, Sensitive>,
    secrets: Vec<Sensitive>,
}

/// Longer than any connection string.
const LARGEST: u64 = 16 * 1024;

/// Parameters of a connection string, and their variables.
const PARAMETERS: [(&str, &str); 11] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("options", "PGOPTIONS"),
];

/// Parameters of libraries for programs, which say nothing about how the server is reached.
const OTHERS: [&str; 10] = [
    "application_name",
    "connect_timeout",
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "schema",
    "search_path",
    "socket_timeout",
    "statement_cache_size",
    "target_session_attrs",
];

impl Connection {
    /// Reads the target of a manifest, and the file that it names.
    pub(super) fn new(target: &Target) -> Result<Self, BackupError> {
        match target {
            Target::Local { database, user } => {
                let env = [("PGUSER", user.as_str())];
                Ok(Self::of(database.clone(), env.into_iter(), Vec::new()))
            }
            Target::UrlFile(path) => read(path),
        }
    }

    fn of<'a>(
        database: String,
        env: impl Iterator<Item = (&'a str, &'a str)>,
        secrets: Vec<Sensitive>,
    ) -> Self {
        // What the tools say is looked at, in one language.
        let fixed = [
            ("LC_ALL", "C"),
            ("PGAPPNAME", "moored"),
            ("PGCONNECT_TIMEOUT", "15"),
        ];
        Self {
            database,
            env: fixed
                .into_iter()
                .chain(env)
                .map(|(name, value)| (name.to_owned(), Sensitive::new(value)))
                .collect(),
            secrets,
        }
    }

    /// Returns the name of the database.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// Returns the variables for the database.
    pub(super) fn env(&self) -> BTreeMap<String, Sensitive> {
        self.env_of(&self.database)
    }

    /// Returns the variables for another database of the same server.
    pub(super) fn env_of(&self, database: &str) -> BTreeMap<String, Sensitive> {
        let mut env = self.env.clone();
        env.insert("PGDATABASE".to_owned(), Sensitive::new(database));
        env
    }

    /// Returns what must not be shown.
    pub(super) fn secrets(&self) -> &[Sensitive] {
        &self.secrets
    }
}

fn read(path: &Path) -> Result<Connection, BackupError> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(io("read the connection string in", path))?;
    let text = Sensitive::new(text.trim());
    parse(&text).map_err(|what| BackupError::Url {
        path: path.to_owned(),
        what,
    })
}

/// Reads a connection string; the error names nothing of what is in it but parameters.
fn parse(text: &Sensitive) -> Result<Connection, String> {
    let form = "write it as postgres://user:password@host:port/database";
    let url = Url::parse(text.expose()).map_err(|error| format!("{error}; {form}"))?;
    if !["postgres", "postgresql"].contains(&url.scheme()) {
        return Err(format!("it is not of PostgreSQL; {form}"));
    }
    let decoded =
        |part: &str| decode(part).ok_or_else(|| format!("a %-sequence is not UTF-8; {form}"));
    let database = decoded(url.path().trim_start_matches('/'))?;
    if database.is_empty() || database.contains('/') {
        return Err(format!("it names no database; {form}"));
    }
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        values.insert("PGHOST", decoded(host)?);
    }
    if let Some(port) = url.port() {
        values.insert("PGPORT", port.to_string());
    }
    if !url.username().is_empty() {
        values.insert("PGUSER", decoded(url.username())?);
    }
    if let Some(password) = url.password() {
        values.insert("PGPASSWORD", decoded(password)?);
    }
    for (key, value) in url.query_pairs() {
        let known = PARAMETERS.iter().find(|(name, _)| *name == key);
        match known {
            Some((_, variable)) => {
                values.insert(variable, value.into_owned());
            }
            None if OTHERS.contains(&&*key) => {}
            None => {
                let key = key.escape_default();
                return Err(format!("the parameter \"{key}\" is not known; take it out"));
            }
        }
    }
    let mut secrets = vec![text.clone()];
    secrets.extend(url.password().map(Sensitive::new));
    secrets.extend(values.get("PGPASSWORD").map(Sensitive::new));
    let env = values.iter().map(|(name, value)| (*name, value.as_str()));
    Ok(Connection::of(database, env, secrets))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(digits).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    // The engine ends a variable there.
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(text: &str) -> Result<Vec<String>, String> {
        let connection = parse(&Sensitive::new(text))?;
        let env = connection.env();
        let line = |(name, value): (&String, &Sensitive)| format!("{name}={}", value.expose());
        Ok(env.iter().map(line).collect())
    }

    #[test]
    fn becomes_the_variables_of_libpq() {
        let found = env("postgresql://ap%40p:p%2Fw%25d@db.example:6432/my%20db?sslmode=verify-full&schema=public").unwrap();
        let expected = [
            "LC_ALL=C",
            "PGAPPNAME=moored",
            "PGCONNECT_TIMEOUT=15",
            "PGDATABASE=my db",
            "PGHOST=db.example",
            "PGPASSWORD=p/w%d",
            "PGPORT=6432",
            "PGSSLMODE=verify-full",
            "PGUSER=ap@p",
        ];
        assert_eq!(found, expected);
        let socket = env("postgres:///app?host=/run/postgresql&user=app").unwrap();
        assert!(socket.contains(&"PGHOST=/run/postgresql".to_owned()));
        let six = env("postgres://u@[::1]/app").unwrap();
        assert!(six.contains(&"PGHOST=::1".to_owned()));
    }

    #[test]
    fn what_is_wrong_shows_nothing_of_the_secret() {
        for (text, words) in [
            ("", "write it as"),
            ("hunter22", "write it as"),
            ("mysql://u:hunter22@h/d", "not of PostgreSQL"),
            ("postgres://u:hunter22@h/", "no database"),
            ("postgres://u:hunter22@h", "no database"),
            (
                "postgres://u:hunter22@h/d?sslcrl=x",
                "\"sslcrl\" is not known",
            ),
            ("postgres://u:hunter22%FF@h/d", "not UTF-8"),
            ("postgres://u:hunter22@h:99999/d", "write it as"),
        ] {
            let message = env(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
            assert!(!message.contains("hunter22"), "{message}");
        }
    }
}
