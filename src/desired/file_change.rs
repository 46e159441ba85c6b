//! Reads one rule of `on_file_change:`.

use serde::Deserialize;

use super::manifest::{OnFileChange, Reload};
use crate::document::WordOr;

/// A way to tell a process, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReload {
    signal: Option<String>,
    run: Option<Vec<String>>,
}

/// Signals that a program may take as "read your files again", and whose name the engine knows.
/// Not `SIGKILL` and `SIGSTOP`, which no program takes.
const SIGNALS: [&str; 7] = [
    "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM", "SIGQUIT", "SIGWINCH",
];

impl TryFrom<WordOr<RawReload>> for OnFileChange {
    type Error = String;

    fn try_from(raw: WordOr<RawReload>) -> Result<Self, String> {
        let raw = match raw {
            WordOr::Word(word) => return from_word(&word),
            WordOr::Mapping(raw) => raw,
        };
        match (raw.signal, raw.run) {
            (Some(name), None) => Ok(Self::Reload(Reload::Signal(signal(&name)?))),
            (None, Some(command)) => {
                if command.first().is_none_or(String::is_empty) {
                    return Err("run is a list of words, the program first, as in \
                                [nginx, -s, reload]"
                        .to_owned());
                }
                Ok(Self::Reload(Reload::Run(command)))
            }
            (None, None) | (Some(_), Some(_)) => {
                Err("a rule in long form has exactly one of signal and run".to_owned())
            }
        }
    }
}

fn from_word(word: &str) -> Result<OnFileChange, String> {
    match word {
        "restart" => Ok(OnFileChange::Restart),
        "replace" => Ok(OnFileChange::Replace),
        "ignore" => Ok(OnFileChange::Ignore),
        "reload" => Ok(OnFileChange::Reload(Reload::Signal("SIGHUP".to_owned()))),
        _ => Err(format!(
            "\"{}\" is not what a changed file can lead to: write reload, restart, replace, \
             ignore, {{signal: SIGUSR1}} or {{run: [nginx, -s, reload]}}",
            word.escape_default()
        )),
    }
}

/// Returns the signal's name with `SIG` in front.
fn signal(name: &str) -> Result<String, String> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = SIGNALS
        .iter()
        .find(|known| known.strip_prefix("SIG") == Some(short));
    known.map(|known| (*known).to_owned()).ok_or_else(|| {
        format!(
            "\"{}\" is not a signal that a program may read its files on: {}",
            name.escape_default(),
            SIGNALS.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(rule: &str) -> Result<OnFileChange, String> {
        let text = format!("web: {rule}\n");
        crate::document::read::<BTreeMap<String, OnFileChange>>("m", text.as_bytes(), &[])
            .map(|mut rules| rules.remove("web").unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_is_read() {
        let signal = |name: &str| OnFileChange::Reload(Reload::Signal(name.to_owned()));
        for (rule, expected) in [
            ("restart", OnFileChange::Restart),
            ("replace", OnFileChange::Replace),
            ("ignore", OnFileChange::Ignore),
            ("reload", signal("SIGHUP")),
            ("{signal: SIGUSR1}", signal("SIGUSR1")),
            ("{signal: winch}", signal("SIGWINCH")),
        ] {
            assert_eq!(read(rule), Ok(expected), "{rule}");
        }
        let command = ["kill", "-USR1", "1"].map(str::to_owned).to_vec();
        assert_eq!(
            read("{run: [kill, -USR1, '1']}"),
            Ok(OnFileChange::Reload(Reload::Run(command)))
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let said: Vec<String> = [
            "relaod",
            "{signal: SIGKILL}",
            "{signal: 1}",
            "{run: []}",
            "{run: nginx -s reload}",
            "{}",
            "{signal: HUP, run: [a]}",
            "{exec: [a]}",
            "[reload]",
            "true",
        ]
        .iter()
        .map(|rule| read(rule).unwrap_err())
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        m:1:6: web: "relaod" is not what a changed file can lead to: write reload, restart, replace, ignore, {signal: SIGUSR1} or {run: [nginx, -s, reload]}
        m:1:6: web: "SIGKILL" is not a signal that a program may read its files on: SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGTERM, SIGQUIT, SIGWINCH
        m:1:6: web: "1" is not a signal that a program may read its files on: SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGTERM, SIGQUIT, SIGWINCH
        m:1:6: web: run is a list of words, the program first, as in [nginx, -s, reload]
        m:1:12: web.run: invalid type: string "nginx -s reload", expected a sequence
        m:1:6: web: a rule in long form has exactly one of signal and run
        m:1:6: web: a rule in long form has exactly one of signal and run
        m:1:7: web: unknown key "exec"
          hint: known keys here: signal, run
        m:1:6: web: invalid type: sequence, expected a word or a mapping
        m:1:6: web: invalid type: boolean `true`, expected a word or a mapping
        "#);
    }
}
