//! Judges images by their names.

use super::Policy;
use super::refusal::{Refusal, Setting};
use crate::engine::reference::Reference;
use crate::permits::Strictness;

impl Policy {
    /// Returns what about the name of an image, which stands at a key, is not permitted.
    pub fn image(&self, key: &'static str, image: &str) -> Vec<Refusal> {
        let Ok(reference) = Reference::parse(image) else {
            // It is no name that an engine would take, or the id of an image that is here: those of
            // proxies of elsewhere, to test their files.
            return Vec::new();
        };
        let mut found = Vec::new();
        let full = reference.normalized().repository;
        if let Some(patterns) = &self.permits.images_from
            && !patterns.iter().any(|pattern| pattern.admits(&full))
        {
            found.push(Refusal {
                key,
                what: format!("image {full}"),
                setting: Some(Setting::new("images_from", &format!("[{full}]"))),
            });
        }
        if self.permits.mutable_tags == Strictness::Refuse && is_moving(&reference) {
            found.push(Refusal {
                key,
                what: moving(image),
                setting: Some(Setting::new("mutable_tags", "warn")),
            });
        }
        found
    }

    /// Returns what is to be told of the name of an image that is permitted.
    pub fn warning_of(&self, image: &str) -> Option<String> {
        let told = self.permits.mutable_tags == Strictness::Warn;
        warning_of(image).filter(|_| told)
    }
}

/// Returns what is to be told of the name of an image by the default settings.
pub fn warning_of(image: &str) -> Option<String> {
    let reference = Reference::parse(image).ok()?;
    is_moving(&reference).then(|| moving(image))
}

/// Returns whether a reference has a tag that is made to be moved: none, or one without a number.
fn is_moving(reference: &Reference) -> bool {
    let numbered = |tag: &String| tag.contains(|c: char| c.is_ascii_digit());
    reference.digest.is_none() && !reference.tag.as_ref().is_some_and(numbered)
}

fn moving(image: &str) -> String {
    format!("image {image} has a tag that is made to be moved, so that Git does not say what runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_a_number_stays() {
        let moves = |image: &str| is_moving(&Reference::parse(image).unwrap());
        for stays in ["app:v1", "postgres:16-alpine", "app:sha-9f31c2e"] {
            assert!(!moves(stays), "{stays}");
        }
        let digest = format!("app@sha256:{}", "a".repeat(64));
        assert!(!moves(&digest));
        for moving in [
            "app",
            "app:latest",
            "registry:5000/app:main",
            "app:stable-alpine",
        ] {
            assert!(moves(moving), "{moving}");
        }
    }
}
