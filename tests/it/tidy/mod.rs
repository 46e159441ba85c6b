//! Holds the sources to the architecture, and the documentation to the sources.
//!
//! Reads files only; nothing is compiled or run. `ARCHITECTURE.md` names these tests.

mod compared;
mod documents;
mod rooms;
mod sources;
mod types;

use std::fs;
use std::path::Path;

/// One text file of the repository.
struct Source {
    /// Path from the root of the repository, with `/`.
    path: String,
    text: String,
}

/// Returns the text files below a directory of the repository, or the file itself, by path.
fn files(below: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting = vec![root.join(below)];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "nothing below {below}");
    found
}

fn read(path: &str) -> String {
    files(path).remove(0).text
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension() == Some(extension.as_ref())
    }

    /// Returns what ships: without comments, test modules and files of tests.
    fn code(&self) -> String {
        if self.path.ends_with("/tests.rs") {
            return String::new();
        }
        let mut code = String::new();
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            if line == "#[cfg(test)]" {
                match lines.next() {
                    // A module of another file; the rest of this one goes on.
                    Some(module) if module.ends_with(';') => continue,
                    // Test modules are the last thing in a file.
                    _ => break,
                }
            }
            if !line.trim_start().starts_with("//") {
                code.push_str(line);
                code.push('\n');
            }
        }
        code
    }

    /// Returns the room that a file of `src/` belongs to; `None` for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        let path = self.path.strip_prefix("src/")?;
        let room = path
            .split('/')
            .next()
            .unwrap_or(path)
            .trim_end_matches(".rs");
        (!["lib", "main"].contains(&room)).then_some(room)
    }
}

/// Fails with all findings, one a line.
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
