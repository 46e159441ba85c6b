//! Decides whose commits are followed: signatures, by the allowed signers of the host's settings.
//!
//! [`AllowedSigners`] reads the file of keys; [`check()`] verifies one commit against it and names
//! the signer, or says why not ([`Distrust`]). A head that is not followed is a [`Refusal`], a
//! [`Standing`] says which one a stack is at. Pure but for reading the file. Only what
//! OpenSSH signs: `docs/decisions/0020-trust.md` says why. Modules: `signers`, `options`,
//! `verify`, `refusal`. [`approval()`] says who approves what a commit has, and a [`Gate`] what a
//! change has to wait for: `approval`, `gate`.

mod approval;
mod gate;
mod options;
mod refusal;
mod signers;
mod verify;

pub use approval::{NoApproval, approval};
pub use gate::{Arrival, Gate, Unapproved};
pub use refusal::{Distrust, Refusal, Rewrite, Standing, UnloadableHead, UntrustedHead};
pub use signers::AllowedSigners;
pub use verify::{Signer, check};
