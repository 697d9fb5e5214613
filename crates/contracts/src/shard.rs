//! Shards: fixed partitions of the accounts.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::ids::{AccountId, NotAnId};

/// Number of shards, 1 to 1000; the same for every part of an installation, and never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCount(NonZeroU16);

impl ShardCount {
    /// `None` outside 1 ..= 1000.
    pub fn new(count: u16) -> Option<Self> {
        (count <= 1000).then(|| NonZeroU16::new(count)).flatten().map(Self)
    }

    /// The number itself.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// Every shard, in order.
    pub fn shards(self) -> impl Iterator<Item = Shard> {
        (0..self.get()).map(Shard)
    }

    /// The shard of an account: CRC-32 (ISO-HDLC, as in zip) of the decimal `userbot_id`, modulo
    /// the number of shards. Three lines in any language; consecutive ids are spread evenly.
    pub fn shard_of(self, account: AccountId) -> Shard {
        let crc = crc32fast::hash(account.to_string().as_bytes());
        let index = crc % u32::from(self.get());
        Shard(u16::try_from(index).unwrap_or(0))
    }
}

/// One shard; `s000`, `s001`, … on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(pub u16);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:03}", self.0)
    }
}

impl FromStr for Shard {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix('s').filter(|digits| digits.len() == 3).ok_or(NotAnId)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse().map(Shard).map_err(|_| NotAnId)
        } else {
            Err(NotAnId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_is_the_crc_of_the_decimal_id() {
        let count = ShardCount::new(64).unwrap();
        // python3 -c 'import zlib; print(zlib.crc32(b"1") % 64, zlib.crc32(b"123456789") % 64)'
        assert_eq!(count.shard_of(AccountId::new(1).unwrap()), Shard(55));
        assert_eq!(count.shard_of(AccountId::new(123_456_789).unwrap()), Shard(38));
    }

    #[test]
    fn a_shard_has_three_digits() {
        assert_eq!(Shard(7).to_string(), "s007");
        assert_eq!("s063".parse(), Ok(Shard(63)));
        for wrong in ["63", "s63", "s+63", "sxyz", ""] {
            assert_eq!(wrong.parse::<Shard>(), Err(NotAnId), "{wrong}");
        }
    }
}
