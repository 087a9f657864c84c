//! Amounts are whole cents in a `u64`. Every sum and product is checked: money never wraps.

use crate::OrderLine;

/// Quantity times unit price; `None` if it exceeds a `u64`.
pub(crate) fn line_total_cents(quantity: u32, unit_price_cents: u64) -> Option<u64> {
    u64::from(quantity).checked_mul(unit_price_cents)
}

/// The sum over all lines; `None` if it exceeds a `u64`.
pub(crate) fn total_cents<'a>(lines: impl IntoIterator<Item = &'a OrderLine>) -> Option<u64> {
    lines
        .into_iter()
        .try_fold(0_u64, |sum, line| sum.checked_add(line_total_cents(line.quantity, line.unit_price_cents)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(quantity: u32, unit_price_cents: u64) -> OrderLine {
        OrderLine { sku: "A".into(), quantity, unit_price_cents }
    }

    #[test]
    fn totals_add_up_or_say_that_they_cannot() {
        let table = [
            (vec![], Some(0)),
            (vec![line(3, 250)], Some(750)),
            (vec![line(3, 250), line(1, 1)], Some(751)),
            (vec![line(1, u64::MAX)], Some(u64::MAX)),
            (vec![line(2, u64::MAX)], None),
            (vec![line(1, u64::MAX), line(1, 1)], None),
            (vec![line(u32::MAX, u64::from(u32::MAX))], Some(u64::from(u32::MAX) * u64::from(u32::MAX))),
        ];
        for (lines, expected) in table {
            assert_eq!(total_cents(&lines), expected, "{lines:?}");
        }
    }
}
