//! Says what is not permitted, and which setting would permit it.

use std::fmt;

use serde::Serialize;

/// Says of a place that no setting opens it.
pub(super) const OWN: &str = "is, has or lies in what is Moored's own";

/// A setting of `policy`, and what to write there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Setting(String);

impl Setting {
    /// Names a setting with a value of one line: `privileged: [shop/agent]`.
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self(format!("{key}: {value}"))
    }

    /// Returns the key under `policy`, and the value.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(": ").unwrap_or((&self.0, ""))
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

/// Something that is asked of the engine, or of a file of the host, and not permitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
pub struct Refusal {
    /// The key of the Compose file or manifest that asks for it.
    pub key: &'static str,
    /// What is asked for, as people know it; never the value of an option.
    pub what: String,
    /// What would permit it; `None` = no setting does.
    pub setting: Option<Setting>,
}

impl Refusal {
    /// Says the same without the key, where that is said already.
    pub fn without_key(&self) -> String {
        let what = &self.what;
        match &self.setting {
            Some(setting) => format!("{what} (permitted by {setting})"),
            None => format!("{what} (no setting permits it)"),
        }
    }

    /// Says the same without what is asked for: that may be a secret.
    #[must_use]
    pub fn without_value(&self) -> Self {
        Self {
            key: self.key,
            what: "a value that is not shown".to_owned(),
            setting: self.setting.as_ref().map(Setting::without_value),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.without_key())
    }
}
