use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use lapin::protocol::parse_class;
use lapin::types::AMQPValue;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// `content_type`, `correlation_id` and `message_id` are there, each of one letter.
const ORDINARY: &[u8] = b"\x84\x80\x01a\x01b\x01c";

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1][..], &size, payload, &[FRAME_END]].concat()
}

fn header(properties: &[u8]) -> Vec<u8> {
    frame(HEADER, &[&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], properties].concat())
}

fn deliver(exchange: &[u8], key: &[u8]) -> Vec<u8> {
    let mut payload = [0, 60, 0, 60, 1, b't', 0, 0, 0, 0, 0, 0, 0, 9, 0].to_vec();
    for text in [exchange, key] {
        payload.push(u8::try_from(text.len()).unwrap());
        payload.extend_from_slice(text);
    }
    frame(METHOD, &payload)
}

fn headers(table: &[u8]) -> Vec<u8> {
    let size = u32::try_from(table.len()).unwrap().to_be_bytes();
    [&[0x20, 0][..], &size, table].concat()
}

/// A table with arrays inside one another.
fn nested(arrays: usize) -> Vec<u8> {
    let mut table = b"\x01n".to_vec();
    for array in (0..arrays).rev() {
        table.push(b'A');
        table.extend(u32::try_from(array * 5).unwrap().to_be_bytes());
    }
    table
}

fn filtered(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameFilter::default().filter(input, &mut out).unwrap();
    out
}

/// The properties after the filter, as lapin reads them.
fn read(properties: &[u8]) -> BasicProperties {
    let out = filtered(&header(properties));
    let payload = &out[FRAME_START..out.len() - 1];
    let size = u32::from_be_bytes(*out[3..].first_chunk().unwrap());
    assert_eq!(size as usize, payload.len());
    let (rest, properties) = parse_properties(&payload[12..]).unwrap();
    assert_eq!(rest, b"");
    properties
}

