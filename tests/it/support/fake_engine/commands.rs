//! What commands do: those of containers that are jobs, and those inside running containers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use moored::engine::EngineError;
use moored::engine::model::{Container, ContainerState, CopiedFile, MountSource};
use moored::labels;

use super::fate::{Fate, Kept, exited};
use super::ledger::Work;
use super::world::{Answer, World, is_running};

/// What a container with a command of its own does.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) fate: Fate,
    /// What it prints when it starts.
    pub(crate) prints: String,
    /// What it does to a database when it ends.
    pub(crate) work: Option<Work>,
}

/// What a command inside a container does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) code: i64,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// It writes and does not end.
    pub(crate) hangs: bool,
}

impl World {
    /// Says what becomes of containers of this image whose command begins with this word.
    pub(crate) fn job(&mut self, image: &str, word: &str, fate: Fate, prints: &str) {
        let prints = prints.to_owned();
        let job = Job {
            fate,
            prints,
            work: None,
        };
        self.jobs.insert((image.to_owned(), word.to_owned()), job);
    }

    /// Says what containers of this image whose command begins with this first do to a database
    /// when they end.
    pub(crate) fn works(&mut self, image: &str, first: &str, work: Work) {
        let place = (image.to_owned(), first.to_owned());
        let job = self.jobs.get_mut(&place).expect("a job");
        job.work = Some(work);
    }

    /// Lets the service with data write, if it runs and there is one.
    pub(super) fn serve_visitors(&mut self, after: &str) {
        let Some(mut ledger) = self.ledger.take() else {
            return;
        };
        for code in self.codes_at_work() {
            ledger.write(code, after);
        }
        self.ledger = Some(ledger);
    }

    /// Returns the versions of the code of the service with data that run now.
    pub(super) fn codes_at_work(&self) -> Vec<i64> {
        let runs = self.containers.values().filter(|kept| {
            let labels = &kept.shown.spec.labels;
            let of = |label: &str| labels.get(label).map(String::as_str);
            of(labels::SERVICE) == Some("app")
                && of(labels::JOB).is_none()
                && kept.shown.state == ContainerState::Running
        });
        runs.map(|kept| {
            if kept.shown.spec.image.contains("v1") {
                1
            } else {
                2
            }
        })
        .collect()
    }

    /// Says what the command that begins with these words (`nginx`, `nginx -T`) does inside a
    /// container of this name or image.
    pub(crate) fn says(&mut self, container: &str, words: &str, said: Said) {
        let place = (container.to_owned(), words.to_owned());
        self.said.insert(place, said);
    }

    /// Runs a command inside a container.
    pub(super) fn exec(&mut self, id: &str, command: &[String]) -> Answer<Said> {
        let word = command.first().cloned().unwrap_or_default();
        let container = self.known(&format!("run {word} in container"), id)?;
        let not_running = |how: &str| EngineError::Conflict {
            doing: format!("run {word} in container {}", container.name),
            cause: format!("Container {} is {how}", container.id),
        };
        if container.state == ContainerState::Paused {
            return Err(not_running("paused, unpause the container before exec"));
        }
        if !is_running(&container.state) {
            return Err(not_running("not running"));
        }
        if let Some(said) = self.said_of(&container, command) {
            return Ok(said.clone());
        }
        if let Some(said) = self.exec_nginx(&container, command) {
            return Ok(said);
        }
        let well = self
            .find(id)
            .is_none_or(|kept| !kept.is_check(command) || kept.is_well());
        Ok(Said {
            code: i64::from(!well),
            ..Said::default()
        })
    }

    fn said_of(&self, container: &Container, command: &[String]) -> Option<&Said> {
        let places = [&container.name, &container.spec.image];
        let beginnings = (1..=command.len()).rev();
        let mut beginnings = beginnings.map(|count| command[..count].join(" "));
        beginnings.find_map(|words| {
            let said = |place: &String| self.said.get(&(place.clone(), words.clone()));
            places.into_iter().find_map(said)
        })
    }

