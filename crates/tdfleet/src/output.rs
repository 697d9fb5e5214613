//! Output of the commands: lines, tables for people, JSON for programs, progress on standard error.

use std::io::Write;

use serde::Serialize;

/// Prints one line on standard output. A closed pipe is not an error.
pub(crate) fn print_line(line: impl AsRef<[u8]>) {
    let mut out = std::io::stdout().lock();
    drop(
        out.write_all(line.as_ref()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()),
    );
}

/// Prints `items` as one JSON array.
pub(crate) fn print_json<T: Serialize + ?Sized>(items: &T) -> anyhow::Result<()> {
    print_line(serde_json::to_vec_pretty(items)?);
    Ok(())
}

/// Prints rows below their header, in columns as wide as their widest cell.
pub(crate) fn print_table<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    print_line(format_table(header, rows).trim_end());
}

/// Prints progress of a command that people wait for, on standard error.
#[expect(clippy::print_stderr, reason = "standard output is for the result")]
pub(crate) fn print_progress(text: &str) {
    eprintln!("{text}");
}

fn format_table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
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

/// A cell for an optional value; `-` when there is none.
pub(crate) fn optional_cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A cell that says `yes` or `no`.
pub(crate) fn yes_no_cell(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["s001", "é"], ["s2", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(format_table(["SHARD", "ON"], &rows), "SHARD  ON\ns001   é\ns2\n");
    }
}
