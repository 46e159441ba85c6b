//! Decrypts single values: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace, AesGcm, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::data_key::DataKey;

/// Length of the nonce: SOPS draws 32 bytes, where most programs use 12.
const NONCE: usize = 32;
const TAG: usize = 16;

/// What a value is once it is decrypted: its text as the message authentication code counts it.
pub(super) struct Plain {
    pub(super) text: Zeroizing<String>,
    pub(super) kind: Kind,
}

/// The types of values that SOPS writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    /// A number or a time.
    Other,
    /// What was a comment; no value.
    Comment,
}

/// Decrypts one value, which is bound to its place in the file by `path`.
///
/// # Errors
/// Why it can't be, as an end of "… has a value that …"; nothing of the value is said.
pub(super) fn decrypt(key: &DataKey, value: &str, path: &str) -> Result<Plain, &'static str> {
    const ALTERED: &str =
        "can't be decrypted: it was altered, or it belongs to another key or file";
    let Sealed {
        mut data,
        nonce,
        tag,
        kind,
    } = parse(value).ok_or("is not encrypted as sops does it")?;
    if nonce.len() != NONCE || tag.len() != TAG {
        return Err("is not encrypted as sops does it");
    }
    let cipher = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(key.bytes()));
    let (nonce, tag) = (
        GenericArray::from_slice(&nonce),
        GenericArray::from_slice(&tag),
    );
    cipher
        .decrypt_in_place_detached(nonce, path.as_bytes(), &mut data, tag)
        .map_err(|_| ALTERED)?;
    let text = str::from_utf8(&data).map_err(|_| "is not UTF-8 text")?;
    let text = match kind {
        "str" | "bytes" | "time" | "comment" => text.to_owned(),
        "int" => whole_number(text).ok_or("is not the whole number that it says it is")?,
        "float" => number(text).ok_or("is not the number that it says it is")?,
        "bool" => truth(text).ok_or("is not the truth value that it says it is")?,
        _ => return Err("has a type that sops does not know"),
    };
    let kind = match kind {
        "str" | "bytes" => Kind::Text,
        "bool" => Kind::Bool,
        "comment" => Kind::Comment,
        _ => Kind::Other,
    };
    Ok(Plain {
        text: Zeroizing::new(text),
        kind,
    })
}

/// Returns a number as SOPS hashes it: in digits, without an exponent.
pub(super) fn float(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".to_owned();
    }
    if value == f64::NEG_INFINITY {
        return "-Inf".to_owned();
    }
    value.to_string()
}

/// Returns a truth value as SOPS hashes it.
pub(super) fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

struct Sealed<'a> {
    data: Zeroizing<Vec<u8>>,
    nonce: Vec<u8>,
    tag: Vec<u8>,
    kind: &'a str,
}

fn parse(value: &str) -> Option<Sealed<'_>> {
    let inner = value.strip_prefix("ENC[AES256_GCM,data:")?;
    let inner = inner.strip_suffix(']')?;
    let (data, rest) = inner.split_once(",iv:")?;
    let (nonce, rest) = rest.split_once(",tag:")?;
    let (tag, kind) = rest.split_once(",type:")?;
    Some(Sealed {
        data: Zeroizing::new(STANDARD.decode(data).ok()?),
        nonce: STANDARD.decode(nonce).ok()?,
        tag: STANDARD.decode(tag).ok()?,
        kind,
    })
}

fn whole_number(text: &str) -> Option<String> {
    text.parse::<i64>().ok().map(|value| value.to_string())
}

fn number(text: &str) -> Option<String> {
    text.parse::<f64>().ok().map(float)
}

/// Reads what Go's `ParseBool` does.
fn truth(text: &str) -> Option<String> {
    let value = match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return None,
    };
    Some(boolean(value).to_owned())
}
