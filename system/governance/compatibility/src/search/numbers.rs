//! Numbers: an interval, multiples to be and not to be, values to avoid.

use bigdecimal::{BigDecimal, One, RoundingMode, ToPrimitive, Zero, num_bigint::BigInt};
use num_integer::Integer;
use serde_json::Value;

use super::{Literal, Reason, Search, Solver};
use crate::{
    graph::{Assertion, Kind},
    number::{decimal_of, is_multiple, least_common_multiple, number_of},
};

/// Points of a grid that are tried one by one.
const POINTS_MAX: i64 = 20_000;

struct Bound {
    value: BigDecimal,
    exclusive: bool,
}

#[derive(Default)]
struct Wanted {
    lower: Option<Bound>,
    upper: Option<Bound>,
    steps: Vec<BigDecimal>,
    /// Steps of which the number is no multiple; 1 stands for "no integer".
    avoided_steps: Vec<BigDecimal>,
    avoided: Vec<BigDecimal>,
}

impl Solver {
    pub(super) fn settle_number(&mut self, kind: Kind, demands: &[Literal]) -> Search {
        let mut wanted = Wanted::default();
        match kind {
            Kind::Integer => wanted.steps.push(BigDecimal::one()),
            _ => wanted.avoided_steps.push(BigDecimal::one()),
        }
        for demand in demands {
            if let Some((sign, assertion)) = self.atom(demand) {
                wanted.add(sign, &assertion);
            }
        }
        wanted.settle()
    }
}

impl Wanted {
    fn add(&mut self, sign: bool, assertion: &Assertion) {
        match assertion {
            Assertion::Lower { bound, exclusive } if sign => self.raise(bound, *exclusive),
            Assertion::Lower { bound, exclusive } => self.cut(bound, !exclusive),
            Assertion::Upper { bound, exclusive } if sign => self.cut(bound, *exclusive),
            Assertion::Upper { bound, exclusive } => self.raise(bound, !exclusive),
            Assertion::MultipleOf(step) if sign => self.steps.push(step.clone()),
            Assertion::MultipleOf(step) => self.avoided_steps.push(step.clone()),
            Assertion::Among { values, .. } if !sign => {
                self.avoided.extend(values.iter().filter_map(Value::as_number).map(decimal_of));
            }
            _ => {}
        }
    }

    fn raise(&mut self, value: &BigDecimal, exclusive: bool) {
        let is_narrower = self.lower.as_ref().is_none_or(|lower| (value, exclusive) > (&lower.value, lower.exclusive));
        if is_narrower {
            self.lower = Some(Bound { value: value.clone(), exclusive });
        }
    }

    fn cut(&mut self, value: &BigDecimal, exclusive: bool) {
        let is_narrower = self
            .upper
            .as_ref()
            .is_none_or(|upper| *value < upper.value || (*value == upper.value && exclusive && !upper.exclusive));
        if is_narrower {
            self.upper = Some(Bound { value: value.clone(), exclusive });
        }
    }

    fn is_within(&self, number: &BigDecimal) -> bool {
        let above = self
            .lower
            .as_ref()
            .is_none_or(|lower| *number > lower.value || (!lower.exclusive && *number == lower.value));
        let below = self
            .upper
            .as_ref()
            .is_none_or(|upper| *number < upper.value || (!upper.exclusive && *number == upper.value));
        above && below
    }

    fn fits(&self, number: &BigDecimal) -> bool {
        self.is_within(number)
            && self.steps.iter().all(|step| is_multiple(number, step))
            && !self.avoided_steps.iter().any(|step| is_multiple(number, step))
            && !self.avoided.contains(number)
    }

    fn settle(&self) -> Search {
        let grid = self.steps.iter().cloned().reduce(|left, right| least_common_multiple(&left, &right));
        match grid {
            Some(grid) => self.on_grid(&grid),
            None => self.between(),
        }
    }

    /// All candidates are whole multiples of `grid`.
    fn on_grid(&self, grid: &BigDecimal) -> Search {
        if self.avoided_steps.iter().any(|step| is_multiple(grid, step)) {
            return Search::Empty;
        }
        let first = self.lower.as_ref().map(|bound| BigDecimal::from(quotient(&bound.value, grid, true)));
        let last = self.upper.as_ref().map(|bound| BigDecimal::from(quotient(&bound.value, grid, false)));
        if let (Some(first), Some(last)) = (&first, &last)
            && let Some(count) = (last - first).to_i64()
            && count < POINTS_MAX
        {
            return self.first_of((0..=count).map(|offset| (first + BigDecimal::from(offset)) * grid));
        }
        // The interval is wide. Each step to avoid hits some points of the grid, but never two neighbours of a multiple of
        // all their periods, so a point is near; what remains is whether 64 bits can hold one.
        let candidates = (0..POINTS_MAX / 10).flat_map(|offset| {
            let offset = BigDecimal::from(offset);
            let near = match (&first, &last) {
                (Some(first), _) => {
                    vec![first + &offset, (first.abs() + BigDecimal::one()) * (&offset + BigDecimal::from(2))]
                }
                (None, Some(last)) => {
                    vec![last - &offset, -(last.abs() + BigDecimal::one()) * (&offset + BigDecimal::from(2))]
                }
                (None, None) => vec![offset],
            };
            near.into_iter().map(|index| index * grid)
        });
        self.with_candidates(candidates)
    }

