//! The one printed form of what a host lacks.

use std::fmt::{self, Write as _};

use super::{Area, Check, Diagnosis, Verdict};
use crate::report::Report;
use crate::table;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Missing => "missing",
        })
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settings => "settings",
            Self::State => "state",
            Self::Engine => "engine",
            Self::Repository => "repository",
            Self::Registries => "registries",
            Self::Stack => "stack",
        })
    }
}

impl Report for Diagnosis {
    fn text(&self) -> String {
        let rows = self.checks.iter().map(|check| {
            [
                check.verdict.to_string(),
                check
                    .stack
                    .clone()
                    .unwrap_or_else(|| check.area.to_string()),
                check.subject.clone(),
                in_one_line(&check.found),
            ]
        });
        let rows = table::aligned(rows);
        let mut text = String::new();
        for (row, check) in rows.lines().zip(&self.checks) {
            text.push_str(row);
            text.push('\n');
            if let Some(remedy) = &check.remedy {
                // Writing into a text can't fail.
                writeln!(text, "         → {}", in_one_line(remedy)).unwrap_or_default();
            }
        }
        text + &self.summary()
    }
}

impl Diagnosis {
    fn summary(&self) -> String {
        let count = |verdict| {
            let of_it = |check: &&Check| check.verdict == verdict;
            self.checks.iter().filter(of_it).count()
        };
        let (missing, warn) = (count(Verdict::Missing), count(Verdict::Warn));
        format!(
            "{missing} missing, {warn} to look at, {} well\n",
            count(Verdict::Ok)
        )
    }
}

/// Returns a text of several lines as one.
fn in_one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_a_line_and_its_remedy_another() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.add(Check::ok(Area::Settings, "/etc/moored/config.yaml"));
        diagnosis.add(
            Check::missing(Area::Engine, "unix:///var/run/docker.sock")
                .found("there is no such socket: the engine does not run")
                .mended_by("systemctl start docker"),
        );
        diagnosis.add(
            Check::warn(Area::Stack, "/opt/shop/.env")
                .of("shop")
                .found("has A_KEY in it\n  and everybody may read it")
                .mended_by("chmod 600 /opt/shop/.env"),
        );
        diagnosis.add(Check::ok(Area::Settings, "/etc/moored/config.yaml"));
        assert_eq!(
            diagnosis.text(),
            "\
ok       settings  /etc/moored/config.yaml
missing  engine    unix:///var/run/docker.sock  there is no such socket: the engine does not run
         → systemctl start docker
warn     shop      /opt/shop/.env               has A_KEY in it; and everybody may read it
         → chmod 600 /opt/shop/.env
1 missing, 1 to look at, 1 well
"
        );
        assert!(!diagnosis.is_well());
        let json = serde_json::to_value(&diagnosis).unwrap();
        let expected = serde_json::json!({
            "area": "engine",
            "stack": null,
            "subject": "unix:///var/run/docker.sock",
            "verdict": "missing",
            "found": "there is no such socket: the engine does not run",
            "remedy": "systemctl start docker",
        });
        assert_eq!(json["checks"][1], expected);
    }
}
