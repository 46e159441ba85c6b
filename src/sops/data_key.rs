//! Decrypts the key of a file with the keys of the host.

use std::io::Read as _;

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor, Identity};
use zeroize::Zeroizing;

use super::identity::Identities;

const LENGTH: usize = 32;

/// The key that the values of one file are encrypted with.
pub(super) struct DataKey(Zeroizing<[u8; LENGTH]>);

impl DataKey {
    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

/// Why no key came of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is for somebody else.
    NotForUs,
    /// It is no age file, or not of a key.
    Damaged,
}

/// Decrypts the data key that `sealed`, an age file in its armour, holds.
pub(super) fn open(sealed: &str, identities: &Identities) -> Result<DataKey, Failed> {
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed.as_bytes()));
    let decryptor = decryptor.map_err(|_| Failed::Damaged)?;
    let keys = identities.keys.iter().map(|key| key as &dyn Identity);
    let reader = decryptor.decrypt(keys).map_err(|error| {
        if matches!(error, DecryptError::NoMatchingKeys) {
            Failed::NotForUs
        } else {
            Failed::Damaged
        }
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(2 * LENGTH));
    // One byte more than a key has, to see one that is too long.
    let most = u64::try_from(LENGTH + 1).unwrap_or(u64::MAX);
    reader
        .take(most)
        .read_to_end(&mut plain)
        .map_err(|_| Failed::Damaged)?;
    let key = <[u8; LENGTH]>::try_from(plain.as_slice()).map_err(|_| Failed::Damaged)?;
    Ok(DataKey(Zeroizing::new(key)))
}
