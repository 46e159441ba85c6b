//! Replays the corpora of the fuzz targets, so that what they hold stays held on stable.

use std::path::PathBuf;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_corpus_holds() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let name = |line: &str| {
        let file = line.strip_prefix("path = \"fuzz_targets/")?;
        Some(file.strip_suffix(".rs\"")?.to_owned())
    };
    let names: Vec<String> = manifest.lines().filter_map(name).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    for name in names {
        let corpus = fuzz.join("corpus").join(&name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let held = std::panic::catch_unwind(|| targets::run(&name, &input));
            assert!(held.is_ok(), "{} breaks {name}", path.display());
            inputs += 1;
        }
        assert!(inputs > 5, "{} holds next to nothing", corpus.display());
    }
}
