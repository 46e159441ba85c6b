//! The writer: rows without a gap, so that a lost one is seen.
//!
//! It inserts `NAME 1`, `NAME 2`, … and prints `stored N` once the database has said so. A row that
//! failed is tried again until it is there, so the table has each number exactly once, from 1 to
//! the last that was printed or the one after it.

use std::thread;
use std::time::Duration;

use crate::client::{Method, request};
use crate::database::{Connection, Database};
use crate::{end_when_told, ledger, millis, setting};

/// Writes for ever: into the database, or through the HTTP interface at a URL.
pub fn write(url: Option<&str>) -> Result<u8, String> {
    end_when_told();
    let name = setting("WRITER_NAME").unwrap_or_else(|| "writer".to_owned());
    let pause = millis("WRITER_PAUSE_MS")?.unwrap_or(Duration::from_millis(20));
    let place = match url {
        Some(url) => Place::Http(format!("{}/api/entries", url.trim_end_matches('/'))),
        None => Place::Database(Connection::new(Database::from_settings()?)),
    };
    for number in 1_u64.. {
        let text = format!("{name}-{number}");
        while let Err(problem) = place.store(&text) {
            eprintln!("standin: {text}: {problem}");
            thread::sleep(pause.max(Duration::from_millis(20)));
        }
        println!("stored {number}");
        thread::sleep(pause);
    }
    Ok(0)
}

enum Place {
    Database(Connection),
    Http(String),
}

impl Place {
    /// Stores a row unless it is there: an insertion whose answer was lost may have been made.
    fn store(&self, text: &str) -> Result<(), String> {
        match self {
            Self::Database(connection) => {
                if ledger::count(connection, Some(text))?.0 == 0 {
                    ledger::insert(connection, text)?;
                }
            }
            Self::Http(url) => {
                let url = format!("{url}?text={text}");
                let (status, body) = request(Method::Get, &url)?;
                if status != 200 {
                    return Err(format!("GET answers {status}"));
                }
                if String::from_utf8_lossy(&body).contains(r#""entries":0,"#) {
                    let (status, _) = request(Method::Post, &url)?;
                    if status != 201 {
                        return Err(format!("POST answers {status}"));
                    }
                }
            }
        }
        Ok(())
    }
}
