//! Maps what runs in a container: its environment, its health check, its hooks, what happens when
//! it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::project::Project;
use super::values::Values;
use crate::desired::compose::files::Files;
use crate::desired::compose::{env_file, short};
use crate::desired::{Hook, Pull, ServiceName};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::model::{Healthcheck, Restart};
use crate::secret::Sensitive;
use crate::yaml::{Entry, Node};

/// The environment of a service, and which of it may be shown.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) env: BTreeMap<String, Option<Sensitive>>,
    /// Names whose value stands in Git.
    pub(super) committed: BTreeSet<String>,
}

/// Maps the environment: what the model resolved out of `env_file` and `environment`, and between
/// the two the files of the manifest.
pub(super) fn environment(
    name: &ServiceName,
    values: Values<'_>,
    project: &Project<'_>,
) -> Environment {
    let mut environment = Environment::default();
    let by_file = |entry: &&Entry| project.env_files.contains_key(&*entry.value.file);
    for entry in values.entries("environment").filter(by_file) {
        environment.add(entry, project);
    }
    let own = project.manifest.env.get(name);
    for path in own.map(|env| env.files.as_slice()).unwrap_or_default() {
        environment.add_host_file(name, path, project);
    }
    for index in 0..own.map_or(0, |env| env.secrets.len()) {
        environment.add_sealed(name, index, project);
    }
    for entry in values
        .entries("environment")
        .filter(|entry| !by_file(entry))
    {
        environment.add(entry, project);
    }
    environment
}

impl Environment {
    fn add(&mut self, entry: &Entry, project: &Project<'_>) {
        let (name, node) = (entry.key.as_str(), &entry.value);
        if let Err(why) = check_name(name) {
            project.refuse_with_hint(node, why, ANOTHER_NAME);
            return;
        }
        let value = node.go_string();
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            let message = format!("the value of {name} holds a NUL character");
            project.refuse_with_hint(node, message, "take the character out");
            return;
        }
        let of_host = Path::new(&*node.file).is_absolute();
        let bare = value.is_some() && project.variables.host.get(name) == value.as_ref();
        let holds_one = |value: &String| {
            // A file of the repository may be built on one of the host that was read before it.
            let of_file = project.env_files.contains_key(&*node.file);
            project.variables.is_tainted(value) || (of_file && project.holds_env_of_host(value))
        };
        let tainted = value.as_ref().is_some_and(holds_one);
        if of_host || bare || tainted {
            self.committed.remove(name);
        } else {
            self.committed.insert(name.to_owned());
        }
        self.env.insert(name.to_owned(), value.map(Sensitive::new));
    }

    /// Adds the variables of a file that SOPS has encrypted.
    fn add_sealed(&mut self, service: &ServiceName, index: usize, project: &Project<'_>) {
        match project.sealed_environment(service, index) {
            Some(entries) => self.hide_all(entries),
            None => project.miss_environment(service),
        }
    }

    fn hide_all(&mut self, entries: env_file::Entries) {
        for (name, value) in entries {
            let Some(value) = value else { continue };
            self.committed.remove(&name);
            self.env.insert(name, Some(Sensitive::new(value)));
        }
    }

    fn add_host_file(&mut self, service: &ServiceName, path: &Path, project: &Project<'_>) {
        let entries = project.host_env_file(path);
        if !matches!(entries, Ok(Some(_))) {
            project.miss_environment(service);
        }
        match entries {
            Ok(Some(entries)) => self.hide_all(entries),
            Ok(None) if !project.files.host.is_the_host() => {}
            Ok(None) => {
                let shown = path.display().to_string();
                let message = format!("environment file {shown} does not exist");
                let hint = "create it on the host, or commit it beside the Compose file";
                project.add(Diagnostic::file(&shown, message).hint(hint));
            }
            Err(Diagnostics(found)) => project.add_all(found),
        }
    }
}

/// What to do about a name that [`check_name`] refuses.
pub(super) const ANOTHER_NAME: &str = "choose another name, such as LOG_LEVEL";

/// Refuses what the engine takes for no name of a variable.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let name = name.escape_default();
        return Err(format!("\"{name}\" can't be the name of a variable"));
    }
    Ok(())
}

/// Maps the health check; `None` leaves it to the image.
pub(super) fn healthcheck(values: Values<'_>) -> Option<Healthcheck> {
    values.get("healthcheck")?;
    let check = values.values("healthcheck");
    if check.flag("disable") {
        return Some(Healthcheck::none());
    }
    Some(Healthcheck {
        test: check.texts("test"),
        interval: check.nanoseconds("interval"),
        timeout: check.nanoseconds("timeout"),
        start_period: check.nanoseconds("start_period"),
        start_interval: check.nanoseconds("start_interval"),
        retries: check.integer("retries"),
    })
}

