//! The exit codes, the same for every command.

/// Every property held.
pub const HELD: u8 = 0;
/// A property broke, or a check failed.
pub const BROKE: u8 = 1;
/// The command line or an input file cannot be used.
pub const USAGE: u8 = 2;
/// The same trial at the same revision gave another trace: determinism itself is broken.
pub const DIVERGED: u8 = 3;
/// Too little happened to judge, such as a planned fault that never fired.
pub const INCONCLUSIVE: u8 = 4;
/// A program could not be built; the compiler's own messages say why.
pub const BUILD_FAILED: u8 = 101;

/// Of several runs the code that needs attention first: a divergence makes every other verdict doubtful,
/// and a broken property outweighs one that could not be judged.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    codes.into_iter().max_by_key(|code| severity(*code)).unwrap_or(HELD)
}

fn severity(code: u8) -> u16 {
    match code {
        HELD => 0,
        INCONCLUSIVE => 1,
        BROKE => 2,
        DIVERGED => 3,
        USAGE => 4,
        other => 5 + u16::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_wins() {
        let table: [(&[u8], u8); 7] = [
            (&[], HELD),
            (&[HELD, HELD], HELD),
            (&[HELD, INCONCLUSIVE], INCONCLUSIVE),
            (&[INCONCLUSIVE, BROKE], BROKE),
            (&[DIVERGED, BROKE], DIVERGED),
            (&[BROKE, USAGE], USAGE),
            (&[USAGE, 130, HELD], 130),
        ];
        for (codes, expected) in table {
            assert_eq!(worst(codes.iter().copied()), expected, "{codes:?}");
        }
    }
}
