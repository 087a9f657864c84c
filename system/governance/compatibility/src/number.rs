//! Numbers as JSON Schema means them: exact decimals, so that 1.0 is 1 and 0.3 is three times 0.1.

use std::str::FromStr;

use bigdecimal::{BigDecimal, Zero, num_bigint::BigInt};
use num_integer::Integer;
use serde_json::{Number, Value};

/// The decimal that a JSON number's text names, in its shortest form.
pub fn decimal_of(number: &Number) -> BigDecimal {
    BigDecimal::from_str(&number.to_string()).unwrap_or_default().normalized()
}

/// The JSON number of exactly this value; none where 64 bits cannot hold it.
pub fn number_of(decimal: &BigDecimal) -> Option<Number> {
    let parsed: Number = serde_json::from_str(&decimal.normalized().to_plain_string()).ok()?;
    (decimal_of(&parsed) == *decimal).then_some(parsed)
}

pub fn is_integer(decimal: &BigDecimal) -> bool {
    decimal.is_integer()
}

pub fn is_multiple(value: &BigDecimal, step: &BigDecimal) -> bool {
    !step.is_zero() && (value % step).is_zero()
}

/// The smallest positive number that is a whole multiple of both.
pub fn least_common_multiple(left: &BigDecimal, right: &BigDecimal) -> BigDecimal {
    let ((left_digits, _), (right_digits, _)) = (left.as_bigint_and_exponent(), right.as_bigint_and_exponent());
    if left_digits.is_zero() || right_digits.is_zero() {
        return left.clone();
    }
    let scale = left.fractional_digit_count().max(right.fractional_digit_count()).max(0);
    let whole = |number: &BigDecimal| -> BigInt { number.with_scale(scale).into_bigint_and_exponent().0 };
    BigDecimal::new(whole(left).lcm(&whole(right)), scale).normalized()
}

/// Whether two JSON values are the same value; 1 and 1.0 are.
pub fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || decimal_of(left) == decimal_of(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_value(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same_value(value, other)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decimal(text: &str) -> BigDecimal {
        BigDecimal::from_str(text).unwrap().normalized()
    }

    #[test]
    fn multiples_are_exact() {
        let table = [
            ("0.3", "0.1", true),
            ("4.5", "1.5", true),
            ("1", "0.3", false),
            ("0", "7", true),
            ("-6", "3", true),
            ("1e30", "7", false),
        ];
        for (value, step, expected) in table {
            assert_eq!(is_multiple(&decimal(value), &decimal(step)), expected, "{value} of {step}");
        }
    }

    #[test]
    fn common_multiples_are_the_least() {
        let table =
            [("2", "3", "6"), ("0.1", "0.25", "0.5"), ("1", "0.01", "1"), ("1.5", "1", "3"), ("100", "40", "200")];
        for (left, right, expected) in table {
            assert_eq!(least_common_multiple(&decimal(left), &decimal(right)), decimal(expected), "{left}, {right}");
        }
    }

    #[test]
    fn one_is_one_however_it_is_written() {
        assert!(same_value(&json!({"a": [1, 2.0]}), &json!({"a": [1.0, 2]})));
        assert!(!same_value(&json!([1]), &json!([1, 1])));
        assert!(!same_value(&json!(true), &json!(1)));
        assert_eq!(number_of(&decimal("1.50")), Some(Number::from_f64(1.5).unwrap()));
        assert_eq!(number_of(&decimal("1e400")), None);
    }
}
