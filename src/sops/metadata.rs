//! What SOPS says about a file: for whom it is encrypted, which of it, and what vouches for it.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use crate::diagnostic::{Diagnostic, Position};
use crate::secret::escape_control;
use crate::yaml::Node;

/// Most age recipients: each costs a key exchange.
const MOST_RECIPIENTS: usize = 64;

/// Bytes of memory that a rule may compile to.
const MAX_RULE: usize = 1 << 20;

/// Lists of recipients that are not age's.
const SERVICES: [(&str, &str); 6] = [
    ("azure_kv", "Azure Key Vault"),
    ("gcp_kms", "Google Cloud KMS"),
    ("hc_vault", "HashiCorp Vault"),
    ("hckms", "Huawei Cloud KMS"),
    ("kms", "AWS KMS"),
    ("pgp", "PGP"),
];

/// The suffix whose values stay plain when a file says nothing about that.
const DEFAULT_SUFFIX: &str = "_unencrypted";

/// The words of SOPS as they stand in the file.
#[derive(Default)]
pub(super) struct Raw {
    /// What has one value, by name.
    scalars: BTreeMap<String, (String, Position)>,
    /// The data key, encrypted for each age recipient.
    age: Vec<String>,
    /// Which other services it is encrypted for.
    services: BTreeSet<&'static str>,
    has_groups: bool,
}

/// What a file is decrypted and checked by.
pub(super) struct Metadata {
    /// The data key, encrypted for each age recipient.
    pub(super) age: Vec<String>,
    /// Which other services it is encrypted for.
    pub(super) services: BTreeSet<&'static str>,
    /// The message authentication code, encrypted, and where it stands.
    pub(super) code: (String, Position),
    /// When the file was last changed, which the code is bound to.
    pub(super) last_modified: String,
    /// Which values are encrypted.
    pub(super) rule: Rule,
    /// Whether the code vouches for encrypted values alone.
    pub(super) only_encrypted: bool,
}

/// Which values of a file are encrypted, by the keys on the way to them.
pub(super) enum Rule {
    AllButSuffix(String),
    Suffix(String),
    AllButPattern(Regex),
    Pattern(Regex),
}

impl Raw {
    /// Reads the `sops` mapping of a YAML or JSON file.
    pub(super) fn of_tree(node: &Node) -> Self {
        let mut raw = Self::default();
        for entry in node.as_map().into_iter().flatten() {
            let (key, items) = (entry.key.as_str(), entry.value.as_seq().unwrap_or_default());
            match key {
                "age" => {
                    let sealed = items.iter().map(|item| item.at(&["enc"])?.go_string());
                    // One without a key is as damaged as one that can't be read.
                    raw.age.extend(sealed.map(Option::unwrap_or_default));
                }
                "key_groups" => raw.has_groups = !items.is_empty(),
                _ => {
                    let value = entry.value.go_string();
                    if let Some(value) = value.filter(|value| !value.is_empty()) {
                        let value = (value, entry.value.position);
                        raw.scalars.insert(key.to_owned(), value);
                    }
                }
            }
            raw.add_service(key, !items.is_empty());
        }
        raw
    }

    /// Adds a word of an environment file: `mac`, or for lists `age__list_0__map_enc`.
    pub(super) fn add_flat(&mut self, key: &str, value: String, position: Position) {
        let Some((list, rest)) = key.split_once("__list_") else {
            if !value.is_empty() {
                self.scalars.insert(key.to_owned(), (value, position));
            }
            return;
        };
        match list {
            "age" if rest.ends_with("__map_enc") => self.age.push(value),
            "key_groups" => self.has_groups = true,
            _ => self.add_service(list, true),
        }
    }

    fn add_service(&mut self, key: &str, has_recipients: bool) {
        let service = SERVICES.iter().find(|(name, _)| *name == key);
        self.services.extend(
            service
                .filter(|_| has_recipients)
                .map(|(_, service)| service),
        );
    }

