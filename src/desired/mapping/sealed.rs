//! Reads what SOPS has encrypted: files of variables that the manifest names, and files that a
//! Compose file gives as secret or config.

use std::cell::OnceCell;
use std::path::Path;

use super::process::{ANOTHER_NAME, check_name};
use super::project::Project;
use crate::desired::ServiceName;
use crate::desired::compose::env_file::{self, Entries};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret::Sensitive;
use crate::sops::{self, Environment, Identities};
use crate::source::{ReadError, RepoPath};

/// What the encrypted files of a stack are read with.
pub(in crate::desired) struct Sealed<'a> {
    /// Directory of the manifest.
    dir: &'a RepoPath,
    /// The keys of the host, once they were asked for; none when there are none to use.
    identities: OnceCell<Option<Identities>>,
}

impl<'a> Sealed<'a> {
    /// Stands for the files that a manifest in this directory names.
    pub(in crate::desired) fn beside(dir: &'a RepoPath) -> Self {
        Self {
            dir,
            identities: OnceCell::new(),
        }
    }
}

/// Returns whether a file is decrypted before a container gets it: its name ends in `.sops`, or
/// has `.sops.` in it.
fn is_sealed(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let mut words = name.unwrap_or_default().split('.').skip(1);
    words.any(|word| word == "sops")
}

impl Project<'_> {
    /// Reads a file of `env.SERVICE.secrets`; its values are secret from then on. None when
    /// something is wrong, which was noted.
    pub(super) fn sealed_environment(
        &self,
        service: &ServiceName,
        index: usize,
    ) -> Option<Entries> {
        let name = self.manifest.env.get(service)?.secrets.get(index)?;
        let place = ["env", service.as_str(), "secrets", &index.to_string()];
        let refuse = |message: String, hint: &str| {
            let found = match self.manifest_place(&place) {
                Some(at) => Diagnostic::new(at.location(), message),
                None => Diagnostic::file(name, message),
            };
            self.add(found.hint(hint));
        };
        let read = self.sealed.dir.join(name).map_err(|why| why.to_string());
        let read = read.and_then(|path| match self.files.tree.read(&path) {
            Ok(content) => Ok((path, content)),
            Err(ReadError::Missing { .. }) => Err(format!("{path} is not in the repository")),
            Err(error) => Err(error.to_string()),
        });
        let (path, content) = match read {
            Ok(read) => read,
            Err(why) => {
                refuse(why, "name it relative to the moored.yaml, and commit it");
                return None;
            }
        };
        if self.files.is_without_keys() {
            self.files.host.passes_over(path.as_str());
            return None;
        }
        let no_key = || {
            refuse(
                format!("{path} can't be decrypted: the host has no age key"),
                "in its settings: age_identity: /etc/moored/age.key",
            );
        };
        let identities = self.identities(&no_key)?;
        self.found.borrow_mut().sealed.insert(path.clone());
        let decrypted = sops::environment(path.as_str(), &content, identities);
        let entries = decrypted.and_then(|environment| self.entries(path.as_str(), environment));
        match entries {
            Ok(entries) => {
                self.hide_entries(&entries);
                Some(entries)
            }
            Err(Diagnostics(found)) => {
                self.add_all(found);
                None
            }
        }
    }

    fn entries(&self, file: &str, environment: Environment) -> Result<Entries, Diagnostics> {
        match environment {
            // As it would be read had it been decrypted to a file.
            Environment::Lines(text) => {
                let lookup = |variable: &str| self.variables.get(variable);
                env_file::parse(file, text.expose().as_bytes(), &lookup)
            }
            Environment::Values(values) => {
                let odd = values.iter().filter_map(|one| {
                    let why = check_name(&one.name).err()?;
                    Some(Diagnostic::at(file, one.position, why).hint(ANOTHER_NAME))
                });
                Diagnostics::check(odd.collect())?;
                let entry = |one: sops::Value| (one.name, Some(one.text.expose().to_owned()));
                Ok(values.into_iter().map(entry).collect())
            }
        }
    }

    /// Decrypts a file of the repository that stands at a path of the host, if its name says that
    /// it is encrypted: none when it is not. What is wrong was noted when it says so.
    pub(super) fn sealed_file(&self, path: &Path) -> Option<Result<Sensitive, ()>> {
        let inside = self.files.in_repository(path).filter(|_| is_sealed(path))?;
        let content = self.files.tree.read(&inside).ok()?;
        let file = inside.as_str();
        if self.files.is_without_keys() {
            self.files.host.passes_over(file);
            let stand_in = self.files.host.stand_in().unwrap_or_default();
            return Some(Ok(Sensitive::new(stand_in)));
        }
        let no_key = || {
            let message = "can't be decrypted: the host has no age key";
            let hint = "in its settings: age_identity: /etc/moored/age.key";
            self.add(Diagnostic::file(file, message).hint(hint));
        };
        let Some(identities) = self.identities(&no_key) else {
            return Some(Err(()));
        };
        self.found.borrow_mut().sealed.insert(inside.clone());
        Some(match sops::whole(file, &content, identities) {
            Ok(content) => {
                self.hide_content(content.expose());
                Ok(content)
            }
            Err(Diagnostics(found)) => {
                self.add_all(found);
                Err(())
            }
        })
    }

    /// Returns the keys of the host; none when there are none to use, which is noted once.
    fn identities(&self, no_key: &dyn Fn()) -> Option<&Identities> {
        let read = || {
            let Some(path) = self.files.host.age_identity() else {
                no_key();
                return None;
            };
            let file = path.display().to_string();
            self.files.of_host.borrow_mut().insert(path.to_owned());
            let missing = "the age key of the host is not there";
            let hint = "age_identity of the host's settings names it: age-keygen -o makes one";
            let text = match self.files.host.read(path) {
                Ok(text) => text.ok_or_else(|| Diagnostic::file(&file, missing).hint(hint)),
                Err(why) => Err(Diagnostic::file(&file, why).hint(hint)),
            };
            match text.and_then(|text| Identities::parse(&file, &text)) {
                Ok(identities) => {
                    let texts = identities.texts().cloned();
                    self.found.borrow_mut().secrets.extend(texts);
                    Some(identities)
                }
                Err(found) => {
                    self.add(found);
                    None
                }
            }
        };
        self.sealed.identities.get_or_init(read).as_ref()
    }
}
