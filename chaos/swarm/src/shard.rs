//! Which part of a run one machine plays, told by hand or by what starts many machines.

use std::str::FromStr;

/// One of `count` equal parts; `index` counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub index: u64,
    pub count: u64,
}

/// A shard that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableShard {
    #[error("`{text}` is no shard; write I/N, such as 1/4 for the first of four")]
    Form { text: String },
    #[error("shard {index} of {count} does not exist; they are numbered from {first} to {last}")]
    Outside { index: u64, count: u64, first: u64, last: u64 },
    #[error("`{name}` is `{value}`, which is no number")]
    Variable { name: &'static str, value: String },
}

/// Pairs of variables by which services tell a machine its part, and the number of the first part.
const VARIABLES: [(&str, &str, u64); 5] = [
    // AWS Batch, array jobs.
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", 0),
    // GitLab.
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    // Kubernetes, indexed jobs; the count has to be handed in.
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", 0),
];

impl Shard {
    /// Everything.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// What the environment says; the whole if it says nothing. A pair counts only if both of its variables are there.
    ///
    /// # Errors
    /// If a variable of the first complete pair holds no number, or a part that does not exist.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, UnusableShard> {
        for (index_name, count_name, first) in VARIABLES {
            let (Some(index), Some(count)) = (variable(index_name), variable(count_name)) else { continue };
            let number = |name, value: String| {
                value.parse::<u64>().map_err(|_| UnusableShard::Variable { name, value: value.clone() })
            };
            return Shard::counted_from(first, number(index_name, index)?, number(count_name, count)?);
        }
        Ok(Shard::WHOLE)
    }

    fn counted_from(first: u64, index: u64, count: u64) -> Result<Shard, UnusableShard> {
        let last = (first + count).saturating_sub(1);
        if count == 0 || !(first..=last).contains(&index) {
            return Err(UnusableShard::Outside { index, count, first, last });
        }
        Ok(Shard { index: index - first, count })
    }

    /// The positions below `total` that belong to this shard; without a bound, one after another for ever.
    pub fn positions(self, total: Option<u64>) -> impl Iterator<Item = u64> {
        let until = total.unwrap_or(u64::MAX);
        (self.index..until).step_by(usize::try_from(self.count).unwrap_or(usize::MAX))
    }
}

impl FromStr for Shard {
    type Err = UnusableShard;

    /// `I/N`, counted from 1.
    fn from_str(text: &str) -> Result<Shard, UnusableShard> {
        let form = || UnusableShard::Form { text: text.to_owned() };
        let (index, count) = text.split_once('/').ok_or_else(form)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| form());
        Shard::counted_from(1, number(index)?, number(count)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn shards_by_hand_count_from_one() {
        let table = [
            ("1/1", Ok(Shard::WHOLE)),
            ("1/4", Ok(Shard { index: 0, count: 4 })),
            ("4/4", Ok(Shard { index: 3, count: 4 })),
            ("0/4", Err(UnusableShard::Outside { index: 0, count: 4, first: 1, last: 4 })),
            ("5/4", Err(UnusableShard::Outside { index: 5, count: 4, first: 1, last: 4 })),
            ("1/0", Err(UnusableShard::Outside { index: 1, count: 0, first: 1, last: 0 })),
            ("1", Err(UnusableShard::Form { text: "1".into() })),
            ("a/b", Err(UnusableShard::Form { text: "a/b".into() })),
        ];
        for (text, wanted) in table {
            assert_eq!(text.parse::<Shard>(), wanted, "{text}");
        }
    }

    #[test]
    fn the_environment_speaks_each_service_s_language() {
        let table: [(&[(&str, &str)], _); 6] = [
            (&[], Ok(Shard::WHOLE)),
            (&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "3")], Ok(Shard { index: 1, count: 3 })),
            (
                &[("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")],
                Ok(Shard { index: 0, count: 8 }),
            ),
            (&[("AWS_BATCH_JOB_ARRAY_INDEX", "2")], Ok(Shard::WHOLE)),
            (
                &[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "3")],
                Err(UnusableShard::Outside { index: 0, count: 3, first: 1, last: 3 }),
            ),
            (
                &[("CI_NODE_INDEX", "two"), ("CI_NODE_TOTAL", "3")],
                Err(UnusableShard::Variable { name: "CI_NODE_INDEX", value: "two".into() }),
            ),
        ];
        for (given, wanted) in table {
            let variables: BTreeMap<&str, &str> = given.iter().copied().collect();
            let shard = Shard::from_environment(|name| variables.get(name).map(|value| (*value).to_owned()));
            assert_eq!(shard, wanted, "{given:?}");
        }
    }

    #[test]
    fn the_parts_make_up_the_whole() {
        for count in 1..6 {
            let mut all: Vec<u64> = (0..count).flat_map(|index| Shard { index, count }.positions(Some(20))).collect();
            all.sort_unstable();
            assert_eq!(all, (0..20).collect::<Vec<_>>());
        }
    }
}
