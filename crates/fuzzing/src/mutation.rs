//! Inputs made from a corpus: one of its files, cut, repeated, joined and overwritten.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Longest input, in bytes.
const MAX_INPUT: usize = 64 << 10;
/// Most changes to one input.
const MAX_CHANGES: usize = 8;

/// What parsers treat specially.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{\"\":",
    b"[[",
    b",",
    b":",
    b".",
    b"-",
    b"+",
    b"/",
    b"=",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"00",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"9007199254740992",
    b"0.5",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\x1b[2J",
];

/// A mutated input; prints as what it is made of.
#[derive(Clone)]
pub(crate) struct MutatedInput {
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for MutatedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}

/// One change to an input.
#[derive(Clone, Debug)]
enum Mutation {
    /// One bit is changed.
    Flip(Index, u8),
    /// A token is inserted, or replaces as many bytes as it has.
    Token(Index, &'static [u8], bool),
    /// A part is removed.
    Cut(Index, Index),
    /// A part is repeated.
    Repeat(Index, usize, usize),
    /// What follows a place is taken from another input of the corpus.
    Splice(Index, Index, Index),
}

/// Mutations of the inputs of a corpus, which must not be empty.
pub(crate) fn mutated(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = MutatedInput> {
    (any::<Index>(), vec(mutation(), 1..=MAX_CHANGES)).prop_map(move |(first, changes)| {
        let mut bytes = first.get(&corpus).clone();
        for change in changes {
            change.apply(&mut bytes, &corpus);
            bytes.truncate(MAX_INPUT);
        }
        MutatedInput { bytes }
    })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        4 => (at(), select(TOKENS), any::<bool>())
            .prop_map(|(at, token, inserted)| Mutation::Token(at, token, inserted)),
        2 => (at(), at()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        1 => (at(), 1..40_usize, prop_oneof![9 => 2..10_usize, 1 => 10..3_000_usize])
            .prop_map(|(at, length, times)| Mutation::Repeat(at, length, times)),
        2 => (at(), at(), at()).prop_map(|(at, other, from)| Mutation::Splice(at, other, from)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bit) => {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= 1 << bit;
                }
            }
            Self::Token(at, token, inserted) => {
                let at = place(at, bytes);
                let end = if *inserted { at } else { (at + token.len()).min(bytes.len()) };
                bytes.splice(at..end, token.iter().copied());
            }
            Self::Cut(from, to) => {
                let (from, to) = (place(from, bytes), place(to, bytes));
                bytes.drain(from.min(to)..from.max(to));
            }
            Self::Repeat(at, length, times) => {
                let at = place(at, bytes);
                let end = (at + length).min(bytes.len());
                let repeated = bytes[at..end].repeat(*times);
                bytes.splice(at..end, repeated);
            }
            Self::Splice(at, other, from) => {
                let other = other.get(corpus);
                bytes.truncate(place(at, bytes));
                bytes.extend_from_slice(&other[place(from, other)..]);
            }
        }
    }
}