fn fault(properties: &[u8]) -> Option<UnreadableProperties> {
    let read = read(properties);
    match read.headers().as_ref()?.inner().get(MARK)? {
        AMQPValue::ShortShortUInt(code) => UnreadableProperties::of_code(*code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ordinary_frames_pass_unchanged() {
    let frames = [
        frame(METHOD, &[0, 10, 0, 10, 0, 9]),
        frame(HEARTBEAT, &[]),
        deliver(b"exchange", b"cmd_hi.s055.acc.1.ping"),
        header(ORDINARY),
        header(&headers(&nested(7))),
        header(&headers(b"\x01a\x41\x00\x00\x00\x00\x01bV\x01ct\x01\x01dI\x00\x00\x00\x07")),
        frame(BODY, &vec![0xff; 100_000]),
    ]
    .concat();
    assert_eq!(filtered(&frames), frames);
    assert_eq!(filtered(b"AMQP\0\0\x09\x01"), b"AMQP\0\0\x09\x01");
}

#[test]
fn properties_that_lapin_could_not_read_are_replaced() {
    let not_utf8: [&[u8]; 4] =
        [b"\x80\0\x01\xff", b"\0\x80\x02\xff\xfe", b"\0\x08\x01\xff", &headers(b"\x01\xffV")];
    for properties in not_utf8 {
        assert_eq!(fault(properties), Some(UnreadableProperties::NotUtf8));
    }
    for levels in [8, 300, 1600, 3000] {
        assert_eq!(fault(&headers(&nested(levels))), Some(UnreadableProperties::TooDeep));
    }
    assert_eq!(fault(&headers(&nested(26_000))), Some(UnreadableProperties::TooLarge));
    let malformed: [&[u8]; 8] = [
        b"",
        b"\x80",
        b"\x80\0",
        b"\x80\0\x05a",
        b"\0\x01",
        b"\0\x02",
        b"\0\0more",
        &headers(b"\x01aZ"),
    ];
    for properties in malformed {
        assert_eq!(fault(properties), Some(UnreadableProperties::Malformed), "{properties:?}");
    }
    assert_eq!(fault(ORDINARY), None);
}

#[test]
fn ids_and_reply_address_survive_when_they_can_be_read() {
    // `headers`, `correlation_id`, `reply_to`, `message_id` and `app_id`.
    let properties = |table: &[u8], correlation_id: &[u8]| {
        let size = u32::try_from(table.len()).unwrap().to_be_bytes();
        let rest = b"\x01r\x01m\x01\xff";
        [b"\x26\x88".as_slice(), &size, table, &[1], correlation_id, rest].concat()
    };
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    let deep = read(&properties(&nested(3000), b"c"));
    assert_eq!(text(deep.correlation_id()).as_deref(), Some("c"));
    assert_eq!(text(deep.reply_to()).as_deref(), Some("r"));
    assert_eq!(text(deep.message_id()).as_deref(), Some("m"));
    assert_eq!(text(deep.app_id()), None);
    assert_eq!(*deep.delivery_mode(), Some(2));
    let binary = read(&properties(b"", b"\xff"));
    assert_eq!(
        (text(binary.correlation_id()), text(binary.reply_to()).as_deref()),
        (None, Some("r"))
    );
}

#[test]
fn names_that_are_not_utf8_are_escaped() {
    let key = |out: &[u8]| {
        let payload = &out[FRAME_START..out.len() - 1];
        let (rest, method) = parse_class(payload).unwrap();
        assert_eq!(rest, b"");
        format!("{method:?}")
    };
    let delivered = key(&filtered(&deliver(b"x", b"cmd_hi.s055.acc.1.\xff")));
    assert!(delivered.contains(r"not UTF-8: cmd_hi.s055.acc.1.\\xff"), "{delivered}");
    let delivered = key(&filtered(&deliver(&[0xff; 255], &[0xff; 255])));
    assert!(delivered.contains("not UTF-8: "), "{delivered}");
    let got = frame(METHOD, b"\0\x3c\0\x47\0\0\0\0\0\0\0\x09\0\x01x\x01\xff\0\0\0\x01");
    assert!(key(&filtered(&got)).contains("not UTF-8: "));
    let returned = frame(METHOD, b"\0\x3c\0\x32\x01\x38\x01n\x01x\x01\xff");
    assert!(key(&filtered(&returned)).contains("not UTF-8: "));
}

#[test]
fn a_frame_that_is_too_large_to_be_held_ends_the_connection() {
    let mut filter = FrameFilter::default();
    let refused = filter.filter(&[HEADER, 0, 1, 0xff, 0xff, 0xff, 0xff], &mut Vec::new());
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// Frames with contents of any kind.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let properties = prop_oneof![
        vec(any::<u8>(), 0..40),
        Just(ORDINARY.to_vec()),
        (0..20_usize).prop_map(|levels| headers(&nested(levels))),
        vec(prop::sample::select(b"AFSVtx\0\x01\x02\x05\xffab".to_vec()), 0..60)
            .prop_map(|table| headers(&table)),
    ];
    let one = prop_oneof![
        properties.prop_map(|properties| header(&properties)),
        (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20))
            .prop_map(|(exchange, key)| deliver(&exchange, &key)),
        vec(any::<u8>(), 0..40).prop_map(|payload| frame(METHOD, &payload)),
        vec(any::<u8>(), 0..40).prop_map(|payload| frame(BODY, &payload)),
        vec(any::<u8>(), 0..12).prop_map(|payload| frame(HEADER, &payload)),
    ];
    vec(one, 0..6).prop_map(|frames| frames.concat())
}

proptest! {
    /// Whatever the pieces in which bytes arrive, the same bytes go on, and no frame is kept back.
    #[test]
    fn pieces_do_not_matter(input in frames(), cuts in vec(1..30_usize, 1..8)) {
        let whole = filtered(&input);
        let (mut filter, mut out, mut rest) = (FrameFilter::default(), Vec::new(), &input[..]);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            filter.filter(piece, &mut out).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&out, &whole);
        prop_assert!(filter.held.is_empty() && filter.passing == 0);
    }

    /// lapin can read every content header that went through.
    #[test]
    fn what_goes_on_can_be_read(properties in prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(prop::sample::select(b"AFSVtxlD\0\0\0\x01\x02\x05\x10\xffab".to_vec()), 0..200)
            .prop_map(|table| headers(&table)),
    ]) {
        read(&properties);
    }

    /// Bytes that are no frames break nothing.
    #[test]
    fn any_bytes_are_taken(input in vec(any::<u8>(), 0..200)) {
        FrameFilter::default().filter(&input, &mut Vec::new()).ok();
    }
}
