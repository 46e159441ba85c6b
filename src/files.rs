//! Writes files so that a crash leaves the old content or the new one, never a half.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Writes a file by temporary file, `fsync`, rename and `fsync` of the directory.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let file = temporary(path, content, mode)?;
    file.persist(path).map_err(|error| error.error)?;
    sync_parent(path)
}

/// Writes a file like [`write_atomically`], where there is none yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is one, which stays as it is, a link too.
pub fn create_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let file = temporary(path, content, mode)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_parent(path)
}

/// Removes a file, and `fsync`s its directory. Repeatable.
///
/// # Errors
/// What the system says, other than that it is not there.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_parent(path)
}

/// Removes the temporary files that writers of this file left beside it when they were killed.
/// Nobody may be writing it.
///
/// # Errors
/// The directory can't be read, or one of them not removed.
pub fn sweep(path: &Path) -> io::Result<()> {
    let prefix = prefix(path);
    for entry in std::fs::read_dir(parent(path))? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_bytes())
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Opens a file for reading, and says what it is; none where it is no regular file.
///
/// # Errors
/// What the system says.
pub fn open_regular(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    // Opening a device may do something: a watchdog begins to count.
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    // By now it may be a pipe that nobody writes to, which must not hang us.
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.read(true).open(path)?;
    let about = file.metadata()?;
    Ok(about.is_file().then_some((file, about)))
}

/// Most bytes of a file that are looked at for its first line.
const FIRST_LINE: u64 = 4096;

/// Returns the first line of a regular file, without white space around, and who may do what with it
/// (the bits of chmod(2)). For secrets that a person puts into a file.
///
/// # Errors
/// It can't be read, is not a regular file (a pipe would keep us waiting), or is not UTF-8.
pub fn first_line(path: &Path) -> io::Result<(Zeroizing<String>, u32)> {
    let opened = open_regular(path)?;
    let (file, about) = opened.ok_or_else(|| io::Error::other("it is no regular file"))?;
    let mut text = Zeroizing::new(String::new());
    file.take(FIRST_LINE).read_to_string(&mut text)?;
    let line = text.lines().next().unwrap_or_default().trim();
    let line = Zeroizing::new(line.to_owned());
    Ok((line, about.permissions().mode()))
}

/// Returns the program that runs here, also where its file was replaced since.
///
/// # Errors
/// The kernel does not say.
pub fn this_program() -> io::Result<PathBuf> {
    told("/proc/self/exe")
}

/// Returns where an open file or directory is, or was before it was removed, whatever links led to
/// it.
///
/// # Errors
/// The kernel does not say (`/proc/self/fd`, see proc(5)).
pub fn opened_at(opened: &impl AsRawFd) -> io::Result<PathBuf> {
    told(&format!("/proc/self/fd/{}", opened.as_raw_fd()))
}

/// Returns where the kernel says that something is.
fn told(link: &str) -> io::Result<PathBuf> {
    let told = std::fs::read_link(link)?;
    let told = told.into_os_string().into_vec();
    let path = told.strip_suffix(b" (deleted)").unwrap_or(&told);
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

fn temporary(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(&prefix(path))
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent(path))?;
    // The file mode creation mask may have taken bits away.
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Returns how the names of a file's temporary files begin: with what tells whose they are, and
/// a digest of its name, which itself may be as long as a name can be.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let digest = hex::encode(Sha256::digest(name));
    let short: String = digest.chars().take(12).collect();
    format!(".moored-{short}-")
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
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
pub fn random_bytes(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Leaves beside a file what a writer leaves that is killed before its rename.
#[cfg(test)]
pub(crate) fn left_by_a_kill(path: &Path) -> std::path::PathBuf {
    temporary(path, b"half", 0o644).unwrap().keep().unwrap().1
}

/// Returns a size for people: in MB, to a tenth.
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
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
    fn a_file_that_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("f"), dir.path().join("l"));
        create_atomically(&path, b"one", 0o644).unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for there in [&path, &link] {
            let error = create_atomically(there, b"two", 0o644).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        remove_durably(&path).unwrap();
        remove_durably(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn only_its_own_leftovers_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let names = ["f", "g"].map(path);
        let left = names.each_ref().map(|path| left_by_a_kill(path));
        sweep(&names[0]).unwrap();
        assert_eq!(left.map(|path| path.exists()), [false, true]);
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random_bytes(16).unwrap(), random_bytes(16).unwrap());
    }
}
