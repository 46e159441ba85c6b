//! The text of a manifest: what is sure as it is, what is guessed behind a `#`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is sure.
pub(super) struct Draft {
    pub(super) stack: String,
    pub(super) compose: Vec<String>,
    pub(super) project_directory: Option<PathBuf>,
    pub(super) variable_files: Vec<PathBuf>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) images: BTreeMap<String, String>,
}

/// What is guessed.
pub(super) struct Guess {
    /// Why, and where to read on, in lines.
    pub(super) why: Vec<String>,
    /// The lines that would be written.
    pub(super) lines: Vec<String>,
    /// Files that would have to be in the repository for it.
    pub(super) commit: Vec<PathBuf>,
}

impl Draft {
    /// Returns the text of the manifest. A line of a guess has a `#` before it and nothing else, so
    /// that taking that away is all.
    pub(super) fn text(&self, guesses: &[Guess]) -> String {
        let mut out = Text::default();
        out.line("# What Docker Compose ran so far. Every key: docs/manifest.md");
        out.line(&format!("stack: {}", scalar(&self.stack)));
        out.line(&format!("compose: [{}]", list(&self.compose)));
        if let Some(directory) = &self.project_directory {
            out.line("# Relative paths of the Compose files begin here, as before.");
            out.line(&format!("project_directory: {}", path(directory)));
        }
        if !self.variable_files.is_empty() {
            out.line("");
            out.line(
                "# Values for ${...}, secrets among them: they stay on the host and out of Git.",
            );
            let files: Vec<String> = self.variable_files.iter().map(|one| text(one)).collect();
            out.line(&format!("variable_files: [{}]", list(&files)));
        }
        if !self.variables.is_empty() {
            out.line("");
            out.line("# Values for ${...} that no file has: what runs now tells them.");
            out.map("variables", &self.variables);
        }
        if !self.images.is_empty() {
            out.line("");
            out.line("# What runs now, and what a deploy changes: docs/manifest.md#images");
            out.map("images", &self.images);
        }
        if !guesses.is_empty() {
            out.line("");
            out.line("# --- Guesses. What is right is switched on by taking the # away. ---");
        }
        for guess in guesses {
            out.line("");
            for why in &guess.why {
                out.line(&format!("# {why}"));
            }
            for line in &guess.lines {
                out.line(&format!("#{line}"));
            }
        }
        out.0
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn map(&mut self, key: &str, values: &BTreeMap<String, String>) {
        self.line(&format!("{key}:"));
        for (name, value) in values {
            self.line(&format!("  {}: {}", scalar(name), scalar(value)));
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Returns a path as YAML has it.
pub(super) fn path(path: &Path) -> String {
    scalar(&text(path))
}

/// Returns texts as the inside of a YAML list in one line.
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|one| scalar(one)).collect();
    items.join(", ")
}

/// Returns a text as YAML has it, in quotes where it could be taken for something else.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@-".contains(c);
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_word = words.contains(&text.to_ascii_lowercase().as_str());
    let starts = text.starts_with(begins) || text.starts_with("../");
    if starts && text.chars().all(plain) && !text.ends_with(':') && !is_word {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        // In double quotes YAML has the escapes of JSON.
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::scalar;
    use crate::yaml;

    #[test]
    fn a_text_stays_what_it_is() {
        for (value, written) in [
            ("shop", "shop"),
            (
                "registry.example:5000/shop/api:v1.2.0",
                "registry.example:5000/shop/api:v1.2.0",
            ),
            ("../compose.yaml", "../compose.yaml"),
            (".env", "'.env'"),
            ("1.10", "'1.10'"),
            ("on", "'on'"),
            ("it's", "'it''s'"),
            ("a b", "'a b'"),
            ("a:", "'a:'"),
            ("", "''"),
            ("a\nb", r#""a\nb""#),
        ] {
            assert_eq!(scalar(value), written);
            for text in [format!("a: {written}"), format!("a: [{written}]")] {
                let node = yaml::parse("m", text.as_bytes()).unwrap();
                let node = node.at(&["a"]).unwrap();
                let node = node.at(&["0"]).unwrap_or(node);
                assert_eq!(node.as_str(), Some(value), "{text}");
            }
        }
    }
}
