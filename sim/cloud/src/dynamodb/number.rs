//! DynamoDB's numbers: up to 38 significant digits, magnitudes from 1E-130 to 9.99…E+125, exact arithmetic.

use std::{cmp::Ordering, fmt, str::FromStr};

/// `coefficient × 10^scale`, kept without trailing zeros, so that equal numbers are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    coefficient: u128,
    scale: i16,
}

const MAX_DIGITS: u32 = 38;
const MAX_MAGNITUDE: i32 = 125;
const MIN_MAGNITUDE: i32 = -130;

/// Why a text or a result is not a number that DynamoDB stores; the display is the service's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("The parameter cannot be converted to a numeric value")]
    Empty,
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotANumber(String),
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooPrecise,
}

impl Number {
    pub const ZERO: Number = Number { negative: false, coefficient: 0, scale: 0 };

    fn new(negative: bool, mut coefficient: u128, mut scale: i32) -> Result<Self, NumberError> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            scale += 1;
        }
        let digits = digit_count(coefficient);
        let magnitude = scale + digits as i32 - 1;
        if magnitude > MAX_MAGNITUDE {
            return Err(NumberError::Overflow);
        }
        if magnitude < MIN_MAGNITUDE {
            return Err(NumberError::Underflow);
        }
        if digits > MAX_DIGITS {
            return Err(NumberError::TooPrecise);
        }
        let scale = i16::try_from(scale).map_err(|_| NumberError::Overflow)?;
        Ok(Self { negative, coefficient, scale })
    }

    pub fn negated(self) -> Self {
        Self { negative: !self.negative && self.coefficient != 0, ..self }
    }

    pub fn plus(self, other: Self) -> Result<Self, NumberError> {
        if self.coefficient == 0 {
            return Ok(other);
        }
        if other.coefficient == 0 {
            return Ok(self);
        }
        let (high, low) = if self.scale >= other.scale { (self, other) } else { (other, self) };
        let shift = (high.scale - low.scale) as u32;
        // The low coefficient ends in a non-zero digit, so a high one that no longer fits means too many digits.
        let aligned = 10u128
            .checked_pow(shift)
            .and_then(|power| high.coefficient.checked_mul(power))
            .ok_or(NumberError::TooPrecise)?;
        let scale = i32::from(low.scale);
        if high.negative == low.negative {
            let sum = aligned.checked_add(low.coefficient).ok_or(NumberError::TooPrecise)?;
            Self::new(high.negative, sum, scale)
        } else if aligned >= low.coefficient {
            Self::new(high.negative, aligned - low.coefficient, scale)
        } else {
            Self::new(low.negative, low.coefficient - aligned, scale)
        }
    }

    pub fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(other.negated())
    }

    /// The decimal exponent of the first digit.
    fn magnitude(self) -> i32 {
        i32::from(self.scale) + digit_count(self.coefficient) as i32 - 1
    }

    fn compare_magnitudes(self, other: Self) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.cmp(&other.coefficient);
        }
        match (self.coefficient, other.coefficient) {
            (0, 0) => return Ordering::Equal,
            (0, _) => return Ordering::Less,
            (_, 0) => return Ordering::Greater,
            _ => {}
        }
        let widened = |number: Self| number.coefficient * 10u128.pow(MAX_DIGITS - digit_count(number.coefficient));
        self.magnitude().cmp(&other.magnitude()).then_with(|| widened(self).cmp(&widened(other)))
    }

    /// Whole seconds and the like: the value as an integer if it is one and fits.
    pub fn as_i64(self) -> Option<i64> {
        let power = 10u128.checked_pow(u32::try_from(self.scale).ok()?)?;
        let magnitude = i64::try_from(self.coefficient.checked_mul(power)?).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Bytes that the number takes in an item: one for each two significant digits, and one.
    pub fn size_bytes(self) -> usize {
        if self.coefficient == 0 {
            return 1;
        }
        // Digits are stored in pairs of a base-100 mantissa: an odd exponent starts with half a pair.
        let digits = digit_count(self.coefficient) as usize;
        let offset = usize::from(self.magnitude().rem_euclid(2) == 0);
        (digits + offset).div_ceil(2) + 1 + usize::from(self.negative)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::new(value < 0, u128::from(value.unsigned_abs()), 0).expect("an i64 has at most 19 digits")
    }
}

fn digit_count(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitudes(*other),
            (true, true) => other.compare_magnitudes(*self),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let bad = || if text.is_empty() { NumberError::Empty } else { NumberError::NotANumber(text.to_owned()) };
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..]).ok_or_else(bad)?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.as_bytes().first() {
            Some(b'-') => (true, &mantissa[1..]),
            Some(b'+') => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return Err(bad());
        }
        let mut collected = Digits::default();
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(bad());
            }
            collected.push(byte - b'0')?;
        }
        let fraction_digits = i64::try_from(fraction.len()).map_err(|_| bad())?;
        let scale = exponent - fraction_digits + collected.pending_zeros;
        if collected.coefficient == 0 {
            return Ok(Self::ZERO);
        }
        let scale = i32::try_from(scale.clamp(-100_000, 100_000)).map_err(|_| bad())?;
        Self::new(negative, collected.coefficient, scale)
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Anything longer is far outside the range whatever its digits are.
    let value = if digits.len() > 9 { 1_000_000_000 } else { digits.parse::<i64>().ok()? };
    Some(if text.starts_with('-') { -value } else { value })
}

