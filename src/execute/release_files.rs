//! Writes what people and scripts read about releases without this program: `releases.log`,
//! `current_release` and `previous_release`.

use std::fmt::Write as _;

use super::{Hands, StepError};
use crate::desired::StackName;
use crate::files::write_atomically;
use crate::record::Released;

/// How many releases may have gone by without a line in the log: it lacks those that a crash
/// came between.
const LOOK_BACK: usize = 16;

/// Brings the files up to date with the record. Repeatable: a crash between the record and the
/// files is mended by the next release.
pub(super) fn write(stack: &StackName, hands: &Hands) -> Result<(), StepError> {
    let dir = hands.releases_of(stack);
    let mut log = std::fs::read_to_string(dir.join("releases.log")).unwrap_or_default();
    let releases = hands.record.releases(stack, LOOK_BACK)?;
    for Released {
        release,
        subject,
        author,
        at,
    } in releases.iter().rev()
    {
        let id = format!("\t{}\t", release.id);
        if log.contains(&id) {
            continue;
        }
        // A subject is one line by what Git says; the writer of a log must not rely on it.
        let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
        writeln!(
            log,
            "{}{id}{}\t{}\t{}\t{}",
            at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            release.id.revision.as_str(),
            release.version(),
            plain(author),
            plain(subject),
        )
        // Writing to a string can't fail.
        .unwrap_or_default();
    }
    let id = |nth: usize| releases.get(nth).map(|one| format!("{}\n", one.release.id));
    let put = |name: &str, text: &str| {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        write_atomically(&path, text.as_bytes(), 0o600)
            .map_err(|source| StepError::Place { path, source })
    };
    std::fs::create_dir_all(&dir).map_err(|source| StepError::Place {
        path: dir.clone(),
        source,
    })?;
    put("releases.log", &log)?;
    put("previous_release", &id(1).unwrap_or_default())?;
    put("current_release", &id(0).unwrap_or_default())
}
