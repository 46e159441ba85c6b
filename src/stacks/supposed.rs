//! Loads a stack that can't be loaded as if what it lacks were there, to find all that it lacks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::host_files::FilesOfThisHost;
use super::{LoadError, load_with};
use crate::desired::{DesiredState, HostFiles, StackName};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::host::View;
use crate::source::Tree;

/// What a stack that can't be loaded lacks.
pub struct Lacking {
    /// Files of the host that it needs and that are not there.
    pub files: BTreeSet<PathBuf>,
    /// What else is wrong, as far as it does not hang on what should stand in those.
    pub findings: Vec<Diagnostic>,
    /// What it would be with values that nobody knows; `None` = there is no telling. For looking
    /// at what does not hang on them.
    pub supposed: Option<DesiredState>,
}

/// Files that are asked for one after the other; no stack has more.
const MOST_FILES: usize = 256;

/// Finds out what a stack in a directory of a tree lacks, of which this is `wrong` at first sight.
pub fn lacking(view: &View, tree: &Tree, dir: &str, wrong: &[Diagnostic]) -> Lacking {
    let mut found = Lacking {
        files: BTreeSet::new(),
        findings: Vec::new(),
        supposed: None,
    };
    for _ in 0..MOST_FILES {
        let supposed = Supposed::new(view, &found.files, false);
        let Err(LoadError::State(Diagnostics(still_wrong))) = load_with(view, tree, dir, &supposed)
        else {
            break;
        };
        let places = still_wrong
            .iter()
            .map(|one| PathBuf::from(&one.location.file));
        let missing =
            |path: &PathBuf| path.is_absolute() && !path.exists() && !found.files.contains(path);
        let missing: Vec<PathBuf> = places.filter(missing).collect();
        if missing.is_empty() {
            found.findings = still_wrong;
            break;
        }
        found.files.extend(missing);
    }
    let none = BTreeSet::new();
    let supposed = Supposed::new(view, &none, true);
    found.supposed = load_with(view, tree, dir, &supposed).ok();
    if !supposed.refused.borrow().is_empty() {
        // What stands in those is not known, and so is not what is wrong with it.
        found.findings = wrong.to_vec();
    }
    found
}

/// Stands for a value that nobody knows: the one text that is a tag, a port, a number and a switch.
const ONE: &str = "1";

/// The files of this host, and what is supposed of those that are not there.
struct Supposed<'a> {
    there: FilesOfThisHost<'a>,
    /// Files that are taken for empty ones where they are not there.
    empty: &'a BTreeSet<PathBuf>,
    /// Whether everything has a value, known or not.
    is_filled: bool,
    /// Files that the settings do not let be read: nothing of them is looked at.
    refused: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Supposed<'a> {
    fn new(view: &'a View, empty: &'a BTreeSet<PathBuf>, is_filled: bool) -> Self {
        Self {
            there: FilesOfThisHost::new(view),
            empty,
            is_filled,
            refused: RefCell::default(),
        }
    }
}

impl HostFiles for Supposed<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if self.refused.borrow().contains(path) {
            let is_supposed = path.exists() || self.empty.contains(path);
            return Ok((is_supposed && !self.is_filled).then(Vec::new));
        }
        match self.there.read(path)? {
            Some(content) if self.is_filled => Ok(Some(filled(&content))),
            Some(content) => Ok(Some(content)),
            None => Ok(self.empty.contains(path).then(Vec::new)),
        }
    }

    fn refuses(&self, stack: &StackName, path: &Path) -> Option<String> {
        if self.there.refuses(stack, path).is_some() {
            self.refused.borrow_mut().insert(path.to_owned());
        }
        None
    }

    fn age_identity(&self) -> Option<&Path> {
        self.there.age_identity()
    }

    fn is_the_host(&self) -> bool {
        !self.is_filled
    }

    fn stand_in(&self) -> Option<&str> {
        self.is_filled.then_some(ONE)
    }
}

/// Gives every name of an environment file that has no value one.
fn filled(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let line = |line: &str| match line.trim_end().strip_suffix('=') {
        Some(name) if !name.trim_start().starts_with('#') => format!("{name}={ONE}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_value_gets_one() {
        let text = "# A=\nKEY=\nMAIL=off\nexport B= \nplain\n";
        assert_eq!(
            filled(text.as_bytes()),
            b"# A=\nKEY=1\nMAIL=off\nexport B=1\nplain\n"
        );
    }
}
