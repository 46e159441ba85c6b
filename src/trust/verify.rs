//! Verifies the signature of one commit.

use ssh_key::public::KeyData;
use ssh_key::{HashAlg, SshSig};

use super::refusal::Distrust;
use super::signers::{AllowedSigners, Listed};
use crate::source::Signature;

/// What Git's signatures are made for, in OpenSSH's words (PROTOCOL.sshsig).
const NAMESPACE: &str = "git";

/// How the armour of a signature begins and ends.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Longest armour in bytes; that of the largest RSA key has 4 kilobytes.
const LONGEST_ARMOUR: usize = 64 * 1024;

/// Who has signed a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The principals of the line that lists the key.
    pub principals: String,
    /// Fingerprint of the key.
    pub key: String,
}

/// Returns who has signed a commit, if that is an allowed signer whose key was valid at `at`, in
/// seconds since 1970.
///
/// # Errors
/// Nobody has who may; the error says why not.
pub fn check(signature: &Signature, signers: &AllowedSigners, at: i64) -> Result<Signer, Distrust> {
    let (armour, payload) = match signature {
        Signature::None => return Err(Distrust::Unsigned),
        Signature::Several => return Err(Distrust::SeveralSignatures),
        Signature::One { armour, payload } => (armour, payload),
    };
    let signature = read(armour)?;
    let key = signature
        .public_key()
        .fingerprint(HashAlg::Sha256)
        .to_string();
    if signature.namespace() != NAMESPACE {
        let namespace = crate::secret::escape_control(signature.namespace());
        return Err(Distrust::OtherPurpose { namespace });
    }
    if !is_accepted(signature.public_key()) {
        let kind = signature.public_key().algorithm().to_string();
        let instead = "use an Ed25519 or ECDSA key".to_owned();
        return Err(Distrust::KindOfKey { key, kind, instead });
    }
    let mut refused = Distrust::UnknownSigner { key: key.clone() };
    let of_key = |one: &&Listed| one.key.key_data() == signature.public_key();
    // A key may have several lines; one that lets it sign is enough.
    for one in signers.listed.iter().filter(of_key) {
        if let Err(error) = one.key.verify(NAMESPACE, payload, &signature) {
            tracing::debug!(%error, key, "a signature is not of its commit");
            return Err(Distrust::Forged { key });
        }
        match one.allows(&key, at) {
            Ok(signer) => return Ok(signer),
            Err(distrust) => refused = distrust,
        }
    }
    Err(refused)
}

impl Listed {
    fn allows(&self, key: &str, at: i64) -> Result<Signer, Distrust> {
        let (signer, key) = (self.principals.clone(), key.to_owned());
        let options = &self.options;
        if !options.is_for(NAMESPACE) {
            return Err(Distrust::NotForGit { signer, key });
        }
        if let Some(since) = options.valid_after.filter(|since| at < *since) {
            let since = written(since);
            return Err(Distrust::NotYetValid { signer, key, since });
        }
        if let Some(until) = options.valid_before.filter(|until| at > *until) {
            let until = written(until);
            return Err(Distrust::Expired { signer, key, until });
        }
        Ok(Signer {
            principals: signer,
            key,
        })
    }
}

fn written(seconds: i64) -> String {
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns whether signatures by this kind of key are verified.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
fn is_accepted(key: &KeyData) -> bool {
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => true,
        // RSA among them: the one library in pure Rust has a flaw that is not mended
        // (RUSTSEC-2023-0071). DSA is too weak.
        _ => false,
    }
}

fn read(armour: &[u8]) -> Result<SshSig, Distrust> {
    let malformed = |message: &str| Distrust::Malformed {
        message: message.to_owned(),
    };
    if armour.len() > LONGEST_ARMOUR {
        return Err(malformed("it is too long"));
    }
    let text = std::str::from_utf8(armour).map_err(|_| malformed("it is not text"))?;
    let text = text.trim();
    for (start, what) in [
        ("-----BEGIN PGP", "an OpenPGP signature"),
        ("-----BEGIN SIGNED MESSAGE", "an X.509 signature"),
    ] {
        if text.starts_with(start) {
            let what = what.to_owned();
            return Err(Distrust::OtherKind { what });
        }
    }
    let body = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or_else(|| malformed("it is not between BEGIN and END SSH SIGNATURE"))?;
    // The library wants lines as ssh-keygen cuts them; other programs that sign cut differently.
    let digits: Vec<char> = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let lines: Vec<String> = digits
        .chunks(LINE)
        .map(|line| line.iter().collect())
        .collect();
    let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
    SshSig::from_pem(pem).map_err(|error| malformed(&error.to_string()))
}

/// Characters in a line of the armour (PROTOCOL.sshsig: 70).
const LINE: usize = 70;

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// From PROTOCOL.sshsig's kind of signature, for another purpose than Git's.
    const ARMOUR: &str = "\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgsz6u836i33yqAQ3v3qNOJB9l8bUppPQ+0UMn9cVKq2IAAAAHZXhh\
bXBsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEBPEav+tMGNnox4MuzM7rlHyVBajCn8B0kAyiOWwPKp\
rNsG3i6X+voz/WCSik/FowYwqhgCABUJSvRX3AERVBUP";

    fn check_armour(body: &str) -> Result<Signer, Distrust> {
        let text =
            "ada ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let signers = AllowedSigners::parse("s", text, &TimeZone::UTC).unwrap();
        let signature = Signature::One {
            armour: format!("{BEGIN}\n{body}\n{END}\n").into_bytes(),
            payload: b"testing".to_vec(),
        };
        check(&signature, &signers, 0)
    }

    #[test]
    fn a_signature_for_another_purpose_is_told() {
        let refused = check_armour(ARMOUR).unwrap_err();
        let namespace = "example".to_owned();
        assert_eq!(refused, Distrust::OtherPurpose { namespace });
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_takes_nothing_that_was_changed(
            edits in proptest::collection::vec((0..ARMOUR.len(), "[A-Za-z0-9+/= é]"), 1..5),
        ) {
            let mut body = ARMOUR.to_owned();
            for (at, with) in edits {
                if body.is_char_boundary(at) && body.is_char_boundary(at + 1) {
                    body.replace_range(at..=at, &with);
                }
            }
            proptest::prop_assert!(check_armour(&body).is_err());
        }
    }
}
