//! Decrypts SOPS files in memory: files of the repository whose values are encrypted for age keys.
//!
//! [`environment`] gives what a service has in its environment, [`whole`] the content of a file,
//! both with the [`Identities`] of the host. Nothing is returned that the file's message
//! authentication code does not vouch for, and nothing is written anywhere. The rules are those of
//! SOPS 3.13 (`sops.go`, `aes/cipher.go` and `stores/`); what those leave to key services, key
//! groups and rules about comments is refused by name. Decision 0021 says why it is done here.
//!
//! On the way: `document` and `dotenv` read the file into one tree, `metadata` reads what SOPS
//! says about it, `data_key` decrypts the key of the file, `walk` decrypts the values with it
//! (`cipher`) and checks the code.

mod cipher;
mod data_key;
mod decrypt;
mod document;
mod dotenv;
mod identity;
mod metadata;
#[cfg(test)]
mod tests;
mod walk;

pub use decrypt::{Environment, Value, environment, whole};
pub use identity::Identities;
