//! Finds more than the first thing that is wrong with the form of a manifest.

use std::ops::Range;

use crate::desired::manifest;
use crate::diagnostic::Diagnostic;

/// More than anybody mends in one go.
const MOST: usize = 100;

/// Returns what is wrong with the form of a manifest: the first thing under each of its keys.
///
/// Reading it stops at what is wrong first. The key that this stands under is taken out, with the
/// lines left where they are, and the rest is read again.
pub(super) fn every_finding(file: &str, text: &[u8]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut rest = String::from_utf8_lossy(text).into_owned();
    let mut wrong = manifest::parse(file, text).err();
    while let Some(one) = wrong.filter(|one| found.len() < MOST && !found.contains(one)) {
        let line = one.location.position.map(|position| position.line);
        found.push(one);
        let Some(shorter) = line.and_then(|line| without_key(&rest, line)) else {
            break;
        };
        rest = shorter;
        wrong = manifest::parse(file, rest.as_bytes()).err();
    }
    found
}

/// Returns the text without the key at the top that a line, counted from 1, stands under; `None`
/// where that can't be told.
fn without_key(text: &str, line: u32) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let key = lines_of_key(&lines, usize::try_from(line).ok()?.checked_sub(1)?)?;
    let kept = lines.iter().enumerate().map(|(index, line)| {
        if index == key.start && line.starts_with("stack:") {
            // Every manifest must have one.
            "stack: x"
        } else if key.contains(&index) {
            ""
        } else {
            *line
        }
    });
    let kept: Vec<&str> = kept.collect();
    Some(kept.join("\n"))
}

/// Returns the lines, counted from 0, of the key at the top that a line stands under.
fn lines_of_key(lines: &[&str], at: usize) -> Option<Range<usize>> {
    let begins =
        |line: &&str| line.starts_with(|c: char| c.is_alphanumeric() || "_\"'".contains(c));
    let upto = lines.get(..=at)?;
    let start = upto.iter().rposition(begins)?;
    let after = lines.get(start + 1..)?;
    let end = after.iter().position(begins);
    Some(start..end.map_or(lines.len(), |end| start + 1 + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let found = every_finding("m.yaml", text.as_bytes());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n")
    }

    #[test]
    fn every_key_has_its_finding() {
        let text = "stack: Shop\nimags:\n  web: a\nprune: maybe\n\nready:\n- {service: web}\n\
                    backups:\n  db: {to: /b}\nprune2: 1\n";
        let lines: Vec<String> = said(text)
            .lines()
            .filter(|line| !line.starts_with("  hint"))
            .map(|line| line.split(": ").next().unwrap_or_default().to_owned())
            .collect();
        let mut sorted = lines.clone();
        sorted.sort();
        // The typed reading stops at what it comes to first, which need not be the first line.
        assert_eq!(
            sorted,
            [
                "m.yaml:10:1",
                "m.yaml:1:8",
                "m.yaml:2:1",
                "m.yaml:4:8",
                "m.yaml:7:3",
                "m.yaml:9:7"
            ],
            "{}",
            said(text)
        );
    }

    #[test]
    fn what_is_right_has_none_and_what_is_no_mapping_has_one() {
        assert_eq!(said("stack: shop\n"), "");
        assert_eq!(every_finding("m.yaml", b"{stack: Shop, imags: 1}").len(), 1);
        assert_eq!(every_finding("m.yaml", b"- stack").len(), 1);
        assert_eq!(every_finding("m.yaml", b"\xff\xfe").len(), 1);
        assert_eq!(every_finding("m.yaml", b"stack: [\n").len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_ends(text in "[a-c: \\n\\-{}\"'#]{0,200}") {
            assert!(every_finding("m", text.as_bytes()).len() <= MOST);
        }
    }
}
