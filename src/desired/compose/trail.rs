//! Names a place inside the tree of a Compose file: `services.web.ports[0].target`.

use std::fmt;

/// The way from the top of a file to a value; each step borrows the one before.
#[derive(Clone, Copy)]
pub(super) enum Trail<'a> {
    /// The file as a whole.
    Top,
    /// A key of a mapping.
    Key(&'a Trail<'a>, &'a str),
    /// An item of a list, counted from 0.
    Item(&'a Trail<'a>, usize),
}

impl<'a> Trail<'a> {
    /// Returns the place of a key below this one.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// Returns the place of an item below this one.
    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("the file"),
            Self::Key(Self::Top, key) => f.write_str(key),
            Self::Key(before, key) => write!(f, "{before}.{key}"),
            Self::Item(before, index) => write!(f, "{before}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_way() {
        let top = Trail::Top;
        let services = top.key("services");
        let web = services.key("web");
        let ports = web.key("ports");
        assert_eq!(top.to_string(), "the file");
        assert_eq!(ports.item(2).to_string(), "services.web.ports[2]");
        assert_eq!(
            ports.item(2).key("target").to_string(),
            "services.web.ports[2].target"
        );
    }
}
