//! What a database answered to a person.

use super::Format;
use crate::backup::Answer;
use crate::secret::Redactor;
use crate::table;

/// Returns an answer as an aligned table, or as one object of JSON a row; with every secret hidden.
pub fn answer(answer: &Answer, format: Format, redactor: &Redactor) -> String {
    match (answer, format) {
        (Answer::Rows { columns, rows, .. }, Format::Json) => {
            let lines = rows.iter().map(|row| {
                let cells = columns.iter().zip(row).map(|(name, cell)| {
                    let cell = cell.as_ref().map(|cell| redactor.clean(cell));
                    (name.clone(), serde_json::Value::from(cell))
                });
                let object: serde_json::Map<_, _> = cells.collect();
                format!("{}\n", serde_json::Value::from(object))
            });
            lines.collect()
        }
        (
            Answer::Rows {
                columns,
                rows,
                more,
            },
            Format::Text | Format::Yaml | Format::Markdown,
        ) => {
            let cells = |row: &Vec<Option<String>>| {
                let row = row.iter();
                row.map(|one| cell(one.as_deref())).collect::<Vec<_>>()
            };
            let header = columns.clone();
            let all = std::iter::once(header).chain(rows.iter().map(cells));
            let mut text = table::aligned_rows(all);
            if *more {
                text.push_str("… there are more rows: add limit and offset\n");
            }
            redactor.clean(&text)
        }
        (Answer::Changed(count), Format::Json) => format!("{{\"changed\":{count}}}\n"),
        (Answer::Changed(count), Format::Text | Format::Yaml | Format::Markdown) => {
            format!("{count} rows changed\n")
        }
    }
}

fn cell(value: Option<&str>) -> String {
    let text = value.unwrap_or("null");
    text.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_or_objects() {
        let some = |text: &str| Some(text.to_owned());
        let rows = Answer::Rows {
            columns: ["id", "name"].map(str::to_owned).into(),
            rows: vec![vec![some("1"), some("Ada\nL.")], vec![some("20"), None]],
            more: true,
        };
        let redactor = Redactor::default();
        assert_eq!(
            answer(&rows, Format::Text, &redactor),
            "id  name\n1   Ada\\nL.\n20  null\n… there are more rows: add limit and offset\n"
        );
        assert_eq!(
            answer(&rows, Format::Json, &redactor),
            "{\"id\":\"1\",\"name\":\"Ada\\nL.\"}\n{\"id\":\"20\",\"name\":null}\n"
        );
        let changed = answer(&Answer::Changed(2), Format::Text, &redactor);
        assert_eq!(changed, "2 rows changed\n");
    }
}
