//! Names the files that the settings rest on: whoever writes one has the host, or its trust.

use std::path::{Path, PathBuf};

use super::{Auth, Config, DEFAULT_PATH};

/// A file that only who owns the host may change, because the settings rest on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether it may not even be read.
    pub is_secret: bool,
}

impl Config {
    /// Returns the settings' own file, the directory where it is by default, and every file that
    /// the settings name.
    pub fn own_files(&self) -> Vec<OwnFile> {
        let secret = [
            Path::new(DEFAULT_PATH).parent(),
            self.file.as_deref(),
            self.age_identity.as_deref(),
            self.webhook.as_ref().map(|one| one.secret_file.as_path()),
            self.registries.as_ref().map(|one| one.config.as_path()),
        ];
        let mut found: Vec<OwnFile> = secret.into_iter().flatten().map(OwnFile::secret).collect();
        match &self.repository.auth {
            Auth::SshKey {
                ssh_key,
                known_hosts,
            } => found.extend([OwnFile::secret(ssh_key), OwnFile::trusted(known_hosts)]),
            Auth::Token { token_file, .. } => found.push(OwnFile::secret(token_file)),
            Auth::Helper { credential_helper } => {
                // The program, or the script that it runs.
                let named = credential_helper.iter().map(Path::new);
                let files = named.filter(|path| path.is_absolute());
                found.extend(files.map(OwnFile::trusted));
            }
            Auth::None => {}
        }
        found.extend(self.trusted().map(OwnFile::trusted));
        found
    }

    /// Returns the files that say whom to believe.
    fn trusted(&self) -> impl Iterator<Item = &Path> {
        let sources = self.stacks.iter().flatten();
        let rules = sources.filter_map(|source| source.verify.as_ref());
        let rules = rules.chain(&self.repository.verify);
        let signers = rules.map(|rule| rule.allowed_signers.as_path());
        let approvals = self.approvals.values();
        let approvals = approvals.filter_map(|rule| rule.allowed_signers.as_deref());
        let authorities = self.repository.ca_file.as_deref();
        signers.chain(approvals).chain(authorities)
    }
}

impl OwnFile {
    /// Makes one that may not even be read.
    pub fn secret(path: &Path) -> Self {
        let (path, is_secret) = (absolute(path), true);
        Self { path, is_secret }
    }

    /// Makes one that everybody may read.
    pub fn trusted(path: &Path) -> Self {
        let (path, is_secret) = (absolute(path), false);
        Self { path, is_secret }
    }
}

/// Returns a path as seen from `/`; only the command line may have named another one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
