//! Keys of people, and commits that they have signed, by OpenSSH's own program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use git2::ObjectType;
use moored::source::Revision;

use super::origin::{Origin, oid};
use super::put;
use super::sshd::make_key;

/// A directory of keys, and a file of allowed signers.
pub(crate) struct Signing {
    directory: tempfile::TempDir,
}

impl Signing {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    /// Makes the key of somebody, of a kind that ssh-keygen knows.
    pub(crate) fn person(&self, name: &str, kind: &str) {
        make_key(&self.key(name), kind);
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns somebody's public key: kind and base64.
    pub(crate) fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.key(name).with_extension("pub")).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Returns the file of allowed signers.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("allowed_signers")
    }

    /// Writes the file: each line is a person and options.
    pub(crate) fn allow(&self, people: &[(&str, &str)]) {
        let line = |(name, options): &(&str, &str)| {
            format!("{name}@example.org {options} {}\n", self.public(name))
        };
        put(self.file(), people.iter().map(line).collect::<String>());
    }

    /// Signs bytes, as Git lets ssh-keygen do it.
    pub(crate) fn armour(&self, name: &str, namespace: &str, payload: &[u8]) -> String {
        let file = self.directory.path().join("payload");
        put(&file, payload);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(self.key(name))
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let signature = file.with_extension("sig");
        let armour = std::fs::read_to_string(&signature).unwrap();
        std::fs::remove_file(signature).unwrap();
        armour
    }

    /// Lets ssh-keygen verify as Git does, for a commit made at a time.
    pub(crate) fn verified(&self, name: &str, payload: &[u8], armour: &str, at: &str) -> Output {
        let signature = self.directory.path().join("to-verify.sig");
        put(&signature, armour);
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-n", "git", "-I"])
            .arg(format!("{name}@example.org"))
            .arg(format!("-Overify-time={at}"))
            .arg("-f")
            .arg(self.file())
            .arg("-s")
            .arg(&signature)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may refuse before it has read everything.
        child.stdin.take().unwrap().write_all(payload).ok();
        child.wait_with_output().unwrap()
    }

    /// Makes a signed commit of one that is not, and points the branch at it.
    pub(crate) fn sign(&self, origin: &Origin, branch: &str, name: &str) -> Revision {
        sign_with(origin, branch, |payload| self.armour(name, "git", payload))
    }
}

/// Returns the bytes of a commit.
pub(crate) fn object_of(origin: &Origin, revision: &Revision) -> String {
    let odb = origin.repository.odb().unwrap();
    let object = odb.read(oid(revision)).unwrap();
    String::from_utf8(object.data().to_vec()).unwrap()
}

/// Does what [`Signing::sign`] does, with any armour.
pub(crate) fn sign_with(
    origin: &Origin,
    branch: &str,
    armour: impl Fn(&[u8]) -> String,
) -> Revision {
    let head = format!("refs/heads/{branch}");
    let head = origin.repository.refname_to_id(&head).unwrap();
    let odb = origin.repository.odb().unwrap();
    let payload = odb.read(head).unwrap().data().to_vec();
    let armour = armour(&payload);
    let payload = String::from_utf8(payload).unwrap();
    let signed = origin
        .repository
        .commit_signed(&payload, armour.trim_end(), None)
        .unwrap();
    origin.point(branch, signed);
    Revision::from(signed)
}

/// Puts a commit in place of the head that is made of these very bytes.
pub(crate) fn write_raw(origin: &Origin, branch: &str, object: &str) -> Revision {
    let odb = origin.repository.odb().unwrap();
    let id = odb.write(ObjectType::Commit, object.as_bytes()).unwrap();
    origin.point(branch, id);
    Revision::from(id)
}
