//! Says what is not permitted, and which setting would permit it.

use std::fmt;

use serde::Serialize;

/// A setting of `policy`, and what to write there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Setting(String);

impl Setting {
    /// Names a setting with a value of one line: `privileged: [shop/agent]`.
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self(format!("{key}: {value}"))
    }

    /// Names a setting without what would be written there.
    fn without_value(&self) -> Self {
        let key = self.0.split(':').next().unwrap_or_default();
        Self(format!("{key}: …"))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy: {{{}}}", self.0)
    }
}

/// Something that is asked of the engine and not permitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// The key of the Compose file that asks for it.
    pub key: &'static str,
    /// What is asked for, as people know it; never the value of an option.
    pub what: String,
    /// What would permit it.
    pub setting: Setting,
}

impl Refusal {
    /// Says the same without what is asked for: that may be a secret.
    #[must_use]
    pub fn without_value(&self) -> Self {
        Self {
            key: self.key,
            what: "a value that is not shown".to_owned(),
            setting: self.setting.without_value(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, what, setting } = self;
        write!(f, "{key}: {what} (permitted by {setting})")
    }
}
