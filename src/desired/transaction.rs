//! Checks what the parts of a manifest say of one another: services that are there, and the
//! promises that a migration rests on.

use std::collections::BTreeMap;

use super::checks::SmokeProbe;
use super::findings::{Findings, known_services};
use super::maintenance::During;
use super::manifest::Manifest;
use super::migrations::Migration;
use super::{Service, ServiceName};

/// Checks the parts of a manifest against one another and against the services of its Compose
/// files.
pub(super) fn check(
    manifest: &Manifest,
    services: &BTreeMap<ServiceName, Service>,
    findings: &mut Findings<'_>,
) {
    let mut found = Checks { services, findings };
    for (index, one) in manifest.ready.iter().enumerate() {
        found.service(&one.service, &["ready", &index.to_string(), "service"]);
    }
    for (index, one) in manifest.smoke.iter().enumerate() {
        if let SmokeProbe::Exec { service, .. } = &one.probe {
            found.service(service, &["smoke", &index.to_string(), "service"]);
        }
    }
    for (name, job) in &manifest.jobs {
        found.service(&job.service, &["jobs", name, "service"]);
        if !job_name_is_valid(name) {
            found.refuse(
                &["jobs", name],
                "a job's name is letters, digits, - and _: it becomes part of a container's name",
                "",
            );
        }
    }
    for (name, backup) in &manifest.backups {
        if let Some(service) = backup.source.service() {
            found.service(service, &["backups", name.as_str()]);
        }
    }
    for (index, migration) in manifest.migrations.iter().enumerate() {
        found.migration(manifest, index, migration);
    }
}

struct Checks<'a, 'b> {
    services: &'a BTreeMap<ServiceName, Service>,
    findings: &'a mut Findings<'b>,
}

impl Checks<'_, '_> {
    fn refuse(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        self.findings.refuse(path, message, hint);
    }

    fn service(&mut self, name: &ServiceName, path: &[&str]) {
        if name.number() > 1 {
            let message = format!("{name} is one container of {}", name.service());
            self.refuse(path, message, "write the name of the service");
        }
        if !self.services.contains_key(name) {
            let hint = known_services(name, self.services);
            self.refuse(path, format!("there is no service {name}"), &hint);
        }
    }

    fn migration(&mut self, manifest: &Manifest, index: usize, migration: &Migration) {
        let index = index.to_string();
        let path = ["migrations", index.as_str()];
        self.service(&migration.service, &[path[0], path[1], "service"]);
        for service in &migration.stop {
            self.service(service, &[path[0], path[1], "stop"]);
        }
        let guards = || manifest.backups.values().filter(|one| one.before_deploy);
        if guards().next().is_none() {
            self.refuse(
                &path,
                "a migration needs a backup that is taken before it",
                "add one under backups with before_deploy: true",
            );
        }
        let tools = guards().filter_map(|backup| backup.source.service());
        if let Some(service) = tools.into_iter().find(|name| migration.stop.contains(name)) {
            self.refuse(
                &[path[0], path[1], "stop"],
                format!("{service} is stopped before its backup is taken in it"),
                "stop those that write to the data, not the database",
            );
        }
        if migration.restore_on_failed_migration {
            self.restoring(manifest, &path, migration);
        }
    }

    /// A backup may be restored by itself only when nothing can have been written since.
    fn restoring(&mut self, manifest: &Manifest, path: &[&str], migration: &Migration) {
        let page = manifest.maintenance.as_ref();
        let missing = if migration.stop.is_empty() {
            "the services that write must be named in stop"
        } else if page.is_none_or(|page| page.during == During::Never) {
            "there must be a maintenance page during it"
        } else if page.is_none_or(|page| page.probe.is_none()) {
            "the maintenance page must have a probe that proves it"
        } else {
            return;
        };
        let message = format!(
            "restore_on_failed_migration loses what was written since the backup: {missing}"
        );
        self.refuse(path, message, "");
    }
}

fn job_name_is_valid(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(valid)
}
