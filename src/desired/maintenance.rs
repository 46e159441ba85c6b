//! The `maintenance:` part of a manifest: the flag file that a proxy looks at, and its page.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::checks::http_url;
use super::placed::absolute_file;
use crate::document;

/// How visitors are told that a stack is at work on itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Maintenance {
    /// The file whose existence the proxy checks: an absolute path of the host.
    pub flag: PathBuf,
    /// The page: a path relative to the manifest. It is put beside the flag under its own name.
    pub page: Option<String>,
    /// When a deploy switches it on.
    pub during: During,
    /// Why Git wants it on, whatever a deploy does.
    pub on: Option<String>,
    /// An address that must answer 503 while it is on.
    pub probe: Option<Url>,
    /// On for longer than this, it is told as forgotten; 1 hour unless said otherwise.
    pub alarm_after: Duration,
}

/// When a deploy switches maintenance on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum During {
    /// In every deploy that changes a container.
    #[default]
    Deploy,
    /// In a deploy with a migration.
    Migrate,
    /// In none.
    Never,
}

impl Maintenance {
    /// Returns the name of the page's file beside the flag.
    pub fn page_name(&self) -> Option<&str> {
        self.page.as_deref().and_then(name_of)
    }

    /// Returns the files of the host that it writes.
    pub fn host_places(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let page = self.page_name();
        let page = page.map(|name| self.flag.with_file_name(name));
        [Some(self.flag.clone()), page].into_iter().flatten()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    flag: PathBuf,
    page: Option<String>,
    #[serde(default)]
    during: During,
    on: Option<String>,
    probe: Option<String>,
    #[serde(default = "default_alarm", deserialize_with = "document::duration")]
    alarm_after: Duration,
}

impl TryFrom<Raw> for Maintenance {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        check_flag(&raw.flag)?;
        if let Some(page) = &raw.page {
            check_page(page, &raw.flag)?;
        }
        if let Some(reason) = &raw.on {
            check_reason(reason)?;
        }
        if raw.alarm_after < MIN_ALARM {
            return Err("alarm_after is below 1m: a deploy may well take that long".into());
        }
        Ok(Self {
            flag: raw.flag,
            page: raw.page,
            during: raw.during,
            on: raw.on,
            probe: raw
                .probe
                .map(|probe| http_url(&probe).map_err(|error| format!("probe: {error}")))
                .transpose()?,
            alarm_after: raw.alarm_after,
        })
    }
}

fn check_flag(flag: &std::path::Path) -> Result<(), String> {
    let text = flag.to_string_lossy();
    if absolute_file(&text).is_some() {
        return Ok(());
    }
    Err(format!(
        "flag \"{}\" is not the absolute path of a file on the host, as in \
         /opt/app/maintenance/MAINTENANCE_ON",
        text.escape_default()
    ))
}

fn check_page(page: &str, flag: &std::path::Path) -> Result<(), String> {
    let shown = page.escape_default();
    let Some(name) = name_of(page) else {
        return Err(format!(
            "page \"{shown}\" is not a file of the repository; write its path relative to the \
             manifest, as in maintenance/maintenance.html"
        ));
    };
    if flag.file_name() == Some(OsStr::new(name)) {
        return Err(format!(
            "page \"{shown}\" would be put where the flag is; give one of them another name"
        ));
    }
    Ok(())
}

/// Returns the last component of a relative path, if it can name a file.
fn name_of(page: &str) -> Option<&str> {
    let name = page.rsplit('/').next()?;
    let odd = page.starts_with('/') || page.contains(char::is_control);
    (!odd && !["", ".", ".."].contains(&name)).then_some(name)
}

fn check_reason(reason: &str) -> Result<(), String> {
    // `on: false` would switch it on, and say that the reason is "false".
    let switch = ["true", "false", "yes", "no", "on", "off"].contains(&&*reason.to_lowercase());
    if reason.trim().is_empty() || switch {
        return Err(
            "on is the reason, as in on: \"moving to the new database\"; leave the key out to \
             have maintenance off"
                .into(),
        );
    }
    if reason.chars().count() > LONGEST_REASON || reason.contains(char::is_control) {
        return Err(format!(
            "on must be one line of at most {LONGEST_REASON} characters"
        ));
    }
    Ok(())
}

/// One line of a status table.
const LONGEST_REASON: usize = 200;

/// An alarm in every deploy is one that nobody reads.
const MIN_ALARM: Duration = Duration::from_secs(60);

