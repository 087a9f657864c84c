//! Numbers and names in the form in which people read them, the same on every face.

/// Milliseconds with about three digits: "0.35", "4.12", "42.1", "1,204". A dash if nothing was measured.
pub fn milliseconds(ms: Option<f64>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms) if ms < 9.995 => format!("{ms:.2}"),
        Some(ms) if ms < 99.95 => format!("{ms:.1}"),
        Some(ms) => count(ms.round() as u64),
    }
}

/// A whole number with its thousands apart: "12,345".
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A stretch of time: "0.92 s", "66.0 s", "8 min 48 s", "3 h 20 min".
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{:.2} s", seconds.max(0.0)),
        10..120 => format!("{seconds:.1} s"),
        120..7_200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3_600), whole / 60 % 60),
    }
}

/// Bytes in binary units: "48.2 MiB".
pub fn bytes(bytes: u64) -> String {
    let scaled = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", scaled(1_024)),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", scaled(1_048_576)),
        _ => format!("{:.2} GiB", scaled(1_073_741_824)),
    }
}

/// A percentile's name: "p50", "p99.9".
pub fn percentile(percentile: f64) -> String {
    format!("p{percentile}")
}

/// "1 trial", "2 trials".
pub fn plural(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(number))
}

/// The text without control characters: a name out of a file must not steer the reader's terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (milliseconds(None), "–"),
            (milliseconds(Some(0.354)), "0.35"),
            (milliseconds(Some(9.994)), "9.99"),
            (milliseconds(Some(9.996)), "10.0"),
            (milliseconds(Some(99.96)), "100"),
            (milliseconds(Some(1_234.4)), "1,234"),
            (count(0), "0"),
            (count(999), "999"),
            (count(1_000), "1,000"),
            (count(12_345_678), "12,345,678"),
            (seconds(0.9), "0.90 s"),
            (seconds(66.04), "66.0 s"),
            (seconds(528.2), "8 min 48 s"),
            (seconds(12_000.0), "3 h 20 min"),
            (bytes(1_000), "1000 B"),
            (bytes(50_541_363), "48.2 MiB"),
            (percentile(99.0), "p99"),
            (percentile(99.9), "p99.9"),
            (plural(1, "trial"), "1 trial"),
            (plural(2, "trial"), "2 trials"),
            (printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}"),
        ];
        for (text, wanted) in cases {
            assert_eq!(text, wanted);
        }
    }
}
