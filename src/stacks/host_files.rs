//! Reads the files of this host that a stack names.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::desired::HostFiles;
use crate::host::View;

/// The files of this host: regular ones, of bounded size.
pub(super) struct FilesOfThisHost<'a>(pub(super) &'a View);

/// Permissions of everybody but the owner and its group.
const EVERYBODY: u32 = 0o007;

/// A thousand times a large environment file.
const MAX_HOST_FILE: u64 = 4 * 1024 * 1024;

impl HostFiles for FilesOfThisHost<'_> {
    fn age_identity(&self) -> Option<&Path> {
        self.0.config.age_identity.as_deref()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        self.0.saw_host_file(path);
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
