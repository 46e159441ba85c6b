//! Looks at the directories of the host that a stack needs, and at the room for its backups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::own::can_be_made;
use super::stack::Stack;
use super::{Area, Check, Diagnosis, mend};
use crate::backup::{self, BackupError};
use crate::desired::DesiredState;
use crate::desired::backups::{Backup, Source};
use crate::engine::model::MountSource;
use crate::files::megabytes;
use crate::host::View;

/// What is done with a place of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It must be there: whoever makes it decides whose it is.
    There,
    /// Moored makes it where the directory above is there.
    Above,
}

/// Looks at the places of a stack.
pub(super) fn check(view: &View, stack: &Stack, found: &mut Diagnosis) {
    let own = &view.config.state_dir;
    let mut there = 0;
    let places = places(&stack.desired);
    let places = places
        .into_iter()
        .filter(|(path, _)| !path.starts_with(own));
    for (path, (need, what)) in places {
        let above = path.parent().is_some_and(Path::is_dir) && can_be_made(&path);
        if path.exists() || (need == Need::Above && above) {
            there += 1;
            continue;
        }
        let check = Check::missing(Area::Stack, path.display().to_string()).of(&stack.name);
        let check = check.found(format!("is not there: {what}"));
        found.add(if looks_like_a_file(&path) {
            check.mended_by(format!("put the file there: {}", mend::quoted(&path)))
        } else {
            check.mended_by(mend::make(&path))
        });
    }
    if there > 0 {
        let check = Check::ok(Area::Stack, "directories").of(&stack.name);
        found.add(check.found(format!("{there} are there, or are made at first use")));
    }
    space(view, stack, found);
}

/// Returns the places of the host that a stack needs, with what each is for.
fn places(desired: &DesiredState) -> BTreeMap<PathBuf, (Need, String)> {
    let mut places = BTreeMap::new();
    let mut add = |path: &Path, need, what: String| {
        places.entry(path.to_owned()).or_insert((need, what));
    };
    let from_git: BTreeSet<PathBuf> = desired
        .files
        .keys()
        .map(|path| desired.project_directory.join(path.as_str()))
        .chain(desired.host_placed.keys().cloned())
        .collect();
    for (name, service) in &desired.services {
        for mount in service.spec.mounts.values() {
            let MountSource::Bind { path, .. } = &mount.source else {
                continue;
            };
            let path = Path::new(path);
            // A file of the repository is put there, or into it.
            if !from_git.iter().any(|file| file.starts_with(path)) {
                add(path, Need::There, format!("{} mounts it", name.service()));
            }
        }
    }
    for (name, backup) in &desired.backups {
        match &backup.source {
            Source::Sqlite(path) => {
                let dir = path.parent().unwrap_or(path);
                add(dir, Need::There, format!("the database of backup {name}"));
            }
            Source::Files(paths) => {
                for path in paths {
                    add(path, Need::There, format!("backup {name} is of it"));
                }
            }
            Source::Postgres(_) | Source::Command(_) => {}
        }
    }
    for (name, backup) in &desired.backups {
        add(
            &backup.to,
            Need::Above,
            format!("backup {name} is kept there"),
        );
    }
    if let Some(dir) = desired
        .maintenance
        .as_ref()
        .and_then(|one| one.flag.parent())
    {
        add(
            dir,
            Need::Above,
            "the flag of the maintenance page".to_owned(),
        );
    }
    if !desired.files.is_empty() {
        let dir = &desired.project_directory;
        add(dir, Need::Above, "project_directory".to_owned());
    }
    places
}

/// Returns whether a name looks like that of a file: `site.conf`, and neither `conf.d` nor `.ssh`.
fn looks_like_a_file(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| end.len() > 1)
}

/// Looks whether the next backup fits onto the disk.
fn space(view: &View, stack: &Stack, found: &mut Diagnosis) {
    let of_stack = &stack.desired.stack;
    let room = |(name, backup): (_, &Backup)| {
        backup::room(backup, view.instance(), of_stack, name)
            .err()
            .filter(|error| matches!(error, BackupError::NoSpace { .. }))
    };
    for error in stack.desired.backups.iter().filter_map(room) {
        if let BackupError::NoSpace { dir, needed, free } = error {
            let (needed, free) = (megabytes(needed), megabytes(free));
            let check = Check::missing(Area::Stack, dir.display().to_string()).of(&stack.name);
            let check = check.found(format!("{free} are free, and a backup takes {needed}"));
            found.add(check.mended_by(format!("df -h {}", mend::quoted(&dir))));
        }
    }
}
