//! Tells everything that a spec says.

use super::{Fact, Facts, Field, Veil, limits, surroundings, words};
use crate::engine::model::{ContainerSpec, MountSource, Restart};
use crate::labels;
use crate::secret::{Sensitive, looks_secret};

/// The engine's time between stop signal and kill when nobody sets one, seconds.
const DEFAULT_STOP_TIMEOUT: i64 = 10;

/// Facts as they are told.
pub(super) struct Told<'a> {
    facts: Facts,
    veil: Veil<'a>,
}

impl Told<'_> {
    /// Tells a value unless it is the default.
    pub(super) fn put(&mut self, field: Field, value: String, default: &str) {
        if value != default {
            self.facts.insert(field, self.veil.fact(value));
        }
    }

    /// Tells a value unless it is empty.
    pub(super) fn text(&mut self, field: Field, value: &str) {
        if !value.is_empty() {
            self.put(field, value.to_owned(), "");
        }
    }

    /// Tells a text with named values in it; if a name says that its value is secret, nothing of it
    /// is shown.
    pub(super) fn with_names<'n>(
        &mut self,
        field: Field,
        text: String,
        mut names: impl Iterator<Item = &'n String>,
    ) {
        let fact = if names.any(|name| looks_secret(name)) {
            self.veil.hide(&text)
        } else {
            self.veil.fact(text)
        };
        self.facts.insert(field, fact);
    }

    /// Tells a number unless it is 0, which is the engine's default.
    pub(super) fn number(&mut self, field: Field, value: i64) {
        self.amount(field, value, |value| value.to_string());
    }

    /// Tells a number in words unless it is 0, which is the engine's default.
    pub(super) fn amount(&mut self, field: Field, value: i64, words: fn(i64) -> String) {
        // Few of many fields are told, and words for the others would be most of the work.
        if value != 0 {
            let fact = self.veil.fact(words(value));
            self.facts.insert(field, fact);
        }
    }

    /// Tells what is switched on.
    pub(super) fn switch(&mut self, field: Field, is_on: bool) {
        if is_on {
            self.text(field, "true");
        }
    }

    /// Tells values by their names; those whose name says that they are secret are hidden.
    pub(super) fn named<'n>(
        &mut self,
        field: fn(String) -> Field,
        values: impl IntoIterator<Item = (&'n String, &'n String)>,
    ) {
        for (name, value) in values {
            let fact = self.veil.named(name, value);
            self.facts.insert(field(name.clone()), fact);
        }
    }
}

/// Tells everything that a spec says; `public` knows the variables that are shown.
pub(super) fn of_spec(
    spec: &ContainerSpec,
    public: &dyn Fn(&str) -> bool,
    veil: Veil<'_>,
) -> Facts {
    let mut told = Told {
        facts: Facts::new(),
        veil,
    };
    process(spec, &mut told);
    limits::tell(spec, &mut told);
    surroundings::tell(spec, &mut told);
    let own_labels = spec.labels.iter();
    for (name, value) in own_labels.filter(|(name, _)| !labels::is_reserved(name)) {
        let fact = veil.fact(value.clone());
        told.facts.insert(Field::Label(name.clone()), fact);
    }
    for (name, value) in &spec.env {
        let fact = variable(name, value.as_ref(), public, veil);
        told.facts.insert(Field::Env(name.clone()), fact);
    }
    for (target, file) in &spec.copied {
        // Without a mark in between, one content and owner could be another's.
        let whole = format!(
            "{}:{}:{:o}:{}",
            file.uid,
            file.gid,
            file.mode,
            file.content.expose()
        );
        told.facts
            .insert(Field::Copied(target.clone()), veil.hide(&whole));
    }
    told.facts
}

/// Tells what runs, and how it is started and stopped.
fn process(spec: &ContainerSpec, told: &mut Told<'_>) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    told.text(Field::Image, &spec.image);
    told.text(Field::Platform, &text(&spec.platform));
    told.text(Field::Command, &words::argv(spec.command.as_deref()));
    told.text(Field::Entrypoint, &words::argv(spec.entrypoint.as_deref()));
    told.text(Field::User, &text(&spec.user));
    told.text(Field::WorkingDir, &text(&spec.working_dir));
    told.switch(Field::Init, spec.init.unwrap_or_default());
    told.switch(Field::Tty, spec.tty);
    told.switch(Field::StdinOpen, spec.stdin_open);
    let signal = words::signal(spec.stop_signal.as_deref());
    told.put(Field::StopSignal, signal, "SIGTERM");
    let timeout = spec.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT);
    told.put(Field::StopTimeout, words::seconds(timeout), "10s");
    let check = spec.healthcheck.as_ref().map(words::health);
    told.text(Field::Healthcheck, &check.unwrap_or_default());
    let restart = spec.restart.to_string();
    told.put(Field::Restart, restart, &Restart::No.to_string());
    told.text(Field::Expose, &words::joined(&words::unpublished(spec)));
    for (target, value) in words::ports(&spec.ports) {
        told.text(Field::Port(target), &value);
    }
    for (target, mount) in &spec.mounts {
        // It may be one that came along: which of both can't be told.
        let is_anonymous = matches!(mount.source, MountSource::Anonymous(_));
        if !is_anonymous || spec.volumes_from.is_empty() {
            let field = Field::Mount(words::clean(target));
            told.with_names(field, words::mount(mount), mount.long.labels.keys());
        }
    }
}

fn variable(
    name: &str,
    value: Option<&Sensitive>,
    public: &dyn Fn(&str) -> bool,
    veil: Veil<'_>,
) -> Fact {
    match value {
        None => Fact::Plain("(no value)".to_owned()),
        Some(value) if public(name) && !looks_secret(name) => veil.fact(value.expose().to_owned()),
        Some(value) => veil.hide(value.expose()),
    }
}
