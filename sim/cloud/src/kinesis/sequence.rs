//! Sequence numbers as Kinesis writes them: 56 decimal digits that hide a version, when the shard was opened, the
//! record's place in it, when it came, and the shard's number.
//!
//! The layout, in hexadecimal digits, was worked out in public by comparing numbers of the real service: `2`, nine for
//! the second the shard was opened, one for the shard's last digit, sixteen for the index, two unknown (zero), nine for
//! the second of the record, eight for the shard, `2` for the version.

use std::fmt;

/// The index that the ending number of a closed shard carries: above that of every record.
pub const LAST_INDEX: u64 = i64::MAX as u64;

const DECIMALS_OF_A_CHUNK: u64 = 10_000_000_000_000_000_000;
const VERSION: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceNumber {
    /// Unix second in which the shard was opened; a child's is later than its parent's.
    pub opened_second: u64,
    pub shard: u32,
    /// 0 for the starting number of the shard, then 1, 2, 3 … for its records.
    pub index: u64,
    /// Unix second in which the record came.
    pub second: u64,
}

impl SequenceNumber {
    /// 192 bits, the lowest first.
    fn limbs(self) -> [u64; 3] {
        let tail = u128::from(self.second & 0xf_ffff_ffff) << 36 | u128::from(self.shard) << 4 | u128::from(VERSION);
        let head = 2 << 40 | (self.opened_second & 0xf_ffff_ffff) << 4 | u64::from(self.shard & 0xf);
        [tail as u64, (tail >> 64) as u64 | self.index << 16, self.index >> 48 | head << 16]
    }

    /// Reads a number that [`fmt::Display`] could have written; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let limbs = limbs_of(text)?;
        let tail = u128::from(limbs[1] & 0xffff) << 64 | u128::from(limbs[0]);
        let head = limbs[2] >> 16;
        let number = Self {
            opened_second: head >> 4 & 0xf_ffff_ffff,
            shard: (tail >> 4) as u32,
            index: limbs[1] >> 16 | limbs[2] << 48,
            second: (tail >> 36) as u64 & 0xf_ffff_ffff,
        };
        (number.limbs() == limbs && number.index <= LAST_INDEX).then_some(number)
    }
}

/// A decimal number of at most 192 bits; no sign, no zeros before it.
fn limbs_of(text: &str) -> Option<[u64; 3]> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if !canonical || text.is_empty() {
        return None;
    }
    let mut limbs = [0u64; 3];
    for digit in text.bytes() {
        let mut carry = u128::from(digit - b'0');
        for limb in &mut limbs {
            carry += u128::from(*limb) * 10;
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(limbs)
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.limbs();
        let mut chunks = [0u64; 3];
        for chunk in &mut chunks {
            let mut rest = 0u128;
            for limb in limbs.iter_mut().rev() {
                let value = rest << 64 | u128::from(*limb);
                *limb = (value / u128::from(DECIMALS_OF_A_CHUNK)) as u64;
                rest = value % u128::from(DECIMALS_OF_A_CHUNK);
            }
            *chunk = rest as u64;
        }
        write!(f, "{}{:019}{:019}", chunks[2], chunks[1], chunks[0])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_that_of_the_real_service() {
        // From public bug reports, which tell the shard and the time of each number.
        for (text, shard, opened_year) in [
            ("49601535465886712437480547637348452192188447404540821506", 0, 2019),
            ("49588160223248606261076875455806734688981848970781268242", 401, 2018),
            ("49588160317469254724868758295577415592252907054528732194", 450, 2018),
            ("49588160406181619124623577364989381944926527427488784066", 492, 2018),
        ] {
            let limbs = limbs_of(text).unwrap();
            assert_eq!(limbs[0] & 0xf, VERSION, "{text}");
            assert_eq!((limbs[0] >> 4) as u32 & 0xfff_ffff, shard, "{text}");
            assert_eq!(limbs[2] >> 56, 2, "{text}");
            let opened_second = limbs[2] >> 20 & 0xf_ffff_ffff;
            assert_eq!(1970 + opened_second / 31_556_952, opened_year, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in ["", "0", "17", "abc", "-1", "049601535465886712437480547637348452192188447404540821506"] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
        assert_eq!(SequenceNumber::parse(&"9".repeat(56)), None);
        assert_eq!(SequenceNumber::parse(&"9".repeat(58)), None);
    }

    proptest! {
        #[test]
        fn texts_survive_and_order_as_their_parts_do(
            opened_second in 1_500_000_000u64..2_600_000_000,
            shard in 0u32..1_000_000,
            index in 0..=LAST_INDEX,
            later in 1u64..1_000,
            second in 1_500_000_000u64..4_000_000_000,
        ) {
            let number = SequenceNumber { opened_second, shard, index, second };
            let text = number.to_string();
            prop_assert_eq!(text.len(), 56);
            prop_assert!(text.starts_with("49"));
            prop_assert_eq!(SequenceNumber::parse(&text), Some(number));
            let next = SequenceNumber { index: index.saturating_add(later).min(LAST_INDEX), second: 0, ..number };
            if next.index > index {
                prop_assert!(next.to_string() > text);
            }
            let child = SequenceNumber { opened_second: opened_second + 1, shard: shard + 1, index: 0, second: 0 };
            prop_assert!(child.to_string() > text);
        }
    }
}