    /// Returns whether a command is the health check of a container, and goes by its fate.
    pub(super) fn is_check(&self, id: &str, command: &[String]) -> bool {
        self.find(id).is_some_and(|kept| {
            kept.is_check(command) && self.said_of(&kept.shown, command).is_none()
        })
    }

    /// Returns the end of what a container has printed.
    pub(super) fn output(&self, id: &str, at_most_bytes: usize) -> Answer<String> {
        self.known("read the log of container", id)?;
        let text = self.find(id).map_or("", |kept| kept.printed.as_str());
        let cut = text.len().saturating_sub(at_most_bytes);
        let end = text.get(cut..).unwrap_or(text);
        let whole_lines = end.split_once('\n').map(|(_, rest)| rest);
        let whole_lines = whole_lines.filter(|rest| cut > 0 && !rest.is_empty());
        Ok(whole_lines.unwrap_or(end).to_owned())
    }

    /// Reads a file of a container: what was put there, or what a bind shows of the host now.
    pub(super) fn read_file(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Answer<Option<Vec<u8>>> {
        let Some(kept) = self.find(id) else {
            return Ok(None);
        };
        let name = &kept.shown.name;
        let refused = |cause: String| EngineError::Refused {
            doing: format!("read {path} in container {name}"),
            cause,
        };
        let by = |known: &String| self.files_in.get(&(known.clone(), path.to_owned()));
        let put = by(name).or_else(|| by(&kept.shown.id));
        let content = match (put, host_path(&kept.shown, path)) {
            (Some(content), _) => content.clone(),
            (None, Some(host)) if host.is_dir() => {
                return Err(refused("it is a directory".to_owned()));
            }
            (None, Some(host)) => match std::fs::read(host) {
                Ok(content) => content,
                Err(_) => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        if content.len() > at_most_bytes {
            return Err(refused(format!("it has more than {at_most_bytes} bytes")));
        }
        Ok(Some(content))
    }

    /// Writes files: they are what the container has at these paths.
    pub(super) fn copy_into(&mut self, id: &str, files: &BTreeMap<String, CopiedFile>) -> Answer {
        let container = self.known("copy files into container", id)?;
        if container.spec.read_only {
            return Err(EngineError::Refused {
                doing: format!("copy files into container {}", container.name),
                cause: "container rootfs is marked read-only".to_owned(),
            });
        }
        for (path, file) in files {
            let place = (container.id.clone(), path.clone());
            let content = file.content.expose().as_bytes().to_vec();
            self.files_in.insert(place, content);
        }
        Ok(())
    }

    /// Sends a signal: the call log has it, and nothing else comes of it.
    pub(super) fn signal(&mut self, id: &str, signal: &str) -> Answer {
        let container = self.known(&format!("send {signal} to container"), id)?;
        if is_running(&container.state) {
            return Ok(());
        }
        Err(EngineError::Conflict {
            doing: format!("send {signal} to container {}", container.name),
            cause: format!(
                "Cannot kill container: {id}: Container {} is not running",
                container.id
            ),
        })
    }

    pub(crate) fn kill(&mut self, id: &str) {
        if let Some(kept) = self.find_mut(id)
            && is_running(&kept.shown.state)
        {
            kept.end(exited(137));
        }
    }
}

/// Returns where a path of a container is on the host, if it is in a bind.
fn host_path(container: &Container, path: &str) -> Option<PathBuf> {
    let mounts = container.spec.mounts.iter();
    let covering = mounts.filter(|(target, _)| Path::new(path).starts_with(target));
    let (target, mount) = covering.max_by_key(|(target, _)| target.len())?;
    let MountSource::Bind { path: source, .. } = &mount.source else {
        return None;
    };
    let rest = Path::new(path).strip_prefix(target).ok()?;
    let source = PathBuf::from(source);
    Some(if rest == Path::new("") {
        source
    } else {
        source.join(rest)
    })
}

impl Kept {
    fn is_check(&self, command: &[String]) -> bool {
        let check = self.shown.spec.healthcheck.as_ref();
        let words = check.and_then(|check| check.test.split_first());
        words.is_some_and(|(_, words)| !words.is_empty() && command.ends_with(words))
    }
}
