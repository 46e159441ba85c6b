//! Makes the text of our commits, and sends one that the mirror has to its branch, where that is
//! wanted and allowed.

use crate::config::Repository;
use crate::host::{self, View};
use crate::lock::Lock;
use crate::source::{self, CommitText, Push, SourceError};

/// What became of a commit that was to be sent.
#[derive(Clone, Debug)]
pub enum Published {
    /// The branch is at it.
    Pushed,
    /// It was not to be sent, by the person, by the settings, or because nobody here can sign it.
    NotPushed,
    /// The remote refused it.
    Refused(SourceError),
}

/// Returns the text of a commit of ours with this message.
pub fn commit_text(view: &View, message: String) -> CommitText {
    CommitText {
        name: "moored".to_owned(),
        email: format!("moored@{}", host::name()),
        at: view.clock.now().as_second(),
        message,
    }
}

/// Sends a commit to its branch, if it is `wanted` and the settings have nothing against it; the
/// caller shows the mirror's lock.
///
/// # Errors
/// The remote can't be asked, or somebody else pushed meanwhile.
pub async fn publish(
    view: &View,
    branch: &str,
    push: &Push,
    wanted: bool,
    _mirror: &Lock,
) -> Result<Published, SourceError> {
    let repository = Repository {
        branch: branch.to_owned(),
        ..view.config.repository.clone()
    };
    // What is not signed would not be followed, here and on every host with these settings.
    if !wanted || !repository.push || view.config.verifies(branch) {
        return Ok(Published::NotPushed);
    }
    match source::push(&repository, &view.mirror(), &view.program, push).await {
        Ok(()) => Ok(Published::Pushed),
        Err(error @ (SourceError::PushRefused { .. } | SourceError::CheckedOut { .. })) => {
            Ok(Published::Refused(error))
        }
        Err(error) => Err(error),
    }
}
