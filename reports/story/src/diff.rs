//! Where two runs part, and what differs from there on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    model::{Step, Story},
    text::step_line,
};

/// The differences of two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryDiff {
    /// The first step that differs: its number, and what it is in either run (none where that run has ended). `None` if
    /// the runs are the same.
    pub first: Option<(u32, Option<String>, Option<String>)>,
    /// By aggregate, then by host.
    pub groups: Vec<DiffGroup>,
}

/// How the runs differ over one aggregate or one host, after they have parted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffGroup {
    /// `aggregate` or `host`.
    pub of: String,
    pub name: String,
    /// Steps of the first run that the second has not, and the other way round; texts, without their times.
    pub only_first: Vec<String>,
    pub only_second: Vec<String>,
    /// Final states that differ: what it is, in the first run, in the second.
    pub ends: Vec<(String, Option<String>, Option<String>)>,
}

impl StoryDiff {
    /// Compares two runs. Steps are the same if time, host and text are.
    pub fn of(one: &Story, other: &Story) -> StoryDiff {
        let length = one.steps.len().max(other.steps.len());
        let same = |index: &usize| match (one.steps.get(*index), other.steps.get(*index)) {
            (Some(a), Some(b)) => {
                a.at_us == b.at_us && one.host_name(a.host) == other.host_name(b.host) && a.text == b.text
            }
            _ => false,
        };
        let Some(index) = (0..length).find(|index| !same(index)) else {
            return StoryDiff { first: None, groups: Vec::new() };
        };
        let line = |story: &Story| story.steps.get(index).map(|step| step_line(story, step));
        let number = one.steps.get(index).or(other.steps.get(index)).map_or(0, |step| step.number);
        let mut groups = groups("aggregate", one, other, index, |_, step| step.aggregate.clone());
        groups
            .extend(self::groups("host", one, other, index, |story, step| Some(story.host_name(step.host).to_owned())));
        StoryDiff { first: Some((number, line(one), line(other))), groups }
    }
}

type Texts = BTreeMap<String, Vec<String>>;

fn groups(
    of: &str,
    one: &Story,
    other: &Story,
    from: usize,
    name_of: impl Fn(&Story, &Step) -> Option<String>,
) -> Vec<DiffGroup> {
    let texts = |story: &Story| -> Texts {
        let mut texts = Texts::new();
        for step in story.steps.iter().skip(from) {
            if let Some(name) = name_of(story, step) {
                texts.entry(name).or_default().push(step.text.clone());
            }
        }
        texts
    };
    let (first, second) = (texts(one), texts(other));
    let (first_end, second_end) = (ends(of, one), ends(of, other));
    let names: BTreeSet<&String> =
        first.keys().chain(second.keys()).chain(first_end.keys()).chain(second_end.keys()).collect();
    let group = |name: &String| {
        let none = Vec::new();
        let (a, b) = (first.get(name).unwrap_or(&none), second.get(name).unwrap_or(&none));
        let (end_a, end_b) = (first_end.get(name), second_end.get(name));
        DiffGroup {
            of: of.to_owned(),
            name: name.clone(),
            only_first: beyond(a, b),
            only_second: beyond(b, a),
            ends: differing_ends(end_a, end_b),
        }
    };
    let groups = names.into_iter().map(group);
    groups
        .filter(|group| !(group.only_first.is_empty() && group.only_second.is_empty() && group.ends.is_empty()))
        .collect()
}

/// The final states that belong to a name: of an aggregate its events and views, of a host whether it is up.
fn ends(of: &str, story: &Story) -> BTreeMap<String, BTreeMap<String, String>> {
    let last = story.steps.last().map_or(0, |step| step.number);
    let mut ends: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (group, entries) in story.state_at(last).groups {
        let belongs = if of == "host" { group == "host" } else { matches!(group.as_str(), "aggregate" | "view") };
        if belongs {
            for (name, entry) in entries {
                ends.entry(name).or_default().insert(group.clone(), entry.value);
            }
        }
    }
    ends
}

fn differing_ends(
    one: Option<&BTreeMap<String, String>>,
    other: Option<&BTreeMap<String, String>>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = one.into_iter().chain(other).flat_map(BTreeMap::keys).collect();
    let value = |of: Option<&BTreeMap<String, String>>, name: &String| of.and_then(|of| of.get(name)).cloned();
    let pair = |name: &String| (name.clone(), value(one, name), value(other, name));
    names.into_iter().map(pair).filter(|(_, a, b)| a != b).collect()
}

/// What `these` have more often than `those`, in order.
fn beyond(these: &[String], those: &[String]) -> Vec<String> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for text in those {
        *left.entry(without_numbers_of_calls(text)).or_default() += 1;
    }
    let mut more = Vec::new();
    for text in these {
        match left.get_mut(without_numbers_of_calls(text)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => more.push(text.clone()),
        }
    }
    more
}

/// The number of a call counts all calls before it, so one call more changes all that follow.
fn without_numbers_of_calls(text: &str) -> &str {
    text.strip_prefix("call ").and_then(|rest| rest.split_once(": ")).map_or(text, |(_, rest)| rest)
}
