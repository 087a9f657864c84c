//! Strict readers of values: each refusal says what would be right.

/// A count of at least one.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    match whole_number(text) {
        Some(number) if number > 0 => Ok(number),
        _ => Err(format!("a count is a whole number from 1 to {}", u64::MAX)),
    }
}

/// How many worker processes: more than this is a slip, and would only exhaust the machine.
const MOST_JOBS: u64 = 1024;

pub(crate) fn jobs(text: &str) -> Result<usize, String> {
    match whole_number(text) {
        Some(number) if (1..=MOST_JOBS).contains(&number) => Ok(number as usize),
        _ => Err(format!("the number of jobs is a whole number from 1 to {MOST_JOBS}")),
    }
}

pub(crate) fn seed(text: &str) -> Result<u64, String> {
    whole_number(text).ok_or_else(|| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// Any whole number: none at all is a count too.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    whole_number(text).ok_or_else(|| format!("this is a whole number from 0 to {}", u64::MAX))
}

/// The number of a step of a story; they are counted from 1.
pub(crate) fn step(text: &str) -> Result<u32, String> {
    let number = whole_number(text).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("a step is a whole number from 1 to {}", u32::MAX))
}

/// A name in lower case as files and tables carry it; an empty one would silently match nothing.
pub(crate) fn name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is not empty".to_owned()),
        trimmed if trimmed.len() != text.len() => Err("a name has no blanks around it".to_owned()),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// Digits only: `u64::from_str` alone would also take a leading plus.
fn whole_number(text: &str) -> Option<u64> {
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_jobs_and_seeds_are_strict() {
        let table = [
            ("0", None, None, Some(0)),
            ("1", Some(1), Some(1), Some(1)),
            ("1024", Some(1024), Some(1024), Some(1024)),
            ("1025", Some(1025), None, Some(1025)),
            ("18446744073709551615", Some(u64::MAX), None, Some(u64::MAX)),
            ("18446744073709551616", None, None, None),
            ("-1", None, None, None),
            ("+1", None, None, None),
            ("1.0", None, None, None),
            ("1e3", None, None, None),
            ("0x10", None, None, None),
            ("seven", None, None, None),
            (" 1", None, None, None),
            ("", None, None, None),
        ];
        for (text, expected_count, expected_jobs, expected_seed) in table {
            assert_eq!(count(text).ok(), expected_count, "count {text:?}");
            assert_eq!(jobs(text).ok(), expected_jobs, "jobs {text:?}");
            assert_eq!(seed(text).ok(), expected_seed, "seed {text:?}");
            let expected_step = expected_count.and_then(|number| u32::try_from(number).ok());
            assert_eq!(step(text).ok(), expected_step, "step {text:?}");
        }
    }

    #[test]
    fn names_are_not_blank() {
        assert!(name("").is_err());
        assert!(name(" ").is_err());
        assert!(name(" a").is_err());
        assert_eq!(name("a b"), Ok("a b".to_owned()));
    }
}
