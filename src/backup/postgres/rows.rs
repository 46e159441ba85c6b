//! Counts the rows of tables in what `pg_restore` writes as SQL.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Takes SQL with data in `COPY` blocks, in pieces of any length, and counts the rows.
#[derive(Default)]
pub(super) struct CopyRows {
    rows: BTreeMap<String, u64>,
    /// The table whose block is under way.
    table: Option<String>,
    /// The beginning of the line that is under way.
    line: Vec<u8>,
}

/// Two names of 63 bytes, quoted, and many columns; what is longer is a row.
const HEAD: usize = 256 * 1024;

impl CopyRows {
    /// Returns the rows by table; `None` when the last block did not end.
    pub(super) fn finish(self) -> Option<BTreeMap<String, u64>> {
        (self.table.is_none() && self.line.is_empty()).then_some(self.rows)
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.last() == Some(&b'\n');
            let room = HEAD.saturating_sub(self.line.len());
            self.line.extend(piece.iter().take(room));
            if ends {
                self.line_ends();
                self.line.clear();
            }
        }
    }

    fn line_ends(&mut self) {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        match &self.table {
            Some(_) if line == b"\\." => self.table = None,
            // A line break within a value is written as \n: a line is a row.
            Some(table) => {
                if let Some(count) = self.rows.get_mut(table) {
                    *count += 1;
                }
            }
            None => {
                if let Some(table) = copied(line) {
                    self.rows.entry(table.clone()).or_default();
                    self.table = Some(table);
                }
            }
        }
    }
}

/// Returns the table of a line such as `COPY public."Users" (id, name) FROM stdin;`.
fn copied(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?;
    let (first, rest) = identifier(rest)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some(table_name(&first, &identifier(rest)?.0)),
        None => Some(first),
    }
}

fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(['.', ' ']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// Returns how a table is called in manifests: without its schema when that is `public`.
pub(super) fn table_name(schema: &str, table: &str) -> String {
    if schema == "public" {
        table.to_owned()
    } else {
        format!("{schema}.{table}")
    }
}

impl AsyncWrite for CopyRows {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--
SET client_encoding = 'UTF8';
COPY public.users (id, name) FROM stdin;
1\ta
2\tCOPY public.x (a) FROM stdin;
3\t\\\\.
\\.

COPY audit.\"Log \"\"x\"\"\" (\"from\") FROM stdin;
\\.
COPY public.bare () FROM stdin;


\\.
SELECT pg_catalog.setval('public.users_id_seq', 3, true);
";

    #[test]
    fn counts_in_pieces_of_any_length() {
        for length in [1, 2, 7, 64, DUMP.len()] {
            let mut rows = CopyRows::default();
            for piece in DUMP.as_bytes().chunks(length) {
                rows.take(piece);
            }
            let expected = [("audit.Log \"x\"", 0), ("bare", 2), ("users", 3)];
            let expected = expected.map(|(table, rows)| (table.to_owned(), rows));
            assert_eq!(rows.finish(), Some(expected.into()), "{length}");
        }
    }

    #[test]
    fn a_block_without_its_end_is_noticed() {
        let end = DUMP.find("\\.\n").unwrap();
        let mut rows = CopyRows::default();
        rows.take(&DUMP.as_bytes()[..end]);
        assert_eq!(rows.finish(), None);
    }
}
