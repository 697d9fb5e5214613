//! What an account has to tell while the log is away, on disk.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::{AccountId, Body, Event, EventMeta};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The file's name in the account's directory.
const NAME: &str = "spool";

/// About so many bytes are given to the log at once.
const CHUNK: usize = 256 << 10;

/// The file `<account>/spool`: events without ids, oldest first, one JSON object a line.
///
/// Only the owner touches it, under the lock of the directory. Everything in it goes to the log
/// before anything newer; it is deleted when the last of it is stored. Whether the beginning has
/// been stored already is not written down: when the process dies before the end has been, all of
/// it is told once more by the next owner. Nothing is synced: a process that dies loses nothing by
/// that, and after a machine that dies the next owner says `resync`.
///
/// Files are written and read where the caller runs, blocking: a batch of updates or a chunk at a
/// time, into and out of the page cache, which takes less than handing it to another thread.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    /// The most that the file may hold, in bytes.
    limit: u64,
    /// Open while there is something in it.
    file: Option<File>,
    /// Bytes of whole lines in it.
    length: u64,
    /// So many of these are with the log.
    taken: u64,
    /// Lines to be written.
    buffer: Vec<u8>,
    buffered: u64,
}

/// Events that were lost, how many and why.
#[derive(Debug, thiserror::Error)]
#[error("the spool does not take events")]
pub(super) struct Lost {
    /// How many.
    pub(super) count: u64,
    /// Why.
    #[source]
    pub(super) error: io::Error,
}

/// A part of what is spooled.
pub(super) struct Chunk {
    /// In their order.
    pub(super) events: Vec<Event>,
    /// Lines that hold none: the machine died, or somebody has changed the file.
    pub(super) unreadable: u64,
}

/// One line.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    /// When it happened, in unix milliseconds.
    at: i64,
    #[serde(borrow)]
    result: &'a RawValue,
}

impl Spool {
    /// The spool in an account's directory, with what an earlier owner left there. A line that is
    /// not whole is cut off.
    pub(super) fn open(directory: &Path, limit: u64) -> io::Result<Self> {
        let path = directory.join(NAME);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length = file.as_ref().map(cut).transpose()?.unwrap_or(0);
        let (buffer, buffered) = (Vec::new(), 0);
        Ok(Self { path, limit, file, length, taken: 0, buffer, buffered })
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && self.buffer.is_empty()
    }

    /// Puts an event last; [`Self::flush`] writes it. `false` when there is no room for it.
    pub(super) fn push(&mut self, event: &Event) -> bool {
        let before = self.buffer.len();
        let whole = encode(event, &mut self.buffer).is_some();
        if !whole || self.length + self.buffer.len() as u64 > self.limit {
            self.buffer.truncate(before);
            return false;
        }
        self.buffered += 1;
        true
    }

    /// Writes what was put into it.
    ///
    /// # Errors
    ///
    /// [`Lost`]: it cannot be written, and none of it is there.
    pub(super) fn flush(&mut self) -> Result<(), Lost> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.write();
        let count = std::mem::take(&mut self.buffered);
        let bytes = self.buffer.len() as u64;
        self.buffer.clear();
        match written {
            Ok(()) => {
                self.length += bytes;
                Ok(())
            }
            Err(error) => {
                // Should half a line stay, then it and what is written behind it are unreadable,
                // which counts as lost as well.
                drop(self.file.as_ref().map(|file| file.set_len(self.length)));
                Err(Lost { count, error })
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path)?,
        };
        self.file.insert(file).write_all(&self.buffer)
    }

    /// Takes out the next part for the log; `None` when all of it has been taken.
    pub(super) fn take(&mut self, account: AccountId) -> io::Result<Option<Chunk>> {
        let Some(file) = self.file.as_ref().filter(|_| self.taken < self.length) else {
            return Ok(None);
        };
        let lines = read_lines(file, self.taken, self.length)?;
        self.taken += lines.len() as u64;
        let mut chunk = Chunk { events: Vec::new(), unreadable: 0 };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match decode(account, line) {
                Some(event) => chunk.events.push(event),
                None => chunk.unreadable += 1,
            }
        }
        Ok(Some(chunk))
    }

    /// Notes that the log has all that was taken; deletes the file if that was everything.
    pub(super) fn stored(&mut self) -> io::Result<()> {
        if self.taken == self.length { self.delete() } else { Ok(()) }
    }

    /// Deletes the file, whatever is in it.
    pub(super) fn delete(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(0)?;
            (self.length, self.taken) = (0, 0);
            fs::remove_file(&self.path)?;
            self.file = None;
        }
        Ok(())
    }
}

