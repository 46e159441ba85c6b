//! What a manifest names on the host is held until the settings permit it, and what is Moored's own
//! is closed whatever they permit.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::stage::Stage;
use crate::support::put;

impl Stage {
    /// Commits the stack with these lines in its manifest.
    fn commit_manifest(&self, image: &str, more: &str) {
        let manifest = self.manifest(&[("web", image)], more);
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &self.web("")),
            ("task", "* * * * * root true\n"),
        ];
        self.commit("places", &files);
    }
}

#[test]
fn a_file_outside_of_what_is_open_is_held_until_the_settings_permit_it() {
    let stage = Stage::new("places");
    let v1 = stage.app("v1");
    // A directory that no root of the stage has in it.
    let closed = tempfile::tempdir_in("/var/tmp").unwrap();
    let place = closed.path().join("cron.d/task");
    let shown = closed.path().display().to_string();
    let files = format!("files: [{{from: task, to: {}}}]\n", place.display());
    stage.commit_manifest(&v1, &files);
    let setting = format!("file_roots: [{shown}/cron.d]");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["do not permit", &setting, "moored.yaml:"]);
    assert!(stage.names().is_empty());
    assert_eq!(std::fs::read_dir(closed.path()).unwrap().count(), 0);
    stage.permit(&setting);
    stage.reconcile();
    assert!(place.exists());

    // A link that leads out of what is open is where it leads.
    symlink(closed.path(), stage.path("link")).unwrap();
    let linked = stage.path("link/elsewhere/task");
    let files = format!("files: [{{from: task, to: {}}}]\n", linked.display());
    stage.commit_manifest(&v1, &files);
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&format!("which is {shown}/elsewhere/task")]);
    assert!(!closed.path().join("elsewhere").exists());

    // Neither does a person's command take what Git names there.
    let data = stage.path("data.db");
    put(&data, "");
    let backups = format!(
        "backups: {{all: {{files: ['{}'], to: {shown}/kept}}}}\n",
        data.display()
    );
    stage.commit_manifest(&v1, &backups);
    stage
        .moored(&["backup", "now", "all"])
        .exits(75)
        .says(&[&format!("file_roots: [{shown}/kept]")]);
    assert!(!closed.path().join("kept").exists());
}

#[test]
fn a_page_of_ours_comes_off_whatever_is_permitted_by_then() {
    let stage = Stage::new("placespage");
    let v1 = stage.app("v1");
    let closed = tempfile::tempdir_in("/var/tmp").unwrap();
    let flag = closed.path().join("page/ON");
    let maintenance = format!("maintenance: {{flag: {}}}\n", flag.display());
    stage.permit(&format!("file_roots: ['{}']", closed.path().display()));
    stage.commit_manifest(&v1, &maintenance);
    stage.reconcile();
    let on = ["maintenance", "on", "--reason", "new disk"];
    stage.moored(&on).exits(0);
    assert!(flag.exists());
    let url = stage.path("state").display().to_string();
    stage.configure(&url, "30s", "");
    let off = ["maintenance", "off"];
    stage.moored(&off).exits(0).says(&["maintenance is off"]);
    assert!(!flag.exists());
    // A file that says nothing of us may be anybody's.
    put(&flag, "");
    for command in [&on[..], &off[..]] {
        stage.moored(command).exits(75).says(&["file_roots"]);
    }
    assert!(flag.exists());
}

#[test]
fn a_file_of_secrets_that_everybody_may_read_is_told() {
    let stage = Stage::new("placesopen");
    let v1 = stage.app("v1");
    let open = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = open.path().join("web.env");
    put(&file, "DB_PASSWORD=not-for-everybody\n");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    mode(open.path(), 0o755);
    mode(&file, 0o644);
    stage.permit(&format!("file_roots: ['{}']", open.path().display()));
    let shown = file.display();
    stage.commit_manifest(&v1, &format!("env: {{web: {{files: [{shown}]}}}}\n"));
    stage
        .reconcile()
        .says(&["DB_PASSWORD", &format!("chmod 600 {shown}")]);
    mode(&file, 0o600);
    let said = stage.moored(&["plan"]).exits(0);
    assert!(!said.err.contains("chmod"), "{}", said.err);
}

#[test]
fn the_files_that_the_settings_rest_on_are_closed_whatever_they_permit() {
    let stage = Stage::new("placesown");
    let v1 = stage.app("v1");
    let key = stage.path("age.key");
    put(&key, "CANARY_OF_THE_KEY=canary-7c1d\n");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let url = stage.path("state").display().to_string();
    let identity = format!("age_identity: {}\n", key.display());
    stage.configure(&url, "30s", &identity);
    stage.permit("file_roots: [/]");
    let config = stage.path("config.yaml");
    let before = std::fs::read(&config).unwrap();
    let never = "(no setting permits it)";
    for own in [&config, &key, &stage.path("moored/key")] {
        let own = own.display();
        stage.commit_manifest(&v1, &format!("files: [{{from: task, to: {own}}}]\n"));
        stage
            .moored(&["reconcile"])
            .exits(75)
            .says(&[&own.to_string(), never]);
        stage.commit_web("mounted", &v1, &format!("    volumes: ['{own}:/x:ro']\n"));
        stage.moored(&["reconcile"]).exits(75).says(&[never]);
        for reads in [
            format!("env: {{web: {{files: [{own}]}}}}\n"),
            format!("variable_files: [{own}]\n"),
        ] {
            stage.commit_manifest(&v1, &reads);
            stage.moored(&["reconcile"]).exits(65).says(&[
                "moored.yaml:",
                "do not let it be read",
                never,
            ]);
        }
        let manifest = stage.manifest(&[("web", &v1)], "");
        let web = stage.web(&format!("    env_file: ['{own}']\n"));
        stage.commit(
            "env_file",
            &[("moored.yaml", &manifest), ("compose.yaml", &web)],
        );
        stage
            .moored(&["reconcile"])
            .exits(65)
            .says(&["do not let it be read", never]);
    }
    assert!(stage.names().is_empty());
    assert_eq!(std::fs::read(&config).unwrap(), before);
    assert!(!stage.said().contains("canary-7c1d"));
}
