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
        for route in &self.notify {
            found.push(OwnFile::secret(&route.url_file));
            found.extend(route.secret_file.as_deref().map(OwnFile::secret));
        }
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
        let of_routes = self.notify.iter();
        let of_routes = of_routes.filter_map(|route| route.ca_file.as_deref());
        signers.chain(approvals).chain(authorities).chain(of_routes)
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

/// Returns the first path of trust that depends on the directory that the program runs in.
pub(super) fn relative_path(config: &Config) -> Option<(&'static str, &Path)> {
    let sources = config.stacks.iter().flatten();
    let rules = sources.filter_map(|source| source.verify.as_ref());
    let signers = rules.chain(&config.repository.verify);
    let signers = signers.map(|rule| ("allowed_signers", &rule.allowed_signers));
    let authorities = config.repository.ca_file.iter();
    let authorities = authorities.map(|path| ("ca_file", path));
    let keys = config.age_identity.iter();
    let keys = keys.map(|path| ("age_identity", path));
    let logins = config.registries.iter();
    let logins = logins.map(|one| ("registries.config", &one.config));
    let notify = config.notify.iter();
    let notify = notify.flat_map(|route| {
        let url = Some(("notify.url_file", &route.url_file));
        let secret = route.secret_file.as_ref();
        let secret = secret.map(|path| ("notify.secret_file", path));
        let authorities = route.ca_file.as_ref();
        let authorities = authorities.map(|path| ("notify.ca_file", path));
        [url, secret, authorities].into_iter().flatten()
    });
    let secret = config.webhook.iter();
    let secret = secret.map(|webhook| ("webhook.secret_file", &webhook.secret_file));
    let roots = config.policy.bind_roots.iter();
    let roots = roots.map(|path| ("policy.bind_roots", path));
    let of_files = config.policy.file_roots.iter();
    let roots = roots.chain(of_files.map(|path| ("policy.file_roots", path)));
    let files = signers.chain(authorities).chain(keys).chain(notify);
    let mut files = files.chain(logins).chain(secret).chain(roots);
    let relative = files.find(|(_, path)| !path.is_absolute());
    relative.map(|(key, path)| (key, path.as_path()))
}

/// Returns a path as seen from `/`; only the command line may have named another one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
