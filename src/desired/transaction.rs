//! Checks what the parts of a manifest say of one another: services that are there, and the
//! promises that a migration rests on.

use super::ServiceName;
use super::checks::SmokeProbe;
use super::findings::{Findings, Surroundings};
use super::maintenance::During;
use super::manifest::Manifest;
use super::migrations::Migration;

/// Checks the parts of a manifest against one another and against the services of its Compose
/// files.
pub(super) fn check(around: &Surroundings<'_>, findings: &mut Findings<'_>) {
    let manifest = around.manifest;
    let mut found = Checks { around, findings };
    for (index, one) in manifest.ready.iter().enumerate() {
        found.may_rest(&one.service, &["ready", &index.to_string(), "service"]);
    }
    for (index, one) in manifest.smoke.iter().enumerate() {
        if let SmokeProbe::Exec { service, .. } = &one.probe {
            found.service(service, &["smoke", &index.to_string(), "service"]);
        }
    }
    for name in manifest.owners.keys() {
        found.may_rest(name, &["owners", name.as_str()]);
    }
    for (name, job) in &manifest.jobs {
        found.service(&job.service, &["jobs", name, "service"]);
        if !job_name_is_valid(name) {
            found.refuse(
                &["jobs", name],
                "a job's name is letters, digits, - and _: it becomes part of a container's name",
                "write for example bootstrap-owner",
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
    around: &'a Surroundings<'a>,
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
        if !self.around.services.contains_key(name) {
            let (message, hint) = self.around.no_container(name);
            self.refuse(path, message, &hint);
        }
    }

    /// Checks the name of a service of which nothing is asked while it has no container.
    fn may_rest(&mut self, name: &ServiceName, path: &[&str]) {
        if !self.around.at_rest.contains(name) {
            self.service(name, path);
        }
    }

    fn migration(&mut self, manifest: &Manifest, index: usize, migration: &Migration) {
        let index = index.to_string();
        let path = ["migrations", index.as_str()];
        self.service(&migration.service, &[path[0], path[1], "service"]);
        for service in &migration.stop {
            self.may_rest(service, &[path[0], path[1], "stop"]);
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
        let (missing, hint) = if migration.stop.is_empty() {
            (
                "the services that write must be named in stop",
                "add for example stop: [web], or take restore_on_failed_migration out",
            )
        } else if page.is_none_or(|page| page.during == During::Never) {
            (
                "there must be a maintenance page during it",
                "add maintenance with a flag and during: deploy, or take \
                 restore_on_failed_migration out",
            )
        } else if page.is_none_or(|page| page.probe.is_none()) {
            (
                "the maintenance page must have a probe that proves it",
                "add to maintenance for example probe: http://127.0.0.1/",
            )
        } else {
            return;
        };
        let message = format!(
            "restore_on_failed_migration loses what was written since the backup: {missing}"
        );
        self.refuse(path, message, hint);
    }
}

fn job_name_is_valid(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(valid)
}
