//! Output of the operator's commands: a table for people, or JSON for programs.

use serde::Serialize;

use crate::events::print;

/// Prints `items` as one JSON array.
pub(crate) fn print_json<T: Serialize + ?Sized>(items: &T) -> anyhow::Result<()> {
    print(&serde_json::to_vec_pretty(items)?);
    Ok(())
}

/// Prints rows below their header, in columns as wide as their widest cell.
pub(crate) fn print_table<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    print(table(header, rows).trim_end().as_bytes());
}

fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or_default()
    });
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(header)).chain(rows).collect()
}

/// A cell for what there may not be.
pub(crate) fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A cell for what is so or not.
pub(crate) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["s001", "é"], ["s2", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["SHARD", "ON"], &rows), "SHARD  ON\ns001   é\ns2\n");
    }
}
