//! Reads the options of a line of allowed signers.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What a key may be used for, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Patterns of what it may sign; `None` = everything.
    pub(super) namespaces: Option<String>,
    /// First second at which it is valid, since 1970.
    pub(super) valid_after: Option<i64>,
    /// Last second at which it is valid, since 1970.
    pub(super) valid_before: Option<i64>,
}

impl Options {
    /// Reads options as sshd(8) has them: `NAME` and `NAME="VALUE"`, with commas between.
    /// Times without `Z` are of `zone`.
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(['=', ',']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let value;
            (value, rest) = match after.strip_prefix('=') {
                None => (None, after),
                Some(after) => {
                    let (value, after) = quoted(after)
                        .ok_or_else(|| format!("the value of {name} is not in double quotes"))?;
                    (Some(value), after)
                }
            };
            options.set(name, value, zone)?;
            rest = match rest.strip_prefix(',') {
                Some(more) if !more.is_empty() => more,
                Some(_) => return Err("the options end with a comma".to_owned()),
                None if rest.is_empty() => rest,
                None => return Err(format!("there is no comma after {name}")),
            };
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: Option<&str>, zone: &TimeZone) -> Result<(), String> {
        let needed = || value.ok_or_else(|| format!("{name} has no value"));
        let twice = || Err(format!("{name} is there twice"));
        match name.to_ascii_lowercase().as_str() {
            "cert-authority" => Err(
                "cert-authority is not accepted: certificates are not verified; list the keys \
                 themselves"
                    .to_owned(),
            ),
            "namespaces" => match self.namespaces.replace(needed()?.to_owned()) {
                Some(_) => twice(),
                None => Ok(()),
            },
            "valid-after" => match self.valid_after.replace(time(needed()?, zone)?) {
                Some(_) => twice(),
                None => Ok(()),
            },
            "valid-before" => match self.valid_before.replace(time(needed()?, zone)?) {
                Some(_) => twice(),
                None => Ok(()),
            },
            _ => Err(format!(
                "unknown option \"{}\"; there is namespaces, valid-after and valid-before",
                crate::secret::escape_control(name)
            )),
        }
    }

    /// Returns whether the key may sign commits.
    pub(super) fn is_for(&self, namespace: &str) -> bool {
        let Some(patterns) = &self.namespaces else {
            return true;
        };
        let matching = |pattern: &&str| matches(pattern.as_bytes(), namespace.as_bytes());
        let (denied, allowed): (Vec<&str>, Vec<&str>) = patterns
            .split(',')
            .partition(|pattern| pattern.starts_with('!'));
        let denied = denied
            .iter()
            .filter_map(|pattern| pattern.strip_prefix('!'));
        !denied.into_iter().any(|pattern| matching(&pattern)) && allowed.iter().any(matching)
    }
}

/// Splits what stands in double quotes from what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    // No value that is understood has a quote in it, so there is nothing to escape.
    text.strip_prefix('"')?.split_once('"')
}

/// Reads `YYYYMMDD[HHMM[SS]][Z]`, as ssh-keygen(1) has it, into seconds since 1970.
fn time(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    let form = match digits.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => "",
    };
    let wrong = || {
        let text = crate::secret::escape_control(text);
        format!("\"{text}\" is no time; write it as YYYYMMDD or YYYYMMDDHHMMSS, with Z for UTC")
    };
    if form.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let parsed = jiff::fmt::strtime::parse(form, digits).map_err(|_| wrong())?;
    let date = parsed.to_date().map_err(|_| wrong())?;
    let time = parsed.to_time().unwrap_or_default();
    let at = DateTime::from_parts(date, time).to_zoned(zone.clone());
    at.map(|at| at.timestamp().as_second()).map_err(|_| wrong())
}

/// Returns whether a text matches a pattern with `*` and `?`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => matches(rest, text),
        (Some((b'*', rest)), Some((_, less))) => matches(rest, text) || matches(pattern, less),
        (Some((b'?', rest)), Some((_, less))) => matches(rest, less),
        (Some((one, rest)), Some((other, less))) => one == other && matches(rest, less),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text, &TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn reads_what_ssh_keygen_reads() {
        let options =
            parse("namespaces=\"git,file\",VALID-AFTER=\"20260101Z\",valid-before=\"20260102\"");
        let expected = Options {
            namespaces: Some("git,file".to_owned()),
            valid_after: Some(1_767_225_600),
            // Midnight in Berlin.
            valid_before: Some(1_767_225_600 + 23 * 3600),
        };
        assert_eq!(options, Ok(expected));
        let precise = parse("valid-after=\"20260101000130Z\"").unwrap();
        assert_eq!(precise.valid_after, Some(1_767_225_690));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (text, word) in [
            ("cert-authority", "cert-authority is not accepted"),
            ("CERT-AUTHORITY,namespaces=\"git\"", "cert-authority"),
            ("valid-until=\"20260101\"", "unknown option \"valid-until\""),
            ("namespaces", "namespaces has no value"),
            ("namespaces=git", "not in double quotes"),
            ("namespaces=\"git", "not in double quotes"),
            ("namespaces=\"git\"x", "no comma"),
            ("namespaces=\"git\",", "end with a comma"),
            ("namespaces=\"git\",namespaces=\"file\"", "twice"),
            ("valid-after=\"2026\"", "is no time"),
            ("valid-after=\"20261301\"", "is no time"),
            ("valid-after=\"2026010a\"", "is no time"),
            ("valid-after=\"+2026010\"", "is no time"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn namespaces_are_patterns() {
        let is_for = |namespaces: &str| {
            let options = parse(&format!("namespaces=\"{namespaces}\"")).unwrap();
            options.is_for("git")
        };
        for yes in ["git", "file,git", "*", "g?t", "g*", "git,!file"] {
            assert!(is_for(yes), "{yes}");
        }
        for no in [
            "",
            "file",
            "gi",
            "gitt",
            "GIT",
            "!git",
            "*,!git",
            "!file",
            "file, git",
        ] {
            assert!(!is_for(no), "{no}");
        }
        assert!(Options::default().is_for("git"));
    }
}
