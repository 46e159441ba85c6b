//! `moored init` as a person calls it: from files, from what runs, and where neither is clear.

use std::fs;

use super::adopt::compose;
use super::stage::Stage;
use crate::support::put;

/// Runs a project from a directory.
fn up(stage: &Stage, name: &str, directory: &str) {
    let project = ["--project-name", name, "--project-directory", directory];
    let file = format!("{directory}/compose.yaml");
    let up = ["--file", &file, "up", "--detach"];
    compose(stage, false, &[&project[..], &up].concat());
}

#[test]
fn files_that_do_not_run_get_a_manifest_that_passes() {
    let stage = Stage::new("init-files");
    let dir = stage.path("shop");
    fs::create_dir(&dir).unwrap();
    let at = dir.display().to_string();
    let nothing = stage.moored(&["init", &at]).exits(64);
    nothing.says(&[
        "there is no Compose file, and no project that runs",
        "--project NAME",
    ]);

    put(
        dir.join("compose.yaml"),
        "services: {web: {image: 'shop:${TAG:?}'}}\n",
    );
    let unset = stage.moored(&["init", &at]).exits(65);
    unset.says(&["compose.yaml:1:", "\"TAG\" must be set"]);
    put(dir.join(".env"), "TAG=v1\nAPI_TOKEN=hidden-value\n");
    let shown = stage.moored(&["init", &at, "--stdout"]).exits(0);
    assert!(shown.out.contains("  web: shop:v1\n"), "{}", shown.out);
    assert!(!dir.join("moored.yaml").exists());
    let said = stage.moored(&["init", &at, "--stack", "other"]).exits(0);
    assert!(!said.out.contains("hidden-value"), "{}", said.out);
    let said = said.says(&[
        "git init",
        "git add moored.yaml compose.yaml\n",
        "moored reconcile",
    ]);
    said.says(&[".env has values", "out of Git"]);
    let written = fs::read_to_string(dir.join("moored.yaml")).unwrap();
    assert_eq!(written, shown.out.replace("stack: shop", "stack: other"));
    stage
        .moored(&["check", &at])
        .exits(0)
        .says(&["1 stack, 0 errors"]);

    // What is there stays, unless a person says otherwise.
    put(dir.join("moored.yaml"), "stack: mine\n");
    stage
        .moored(&["init", &at])
        .exits(64)
        .says(&["is there already", "--force"]);
    let kept = fs::read_to_string(dir.join("moored.yaml")).unwrap();
    assert_eq!(kept, "stack: mine\n");
    stage.moored(&["init", &at, "--force"]).exits(0);
    let settings = stage.moored(&["init", &at, "--settings"]).exits(0);
    let url = format!("  url: {at}\n");
    assert!(settings.out.contains(&url), "{}", settings.out);
}

#[test]
fn a_project_is_found_by_its_directory_and_by_its_name() {
    let stage = Stage::new("init-runs");
    let image = stage.app("v1");
    let dir = stage.path("shop");
    fs::create_dir(&dir).unwrap();
    let at = dir.display().to_string();
    let text = format!(
        "services: {{web: {{image: '{image}', command: [sleep, '600'], stop_grace_period: 1s}}}}\n"
    );
    put(dir.join("compose.yaml"), text);
    let [one, other] = ["one", "other"].map(|name| format!("{}-{name}", stage.stack));
    up(&stage, &one, &at);
    let from_here = stage.moored(&["init", &at, "--stdout"]).exits(0);
    let named = format!("stack: {one}\n");
    assert!(from_here.out.contains(&named), "{}", from_here.out);

    up(&stage, &other, &at);
    let before = stage.snapshot();
    let several = stage.moored(&["init", &at]).exits(64);
    several.says(&["several projects run from", &one, &other, "--project"]);
    let missing = stage.moored(&["init", "--project", "nobody"]).exits(64);
    missing.says(&["no project nobody runs here", &other, &at]);
    let below = dir.join("other").display().to_string();
    let said = stage
        .moored(&["init", &below, "--project", &other])
        .exits(0);
    said.says(&[
        "git add other/moored.yaml compose.yaml",
        &format!("moored adopt {other}"),
    ]);
    let written = fs::read_to_string(dir.join("other/moored.yaml")).unwrap();
    assert!(
        written.contains("compose: [../compose.yaml]\n"),
        "{written}"
    );
    stage
        .moored(&["check", &at])
        .exits(0)
        .says(&["1 stack, 0 errors"]);
    stage.unchanged(&before);

    fs::rename(dir.join("compose.yaml"), dir.join("moved.yaml")).unwrap();
    let gone = stage.moored(&["init", "--project", &one]).exits(65);
    gone.says(&["compose.yaml is gone", &one, "-f FILE"]);
    let moved = dir.join("moved.yaml").display().to_string();
    let moved = ["init", "--project", &one, "-f", &moved, "--stdout"];
    let moved = stage.moored(&moved).exits(0);
    assert!(
        moved.out.contains("compose: [moved.yaml]\n"),
        "{}",
        moved.out
    );
}
