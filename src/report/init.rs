//! The result of writing a first manifest: what to do next.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Report;
use super::rollback::quoted;
use crate::init::{Proposal, Target};

/// What was written, and the commands that come next.
#[derive(Serialize)]
pub struct InitReport {
    /// The manifest.
    pub wrote: PathBuf,
    /// Where the commands are run.
    pub directory: PathBuf,
    /// The commands that come next, in order.
    pub next: Vec<String>,
    /// Files with values that stay on the host and out of Git.
    pub stay: Vec<PathBuf>,
}

impl InitReport {
    /// Makes the report; `runs` is whether there are containers to adopt, and `settings` those of
    /// the host where there are none yet, with the command that prints them.
    pub fn new(
        proposal: &Proposal,
        target: &Target,
        wrote: PathBuf,
        runs: bool,
        settings: Option<(&Path, &[String])>,
    ) -> Self {
        let tree = target.work_tree.as_ref();
        let directory = &proposal.root;
        let short = |path: &Path| {
            let short = path.strip_prefix(directory).unwrap_or(path);
            quoted(&short.display().to_string())
        };
        let mut next = Vec::new();
        for (from, to) in &proposal.copy {
            next.push(format!(
                "install -D -m 644 {} {}",
                quoted(&from.display().to_string()),
                short(to)
            ));
        }
        if tree.is_none() {
            next.push("git init --initial-branch main".to_owned());
        }
        let copied = proposal.copy.iter().map(|(_, to)| to);
        let added = std::iter::once(&wrote)
            .chain(&proposal.commit)
            .chain(copied);
        let added: Vec<String> = added.map(|path| short(path)).collect();
        next.push(format!("git add {}", added.join(" ")));
        next.push(format!("git commit -m '{}, as it runs'", proposal.stack));
        if tree.is_some_and(|tree| tree.origin.is_some()) {
            next.push("git push".to_owned());
        }
        if let Some((path, command)) = settings {
            let path = quoted(&path.display().to_string());
            let command: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            let command = command.join(" ");
            next.push(format!("{command} | install -D -m 600 /dev/stdin {path}"));
        }
        next.push("moored check".to_owned());
        next.push("moored plan".to_owned());
        next.push(if runs {
            format!("moored adopt {}", proposal.stack)
        } else {
            "moored reconcile".to_owned()
        });
        Self {
            wrote,
            directory: directory.clone(),
            next,
            stay: proposal.stay.clone(),
        }
    }
}

impl Report for InitReport {
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text can't fail.
        writeln!(text, "wrote {}", self.wrote.display()).unwrap_or_default();
        writeln!(text, "\nnext, in {}:", self.directory.display()).unwrap_or_default();
        for command in &self.next {
            writeln!(text, "  {command}").unwrap_or_default();
        }
        for path in &self.stay {
            let path = path.display();
            writeln!(
                text,
                "\n{path} has values, secrets perhaps: it stays on this host and out of Git"
            )
            .unwrap_or_default();
        }
        text
    }
}