    /// Checks the words, and gives them their meaning.
    pub(super) fn into_metadata(mut self, file: &str) -> Result<Metadata, Diagnostic> {
        if self.age.is_empty() && self.has_groups {
            let message = "the data key is split among several key groups (Shamir)";
            return Err(Diagnostic::file(file, message)
                .hint("encrypt the file with one group that has an age recipient"));
        }
        if self.age.len() > MOST_RECIPIENTS {
            let message = format!("there are more than {MOST_RECIPIENTS} age recipients");
            return Err(Diagnostic::file(file, message));
        }
        let missing = |what: &str| {
            let message = format!("sops has left no {what}, and so nothing vouches for the file");
            Diagnostic::file(file, message).hint("encrypt it again")
        };
        let code = self.scalars.remove("mac");
        let code = code.ok_or_else(|| missing("message authentication code (mac)"))?;
        let modified = self.scalars.remove("lastmodified");
        let (modified, _) = modified.ok_or_else(|| missing("time of its change (lastmodified)"))?;
        Ok(Metadata {
            rule: self.rule(file)?,
            only_encrypted: self.only_encrypted(file)?,
            age: self.age,
            services: self.services,
            code,
            last_modified: as_go_prints(&modified),
        })
    }

    fn rule(&self, file: &str) -> Result<Rule, Diagnostic> {
        const RULES: [&str; 6] = [
            "unencrypted_suffix",
            "encrypted_suffix",
            "unencrypted_regex",
            "encrypted_regex",
            "unencrypted_comment_regex",
            "encrypted_comment_regex",
        ];
        let given = RULES
            .iter()
            .filter_map(|name| Some((*name, self.scalars.get(*name)?)));
        let given: Vec<_> = given.collect();
        let (name, (text, position)) = match given.as_slice() {
            [] => return Ok(Rule::AllButSuffix(DEFAULT_SUFFIX.to_owned())),
            [one] => one,
            [_, (name, (_, position)), ..] => {
                let message = format!("{name} is a second rule for what is encrypted");
                return Err(Diagnostic::at(file, *position, message).hint("keep one of them"));
            }
        };
        let pattern = || {
            let pattern = RegexBuilder::new(text).size_limit(MAX_RULE).build();
            pattern.map_err(|_| {
                let text = escape_control(text);
                let message = format!("{name} \"{text}\" is not a regular expression");
                Diagnostic::at(file, *position, message)
            })
        };
        match *name {
            "unencrypted_suffix" => Ok(Rule::AllButSuffix(text.clone())),
            "encrypted_suffix" => Ok(Rule::Suffix(text.clone())),
            "unencrypted_regex" => Ok(Rule::AllButPattern(pattern()?)),
            "encrypted_regex" => Ok(Rule::Pattern(pattern()?)),
            _ => {
                let message = format!("{name}: rules about comments are not supported");
                Err(Diagnostic::at(file, *position, message)
                    .hint("encrypt by unencrypted_suffix or encrypted_regex"))
            }
        }
    }

    fn only_encrypted(&self, file: &str) -> Result<bool, Diagnostic> {
        match self.scalars.get("mac_only_encrypted") {
            None => Ok(false),
            Some((text, position)) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => {
                    let message = "mac_only_encrypted is to be true or false";
                    Err(Diagnostic::at(file, *position, message))
                }
            },
        }
    }
}

impl Rule {
    /// Returns whether the value at these keys is encrypted.
    pub(super) fn encrypts(&self, path: &[String]) -> bool {
        let any = |fits: &dyn Fn(&str) -> bool| path.iter().any(|key| fits(key));
        match self {
            Self::AllButSuffix(suffix) => !any(&|key| key.ends_with(suffix)),
            Self::Suffix(suffix) => any(&|key| key.ends_with(suffix)),
            Self::AllButPattern(pattern) => !any(&|key| pattern.is_match(key)),
            Self::Pattern(pattern) => any(&|key| pattern.is_match(key)),
        }
    }
}

/// Returns a time as Go prints it again, which is what the code is bound to: without a fraction,
/// and with `Z` for no offset.
fn as_go_prints(time: &str) -> String {
    let (seconds, rest) = time.split_at_checked(19).unwrap_or((time, ""));
    let fraction = rest
        .strip_prefix('.')
        .map(|fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = match fraction.unwrap_or(rest) {
        "+00:00" | "-00:00" => "Z",
        zone => zone,
    };
    format!("{seconds}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_go_does() {
        for (text, expected) in [
            ("2026-11-21T16:44:05Z", "2026-11-21T16:44:05Z"),
            ("2026-11-21T16:44:05.123Z", "2026-11-21T16:44:05Z"),
            ("2026-11-21T16:44:05+00:00", "2026-11-21T16:44:05Z"),
            ("2026-11-21T16:44:05+02:00", "2026-11-21T16:44:05+02:00"),
            ("yesterday", "yesterday"),
            ("äöüäöüäöüäöü", "äöüäöüäöüäöü"),
        ] {
            assert_eq!(as_go_prints(text), expected);
        }
    }
}