/// Maps `restart`, or `deploy.restart_policy`, which wins.
pub(super) fn restart(values: Values<'_>, project: &Project<'_>) -> Restart {
    let deploy = values.values("deploy");
    if let Some(at) = deploy.get("restart_policy") {
        let policy = deploy.values("restart_policy");
        let condition = policy.text_or_empty("condition");
        return restart_of(&condition, policy.integer("max_attempts"), at, project);
    }
    let Some(at) = values.get("restart") else {
        return Restart::No;
    };
    let text = at.go_string().unwrap_or_default();
    let (condition, times) = text.split_once(':').unwrap_or((&text, "0"));
    restart_of(condition, times.parse().unwrap_or_default(), at, project)
}

fn restart_of(condition: &str, times: i64, at: &Node, project: &Project<'_>) -> Restart {
    match condition {
        "" | "no" | "none" => Restart::No,
        "always" | "any" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure(times),
        other => {
            let message = format!("\"{}\" is not a restart policy", other.escape_default());
            let hint = "no, always, unless-stopped, on-failure or on-failure:3";
            project.refuse_with_hint(at, message, hint);
            Restart::No
        }
    }
}

/// Maps the commands of a turn in a container's life.
pub(super) fn hooks(values: Values<'_>, key: &str) -> Vec<Hook> {
    let hook = |(_, hook): (&Node, Values<'_>)| Hook {
        command: hook.texts("command"),
        user: hook.text("user"),
        privileged: hook.flag("privileged"),
        working_dir: hook.text("working_dir"),
        env: hook
            .pairs("environment")
            .into_iter()
            .map(|(name, value)| (name, Sensitive::new(value)))
            .collect(),
    };
    values.maps(key).map(hook).collect()
}

/// Maps `pull_policy`.
pub(super) fn pull(values: Values<'_>, project: &Project<'_>) -> Pull {
    const HOUR: u64 = 3600;
    let Some(at) = values.get("pull_policy") else {
        return Pull::Missing;
    };
    let policy = at.go_string().unwrap_or_default();
    match policy.as_str() {
        "missing" | "if_not_present" | "" => Pull::Missing,
        "always" => Pull::Always,
        "never" => Pull::Never,
        "daily" => Pull::Every(Duration::from_secs(24 * HOUR)),
        "weekly" => Pull::Every(Duration::from_secs(7 * 24 * HOUR)),
        "refresh" => {
            // Docker Compose reads past `pull_refresh_after`, which the schema has beside it.
            let message = "pull_policy refresh: the image is pulled when it is missing, as Docker \
                           Compose takes it; every_12h looks for another one";
            project.warn(at, message);
            Pull::Missing
        }
        "build" => {
            let message =
                "pull_policy build: moored builds no image; it is pulled when it is missing";
            project.warn(at, message);
            Pull::Missing
        }
        _ => {
            let found = policy.strip_prefix("every_").and_then(every);
            found.unwrap_or_else(|| {
                let message = format!("\"{}\" is not a pull policy", policy.escape_default());
                let hint = "missing, always, never, daily, weekly, refresh or every_12h";
                project.refuse_with_hint(at, message, hint);
                Pull::Missing
            })
        }
    }
}

/// Returns that an image is looked for again after a time such as `12h`.
fn every(time: &str) -> Option<Pull> {
    let time = short::parse_duration(time).ok()?;
    Some(Pull::Every(Duration::from_nanos(time.unsigned_abs())))
}

/// Maps the options of the security modules; a seccomp profile in a file becomes its content.
pub(super) fn security_opt(values: Values<'_>, project: &Project<'_>) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for at in values.items("security_opt") {
        let option = at.go_string().unwrap_or_default();
        let (key, value) = option.split_once(['=', ':']).unwrap_or((&option, ""));
        let is_file = key == "seccomp" && !["unconfined", "builtin", ""].contains(&value);
        if !is_file {
            if value.is_empty() && key != "no-new-privileges" {
                let message = format!("\"{}\" is not a security option", option.escape_default());
                project.refuse_with_hint(at, message, "for example no-new-privileges:true");
            }
            options.insert(option);
            continue;
        }
        match seccomp_profile(value, project) {
            Ok(profile) => {
                options.insert(format!("seccomp={profile}"));
            }
            Err(why) => project.refuse(at, format!("seccomp profile {value}: {why}")),
        }
    }
    options
}

/// Reads a seccomp profile, and leaves out the blanks between its words as Compose does.
fn seccomp_profile(path: &str, project: &Project<'_>) -> Result<String, String> {
    let path = project.files.directory.join(path);
    let text = project
        .files
        .read(&path)?
        .ok_or("the file does not exist")?;
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| error.to_string())?;
    Ok(without_blanks(&text))
}

/// Leaves the blanks between the words of a JSON text out, and everything else as it is written.
fn without_blanks(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = in_text || !c.is_ascii_whitespace();
        match *c {
            '"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = in_text && *c == '\\' && !escaped;
        keep
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_compacted_as_it_is_written() {
        let text = "{ \"b\" : [ 1.0 , \"x y\\\" z\" ] ,\n \"a\" : \"\\\\\" }";
        let compact = "{\"b\":[1.0,\"x y\\\" z\"],\"a\":\"\\\\\"}";
        assert_eq!(without_blanks(text), compact);
    }
}
