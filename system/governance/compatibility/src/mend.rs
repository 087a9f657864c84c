//! What to do about a finding.

use crate::options::Direction;

const KEEP_AS_NEW_VERSION: &str =
    "if the shape has to change, register it as a version of its own and raise stored events with an upcaster";

/// Advice for a change that breaks in a direction.
pub fn for_change(rule: &str, direction: Direction) -> String {
    let advice = match (rule, direction) {
        ("required-added", _) => "leave the field optional and give it a meaning when it is absent",
        ("required-dropped", _) => "keep the field required: old readers count on it",
        ("property-removed", _) => "keep the field in the schema, even if nobody writes it any longer",
        ("property-added", Direction::Backward) => {
            "old documents may hold anything under this name: choose a name that was refused so far, close the old model \
             first, or compare with lenient content models if writers write declared fields only"
        }
        ("property-added", Direction::Forward) => {
            "old readers refuse or misread the field: open their model (`additionalProperties`) before anyone writes it"
        }
        ("additional-properties-closed", _) => "leave the model open, or declare every field that was ever written",
        ("additional-properties-opened", _) => "keep the model closed: old readers refuse what they do not know",
        ("enum-value-removed", _) => "keep the value, since documents that hold it are stored",
        ("enum-value-added", _) => "let all readers accept the value before anyone writes it",
        ("type-changed", _) => "keep the type, and put the new form into a field of another name",
        (rule, Direction::Backward) if is_narrowing(rule) => "take the narrower bound back: stored documents exceed it",
        (rule, Direction::Forward) if is_widening(rule) => "widen the readers first, and let writers follow later",
        (_, Direction::Backward) => "let the new schema accept what the old one accepted",
        (_, Direction::Forward) => "let the new schema admit nothing that the old one refuses",
    };
    format!("{advice}; {KEEP_AS_NEW_VERSION}")
}

/// Whether the rule is about a lower bound, or an upper one.
fn bound(rule: &str) -> (bool, bool) {
    let begins = |word: &str| rule.starts_with(word) || rule.starts_with(&format!("exclusive-{word}"));
    (begins("min"), begins("max"))
}

fn is_narrowing(rule: &str) -> bool {
    let (lower, upper) = bound(rule);
    (lower && rule.ends_with("-raised"))
        || (upper && rule.ends_with("-lowered"))
        || ((lower || upper) && rule.ends_with("-added"))
}

fn is_widening(rule: &str) -> bool {
    let (lower, upper) = bound(rule);
    (lower && rule.ends_with("-lowered"))
        || (upper && rule.ends_with("-raised"))
        || ((lower || upper) && rule.ends_with("-dropped"))
}

/// Advice for what the house rule names.
pub fn for_house_rule(rule: &str) -> String {
    let advice = match rule {
        "house-removed-field" => "keep the field declared, and say in its description that it is no longer written",
        "house-new-required-field" => "declare the field, but do not require it",
        _ => "keep the type, and put the new form into a field of another name",
    };
    format!("{advice}; {KEEP_AS_NEW_VERSION}")
}

pub const UNDECIDED: &str =
    "simplify the place named here (plain patterns, fewer combinations), or take the change back";
