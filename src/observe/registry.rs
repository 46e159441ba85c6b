//! Asks registries what a tag stands for by now, as often as the pull policies of Git want it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, ImageState, ObservedState};
use crate::desired::{DesiredState, Pull};
use crate::engine::model::Image;
use crate::engine::{EngineError, ReadEngine};

/// What came of asking a registry for a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When it was asked, in seconds since 1970.
    pub at: i64,
    /// What it said.
    pub answer: Answer,
}

/// What a registry said of a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It stands for this digest (`sha256:…`).
    Digest(String),
    /// Nothing that helps; what stands in the way.
    None(String),
}

/// Time for an answer: somebody waits for a quiet pass, and what is here goes on anyway.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Seconds until a registry that gave no answer is asked again.
const AGAIN_AFTER: i64 = 120;

/// Seconds between two looks whether a tag that nobody wants to be pulled again was moved.
const LOOKED_AT: i64 = 24 * 3600;

/// How much somebody wants to know what a tag stands for by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Interest {
    /// Another image under it is pulled; seconds between two questions.
    Pulls(i64),
    /// Another image under it is told, and nothing is done.
    Tells,
}

impl Interest {
    /// Returns whether it is time to ask again.
    fn is_due(self, asked: &Asked, now: i64) -> bool {
        let passed = now.saturating_sub(asked.at);
        // The clock was set back: what it said then says nothing.
        let since = if passed < 0 { i64::MAX } else { passed };
        match (self, &asked.answer) {
            (Self::Pulls(interval), Answer::Digest(_)) => since >= interval,
            (Self::Pulls(_), Answer::None(_)) => since >= AGAIN_AFTER,
            (Self::Tells, Answer::Digest(_) | Answer::None(_)) => since >= LOOKED_AT,
        }
    }
}

