//! The labels by which containers, networks and volumes are known again.
//!
//! `com.docker.compose.*` is Docker Compose's own vocabulary, so that its tools keep working on
//! what we make; `dev.moored.*` is ours, and nothing without [`INSTANCE`] is ever removed.

use std::collections::BTreeMap;

/// Compose project name.
pub const PROJECT: &str = "com.docker.compose.project";
/// Compose service name.
pub const SERVICE: &str = "com.docker.compose.service";
/// Number of the container within its service, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// Whether it is a one-off container (`True`) or one of the service's (`False`).
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// Compose's own digest of the service; its presence makes `docker compose ps` list the container.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Id of the image that the container was made from (`sha256:…`).
pub const IMAGE: &str = "com.docker.compose.image";
/// What it depends on, as `SERVICE:CONDITION:RESTART`, separated by commas.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Version of Docker Compose.
pub const VERSION: &str = "com.docker.compose.version";
/// Directory where the project's relative paths resolve.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// Compose files of the project by absolute path, separated by commas.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// Files with values for variables that the project was started with, by absolute path, separated
/// by commas.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";
/// Name of a network within its Compose file.
pub const NETWORK: &str = "com.docker.compose.network";
/// Name of a volume within its Compose file.
pub const VOLUME: &str = "com.docker.compose.volume";

/// Stack that a thing belongs to.
pub const STACK: &str = "dev.moored.stack";
/// Installation of Moored that made it: one state directory.
pub const INSTANCE: &str = "dev.moored.instance";
/// Config digest of the service that it was made from.
pub const DIGEST: &str = "dev.moored.digest";
/// Release that it was made for, as `ATTEMPT-COMMIT`.
pub const RELEASE: &str = "dev.moored.release";
/// Attempt that made it.
pub const ATTEMPT: &str = "dev.moored.attempt";
/// What a one-off container is for: a migration or a job, by the name that the plan gives it.
pub const JOB: &str = "dev.moored.job";
/// Which of two places a container of a blue-green service has: `blue` or `green`.
pub const SLOT: &str = "dev.moored.slot";

/// Digest of what a network was asked to be.
pub const ASKED: &str = "dev.moored.asked";

/// The version of Docker Compose whose labels these are.
pub const COMPOSE_VERSION: &str = "2.40.3";

/// Returns whether a label is written by a tool and not by a person.
pub fn is_reserved(label: &str) -> bool {
    label.starts_with("com.docker.compose.") || label.starts_with("dev.moored.")
}

/// Returns of which service of a stack a container is, by its labels; `None` for what runs once.
pub fn service_in<'a>(labels: &'a BTreeMap<String, String>, stack: &str) -> Option<&'a str> {
    let is = |label: &str, wanted: &str| labels.get(label).is_some_and(|it| it == wanted);
    let runs_once = is(ONEOFF, "True") || labels.contains_key(JOB);
    let service = labels
        .get(SERVICE)
        .filter(|_| is(PROJECT, stack) && !runs_once)?;
    Some(service)
}
