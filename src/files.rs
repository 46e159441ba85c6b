//! Writes files so that a crash leaves the old content or the new one, never a half.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Writes a file by temporary file, `fsync`, rename and `fsync` of the directory.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".moored-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    // The file mode creation mask may have taken bits away.
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(dir)?.sync_all()
}

/// Whether a file may be executed: the one bit of its mode that Git keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It may not.
    Plain,
    /// It may.
    Executable,
}

impl Mode {
    /// Returns the mode that a file's permission bits stand for.
    pub fn of(bits: u32) -> Self {
        if bits & 0o100 == 0 {
            Self::Plain
        } else {
            Self::Executable
        }
    }

    /// Returns the permission bits that a file of ours gets.
    pub fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Executable => 0o755,
        }
    }
}

/// Ends the digest of a file that may be executed.
const EXECUTABLE: &str = "+x";

/// Returns the SHA-256 of a file's content in hexadecimal, with `+x` if it may be executed.
pub fn digest(content: &[u8], mode: Mode) -> String {
    let content = hex::encode(Sha256::digest(content));
    match mode {
        Mode::Plain => content,
        Mode::Executable => content + EXECUTABLE,
    }
}

/// Returns the mode of the file that has this digest.
pub fn mode_of_digest(digest: &str) -> Mode {
    if digest.ends_with(EXECUTABLE) {
        Mode::Executable
    } else {
        Mode::Plain
    }
}

/// Returns `len` random bytes from the kernel.
///
/// # Errors
/// The kernel's source can't be read.
pub fn random_bytes(len: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = vec![0; len];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn nothing_is_left_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomically(&path, b"one, longer", 0o640).unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random_bytes(16).unwrap(), random_bytes(16).unwrap());
    }
}
