//! Runs migrations and jobs: one-off containers of the new image.

use tokio::sync::watch;

use super::StepError;
use super::one_off::{self, Ended, OneOffError};
use super::scene::Scene;
use crate::engine::EngineError;
use crate::journal::Note;
use crate::plan::{JobDraft, MigrationDraft, OneOff};

type Tell<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Runs a migration, and notes what is known of the data's form before and after.
pub(super) async fn migrate(
    draft: &MigrationDraft,
    step: u32,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: Tell<'_>,
) -> Result<(), StepError> {
    for (name, file) in &draft.taken {
        let (name, file) = (name.clone(), file.clone());
        scene.note(step, Note::Backup { name, file })?;
    }
    let before = match (&draft.before, &draft.status) {
        (Some(before), _) => Some(before.clone()),
        (None, Some(status)) => version(status, scene, tell).await?,
        (None, None) => None,
    };
    if let Some(version) = &before {
        let version = version.clone();
        scene.note(step, Note::SchemaBefore { version })?;
    }
    let ran = run(&draft.one_off, step, scene, given_up, tell).await;
    let never_ran = matches!(ran, Err(Failed::NeverRan(_)));
    let in_doubt = matches!(ran, Err(Failed::InDoubt(_)));
    let as_before = !never_ran
        && !in_doubt
        && match (&before, &draft.status) {
            (Some(before), Some(status)) => {
                version(status, scene, tell).await?.as_ref() == Some(before)
            }
            (None, _) | (_, None) => false,
        };
    // A transaction that was cut off has changed nothing either, but while the engine is away the
    // container may still be at work.
    let rolled_back = ran.is_err() && !in_doubt && draft.transactional;
    if never_ran || as_before || rolled_back {
        scene.note(step, Note::SchemaUnchanged)?;
    }
    ran.map_err(Failed::into_error)
}

/// Runs a job.
pub(super) async fn job(
    draft: &JobDraft,
    step: u32,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: Tell<'_>,
) -> Result<(), StepError> {
    run(&draft.one_off, step, scene, given_up, tell)
        .await
        .map_err(Failed::into_error)
}

/// Why a one-off command has not ended with success.
enum Failed {
    /// Nothing of it ran.
    NeverRan(StepError),
    /// It ran, and nobody knows how far.
    InDoubt(StepError),
    /// It ended with failure, or was ended.
    Ended(StepError),
}

impl Failed {
    fn into_error(self) -> StepError {
        match self {
            Self::NeverRan(error) | Self::InDoubt(error) | Self::Ended(error) => error,
        }
    }
}

async fn run(
    one: &OneOff,
    step: u32,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: Tell<'_>,
) -> Result<(), Failed> {
    let what = shell_words::join(&one.run);
    let note = |output: &str| {
        if output.is_empty() {
            return Ok(());
        }
        let text = scene.hands.redactor.clean(output);
        let noted = scene.note(step, Note::Output { text });
        noted.map_err(|error| Failed::InDoubt(error.into()))
    };
    match end(one, scene, given_up, tell).await {
        Ok(Ended {
            code: 0, output, ..
        }) => note(&output),
        Ok(ended) => {
            note(&ended.output)?;
            Err(Failed::Ended(StepError::Command {
                what,
                how: if ended.oom_killed {
                    "was killed for lack of memory".to_owned()
                } else {
                    format!("ended with exit code {}", ended.code)
                },
                output: ended.output,
            }))
        }
        Err(OneOffError::Deadline { within, output }) => {
            note(&output)?;
            let within = humantime::format_duration(within);
            Err(Failed::Ended(StepError::Command {
                what,
                how: format!("was killed: it had not ended after {within}"),
                output,
            }))
        }
        Err(OneOffError::NotStarted(error)) => Err(Failed::NeverRan(error.into())),
        Err(OneOffError::GivenUp) => Err(Failed::NeverRan(StepError::GivenUp)),
        Err(OneOffError::Engine(error)) => Err(Failed::InDoubt(error.into())),
    }
}

async fn end(
    one: &OneOff,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: Tell<'_>,
) -> Result<Ended, OneOffError> {
    let run = one_off::OneOff {
        name: &one.name,
        spec: &one.spec,
        within: one.within,
    };
    one_off::run(scene.hands.engine(), &run, given_up, tell).await
}

/// Asks for the version of the data's form; `None` when the command can't tell.
async fn version(
    status: &OneOff,
    scene: &Scene<'_>,
    tell: Tell<'_>,
) -> Result<Option<String>, StepError> {
    let engine = scene.hands.engine();
    // One of an earlier attempt has the answer of then.
    one_off::remove(engine, &status.name, &status.spec).await?;
    let (_never, given_up) = watch::channel(false);
    let told = match end(status, scene, given_up, tell).await {
        // It goes into the journal, and programs print more than they are asked for.
        Ok(Ended {
            code: 0, output, ..
        }) => Some(scene.hands.redactor.clean(&output).trim().to_owned()),
        Err(
            OneOffError::NotStarted(away @ EngineError::Unavailable { .. })
            | OneOffError::Engine(away @ EngineError::Unavailable { .. }),
        ) => return Err(away.into()),
        // That it can't tell is no reason to fail what it is to tell about.
        Ok(_) | Err(_) => None,
    };
    one_off::remove(engine, &status.name, &status.spec).await?;
    Ok(told)
}
