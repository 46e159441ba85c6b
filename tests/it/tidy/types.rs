//! What the types promise, as far as it can be seen in the sources.

use super::{files, none, read};

#[test]
fn looking_holds_no_write_engine() {
    let host = read("src/host.rs");
    let view = host.split("pub struct View {").nth(1).unwrap();
    let view = view.split("\n}").next().unwrap();
    assert!(view.contains("dyn ReadEngine"), "{view}");
    let mut findings = Vec::new();
    for place in [
        "src/observe/",
        "src/plan",
        "src/report",
        "src/stacks",
        "src/cli/look.rs",
    ] {
        for file in files(place) {
            if file.code().contains("WriteEngine") || file.code().contains("docker::") {
                findings.push(format!("{}: can change the engine", file.path));
            }
        }
    }
    assert!(!view.contains("WriteEngine"), "{view}");
    none(&findings);
}

#[test]
fn sensitive_values_cannot_be_printed() {
    let code = read("src/secret/mod.rs");
    let before = code.split("pub struct Sensitive").next().unwrap();
    let derive = before
        .lines()
        .rfind(|line| line.contains("derive"))
        .unwrap();
    for name in ["Debug", "Display", "Serialize"] {
        assert!(!derive.contains(name), "{derive}");
        let by_hand = files("src")
            .iter()
            .any(|file| file.text.contains(&format!("{name} for Sensitive")));
        assert!(!by_hand, "Sensitive has {name}");
    }
}
