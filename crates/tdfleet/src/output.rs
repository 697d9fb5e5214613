//! Output of the commands: lines, tables for people, JSON for programs, progress on standard error.

use std::borrow::Cow;
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
    let json = serde_json::to_string_pretty(items)?;
    print_line(json.split('\n').map(json_escaped).collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// The text with everything escaped that would control a terminal, or change the order of what it
/// shows: tables print what others have written.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(controls) {
        return text.into();
    }
    let escaped =
        |c: char| if controls(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// The same for a line of JSON, in which such characters can only be within strings.
pub(crate) fn json_escaped(line: &str) -> String {
    let escaped = |c: char| {
        if controls(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
    };
    line.chars().map(escaped).collect()
}

/// Control characters, and those that change the direction or the lines of a text.
fn controls(c: char) -> bool {
    let direction = '\u{200e}'..='\u{200f}';
    let overrides = '\u{2028}'..='\u{202e}';
    let isolates = '\u{2066}'..='\u{2069}';
    c.is_control() || [direction, overrides, isolates].iter().any(|range| range.contains(&c))
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
    let rows: Vec<_> =
        rows.iter().map(|row| row.each_ref().map(|cell| printable(cell).into_owned())).collect();
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

    #[test]
    fn nothing_that_is_printed_controls_the_terminal() {
        let rows = [["a\u{1b}[2Jb".to_owned(), "x\ny\u{202e}z\u{9b}é".to_owned()]];
        let expected = "A           B\na\\u{1b}[2Jb  x\\ny\\u{202e}z\\u{9b}é\n";
        assert_eq!(format_table(["A", "B"], &rows), expected);
        assert_eq!(printable("plain"), "plain");
        let line = "{\"a\": \"é\u{9b}\u{7f}\"}";
        assert_eq!(json_escaped(line), "{\"a\": \"é\\u009b\\u007f\"}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json_escaped(line)).unwrap(),
            serde_json::from_str::<serde_json::Value>(line).unwrap()
        );
    }
}
