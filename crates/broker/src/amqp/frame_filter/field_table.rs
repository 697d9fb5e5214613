use crate::amqp::frame_filter::byte_reader::ByteReader;
use crate::amqp::frame_filter::unreadable_properties::UnreadableProperties;

/// Levels of tables and arrays in the headers, the header table itself among them.
const MAX_DEPTH: usize = 8;

/// A table or an array that is being read.
struct OpenContainer<'a> {
    rest: ByteReader<'a>,
    has_names: bool,
}

/// Checks a header table, without its length, for what lapin would refuse or recurse into too deeply.
///
/// Without recursion: the open containers are a list of at most [`MAX_DEPTH`]. Every byte is looked
/// at once.
pub(super) fn check_table(table: &[u8]) -> Result<(), UnreadableProperties> {
    let mut open = vec![OpenContainer { rest: ByteReader(table), has_names: true }];
    while let Some(innermost) = open.last_mut() {
        if innermost.rest.is_empty() {
            open.pop();
            continue;
        }
        if innermost.has_names {
            check_text(innermost.rest.short()?)?;
        }
        if let Some(container) = read_value(&mut innermost.rest)? {
            if open.len() == MAX_DEPTH {
                return Err(UnreadableProperties::TooDeep);
            }
            open.push(container);
        }
    }
    Ok(())
}

/// Passes over a value; one that holds others is returned to be read next.
fn read_value<'a>(
    rest: &mut ByteReader<'a>,
) -> Result<Option<OpenContainer<'a>>, UnreadableProperties> {
    let size = match rest.u8()? {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' => return Ok(rest.long().map(|_| None)?),
        kind @ (b'A' | b'F') => {
            let content = ByteReader(rest.long()?);
            return Ok(Some(OpenContainer { rest: content, has_names: kind == b'F' }));
        }
        _ => return Err(UnreadableProperties::Malformed),
    };
    rest.take(size)?;
    Ok(None)
}

/// A short string must be UTF-8.
pub(super) fn check_text(text: &[u8]) -> Result<(), UnreadableProperties> {
    std::str::from_utf8(text).map(drop).map_err(|_| UnreadableProperties::NotUtf8)
}
