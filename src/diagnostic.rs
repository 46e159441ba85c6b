//! Says what is wrong in a file that a person wrote: where, what, and what to write instead.

use std::fmt;

use serde::Serialize;

/// A place in a file; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// Path as the reader knows it: inside the repository, or absolute for a file of the host.
    pub file: String,
    /// Line and column, where the format gives them.
    pub position: Option<Position>,
}

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// One finding about a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Where.
    pub location: Location,
    /// What is wrong: a lower-case sentence without a final dot.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Makes a finding at a place.
    pub fn new(location: Location, message: impl Into<String>) -> Self {
        Self {
            location,
            message: message.into(),
            hint: None,
        }
    }

    /// Makes a finding at a position of a file.
    pub fn at(file: &str, position: Position, message: impl Into<String>) -> Self {
        Self::new(
            Location {
                file: file.to_owned(),
                position: Some(position),
            },
            message,
        )
    }

    /// Makes a finding about a file as a whole.
    pub fn file(file: &str, message: impl Into<String>) -> Self {
        Self::new(
            Location {
                file: file.to_owned(),
                position: None,
            },
            message,
        )
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a state, in the order of the files; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Returns an error of all findings, when there are any.
    pub fn check(findings: Vec<Diagnostic>) -> Result<(), Self> {
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Self(findings))
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{one}")?;
        }
        Ok(())
    }
}

/// Returns `did you mean "…"?` for the candidate nearest to `written`, when one is near enough
/// to be a slip of the hand.
pub fn suggestion<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(written, candidate), candidate))
        // Below 0.8 the nearest key is mostly another word, not the same one misspelt.
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean \"{candidate}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_place_message_and_hint() {
        let position = Position { line: 4, column: 3 };
        let one = Diagnostic::at("prod/moored.yaml", position, "unknown key \"imags\"")
            .hint("did you mean \"images\"?");
        assert_eq!(
            one.to_string(),
            "prod/moored.yaml:4:3: unknown key \"imags\"\n  hint: did you mean \"images\"?"
        );
    }

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["image", "command", "environment"];
        assert_eq!(
            suggestion("imgae", keys),
            Some("did you mean \"image\"?".to_owned())
        );
        assert_eq!(suggestion("zebra", keys), None);
    }
}