fn default_alarm() -> Duration {
    Duration::from_secs(60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        maintenance: Maintenance,
    }

    fn read(fields: &str) -> Result<Maintenance, String> {
        let text = format!("maintenance: {{{fields}}}");
        crate::document::read::<Holder>("m.yaml", text.as_bytes(), &[])
            .map(|holder| holder.maintenance)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_flag_is_enough() {
        let read = read("flag: /opt/app/ON").unwrap();
        let expected = Maintenance {
            flag: "/opt/app/ON".into(),
            page: None,
            during: During::Deploy,
            on: None,
            probe: None,
            alarm_after: Duration::from_secs(3600),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn everything_is_read() {
        let read = read(
            "flag: /opt/app/ON, page: ../shared/off.html, during: migrate, \
             on: moving to the new database, probe: 'http://127.0.0.1/', alarm_after: 30m",
        )
        .unwrap();
        assert_eq!(read.page_name(), Some("off.html"));
        assert_eq!(read.during, During::Migrate);
        assert_eq!(read.on.as_deref(), Some("moving to the new database"));
        assert_eq!(read.probe.unwrap().as_str(), "http://127.0.0.1/");
        assert_eq!(read.alarm_after, Duration::from_secs(1800));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let said: Vec<String> = [
            "page: a.html",
            "flag: ON",
            "flag: /opt/../ON",
            "flag: /opt/",
            "flag: /",
            "flag: \"/opt/a\\nb\"",
            "flag: /opt/ON, page: /abs.html",
            "flag: /opt/ON, page: pages/",
            "flag: /opt/ON, page: ..",
            "flag: /opt/ON, page: pages/ON",
            "flag: /opt/ON, on: ''",
            "flag: /opt/ON, on: \"a\\nb\"",
            "flag: /opt/ON, on: true",
            "flag: /opt/ON, on: False",
            "flag: /opt/ON, during: always",
            "flag: /opt/ON, probe: 'ftp://h/'",
            "flag: /opt/ON, probe: 'http://user:hunter22@h/'",
            "flag: /opt/ON, alarm_after: 5s",
            "flag: /opt/ON, reason: x",
        ]
        .iter()
        .map(|fields| read(fields).unwrap_err())
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        m.yaml:1:14: maintenance: missing field `flag`
        m.yaml:1:14: maintenance: flag "ON" is not the absolute path of a file on the host, as in /opt/app/maintenance/MAINTENANCE_ON
        m.yaml:1:14: maintenance: flag "/opt/../ON" is not the absolute path of a file on the host, as in /opt/app/maintenance/MAINTENANCE_ON
        m.yaml:1:14: maintenance: flag "/opt/" is not the absolute path of a file on the host, as in /opt/app/maintenance/MAINTENANCE_ON
        m.yaml:1:14: maintenance: flag "/" is not the absolute path of a file on the host, as in /opt/app/maintenance/MAINTENANCE_ON
        m.yaml:1:14: maintenance: flag "/opt/a\nb" is not the absolute path of a file on the host, as in /opt/app/maintenance/MAINTENANCE_ON
        m.yaml:1:14: maintenance: page "/abs.html" is not a file of the repository; write its path relative to the manifest, as in maintenance/maintenance.html
        m.yaml:1:14: maintenance: page "pages/" is not a file of the repository; write its path relative to the manifest, as in maintenance/maintenance.html
        m.yaml:1:14: maintenance: page ".." is not a file of the repository; write its path relative to the manifest, as in maintenance/maintenance.html
        m.yaml:1:14: maintenance: page "pages/ON" would be put where the flag is; give one of them another name
        m.yaml:1:14: maintenance: on is the reason, as in on: "moving to the new database"; leave the key out to have maintenance off
        m.yaml:1:14: maintenance: on must be one line of at most 200 characters
        m.yaml:1:14: maintenance: on is the reason, as in on: "moving to the new database"; leave the key out to have maintenance off
        m.yaml:1:14: maintenance: on is the reason, as in on: "moving to the new database"; leave the key out to have maintenance off
        m.yaml:1:38: maintenance.during: unknown variant `always`, expected one of `deploy`, `migrate`, `never`
        m.yaml:1:14: maintenance: probe: "ftp://h/" must begin with http:// or https://
        m.yaml:1:14: maintenance: probe: an address must not have credentials in it; ask one that needs none
        m.yaml:1:14: maintenance: alarm_after is below 1m: a deploy may well take that long
        m.yaml:1:30: maintenance: unknown key "reason"
          hint: known keys here: flag, page, during, on, probe, alarm_after
        "#);
    }
}
