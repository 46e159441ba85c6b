//! Says what a container is as a flat map of facts, so that Git, the last release and the live
//! container can be compared field by field.
//!
//! A fact that is absent stands for the default of image and engine. What each field means and
//! whether a difference needs a new container is the table of [`Field`].
//!
//! [`desired`] tells what Git wants, [`live`] what a container is; both let `spec` tell what a
//! [`ContainerSpec`](crate::engine::model::ContainerSpec) says, `limits` and `surroundings` parts
//! of it, in the words of `words`.

mod fact;
mod limits;
mod sides;
mod spec;
mod surroundings;
#[cfg(test)]
mod tests;
mod words;

pub use super::field::Field;
pub use fact::{Fact, Facts, Veil};
pub(super) use sides::hide_as;
pub use sides::{Known, desired, live};
