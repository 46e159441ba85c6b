//! Starts libgit2 without the certificates of the host and without anybody's settings for Git.

use std::env;
use std::ffi::OsString;

use git2::ConfigLevel;

/// Names a file of certificates that OpenSSL reads instead of the host's own (`openssl(1)`).
const FILE_OF_CERTIFICATES: &str = "SSL_CERT_FILE";

/// Starts libgit2, which this process uses to read what its children have fetched.
///
/// OpenSSL reads every certificate of the host when libgit2 starts: half of what a pass without a
/// change takes (20 ms measured). Only the children speak TLS through libgit2; what else of this
/// process does has the environment as it was.
///
/// Nor does it read `/etc/gitconfig` or `~/.gitconfig`: what a person has set for work of their own
/// has no say. The children have a home of their own in place of that.
///
/// To be called once, before there is a second thread.
#[expect(
    unsafe_code,
    reason = "libgit2 is told by the environment and by settings of the whole process"
)]
pub fn start() {
    let before = named_file();
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe { env::set_var(FILE_OF_CERTIFICATES, "/dev/null") };
    libgit2_sys::init();
    // SAFETY: as above; libgit2 starts no thread of its own.
    unsafe {
        match before {
            Some(value) => env::set_var(FILE_OF_CERTIFICATES, value),
            None => env::remove_var(FILE_OF_CERTIFICATES),
        }
    }
    for level in [
        ConfigLevel::ProgramData,
        ConfigLevel::System,
        ConfigLevel::XDG,
        ConfigLevel::Global,
    ] {
        // SAFETY: libgit2 has started, and no other thread reads or writes its settings.
        // An error is that of a path with a NUL, which this one has not.
        let _told = unsafe { git2::opts::set_search_path(level, "") };
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "to be put back, not to be obeyed"
)]
fn named_file() -> Option<OsString> {
    env::var_os(FILE_OF_CERTIFICATES)
}
