//! Looks at the settings, at the files that they rest on, and at the state directory.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::Access;

use super::{Area, Check, Diagnosis, mend};
use crate::config::{self, Config, ConfigError, OwnFile};

/// Permissions of others to write, and to do anything at all.
const WRITE: u32 = 0o022;
const ANYTHING: u32 = 0o077;

/// Reads the settings.
pub(super) fn settings(path: &Path, found: &mut Diagnosis) -> Option<Config> {
    let subject = path.display().to_string();
    let missing = || Check::missing(Area::Settings, &subject);
    match config::load(path) {
        Ok(config) => {
            let others = path.metadata().ok();
            let others = others.filter(|about| mode(about) & WRITE != 0);
            found.add(match others {
                None => Check::ok(Area::Settings, &subject),
                Some(_) => Check::warn(Area::Settings, &subject)
                    .found("others may write it: who writes the settings has this host")
                    .mended_by(mend::protect(path)),
            });
            Some(config)
        }
        Err(ConfigError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            let path = mend::quoted(path);
            found.add(missing().found("is not there").mended_by(format!(
                "install -D -m 600 config.example.yaml {path}   # then set repository.url in it"
            )));
            None
        }
        Err(ConfigError::Read { source, .. }) => {
            let check = missing().found(format!("can't be read: {source}"));
            found.add(check.mended_by("run this as root, or as the user that runs moored"));
            None
        }
        Err(ConfigError::Invalid(wrong)) => {
            let check = Check::missing(Area::Settings, wrong.location.to_string());
            let check = check.found(wrong.message);
            found.add(Check {
                remedy: wrong.hint,
                ..check
            });
            None
        }
    }
}

/// Returns the settings that are usual, for a look where there are none.
pub(super) fn usual() -> Option<Config> {
    config::parse("", b"repository: {url: /nowhere}").ok()
}

/// Looks at every file that the settings name.
pub(super) fn files(config: &Config, found: &mut Diagnosis) {
    let own = config.own_files();
    for file in own.iter().filter(|file| !file.key.is_empty()) {
        found.add(own_file(file, &config.repository.url));
    }
}

fn own_file(file: &OwnFile, repository: &str) -> Check {
    let OwnFile {
        key,
        path,
        is_secret,
    } = file;
    let subject = path.display().to_string();
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let check = Check::missing(Area::Settings, subject);
            let check = check.found(format!("is not there ({key} in the settings)"));
            check.mended_by(made(file, repository))
        }
        Err(error) => {
            let check = Check::missing(Area::Settings, subject);
            check.found(format!(
                "can't be looked at ({key} in the settings): {error}"
            ))
        }
        Ok(_) if rustix::fs::access(path, Access::READ_OK).is_err() => {
            let check = Check::missing(Area::Settings, subject);
            let check = check.found(format!("can't be read ({key} in the settings)"));
            check.mended_by("run this as root, or as the user that runs moored")
        }
        Ok(about) if mode(&about) & WRITE != 0 => Check::warn(Area::Settings, subject)
            .found(format!("others may write it ({key} in the settings)"))
            .mended_by(mend::protect(path)),
        Ok(about) if *is_secret && mode(&about) & ANYTHING != 0 => {
            Check::warn(Area::Settings, subject)
                .found(format!("others may read it ({key} in the settings)"))
                .mended_by(mend::keep(path))
        }
        Ok(_) => Check::ok(Area::Settings, subject).found(*key),
    }
}

/// Returns how a file that the settings name is made.
fn made(file: &OwnFile, repository: &str) -> String {
    let path = mend::quoted(&file.path);
    match file.key {
        "age_identity" => format!("age-keygen -o {path}   # or copy the key of the stack there"),
        "webhook.secret_file" => format!("(umask 077 && openssl rand -hex 32 > {path})"),
        "registries.config" => mend::log_in("REGISTRY", Some(&file.path)),
        "repository.auth.ssh_key" => {
            format!(
                "ssh-keygen -q -t ed25519 -N '' -f {path}   # then let its .pub read the repository"
            )
        }
        "repository.auth.known_hosts" => mend::scan(repository, &file.path),
        "repository.auth.token_file" => {
            format!("install -D -m 600 /dev/null {path}   # then write the token into it")
        }
        "allowed_signers" => format!(
            "install -D -m 644 /dev/null {path}   # then a line for each who may sign: EMAIL \
             ssh-ed25519 AAAA…"
        ),
        "repository.ca_file" => format!("install -D -m 644 ca.pem {path}"),
        _ => format!("put it there, or correct {} in the settings", file.key),
    }
}

/// Looks at the state directory, which the first pass makes where it is not there.
pub(super) fn state(config: &Config, found: &mut Diagnosis) {
    let dir = &config.state_dir;
    let subject = dir.display().to_string();
    let check = if dir.is_dir() {
        if rustix::fs::access(dir, Access::WRITE_OK).is_ok() {
            Check::ok(Area::State, subject)
        } else {
            let check = Check::missing(Area::State, subject).found("can't be written");
            check.mended_by("run this as root, or as the user that runs moored")
        }
    } else if dir.exists() {
        let check = Check::missing(Area::State, subject).found("is no directory");
        check.mended_by("name another state_dir in the settings")
    } else if can_be_made(dir) {
        Check::ok(Area::State, subject).found("is made by the first pass")
    } else {
        let made = format!("install -d -m 700 {}", mend::quoted(dir));
        let check = Check::missing(Area::State, subject).found("is not there, and can't be made");
        check.mended_by(made)
    };
    found.add(check);
}

/// Returns whether a directory can be made in the nearest one that is there.
pub(super) fn can_be_made(dir: &Path) -> bool {
    let mut above = dir.ancestors().skip(1);
    let nearest = above.find(|one| one.exists());
    nearest.is_some_and(|one| one.is_dir() && rustix::fs::access(one, Access::WRITE_OK).is_ok())
}

fn mode(about: &Metadata) -> u32 {
    about.permissions().mode()
}
