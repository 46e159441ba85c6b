//! Names the files that the settings rest on: whoever writes one has the host, or its trust.

use std::path::{Path, PathBuf};

use super::{Auth, Config, DEFAULT_PATH};

/// A file that only who owns the host may change, because the settings rest on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// The key of the settings that names it; empty where none does.
    pub key: &'static str,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether it may not even be read.
    pub is_secret: bool,
}

impl Config {
    /// Returns the settings' own file, the directory where it is by default, and every file that
    /// the settings name.
    pub fn own_files(&self) -> Vec<OwnFile> {
        let webhook = self.webhook.as_ref();
        let registries = self.registries.as_ref();
        let secret = [
            ("", Path::new(DEFAULT_PATH).parent()),
            ("", self.file.as_deref()),
            ("age_identity", self.age_identity.as_deref()),
            (
                "webhook.secret_file",
                webhook.map(|one| one.secret_file.as_path()),
            ),
            (
                "registries.config",
                registries.map(|one| one.config.as_path()),
            ),
        ];
        let secret = secret.into_iter();
        let mut found: Vec<OwnFile> = secret
            .filter_map(|(key, path)| Some(OwnFile::secret(path?).of(key)))
            .collect();
        for route in &self.notify {
            found.push(OwnFile::secret(&route.url_file).of("notify.url_file"));
            let secret = route.secret_file.as_deref();
            found.extend(secret.map(|path| OwnFile::secret(path).of("notify.secret_file")));
        }
        match &self.repository.auth {
            Auth::SshKey {
                ssh_key,
                known_hosts,
            } => found.extend([
                OwnFile::secret(ssh_key).of("repository.auth.ssh_key"),
                OwnFile::trusted(known_hosts).of("repository.auth.known_hosts"),
            ]),
            Auth::Token { token_file, .. } => {
                found.push(OwnFile::secret(token_file).of("repository.auth.token_file"));
            }
            Auth::Helper { credential_helper } => {
                // The program, or the script that it runs.
                let named = credential_helper.iter().map(Path::new);
                let files = named.filter(|path| path.is_absolute());
                let key = "repository.auth.credential_helper";
                found.extend(files.map(|path| OwnFile::trusted(path).of(key)));
            }
            Auth::None => {}
        }
        found.extend(
            self.trusted()
                .map(|(key, path)| OwnFile::trusted(path).of(key)),
        );
        found
    }

    /// Returns the files that say whom to believe, and the key of each.
    fn trusted(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let sources = self.stacks.iter().flatten();
        let rules = sources.filter_map(|source| source.verify.as_ref());
        let rules = rules.chain(&self.repository.verify);
        let signers = rules.map(|rule| rule.allowed_signers.as_path());
        let approvals = self.approvals.values();
        let approvals = approvals.filter_map(|rule| rule.allowed_signers.as_deref());
        let authorities = self.repository.ca_file.as_deref();
        let signers = signers.chain(approvals);
        let signers = signers.map(|path| ("allowed_signers", path));
        let of_routes = self.notify.iter();
        let of_routes = of_routes.filter_map(|route| route.ca_file.as_deref());
        signers
            .chain(authorities.map(|path| ("repository.ca_file", path)))
            .chain(of_routes.map(|path| ("notify.ca_file", path)))
    }
}

impl OwnFile {
    /// Makes one that may not even be read.
    pub fn secret(path: &Path) -> Self {
        Self::new(path, true)
    }

    /// Makes one that everybody may read.
    pub fn trusted(path: &Path) -> Self {
        Self::new(path, false)
    }

    /// Says which key of the settings names it.
    #[must_use]
    pub fn of(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    fn new(path: &Path, is_secret: bool) -> Self {
        Self {
            key: "",
            path: absolute(path),
            is_secret,
        }
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
