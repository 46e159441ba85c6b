//! Takes the signature off a commit, and lists the commits that are new.
//!
//! A signature is a header, `gpgsig`, that is not part of what is signed: the rest of the object
//! is, byte for byte (gitformat-signature(5)). Read here and not by libgit2, which takes the
//! first of several and also finds one in the message.

use std::path::Path;

use super::commit::{failed, find_commit, open_objects};
use super::path::RepoPath;
use super::revision::Revision;
use super::tree::ReadError;

/// What a commit has by way of signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It is not signed.
    None,
    /// It is signed once.
    One {
        /// The signature in its armour.
        armour: Vec<u8>,
        /// What it is of: the commit without it.
        payload: Vec<u8>,
    },
    /// It has more than one: which of them counts is anybody's guess.
    Several,
}

/// Returns the signature of a commit that the mirror has.
///
/// # Errors
/// The commit is not there or can't be read.
pub fn signature_of(mirror: &Path, revision: &Revision) -> Result<Signature, ReadError> {
    let failed = |error: git2::Error| failed(&RepoPath::root(), &error);
    let repository = open_objects(mirror).map_err(failed)?;
    let id = find_commit(&repository, revision)?.id();
    let odb = repository.odb().map_err(failed)?;
    let object = odb.read(id).map_err(failed)?;
    Ok(take_off(object.data()))
}

/// Returns the commits that `head` has and `base` has not, newest first; `None` = there are more
/// than `most`.
///
/// # Errors
/// They are not there or can't be read.
pub fn commits_since(
    mirror: &Path,
    head: &Revision,
    base: &Revision,
    most: usize,
) -> Result<Option<Vec<Revision>>, ReadError> {
    let failed = |error: git2::Error| failed(&RepoPath::root(), &error);
    let repository = open_objects(mirror).map_err(failed)?;
    let mut walk = repository.revwalk().map_err(failed)?;
    walk.push(find_commit(&repository, head)?.id())
        .map_err(failed)?;
    // What is not there any more hides nothing.
    if let Ok(base) = find_commit(&repository, base) {
        walk.hide(base.id()).map_err(failed)?;
    }
    let mut found = Vec::new();
    for id in walk {
        if found.len() == most {
            return Ok(None);
        }
        found.push(Revision::from(id.map_err(failed)?));
    }
    Ok(Some(found))
}

/// Splits a commit object into its signature and what that is of.
fn take_off(object: &[u8]) -> Signature {
    let mut armours: Vec<Vec<u8>> = Vec::new();
    let mut payload = Vec::with_capacity(object.len());
    let mut lines = object.split_inclusive(|byte| *byte == b'\n');
    let mut in_signature = false;
    for line in lines.by_ref() {
        in_signature = match (in_signature, line.strip_prefix(b" ")) {
            (true, Some(more)) => {
                if let Some(armour) = armours.last_mut() {
                    armour.extend_from_slice(more);
                }
                continue;
            }
            _ => false,
        };
        // `gpgsig-sha256` signs the same commit in a repository of other object ids.
        if line.starts_with(b"gpgsig") {
            armours.push(line.strip_prefix(b"gpgsig ").unwrap_or_default().to_vec());
            in_signature = true;
            continue;
        }
        payload.extend_from_slice(line);
        if line == b"\n" {
            break;
        }
    }
    // The message.
    lines.for_each(|line| payload.extend_from_slice(line));
    let mut armours = armours.into_iter();
    match (armours.next(), armours.next()) {
        (None, _) => Signature::None,
        (Some(armour), None) => Signature::One { armour, payload },
        (Some(_), Some(_)) => Signature::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "tree 1\nparent 2\nauthor A\ncommitter A\n\nsay\n";

    /// The commit with headers put behind `parent`.
    fn with(headers: &str) -> Vec<u8> {
        PLAIN
            .replace("author", &format!("{headers}author"))
            .into_bytes()
    }

    #[test]
    fn a_signature_is_one_header_with_its_continuation() {
        assert_eq!(take_off(PLAIN.as_bytes()), Signature::None);
        let expected = Signature::One {
            armour: b"BEGIN\n\nx\nEND\n".to_vec(),
            payload: PLAIN.as_bytes().to_vec(),
        };
        assert_eq!(take_off(&with("gpgsig BEGIN\n \n x\n END\n")), expected);
    }

    #[test]
    fn two_signatures_are_told() {
        let two = with("gpgsig A\ngpgsig B\n");
        assert_eq!(take_off(&two), Signature::Several);
        let two = with("gpgsig A\n a\ngpgsig-sha256 B\n");
        assert_eq!(take_off(&two), Signature::Several);
    }

    #[test]
    fn what_looks_like_one_elsewhere_is_none() {
        let in_message = PLAIN.replace("say", "gpgsig A\n B");
        assert_eq!(take_off(in_message.as_bytes()), Signature::None);
        // A merged tag is quoted with its own signature.
        let tag = with("mergetag object 3\n gpgsig A\n -----BEGIN SSH SIGNATURE-----\n");
        assert_eq!(take_off(&tag), Signature::None);
    }
}
