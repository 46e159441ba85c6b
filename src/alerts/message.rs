//! What is sent, and the forms that receivers take.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::routes::{Form, Kind};
use crate::secret::{Redactor, escape_control};

/// What somebody is told. The document that receivers of `kind: webhook` get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What it is of: a word of `on`, or `test`.
    pub event: String,
    /// Whose business it is.
    #[serde(rename = "for")]
    pub kinds: BTreeSet<Kind>,
    /// Name of the machine.
    pub host: String,
    /// Name of the stack, where it is of one that could be loaded.
    pub stack: Option<String>,
    /// Directory of its manifest, where it is of a stack.
    pub dir: Option<String>,
    /// What happened, for people.
    pub text: String,
    /// When it was found.
    pub at: Timestamp,
    /// The attempt that it is of, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempted>,
}

/// An attempt that somebody is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempted {
    /// Its number.
    pub number: u64,
    /// Its commit.
    pub revision: String,
    /// The commit's subject.
    pub subject: String,
    /// The commit's author.
    pub author: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The release that it became; `None` = none.
    pub release: Option<String>,
    /// What the images of that release are tagged.
    pub version: Option<String>,
    /// Those images, by service.
    pub images: BTreeMap<String, String>,
}

/// Longest text that is sent, in characters: receivers cut longer ones off, or refuse them.
const LONGEST: usize = 2000;

impl Message {
    /// Hides secrets and what a terminal would act on, and bounds its length.
    #[must_use]
    pub(super) fn cleaned(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &str| cut(&escape_control(&redactor.clean(text)), LONGEST);
        self.text = clean(&self.text);
        if let Some(attempt) = &mut self.attempt {
            for text in [&mut attempt.subject, &mut attempt.author] {
                *text = clean(text);
            }
            for text in attempt
                .version
                .iter_mut()
                .chain(attempt.images.values_mut())
            {
                *text = clean(text);
            }
        }
        self
    }

    /// Returns it as a receiver takes it; `id` is the same whenever it is sent again.
    pub(super) fn body(&self, form: Form, id: &str) -> String {
        match form {
            Form::Slack => {
                // https://docs.slack.dev/messaging/formatting-message-text/ "Escaping text".
                let text = self.line().replace('&', "&amp;");
                let text = text.replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": text }).to_string()
            }
            Form::Webhook => {
                let mut document = json!({ "format": 1, "id": id });
                let fields = serde_json::to_value(self).unwrap_or_default();
                if let (Some(document), Some(fields)) =
                    (document.as_object_mut(), fields.as_object())
                {
                    document.extend(fields.clone());
                }
                document.to_string()
            }
        }
    }

    /// Returns it in a line of text.
    fn line(&self) -> String {
        let about = self.stack.as_deref().or(self.dir.as_deref());
        let about = about.map_or_else(String::new, |about| format!("{about} "));
        format!("[{}] {about}{}: {}", self.host, self.event, self.text)
    }
}

/// Cuts a text off after so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
