//! Output of the commands: lines, tables for people, JSON for programs, progress on standard error.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use tokio::sync::oneshot;

/// Standard output cannot be written: what was to be printed is lost.
#[derive(Debug)]
pub(crate) struct OutputError(io::Error);

impl OutputError {
    /// Whether standard output is a pipe that nobody reads any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output cannot be written")
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Prints one line on standard output.
pub(crate) fn print_line(line: impl AsRef<[u8]>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    let line = [line.as_ref(), b"\n"].concat();
    out.write_all(&line).and_then(|()| out.flush()).map_err(OutputError)
}

/// Completes when nobody can read standard output any more. Never, if it is a file or a terminal.
pub(crate) async fn output_closed() {
    let (closed, wait) = oneshot::channel();
    // A thread of its own, which nobody waits for when the process ends.
    thread::spawn(move || {
        let stdout = io::stdout();
        // Without any event asked for, the kernel still reports that the reading end is closed.
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut polled, None) == Err(Errno::INTR) {}
        closed.send(()).ok();
    });
    if wait.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints `items` as one JSON array.
pub(crate) fn print_json<T: Serialize + ?Sized>(items: &T) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(items)?;
    Ok(print_line(json.split('\n').map(json_escaped).collect::<Vec<_>>().join("\n"))?)
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
pub(crate) fn print_table<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
) -> Result<(), OutputError> {
    print_line(format_table(header, rows).trim_end())
}

/// Prints progress of a command that people wait for, or why it failed, on standard error. What
/// cannot be written there is lost.
pub(crate) fn print_progress(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
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
        let expected = "A            B\na\\u{1b}[2Jb  x\\ny\\u{202e}z\\u{9b}é\n";
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