/// Finds out which images on the host have another one under their tag at the registry: as often as
/// a pull policy wants to know it, and once a day where none does; `before` is what was said at
/// earlier passes.
///
/// What is to be remembered of it is in [`ObservedState::asked`]. A registry that gives no answer
/// stops nothing.
///
/// # Errors
/// The engine can't be asked.
pub async fn ask_registries(
    engine: &dyn ReadEngine,
    desired: &DesiredState,
    observed: &mut ObservedState,
    before: &BTreeMap<String, Asked>,
    now: i64,
) -> Result<(), EngineError> {
    let wanted = interests(desired);
    let due = wanted.iter().filter(|(image, interest)| {
        let Some(ImageState::Here(here)) = observed.images.get(**image) else {
            return false;
        };
        // One that came from no registry has no other there.
        if here.repo_digests.is_empty() && **interest == Interest::Tells {
            return false;
        }
        // What was answered before somebody pulled another one says nothing of that.
        let before = before.get(**image).filter(|asked| match &asked.answer {
            Answer::Digest(digest) => **interest == Interest::Tells || is_of(here, digest),
            Answer::None(_) => true,
        });
        before.is_none_or(|asked| interest.is_due(asked, now))
    });
    let due: Vec<&str> = due.map(|(image, _)| *image).collect();
    let fresh: BTreeMap<String, Asked> = futures_util::stream::iter(due)
        .map(|image| async move {
            let answer = ask(engine, image).await?;
            Ok::<_, EngineError>((image.to_owned(), Asked { at: now, answer }))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for (image, interest) in wanted {
        let known = fresh.get(image).or_else(|| before.get(image));
        let asked = match (observed.images.get(image), known) {
            // It was asked because there is none here.
            (Some(ImageState::Remote { digest }), _) => Asked {
                at: now,
                answer: Answer::Digest(digest.clone()),
            },
            (Some(ImageState::Here(_)), Some(known)) => known.clone(),
            _ => continue,
        };
        observed.take_in(image, interest, &asked);
        let each_time = interest == Interest::Pulls(0);
        let worth_keeping = !each_time || matches!(asked.answer, Answer::None(_));
        if before.get(image) != Some(&asked) && (worth_keeping || before.contains_key(image)) {
            observed.asked.insert(image.to_owned(), asked);
        }
    }
    Ok(())
}

impl ObservedState {
    fn take_in(&mut self, image: &str, interest: Interest, asked: &Asked) {
        let Some(ImageState::Here(here)) = self.images.get(image) else {
            return;
        };
        let image = image.to_owned();
        match (&asked.answer, interest) {
            (Answer::Digest(digest), _) if is_of(here, digest) => {}
            (Answer::Digest(digest), Interest::Pulls(_)) => {
                let digest = digest.clone();
                self.images.insert(image, ImageState::Moved { digest });
            }
            (Answer::Digest(digest), Interest::Tells) => {
                self.moved_tags.insert(image, digest.clone());
            }
            (Answer::None(cause), Interest::Pulls(_)) => {
                self.unanswered.insert(image, cause.clone());
            }
            // Nobody waits for it.
            (Answer::None(_), Interest::Tells) => {}
        }
    }
}

/// Returns whether an image is the one that a registry has under a digest.
fn is_of(image: &Image, digest: &str) -> bool {
    let same = |known: &String| known.ends_with(&format!("@{digest}"));
    image.repo_digests.iter().any(same)
}

/// Returns how much each image is of interest by the pull policies of its services.
fn interests(desired: &DesiredState) -> BTreeMap<&str, Interest> {
    let mut wanted: BTreeMap<&str, Interest> = BTreeMap::new();
    for service in desired.services.values() {
        let interest = match service.pull {
            Pull::Never => continue,
            Pull::Missing => Interest::Tells,
            Pull::Always => Interest::Pulls(0),
            Pull::Every(every) => {
                Interest::Pulls(i64::try_from(every.as_secs()).unwrap_or(i64::MAX))
            }
        };
        let image = service.spec.image.as_str();
        // A digest never stands for another image.
        if image.contains('@') {
            continue;
        }
        let most = wanted.entry(image).or_insert(interest);
        *most = interest.min(*most);
    }
    wanted
}

async fn ask(engine: &dyn ReadEngine, image: &str) -> Result<Answer, EngineError> {
    let digest = engine.registry_digest(image);
    match tokio::time::timeout(ANSWER_WITHIN, digest).await {
        Ok(Ok(digest)) => Ok(Answer::Digest(digest)),
        Ok(Err(error @ EngineError::Unavailable { .. })) => Err(error),
        Ok(Err(
            EngineError::NotFound { cause, .. }
            | EngineError::Refused { cause, .. }
            | EngineError::Registry { cause, .. }
            | EngineError::Denied { cause, .. }
            | EngineError::TooMany { cause, .. }
            | EngineError::Conflict { cause, .. },
        )) => Ok(Answer::None(cause)),
        Ok(Err(error @ EngineError::TimedOut { .. })) => Ok(Answer::None(error.to_string())),
        Err(_) => {
            let within = ANSWER_WITHIN.as_secs();
            Ok(Answer::None(format!("no answer within {within} s")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_not_asked_more_often_than_the_policy_says() {
        let digest = || Answer::Digest("sha256:1".to_owned());
        let none = || Answer::None("away".to_owned());
        let pulls = Interest::Pulls;
        for (answer, interest, now, due) in [
            (digest(), pulls(0), 1000, true),
            (digest(), pulls(60), 1059, false),
            (digest(), pulls(60), 1060, true),
            (digest(), pulls(i64::MAX), 2_000_000_000, false),
            // One that gave no answer is left in peace, and not for a week.
            (none(), pulls(0), 1119, false),
            (none(), pulls(0), 1120, true),
            (none(), pulls(604_800), 1120, true),
            // Where nobody waits for it, for a day.
            (none(), Interest::Tells, 87_399, false),
            (digest(), Interest::Tells, 87_400, true),
            // The clock was set back.
            (digest(), pulls(60), 999, true),
        ] {
            let asked = Asked { at: 1000, answer };
            let is_due = interest.is_due(&asked, now);
            assert_eq!(is_due, due, "{asked:?} {interest:?} {now}");
        }
    }
}