    /// Any number between the bounds that has a fraction.
    fn between(&self) -> Search {
        let (lower, upper) = match (&self.lower, &self.upper) {
            (Some(lower), Some(upper)) => {
                if lower.value > upper.value {
                    return Search::Empty;
                }
                if lower.value == upper.value {
                    return self.first_of(std::iter::once(lower.value.clone()));
                }
                (lower.value.clone(), upper.value.clone())
            }
            (Some(lower), None) => (lower.value.clone(), &lower.value + BigDecimal::from(10)),
            (None, Some(upper)) => (&upper.value - BigDecimal::from(10), upper.value.clone()),
            (None, None) => (BigDecimal::zero(), BigDecimal::from(10)),
        };
        let width = &upper - &lower;
        // Plain numbers first: those with few digits.
        let rounded = (1..4).flat_map(|scale| {
            let step = BigDecimal::new(1.into(), scale);
            let start = lower.with_scale_round(scale, RoundingMode::Ceiling);
            (0..200).map(move |offset| &start + BigDecimal::from(offset) * &step)
        });
        let within = (1..200_i64).map(|part| &lower + &width * BigDecimal::from(part) / BigDecimal::from(256));
        self.with_candidates(rounded.chain(within))
    }

    /// The candidates are all that there is.
    fn first_of(&self, candidates: impl Iterator<Item = BigDecimal>) -> Search {
        let mut answer = Search::Empty;
        for number in candidates.filter(|number| self.fits(number)) {
            match number_of(&number) {
                Some(number) => return Search::Found(Value::Number(number)),
                None => answer = Search::Unknown(Reason::Precision),
            }
        }
        answer
    }

    fn with_candidates(&self, mut candidates: impl Iterator<Item = BigDecimal>) -> Search {
        let found = candidates.find_map(|number| self.fits(&number).then(|| number_of(&number)).flatten());
        found.map_or(Search::Unknown(Reason::Precision), |number| Search::Found(Value::Number(number)))
    }
}

/// The quotient as a whole number, rounded up or down; exact however long the numbers are.
fn quotient(value: &BigDecimal, step: &BigDecimal, round_up: bool) -> BigInt {
    let scale = value.fractional_digit_count().max(step.fractional_digit_count()).max(0);
    let whole = |number: &BigDecimal| number.with_scale(scale).into_bigint_and_exponent().0;
    match round_up {
        true => whole(value).div_ceil(&whole(step)),
        false => whole(value).div_floor(&whole(step)),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use crate::number::is_integer;

    fn decimal(text: &str) -> BigDecimal {
        BigDecimal::from_str(text).unwrap().normalized()
    }

    fn wanted(lower: Option<&str>, upper: Option<&str>, steps: &[&str], avoided_steps: &[&str]) -> Wanted {
        let bound = |text: &str| Bound { value: decimal(text.trim_matches('!')), exclusive: text.contains('!') };
        let all = |texts: &[&str]| texts.iter().map(|text| decimal(text)).collect();
        Wanted {
            lower: lower.map(bound),
            upper: upper.map(bound),
            steps: all(steps),
            avoided_steps: all(avoided_steps),
            avoided: vec![decimal("0")],
        }
    }

    #[test]
    fn numbers_are_found_or_shown_not_to_be() {
        type Case<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str], &'a [&'a str], bool);
        let table: [Case<'_>; 14] = [
            (None, None, &["1"], &[], true),
            (Some("0"), Some("1!"), &["1"], &[], false),
            (Some("0!"), Some("1"), &["1"], &[], true),
            (None, None, &["1", "6"], &["3"], false),
            (None, None, &["3"], &["6"], true),
            (Some("1"), Some("1000000"), &["1"], &["2", "3", "5", "7"], true),
            (Some("2"), Some("4"), &["1"], &["2", "3"], false),
            (None, None, &[], &["1"], true),
            (Some("1"), Some("1"), &[], &["1"], false),
            (Some("0.1"), Some("0.1"), &[], &["1"], true),
            (Some("0.1!"), Some("0.1"), &[], &["1"], false),
            (Some("1"), Some("0"), &[], &[], false),
            (Some("-5!"), Some("-4!"), &["1"], &[], false),
            (None, Some("-1e30"), &["1"], &[], true),
        ];
        for (lower, upper, steps, avoided_steps, expected) in table {
            let wanted = wanted(lower, upper, steps, avoided_steps);
            match wanted.settle() {
                Search::Found(Value::Number(number)) => {
                    assert!(expected && wanted.fits(&decimal_of(&number)), "{lower:?} {upper:?} {steps:?}: {number}");
                    assert_eq!(is_integer(&decimal_of(&number)), !avoided_steps.contains(&"1"));
                }
                other => assert!(!expected && other == Search::Empty, "{lower:?} {upper:?} {steps:?}: {other:?}"),
            }
        }
    }
}
