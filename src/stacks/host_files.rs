//! Reads the files of this host that a stack names.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::desired::{HostFiles, StackName};
use crate::diagnostic::Diagnostic;
use crate::files;
use crate::host::View;
use crate::permits::Touch;
use crate::policy::{Policy, RealPaths};
use crate::secret::looks_secret;

/// The files of this host: regular ones, of bounded size, that the settings let be read.
pub(super) struct FilesOfThisHost<'a> {
    view: &'a View,
    /// What the settings permit, since it was first asked for: nearly no stack names a file.
    policy: OnceCell<Policy>,
    /// Where the files lead that may be read.
    passed: RefCell<BTreeMap<PathBuf, PathBuf>>,
    /// Those that everybody may read, with the name of a secret that is in them.
    open: RefCell<BTreeMap<PathBuf, String>>,
}

impl<'a> FilesOfThisHost<'a> {
    /// Asks the settings of a host.
    pub(super) fn new(view: &'a View) -> Self {
        Self {
            view,
            policy: OnceCell::new(),
            passed: RefCell::default(),
            open: RefCell::default(),
        }
    }

    /// Returns what is to be told of the files that were read.
    pub(super) fn into_warnings(self) -> impl Iterator<Item = Diagnostic> {
        let open = self.open.into_inner().into_iter();
        open.map(|(path, name)| {
            let path = path.display().to_string();
            let message = format!("has {name} in it, and everybody on this host may read it");
            Diagnostic::file(&path, message).hint(format!("chmod 600 {path}"))
        })
    }

    /// Returns whether a file is another one than was passed: a link on the way was turned since.
    /// Where the kernel does not say which file it is, it is another.
    fn is_another(&self, path: &Path, file: &File) -> bool {
        let passed = self.passed.borrow();
        let Some(passed) = passed.get(path) else {
            return false;
        };
        is_not_at(files::opened_at(file), passed)
    }
}

/// Returns whether what was opened is not known to be the file of a path.
fn is_not_at(opened: io::Result<PathBuf>, passed: &Path) -> bool {
    opened.map_or(true, |opened| opened != passed)
}

/// Permissions of everybody but the owner and its group.
const EVERYBODY: u32 = 0o007;

/// To read a file, and to reach what is in a directory.
const READ: u32 = 0o004;
const REACH: u32 = 0o001;

/// Returns whether everybody may read a file, and reach it where it is.
fn is_open_to_everybody(file: &File, about: &Metadata) -> bool {
    if about.mode() & READ == 0 {
        return false;
    }
    let lets_in = |dir: &Path| dir.metadata().is_ok_and(|dir| dir.mode() & REACH != 0);
    files::opened_at(file).is_ok_and(|path| path.ancestors().skip(1).all(lets_in))
}

/// Returns the name of a variable that a file sets and that sounds secret, if there is one.
fn secret_in(content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find_map(|(name, value)| {
        let name = name.trim().trim_start_matches("export ").trim();
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name && looks_secret(name) && !value.trim().is_empty()).then(|| name.to_owned())
    })
}

/// A thousand times a large environment file.
const MAX_HOST_FILE: u64 = 4 * 1024 * 1024;

impl HostFiles for FilesOfThisHost<'_> {
    fn refuses(&self, stack: &StackName, path: &Path) -> Option<String> {
        let real = RealPaths::of(path.to_str());
        let touch = (path, Touch::Read);
        let policy = self.policy.get_or_init(|| self.view.policy());
        if let Some(refusal) = policy.file(stack.as_str(), "read", touch, &real) {
            return Some(format!(
                "the host's settings do not let it be read: {}",
                refusal.without_key()
            ));
        }
        let leads = real.get(path).to_owned();
        self.passed.borrow_mut().insert(path.to_owned(), leads);
        None
    }

    fn age_identity(&self) -> Option<&Path> {
        self.view.config.age_identity.as_deref()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        self.view.saw_host_file(path);
        let (file, about) = match files::open_regular(path) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err("is not a regular file".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("can't be read: {error}")),
        };
        if self.is_another(path, &file) {
            return Err("leads elsewhere than a moment ago".to_owned());
        }
        if self.age_identity() == Some(path) && about.mode() & EVERYBODY != 0 {
            return Err("is open to everybody on this host: chmod 600".to_owned());
        }
        if about.size() > MAX_HOST_FILE {
            return Err(format!("is larger than {MAX_HOST_FILE} bytes"));
        }
        let is_open = is_open_to_everybody(&file, &about);
        let mut content = Vec::new();
        file.take(MAX_HOST_FILE)
            .read_to_end(&mut content)
            .map_err(|error| format!("can't be read: {error}"))?;
        if is_open && let Some(name) = secret_in(&content) {
            self.open.borrow_mut().insert(path.to_owned(), name);
        }
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name() {
        let found = |text: &str| secret_in(text.as_bytes());
        assert_eq!(
            found("A=1\nexport DB_PASSWORD = x\n").as_deref(),
            Some("DB_PASSWORD")
        );
        for none in [
            "",
            "TAG=1.2\n",
            "DB_PASSWORD=\n",
            "# my password=x\n",
            "\u{0}\n=",
        ] {
            assert_eq!(found(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_file_of_which_nobody_knows_where_it_is_is_another() {
        let passed = Path::new("/srv/web.env");
        assert!(!is_not_at(Ok(passed.to_owned()), passed));
        assert!(is_not_at(Ok("/etc/shadow".into()), passed));
        let no_proc = io::ErrorKind::NotFound;
        assert!(is_not_at(Err(no_proc.into()), passed));
    }

    #[test]
    fn a_file_is_open_where_it_can_be_reached() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("web.env");
        let is_open = |of_file: u32, of_dir: u32| {
            files::write_atomically(&path, b"A=1", of_file).unwrap();
            let of_dir = std::fs::Permissions::from_mode(of_dir);
            std::fs::set_permissions(dir.path(), of_dir).unwrap();
            let file = File::open(&path).unwrap();
            is_open_to_everybody(&file, &file.metadata().unwrap())
        };
        assert!(is_open(0o644, 0o755));
        assert!(!is_open(0o640, 0o755));
        assert!(!is_open(0o644, 0o700));
    }
}
