//! Says whether a commit approves what it has: a trailer counts only by the signature of the
//! person whom it names.

use super::refusal::Distrust;
use super::signers::AllowedSigners;
use super::verify::check;
use crate::gates::ApprovalRule;
use crate::secret::escape_control;
use crate::source::{self, Signature};

/// Why a commit approves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoApproval {
    /// It does not say so.
    #[error("has no such trailer")]
    NoTrailer,
    /// It says so, and nobody who may vouches for it.
    #[error("has the trailer, and {0}")]
    NotTrusted(Distrust),
    /// It is signed by somebody who may not approve.
    #[error("has the trailer, and is signed by {signer}, who may not approve")]
    NotApprover {
        /// Whose key it is.
        signer: String,
    },
    /// It says that it is for other stacks.
    #[error("has the trailer, and is for {stacks} alone")]
    OtherStacks {
        /// Which ones.
        stacks: String,
    },
    /// It is signed by somebody else than the one that it names.
    #[error("has the trailer for {named}, and is signed by {signer}")]
    AnotherName {
        /// Whom the trailer names.
        named: String,
        /// Whose key it is.
        signer: String,
    },
}

/// The trailer that says which stacks an approval is for, with commas between; without it, it is
/// for all that the commit has.
pub(super) const FOR_STACKS: &str = "Approved-stacks";

/// Returns who approves what a commit has of a stack: a principal of the rule, by whose key it is signed and
/// whom a trailer of its names. The key must have been valid at `at`, in seconds since 1970.
///
/// # Errors
/// Nobody does.
pub fn approval(
    signature: &Signature,
    rule: &ApprovalRule,
    stack: &str,
    signers: &AllowedSigners,
    at: i64,
) -> Result<String, NoApproval> {
    let payload = match signature {
        Signature::One { payload, .. } => payload,
        // Without a signature nobody knows whom it is by; it is not asked what it says.
        Signature::None | Signature::Several => return Err(NoApproval::NoTrailer),
    };
    let named = values(payload, &rule.trailer);
    let named: Vec<String> = named
        .iter()
        .map(|value| address(value).to_owned())
        .collect();
    let Some(first) = named.first() else {
        return Err(NoApproval::NoTrailer);
    };
    let stacks = values(payload, FOR_STACKS);
    let mut each = stacks
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim);
    if !stacks.is_empty() && !each.any(|one| one == stack) {
        let stacks = escape_control(&stacks.join(", "));
        return Err(NoApproval::OtherStacks { stacks });
    }
    let signer = check(signature, signers, at).map_err(NoApproval::NotTrusted)?;
    let mut principals = signer.principals.split(',').map(str::trim);
    let mut may = principals.clone().filter(|one| is_in(&rule.signers, one));
    if may.clone().next().is_none() {
        let signer = principals.next().unwrap_or_default().to_owned();
        return Err(NoApproval::NotApprover { signer });
    }
    match may.clone().find(|one| is_in(&named, one)) {
        Some(approver) => Ok(approver.to_owned()),
        None => Err(NoApproval::AnotherName {
            named: escape_control(first),
            signer: may.next().unwrap_or_default().to_owned(),
        }),
    }
}

fn is_in(all: &[String], one: &str) -> bool {
    all.iter().any(|other| other.eq_ignore_ascii_case(one))
}

/// Returns the values of the trailers of one name in a commit object.
fn values(object: &[u8], trailer: &str) -> Vec<String> {
    // Headers end at the first empty line.
    let end = object.windows(2).position(|two| two == b"\n\n");
    let message = end
        .and_then(|end| object.get(end + 2..))
        .unwrap_or_default();
    let message = String::from_utf8_lossy(message);
    let all = source::trailers(&message).into_iter();
    let of_name = all.filter(|(name, _)| name.eq_ignore_ascii_case(trailer));
    of_name.map(|(_, value)| value).collect()
}

/// Returns the address in angle brackets, or the whole value where there is none.
fn address(value: &str) -> &str {
    let inside = value
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(value, |(address, _)| address).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_trailers() {
        let object = "tree 1\nauthor A <Approved-by: x>\n\nApprove\n\n\
                      Approved-by: Ada <ada@example.org>\napproved-by: bob@example.org\n";
        let found = values(object.as_bytes(), "Approved-by");
        assert_eq!(found, ["Ada <ada@example.org>", "bob@example.org"]);
        assert_eq!(values(b"tree 1\nApproved-by: a\n", "Approved-by"), [""; 0]);
    }

    #[test]
    fn an_address_is_in_brackets_or_the_whole() {
        for (value, expected) in [
            ("Ada <ada@x>", "ada@x"),
            ("Ada < ada@x > (home)", "ada@x"),
            ("ada@x", "ada@x"),
            ("Ada <ada@x", "Ada <ada@x"),
            ("", ""),
        ] {
            assert_eq!(address(value), expected);
        }
    }
}
