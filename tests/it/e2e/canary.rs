//! A secret of every stage, and the look for it at the end of every test: in what the program
//! said, in what it left behind, and in the arguments of all processes meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::stage::Stage;
use crate::support::{put, vehicles};

/// A value that is secret on one stage.
pub(super) struct Canary {
    /// The environment file that it stands in.
    file: PathBuf,
    forms: Arc<Vec<Vec<u8>>>,
    /// Processes that had it among their arguments.
    seen: Arc<Mutex<Vec<String>>>,
    end: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

impl Canary {
    /// Puts one into an environment file of this directory, and watches processes from then on.
    pub(super) fn plant(dir: &Path) -> Self {
        let value = [word(), word(), word()].concat();
        let file = dir.join("canary.env");
        let awkward = awkward();
        let quoted = awkward.replace('\\', r"\\").replace('"', "\\\"");
        let quoted = quoted.replace('\n', r"\n");
        put(
            &file,
            format!("CANARY_TOKEN={value}\nCANARY_KEY=\"{quoted}\"\n"),
        );
        let mut canary = Self {
            file,
            forms: Arc::new([forms(&value), forms(&awkward)].concat()),
            seen: Arc::default(),
            end: Arc::default(),
            watch: None,
        };
        canary.watch = Some(canary.watching());
        canary
    }

    /// Returns the lines of a manifest that give it to a service.
    pub(super) fn given_to(&self, service: &str) -> String {
        let file = self.file.display();
        format!("env: {{{service}: {{files: ['{file}'], require: [CANARY_TOKEN]}}}}\n")
    }

    /// Returns the value.
    pub(super) fn value(&self) -> String {
        let text = fs::read_to_string(&self.file).unwrap();
        let value = text.lines().next().unwrap();
        value.strip_prefix("CANARY_TOKEN=").unwrap().to_owned()
    }

    fn watching(&self) -> JoinHandle<()> {
        let (forms, seen, end) = (self.forms.clone(), self.seen.clone(), self.end.clone());
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    if holds(&words, &forms) {
                        let words = String::from_utf8_lossy(&words).into_owned();
                        seen.lock().unwrap().push(words);
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// Returns where it was found: what was said, and what lies in files below these paths.
    fn found(&mut self, said: &str, places: &[PathBuf]) -> Vec<String> {
        self.end.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            watch.join().unwrap();
        }
        let mut found = std::mem::take(&mut *self.seen.lock().unwrap());
        if holds(said.as_bytes(), &self.forms) {
            found.push(format!("what was said:\n{said}"));
        }
        for place in places {
            look_below(place, &self.forms, &mut found);
        }
        found
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// Everything that the program wrote, but for what it was told to hand on.
impl Drop for Stage {
    fn drop(&mut self) {
        let places = ["moored", "log", "received"].map(|name| self.path(name));
        let said = self.said();
        let found = self.canary.found(&said, &places);
        if !std::thread::panicking() {
            assert!(
                found.is_empty(),
                "the secret of the stage is in: {found:#?}"
            );
        }
    }
}

/// Length of what gives a value away.
const TELLING: usize = 8;

/// Returns letters that turn up by no chance: neither hexadecimal nor a word.
fn word() -> String {
    const LETTERS: &[u8] = b"GHJKMNPQRSTVWXZghjkmnpqrstvwxz";
    let letter = || char::from(LETTERS[fastrand::usize(..LETTERS.len())]);
    std::iter::repeat_with(letter).take(TELLING).collect()
}

/// Returns a value that JSON, addresses and Go's messages have in other words, with parts that
/// all of them have as they are.
fn awkward() -> String {
    let [first, second, third, fourth, last] = [(); 5].map(|()| word());
    format!("{first}\"{second}\\{third}\n{fourth}é{last}")
}

/// Returns the forms in which a value may turn up: as it is, a telling part of it, or encoded.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let words = value.split(|c: char| !c.is_ascii_alphanumeric());
    let ends = words.flat_map(|word| [&word[..TELLING], &word[word.len() - TELLING..]]);
    let mut forms: Vec<String> = ends.map(str::to_owned).collect();
    forms.extend([value.to_owned(), hex::encode(value)]);
    // What stands before it moves its letters; the first and last ones are shared with neighbours.
    for before in ["", "x", "xx"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{value}"));
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms.push(vehicles::CANARY.to_owned());
    forms.into_iter().map(String::into_bytes).collect()
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| {
        let mut windows = bytes.windows(form.len());
        windows.any(|window| window == form.as_slice())
    })
}

fn look_below(path: &Path, forms: &[Vec<u8>], found: &mut Vec<String>) {
    if path.is_symlink() {
        return;
    }
    if path.is_file() {
        if holds(&fs::read(path).unwrap_or_default(), forms) {
            found.push(path.display().to_string());
        }
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        look_below(&entry.path(), forms, found);
    }
}

#[test]
fn a_secret_is_found_in_all_its_forms() {
    let value = "GHJKMNPQRSTVWXZghjkmnpqr";
    let forms = forms(value);
    for text in [
        value.to_owned(),
        format!("… {}", &value[..8]),
        format!("{} …", &value[16..]),
        hex::encode(format!("a{value}b")),
        STANDARD_NO_PAD.encode(format!("user:{value}")),
        STANDARD_NO_PAD.encode(format!("users:{value}@host")),
        STANDARD_NO_PAD.encode(format!("\"{value}\"")),
    ] {
        assert!(holds(text.as_bytes(), &forms), "{text}");
    }
    assert!(!holds(b"GHJKMNP QRSTVWX", &forms));

    let awkward = awkward();
    let forms = self::forms(&awkward);
    for text in [
        awkward.clone(),
        serde_json::to_string(&awkward).unwrap(),
        awkward.replace('"', "%22").replace('\n', "%0A"),
        STANDARD_NO_PAD.encode(format!("user:{awkward}")),
        awkward.lines().last().unwrap().to_owned(),
    ] {
        assert!(holds(text.as_bytes(), &forms), "{text}");
    }
}

#[test]
fn a_secret_that_is_left_behind_or_shown_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut canary = Canary::plant(dir.path());
    let value = &canary.value();
    // A shell that waits for a line.
    let mut shown = std::process::Command::new("sh")
        .args(["-c", "read line", value])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    crate::support::docker_cli::eventually("it is seen", || {
        !canary.seen.lock().unwrap().is_empty()
    });
    shown.kill().unwrap();
    shown.wait().unwrap();
    fs::create_dir(dir.path().join("left")).unwrap();
    put(dir.path().join("left/behind"), format!("a{value}b"));
    let found = canary.found(&format!("failed: {value}"), &[dir.path().join("left")]);
    assert!(found.len() >= 3, "{found:?}");
}
