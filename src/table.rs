//! Sets rows in aligned columns, without lines and without colour.

use comfy_table::{ContentArrangement, Table, presets};

/// Returns `rows` with every column as wide as its widest cell, two spaces apart, each line
/// ending in a line feed and nothing trailing.
pub fn aligned<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    aligned_rows(rows.into_iter().map(Vec::from))
}

/// Does what [`aligned`] does, for a number of columns that nobody knows before.
pub fn aligned_rows(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let cell = str::to_owned;
        let text = aligned([
            [cell("a"), cell("long one"), cell("")],
            [cell("bcd"), cell("x"), cell("y")],
        ]);
        assert_eq!(text, "a    long one\nbcd  x         y\n");
    }
}
