//! Replays the corpora of the fuzz targets, so that what they hold stays held on stable.

use std::path::PathBuf;

#[path = "../../fuzz/targets.rs"]
mod targets;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn replay(name: &str, target: fn(&[u8])) {
    let corpus = root().join("corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        // The name of the input stands in the output of a test that fails.
        println!("{}", path.display());
        target(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 5, "{} holds next to nothing", corpus.display());
}

macro_rules! replays {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), targets::$target);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let known = [$(stringify!($target)),*];
            let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
            let declared: Vec<&str> = manifest
                .lines()
                .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
                .collect();
            assert_eq!(declared, known);
        }
    };
}

replays! { yaml interpolation env_file ports volumes durations bytes commands model }