/// Significant digits so far; zeros wait until a later digit shows that they count.
#[derive(Default)]
struct Digits {
    coefficient: u128,
    pending_zeros: i64,
}

impl Digits {
    fn push(&mut self, digit: u8) -> Result<(), NumberError> {
        if digit == 0 {
            if self.coefficient != 0 {
                self.pending_zeros += 1;
            }
            return Ok(());
        }
        let shift = u32::try_from(self.pending_zeros + 1).map_err(|_| NumberError::TooPrecise)?;
        let power = 10u128.checked_pow(shift).ok_or(NumberError::TooPrecise)?;
        let grown = self.coefficient.checked_mul(power).and_then(|grown| grown.checked_add(u128::from(digit)));
        // A first digit after leading zeros needs no room, whatever the power.
        self.coefficient =
            if self.coefficient == 0 { u128::from(digit) } else { grown.ok_or(NumberError::TooPrecise)? };
        self.pending_zeros = 0;
        Ok(())
    }
}

/// Plain decimal notation without exponent, as the service answers.
impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            formatter.write_str("-")?;
        }
        let digits = self.coefficient.to_string();
        if self.scale >= 0 {
            return write!(formatter, "{digits}{:0<1$}", "", self.scale as usize);
        }
        let places = self.scale.unsigned_abs() as usize;
        if digits.len() > places {
            let (whole, fraction) = digits.split_at(digits.len() - places);
            write!(formatter, "{whole}.{fraction}")
        } else {
            write!(formatter, "0.{digits:0>places$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use bigdecimal::BigDecimal;
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn texts_become_canonical() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0", "0"),
            ("000", "0"),
            ("0e500", "0"),
            ("+5", "5"),
            ("007", "7"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e2", "100"),
            ("-12.5E-3", "-0.0125"),
            ("1e-130", &format!("0.{:0>130}", 1)),
            ("9e125", &format!("9{:0<125}", "")),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
            ("100000000000000000000000000000000000000000000", "100000000000000000000000000000000000000000000"),
            ("0.00000000000000000000000000000000000000000001", "0.00000000000000000000000000000000000000000001"),
        ] {
            assert_eq!(number(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (text, error) in [
            ("", NumberError::Empty),
            ("abc", NumberError::NotANumber("abc".into())),
            ("1e", NumberError::NotANumber("1e".into())),
            ("-", NumberError::NotANumber("-".into())),
            ("1 2", NumberError::NotANumber("1 2".into())),
            ("NaN", NumberError::NotANumber("NaN".into())),
            ("0x10", NumberError::NotANumber("0x10".into())),
            ("1e126", NumberError::Overflow),
            ("1e99999999999", NumberError::Overflow),
            ("-1e126", NumberError::Overflow),
            ("1e-131", NumberError::Underflow),
            ("999999999999999999999999999999999999999", NumberError::TooPrecise),
            ("1.00000000000000000000000000000000000001", NumberError::TooPrecise),
            ("123456789012345678901234567890123456789012345", NumberError::TooPrecise),
        ] {
            assert_eq!(Number::from_str(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sums_that_need_too_many_digits_are_refused() {
        assert_eq!(number("1e100").plus(number("1")), Err(NumberError::TooPrecise));
        assert_eq!(number("9e125").plus(number("9e125")), Err(NumberError::Overflow));
        assert_eq!(number("1e-130").minus(number("1e-130")), Ok(Number::ZERO));
    }

    proptest! {
        #[test]
        fn agrees_with_big_decimals(a in -999_999_999_999i64..1_000_000_000_000, b in -999_999_999i64..1_000_000_000,
                                    x in -12i32..12, y in -12i32..12) {
            let (left, right) = (format!("{a}e{x}"), format!("{b}e{y}"));
            let (big_left, big_right) = (BigDecimal::from_str(&left).unwrap(), BigDecimal::from_str(&right).unwrap());
            let (left, right) = (number(&left), number(&right));
            prop_assert_eq!(left.cmp(&right), big_left.cmp(&big_right));
            let sum = left.plus(right).unwrap().to_string();
            prop_assert_eq!(BigDecimal::from_str(&sum).unwrap(), &big_left + &big_right);
            let difference = left.minus(right).unwrap().to_string();
            prop_assert_eq!(BigDecimal::from_str(&difference).unwrap(), big_left - big_right);
        }

        #[test]
        fn display_reads_back(coefficient in any::<i64>(), exponent in -100i32..100) {
            let value = number(&format!("{coefficient}e{exponent}"));
            prop_assert_eq!(number(&value.to_string()), value);
        }
    }
}
