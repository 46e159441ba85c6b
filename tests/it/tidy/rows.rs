//! Each row of the example systems has one test, and one line in the documentation.

use super::documents::between;
use super::{files, none, read};
use crate::systems::row::{ROWS, name_of};

const DOCUMENT: &str = "docs/systems.md";

#[test]
fn each_row_of_the_systems_has_its_test_and_its_line() {
    let tests = files("tests/it/systems");
    let mut findings = Vec::new();
    for (system, row) in ROWS {
        let of = format!("tests/it/systems/{}/", name_of(system));
        let name = name_of(row);
        let begins = format!(
            "#[test]\nfn {name}() {{\n    let _row = Row::begin(\"{system}\", \"{row}\");\n"
        );
        let mut own = tests.iter().filter(|file| file.path.starts_with(&of));
        if !own.any(|file| file.text.contains(&begins)) {
            findings.push(format!("{of}: no test {name} that begins {system}, {row}"));
        }
    }
    let all = tests
        .iter()
        .map(|file| file.text.matches("#[test]").count());
    let all: usize = all.sum();
    if all != ROWS.len() {
        findings.push(format!("{all} tests for {} rows", ROWS.len()));
    }
    none(&findings);

    let document = read(DOCUMENT);
    let table = between(&document, "<!-- systems:begin -->", "<!-- systems:end -->");
    let lines = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let lines = lines.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1], cells[2])
    });
    let lines: Vec<(&str, &str)> = lines.collect();
    assert_eq!(lines, ROWS, "scripts/systems --table writes {DOCUMENT}");
}
