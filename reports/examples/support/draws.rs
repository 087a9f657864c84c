//! A small generator, the same everywhere.

/// Where a trial's numbers come from: a stream of draws for each named purpose, so that one draw more in one place moves no
/// number of another.
#[derive(Clone, Copy)]
pub struct Draws {
    pub plan: &'static str,
    pub seed: u64,
    /// Another weather moves all numbers, as another revision of the code does.
    pub weather: u64,
}

impl Draws {
    pub fn named(self, purpose: &str) -> Dice {
        let letters = self.plan.bytes().chain([0]).chain(purpose.bytes());
        let hashed = letters
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Dice(Dice(hashed).roll() ^ Dice(self.seed).roll() ^ Dice(self.weather).roll())
    }
}

/// splitmix64: small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Mostly around `scale`, seldom many times as much.
    pub fn tail(&mut self, scale: u64) -> u64 {
        let rarity = (self.roll() % 1_000_000 + 1) as f64 / 1_000_000.0;
        (scale as f64 * rarity.powf(-0.45)) as u64
    }
}
