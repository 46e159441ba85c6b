//! Shows what to write where a key of a manifest can't be read as what stands there.

use crate::diagnostic::Diagnostic;

/// An example of each key. Format: `docs/manifest.md`.
const EXAMPLES: [(&str, &str); 27] = [
    ("accept_schema", "accept_schema: 12-4f2a9c1"),
    (
        "backups",
        "backups: {db: {postgres: {service: db, database: shop, user: shop}, to: /opt/shop/backups}}",
    ),
    ("checklist", "checklist: [docs/after-deploy.md]"),
    (
        "compose",
        "compose: [../compose.yaml, compose.production.yaml]",
    ),
    ("drift", "drift: report"),
    (
        "env",
        "env: {web: {files: [/opt/shop/env/web.env], require: [SESSION_KEY, {name: DSN, same_as: \
         worker.DSN}, {name: SMTP_PASSWORD, when: MAIL=1}]}}",
    ),
    ("expires", "expires: 2026-12-24 18:00"),
    (
        "files",
        "files: [{from: logrotate.d/, to: /etc/logrotate.d/}]",
    ),
    ("images", "images: {web: 'registry.example/shop/web:v2'}"),
    (
        "jobs",
        "jobs: {bootstrap: {service: web, run: [python, -m, app.cli, bootstrap-owner], when: \
         first_deploy}}",
    ),
    (
        "maintenance",
        "maintenance: {flag: /opt/shop/maintenance/ON, during: deploy, probe: 'http://127.0.0.1/'}",
    ),
    (
        "migrations",
        "migrations: [{service: web, run: [npx, prisma, migrate, deploy], stop: [web]}]",
    ),
    ("on_failure", "on_failure: hold"),
    (
        "on_file_change",
        "on_file_change: {worker: {signal: SIGUSR1}, front: reload, default: restart}",
    ),
    ("owners", "owners: {api: backend, web: frontend}"),
    ("project_directory", "project_directory: /opt/shop/app"),
    (
        "proxy",
        "proxy: {nginx: {service: front, configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}, \
         marker: /__moored}}",
    ),
    ("prune", "prune: true"),
    (
        "ready",
        "ready: [{service: web, http: /readyz, port: 4000, timeout: 60s}]",
    ),
    (
        "smoke",
        "smoke: [{http: 'http://127.0.0.1/api/health', status: 200}]",
    ),
    ("soak", "soak: 10s"),
    ("stack", "stack: shop"),
    (
        "strategy",
        "strategy: {default: recreate, web: {kind: blue-green, second_port: 4001, drain: 30s}}",
    ),
    ("suspend", "suspend: {reason: disk is being moved}"),
    ("time_zone", "time_zone: Europe/Berlin"),
    (
        "variable_files",
        "variable_files: [/opt/shop/env/compose.env]",
    ),
    (
        "variables",
        "variables: {TAG: '1.10', WORKERS: 4, DEBUG: false}",
    ),
];

/// Adds an example of the key that a finding is about, unless it says itself what to write.
pub(super) fn with_example(found: Diagnostic) -> Diagnostic {
    if found.hint.is_some() {
        return found;
    }
    let missing = found.message.strip_prefix("missing field `");
    let about = missing.unwrap_or(&found.message);
    let end = about.find(|c: char| !c.is_ascii_lowercase() && c != '_');
    let key = about.get(..end.unwrap_or(about.len())).unwrap_or_default();
    match EXAMPLES.iter().find(|(name, _)| *name == key) {
        Some((_, example)) => found.hint(format!("for example {example}")),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::desired::manifest;

    #[test]
    fn every_key_has_an_example_that_can_be_read() {
        for (key, example) in EXAMPLES {
            let before = if key == "stack" { "" } else { "stack: a\n" };
            let read = manifest::parse("m.yaml", format!("{before}{example}\n").as_bytes());
            assert!(read.is_ok(), "{:?}", read.err());
        }
        let unknown = manifest::parse("m.yaml", b"stack: a\nzzqq: 1\n").unwrap_err();
        let known = unknown.hint.unwrap();
        let known = known.strip_prefix("known keys here: ").unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        let examples: BTreeSet<&str> = EXAMPLES.iter().map(|(key, _)| *key).collect();
        assert_eq!(known, examples);
    }
}