/// Cuts off what stands behind the last whole line; what is left, in bytes.
fn cut(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = vec![0; CHUNK];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let size = usize::try_from(end - begin).unwrap_or(CHUNK);
        file.read_exact_at(&mut block[..size], begin)?;
        if let Some(at) = block[..size].iter().rposition(|byte| *byte == b'\n') {
            end = begin + at as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Whole lines from `from` on, one at least; the file is whole lines up to `to`.
fn read_lines(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut size = CHUNK;
    loop {
        size = size.min(usize::try_from(to - from).unwrap_or(size));
        let mut lines = vec![0; size];
        file.read_exact_at(&mut lines, from)?;
        if let Some(last) = lines.iter().rposition(|byte| *byte == b'\n') {
            lines.truncate(last + 1);
            return Ok(lines);
        }
        if size as u64 == to - from {
            return Ok(lines);
        }
        size *= 2;
    }
}

/// Writes an event as a line; `None` for one that is not the account's own, or no JSON.
fn encode(event: &Event, out: &mut Vec<u8>) -> Option<()> {
    let Body::Result(result) = &event.body else { return None };
    let line = Line {
        kind: Cow::Borrowed(&event.kind),
        at: event.meta.occurred_at.as_millisecond(),
        result: serde_json::from_str(result).ok()?,
    };
    let begin = out.len();
    serde_json::to_writer(&mut *out, &line).ok()?;
    // JSON has line breaks between its tokens only.
    out[begin..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    out.push(b'\n');
    Some(())
}

fn decode(account: AccountId, line: &[u8]) -> Option<Event> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(Event {
        account,
        kind: line.kind.into_owned().into(),
        body: Body::Result(line.result.get().into()),
        meta: EventMeta::at(Timestamp::from_millisecond(line.at).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn account() -> AccountId {
        AccountId::new(7).unwrap()
    }

    fn event(kind: &str, result: &str) -> Event {
        let at = Timestamp::from_millisecond(1_795_000_000_123).unwrap();
        Event {
            account: account(),
            kind: kind.to_owned().into(),
            body: Body::Result(result.into()),
            meta: EventMeta::at(at),
        }
    }

    fn spool(directory: &TempDir) -> Spool {
        Spool::open(directory.path(), LIMIT).unwrap()
    }

    fn fill(spool: &mut Spool, kinds: &[&str]) {
        for kind in kinds {
            assert!(spool.push(&event(kind, r#"{"n":1}"#)));
        }
        spool.flush().unwrap();
    }

    /// Takes the next chunk: its events' kinds, and how many lines were unreadable.
    fn take(spool: &mut Spool) -> Option<(Vec<String>, u64)> {
        let chunk = spool.take(account()).unwrap()?;
        Some((
            chunk.events.into_iter().map(|one| one.kind.into_owned()).collect(),
            chunk.unreadable,
        ))
    }

    #[test]
    fn events_come_out_as_they_went_in_and_the_file_is_deleted_when_the_last_is_stored() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        assert!(spool.is_empty());
        assert!(spool.push(&event("updateX", "{\"a\": 1.50,\n \"b\": \"zwei\\n\"}")));
        assert!(!spool.is_empty());
        spool.flush().unwrap();
        let chunk = spool.take(account()).unwrap().unwrap();
        let mut told = Vec::new();
        let id = contracts::EventId::first(contracts::Epoch(1));
        chunk.events[0].encode(id, None, &mut told);
        let mut expected = Vec::new();
        event("updateX", "{\"a\": 1.50,  \"b\": \"zwei\\n\"}").encode(id, None, &mut expected);
        assert_eq!(String::from_utf8(told).unwrap(), String::from_utf8(expected).unwrap());
        assert!(!spool.is_empty(), "the log does not have it yet");
        spool.stored().unwrap();
        assert!(spool.is_empty());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_comes_while_the_log_takes_the_rest_keeps_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        fill(&mut spool, &["a", "b"]);
        assert_eq!(take(&mut spool), Some((vec!["a".into(), "b".into()], 0)));
        fill(&mut spool, &["c"]);
        spool.stored().unwrap();
        assert_eq!(take(&mut spool), Some((vec!["c".into()], 0)));
        assert_eq!(take(&mut spool), None);
        spool.stored().unwrap();
        assert!(spool.is_empty());
    }

    #[test]
    fn a_line_that_is_not_whole_is_cut_off_by_the_next_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fill(&mut spool(&directory), &["a", "b"]);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        let mut next = spool(&directory);
        fill(&mut next, &["c"]);
        assert_eq!(take(&mut next), Some((vec!["a".into(), "c".into()], 0)));
        fs::write(&path, "{\"kind\"").unwrap();
        assert!(spool(&directory).is_empty());
    }

    #[test]
    fn what_is_no_event_is_passed_over_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fill(&mut spool(&directory), &["a"]);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"\0\0\0\n");
        fs::write(&path, &text).unwrap();
        let mut next = spool(&directory);
        fill(&mut next, &["b"]);
        assert_eq!(take(&mut next), Some((vec!["a".into(), "b".into()], 1)));
    }

    #[test]
    fn a_large_event_passes_and_what_is_above_the_limit_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        let large = format!("\"{}\"", "x".repeat(3 * CHUNK));
        assert!(spool.push(&event("large", &large)));
        spool.flush().unwrap();
        assert!(!spool.push(&event("large", &large)));
        assert!(!spool.push(&event("broken", "{")));
        fill(&mut spool, &["small"]);
        assert_eq!(take(&mut spool), Some((vec!["large".into(), "small".into()], 0)));
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        fs::create_dir(directory.path().join(NAME)).unwrap();
        assert!(spool.push(&event("a", "1")));
        assert!(spool.push(&event("b", "1")));
        assert_eq!(spool.flush().unwrap_err().count, 2);
        assert!(spool.is_empty());
        fs::remove_dir(directory.path().join(NAME)).unwrap();
        fill(&mut spool, &["c"]);
        assert_eq!(take(&mut spool), Some((vec!["c".into()], 0)));
    }
}
