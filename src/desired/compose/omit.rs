//! Takes out what counts as not written (compose-go's `loader/omitEmpty.go`).

use super::pattern::{Step, fits, visit};
use crate::yaml::{Kind, Node};

/// Takes empty name servers out.
pub(super) fn empty(file: &mut Node) {
    visit(file, &mut |path, node| {
        if let Kind::Seq(items) = &mut node.kind
            && fits(path, "services.*.dns")
        {
            items.retain(|item| !item.is_null() && item.as_str() != Some(""));
        }
        Step::Inside
    });
}
