//! Seeded randomness with an address, so that removing one call leaves the draws of all others as they were.

use std::collections::BTreeMap;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Draws are a function of (seed, purpose, logical key, how often that pair drew before).
#[derive(Debug)]
pub struct Entropy {
    seed: u64,
    draws: BTreeMap<(u64, u64), u64>,
}

impl Entropy {
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: BTreeMap::new() }
    }

    /// The next 64 bits for one purpose and logical key.
    pub fn next_u64(&mut self, purpose: &str, logical_key: &str) -> u64 {
        let address = (hash_text(purpose), hash_text(logical_key));
        let count = self.draws.entry(address).or_insert(0);
        let nth = *count;
        *count += 1;
        self.at(address.0, address.1, nth)
    }

    /// The next fraction in (0, 1): never an end, so that its quantile is finite.
    pub fn next_fraction(&mut self, purpose: &str, logical_key: &str) -> f64 {
        open_fraction(self.next_u64(purpose, logical_key))
    }

    fn at(&self, purpose: u64, key: u64, nth: u64) -> u64 {
        let mut seed = [0; 32];
        for (part, word) in seed.chunks_exact_mut(8).zip([self.seed, purpose, key, nth]) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(seed).next_u64()
    }

    /// An address without a count, for what exists once, like an identifier made from a sequence number.
    pub fn fixed_u64(&self, purpose: &str, number: u64) -> u64 {
        self.at(hash_text(purpose), number, 0)
    }
}

/// Maps 64 random bits into the open interval (0, 1).
pub fn open_fraction(bits: u64) -> f64 {
    // 52 bits and the half step together are what an f64 holds exactly; the half step keeps both ends out.
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

/// FNV-1a with a final avalanche: stable for ever, unlike the standard library's hasher.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

pub fn hash_text(text: &str) -> u64 {
    hash_bytes(text.as_bytes())
}

/// Spreads every input bit over all output bits (the finaliser of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_address_only() {
        let mut alone = Entropy::new(7);
        let first = alone.next_u64("latency", "PutItem/a");
        let second = alone.next_u64("latency", "PutItem/a");
        assert_ne!(first, second);

        let mut crowded = Entropy::new(7);
        crowded.next_u64("latency", "PutItem/b");
        crowded.next_u64("lag", "PutItem/a");
        assert_eq!(crowded.next_u64("latency", "PutItem/a"), first);
        crowded.next_u64("latency", "PutItem/b");
        assert_eq!(crowded.next_u64("latency", "PutItem/a"), second);
        assert_ne!(Entropy::new(8).next_u64("latency", "PutItem/a"), first);
    }

    #[test]
    fn fractions_stay_inside_the_open_interval() {
        for bits in [0, 1, u64::MAX / 2, u64::MAX] {
            let fraction = open_fraction(bits);
            assert!(fraction > 0.0 && fraction < 1.0, "{bits} gave {fraction}");
        }
    }
}
