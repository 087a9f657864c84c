//! Dice, and what they say. Zero dice always give the dullest outcome, since that is where shrinking leads.

/// The dice of one operation, one for each question, so that no answer depends on how others were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    dice: [u64; Self::DICE],
}

impl Draw {
    pub const DICE: usize = 7;

    pub fn new(dice: [u64; Self::DICE]) -> Self {
        Self { dice }
    }

    /// Time to this arrival in units of the mean gap: exponentially distributed. A zero die is the longest gap.
    pub fn gap(&self) -> f64 {
        // Half a step above zero, so that the logarithm is finite; libm, so that every machine agrees.
        -libm::log(share(self.dice[0]) + 0.5 / STEPS)
    }

    /// Which fate, in [0, 1).
    pub fn fate(&self) -> f64 {
        share(self.dice[1])
    }

    pub fn customer(&self, customers: u32) -> u32 {
        index(self.dice[2], customers)
    }

    /// Which aggregate, in [0, 1).
    pub fn target(&self) -> f64 {
        share(self.dice[3])
    }

    /// Which way a life takes, in [0, 1).
    pub fn way(&self) -> f64 {
        share(self.dice[4])
    }

    /// Which of several equal variants.
    pub fn variant(&self, variants: u32) -> u32 {
        index(self.dice[5], variants)
    }

    /// Small numbers for amounts and names: the `n`th of them, below `bound`.
    pub fn number(&self, n: u32, bound: u32) -> u32 {
        let rotated = self.dice[6].rotate_left(n * 11);
        index(rotated, bound)
    }

    /// Whether another customer interferes, in [0, 1); read from the low bits that `fate` leaves out.
    pub fn interference(&self) -> f64 {
        share(self.dice[4].rotate_left(32))
    }

    /// Whether two steps are taken by one command, in [0, 1); read from the low bits that `variant` leaves out.
    pub fn together(&self) -> f64 {
        share(self.dice[5].rotate_left(32))
    }
}

const STEPS: f64 = (1_u64 << 53) as f64;

fn share(die: u64) -> f64 {
    (die >> 11) as f64 / STEPS
}

/// Evenly below `bound`; 0 for a bound of 0.
fn index(die: u64, bound: u32) -> u32 {
    // The product of two numbers below 2^32 and 2^32 fits into 64 bits; its upper half is below the bound.
    (((die >> 32) * u64::from(bound)) >> 32) as u32
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Ordinary,
    Read,
    Duplicate,
    KeyReuse,
    Forbidden,
    Malformed,
}

/// The shares of the fates, as upper ends of their intervals; ordinary commands begin at 0.
#[derive(Clone, Debug)]
pub(crate) struct Fates {
    ends: [(f64, Fate); 6],
}

impl Fates {
    /// Shares of reads, duplicates, key reuse, forbidden and malformed operations.
    pub fn new([read, duplicate, key_reuse, forbidden, malformed]: [f64; 5]) -> Self {
        let ordinary = 1.0 - (read + duplicate + key_reuse + forbidden + malformed);
        let mut end = 0.0;
        let ends = [
            (ordinary, Fate::Ordinary),
            (read, Fate::Read),
            (duplicate, Fate::Duplicate),
            (key_reuse, Fate::KeyReuse),
            (forbidden, Fate::Forbidden),
            (malformed, Fate::Malformed),
        ]
        .map(|(share, fate)| {
            end += share;
            (end, fate)
        });
        Self { ends }
    }

    pub fn of(&self, die: f64) -> Fate {
        self.ends.iter().find(|(end, _)| die < *end).map_or(Fate::Ordinary, |(_, fate)| *fate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_dice_are_the_dullest() {
        let draw = Draw::new([0; Draw::DICE]);
        assert!(draw.gap() > 36.0);
        assert_eq!(Fates::new([0.2; 5]).of(0.0), Fate::Read, "without ordinary commands the first share begins");
        assert_eq!(Fates::new([0.1; 5]).of(draw.fate()), Fate::Ordinary);
        assert_eq!((draw.customer(9), draw.variant(9), draw.number(3, 9)), (0, 0, 0));
    }

    #[test]
    fn the_largest_dice_stay_in_range() {
        let draw = Draw::new([u64::MAX; Draw::DICE]);
        assert!(draw.gap() >= 0.0 && draw.gap() < 1e-15);
        assert!(draw.fate() < 1.0 && draw.target() < 1.0 && draw.way() < 1.0 && draw.interference() < 1.0);
        assert!(draw.together() < 1.0, "a share of 0 takes no two steps at once");
        assert_eq!(
            (draw.customer(9), draw.variant(1), draw.number(6, 2), draw.customer(u32::MAX)),
            (8, 0, 1, u32::MAX - 1)
        );
    }

    #[test]
    fn fates_have_their_shares() {
        let fates = Fates::new([0.2, 0.1, 0.05, 0.03, 0.02]);
        let table = [
            (0.0, Fate::Ordinary),
            (0.59, Fate::Ordinary),
            (0.61, Fate::Read),
            (0.79, Fate::Read),
            (0.81, Fate::Duplicate),
            (0.91, Fate::KeyReuse),
            (0.96, Fate::Forbidden),
            (0.99, Fate::Malformed),
        ];
        for (die, expected) in table {
            assert_eq!(fates.of(die), expected, "{die}");
        }
    }
}
