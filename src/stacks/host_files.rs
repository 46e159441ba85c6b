//! Reads the files of this host that a stack names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::desired::{HostFiles, StackName};
use crate::files;
use crate::host::View;
use crate::permits::Touch;
use crate::policy::{Policy, RealPaths};

/// The files of this host: regular ones, of bounded size, that the settings let be read.
pub(super) struct FilesOfThisHost<'a> {
    view: &'a View,
    policy: Policy,
    /// Where the files lead that may be read.
    passed: RefCell<BTreeMap<PathBuf, PathBuf>>,
}

impl<'a> FilesOfThisHost<'a> {
    /// Takes the settings as they are now.
    pub(super) fn new(view: &'a View) -> Self {
        Self {
            view,
            policy: view.policy(),
            passed: RefCell::default(),
        }
    }

    /// Returns whether a file is another one than was passed: a link on the way was turned since.
    fn is_another(&self, path: &Path, file: &File) -> bool {
        let passed = self.passed.borrow();
        let Some(passed) = passed.get(path) else {
            return false;
        };
        files::opened_at(file).is_ok_and(|opened| opened != *passed)
    }
}

/// Permissions of everybody but the owner and its group.
const EVERYBODY: u32 = 0o007;

/// A thousand times a large environment file.
const MAX_HOST_FILE: u64 = 4 * 1024 * 1024;

impl HostFiles for FilesOfThisHost<'_> {
    fn refuses(&self, stack: &StackName, path: &Path) -> Option<String> {
        let real = RealPaths::of(path.to_str());
        let touch = (path, Touch::Read);
        if let Some(refusal) = self.policy.file(stack.as_str(), "read", touch, &real) {
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
        let opened = std::fs::OpenOptions::new()
            .read(true)
            // A named pipe that nobody writes to must not hang the controller.
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("can't be read: {error}")),
        };
        let about = file
            .metadata()
            .map_err(|error| format!("can't be read: {error}"))?;
        if self.is_another(path, &file) {
            return Err("leads elsewhere than a moment ago".to_owned());
        }
        if !about.is_file() {
            return Err("is not a regular file".to_owned());
        }
        if self.age_identity() == Some(path) && about.mode() & EVERYBODY != 0 {
            return Err("is open to everybody on this host: chmod 600".to_owned());
        }
        if about.size() > MAX_HOST_FILE {
            return Err(format!("is larger than {MAX_HOST_FILE} bytes"));
        }
        let mut content = Vec::new();
        file.take(MAX_HOST_FILE)
            .read_to_end(&mut content)
            .map_err(|error| format!("can't be read: {error}"))?;
        Ok(Some(content))
    }
}
