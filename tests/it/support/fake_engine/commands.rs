//! What commands do: those of containers that are jobs, and those inside running containers.

use moored::engine::EngineError;
use moored::engine::model::{Container, ContainerState};
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

    /// Says what the command that begins with this word does inside a container of this name or
    /// image.
    pub(crate) fn says(&mut self, container: &str, word: &str, said: Said) {
        let place = (container.to_owned(), word.to_owned());
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
        if let Some(said) = self.said_of(&container, &word) {
            return Ok(said.clone());
        }
        let well = self
            .find(id)
            .is_none_or(|kept| !kept.is_check(command) || kept.is_well());
        Ok(Said {
            code: i64::from(!well),
            ..Said::default()
        })
    }

    fn said_of(&self, container: &Container, word: &str) -> Option<&Said> {
        let places = [&container.name, &container.spec.image];
        places
            .into_iter()
            .find_map(|place| self.said.get(&(place.clone(), word.to_owned())))
    }

    /// Returns whether a command is the health check of a container, and goes by its fate.
    pub(super) fn is_check(&self, id: &str, command: &[String]) -> bool {
        let word = command.first().map_or("", String::as_str);
        self.find(id)
            .is_some_and(|kept| kept.is_check(command) && self.said_of(&kept.shown, word).is_none())
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

    pub(crate) fn kill(&mut self, id: &str) {
        if let Some(kept) = self.find_mut(id)
            && is_running(&kept.shown.state)
        {
            kept.end(exited(137));
        }
    }
}

impl Kept {
    fn is_check(&self, command: &[String]) -> bool {
        let check = self.shown.spec.healthcheck.as_ref();
        let words = check.and_then(|check| check.test.split_first());
        words.is_some_and(|(_, words)| !words.is_empty() && command.ends_with(words))
    }
}
