//! Randomness with an address: each answer is a function of what it is for, not of what was asked before it.

use std::{collections::BTreeMap, sync::Mutex};

use nexus_ports::Entropy;
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

use crate::handles::lock;

/// A generator keyed by the seed and a path of words. Each word is length-prefixed, so that no two paths collide.
pub(crate) fn generator(seed: u64, path: &[&str], count: u64) -> ChaCha12Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for word in path {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    hash.update(count.to_le_bytes());
    ChaCha12Rng::from_seed(hash.finalize().into())
}

/// One host's entropy. The counts survive its restarts: a restarted host must not repeat its ids.
pub(crate) struct HostEntropy {
    seed: u64,
    host: String,
    /// How often each logical key was asked for, per purpose.
    asked: Mutex<BTreeMap<&'static str, BTreeMap<String, u64>>>,
}

impl HostEntropy {
    pub(crate) fn new(seed: u64, host: &str) -> Self {
        Self { seed, host: host.to_owned(), asked: Mutex::default() }
    }

    fn next_count(&self, purpose: &'static str, logical_key: &str) -> u64 {
        let mut asked = lock(&self.asked);
        let keys = asked.entry(purpose).or_default();
        let Some(count) = keys.get_mut(logical_key) else {
            keys.insert(logical_key.to_owned(), 1);
            return 0;
        };
        *count += 1;
        *count - 1
    }
}

impl Entropy for HostEntropy {
    fn fill(&self, purpose: &'static str, logical_key: &str, bytes: &mut [u8]) {
        let count = self.next_count(purpose, logical_key);
        generator(self.seed, &[&self.host, purpose, logical_key], count).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(entropy: &HostEntropy, purpose: &'static str, key: &str) -> [u8; 48] {
        let mut bytes = [0; 48];
        entropy.fill(purpose, key, &mut bytes);
        bytes
    }

    #[test]
    fn leaving_one_request_out_changes_no_other() {
        let whole = HostEntropy::new(7, "host");
        let (_skipped_later, kept, again) = (draw(&whole, "id", "a"), draw(&whole, "id", "b"), draw(&whole, "id", "b"));
        let shorter = HostEntropy::new(7, "host");
        assert_eq!(draw(&shorter, "id", "b"), kept);
        assert_eq!(draw(&shorter, "id", "b"), again);
        assert_ne!(kept, again);
    }

    #[test]
    fn every_part_of_the_address_counts() {
        let base = draw(&HostEntropy::new(7, "host"), "id", "key");
        let others = [
            draw(&HostEntropy::new(8, "host"), "id", "key"),
            draw(&HostEntropy::new(7, "hosts"), "id", "key"),
            draw(&HostEntropy::new(7, "host"), "idk", "ey"),
            draw(&HostEntropy::new(7, "host"), "id", "kez"),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }
}
