//! Decisions that were made before.
//!
//! A decision follows from the policies and from those fields of the question that they read, and from nothing else: policies
//! that name a builtin with a mind of its own are refused. So a question that differs only in what no policy reads, such as
//! the aggregate's id, has the answer of the one before it, without an evaluation.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use regorus::Value;

use super::Decision;

/// Decisions are small, and questions differ by role, command and amount at most.
const REMEMBERED_MAX: usize = 4_096;

/// What is left of a question once everything is taken away that no policy reads.
pub(super) type Essence = Value;

pub(super) struct Remembered {
    /// `None`: some policy looks at the question as a whole.
    fields_read: Option<BTreeSet<Value>>,
    decisions: Mutex<BTreeMap<Essence, Decision>>,
}

impl Remembered {
    /// `fields_read` are the names of the question's fields that some policy reads; `None` stands for all.
    pub(super) fn new(fields_read: Option<BTreeSet<String>>) -> Self {
        let fields_read = fields_read.map(|names| names.into_iter().map(Value::from).collect());
        Self { fields_read, decisions: Mutex::default() }
    }

    pub(super) fn essence(&self, question: &Value) -> Essence {
        let (Some(read), Ok(fields)) = (&self.fields_read, question.as_object()) else { return question.clone() };
        let read_ones = fields.iter().filter(|(name, _)| read.contains(name));
        Value::from(read_ones.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>())
    }

    pub(super) fn find(&self, essence: &Essence) -> Option<Decision> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).get(essence).cloned()
    }

    pub(super) fn keep(&self, essence: Essence, decision: &Decision) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= REMEMBERED_MAX {
            // Whoever asks so many different questions gains little from any one of them.
            decisions.clear();
        }
        decisions.insert(essence, decision.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn essence(remembered: &Remembered, question: serde_json::Value) -> Essence {
        remembered.essence(&Value::from(question))
    }

    #[test]
    fn questions_are_told_apart_by_what_is_read_of_them() {
        let by_role = Remembered::new(Some(BTreeSet::from(["role".to_owned()])));
        let asked = |role: &str, id: &str| json!({"role": role, "aggregate": id});
        assert_eq!(essence(&by_role, asked("customer", "o-1")), essence(&by_role, asked("customer", "o-2")));
        assert_ne!(essence(&by_role, asked("customer", "o-1")), essence(&by_role, asked("support", "o-1")));
        assert_ne!(essence(&by_role, json!({"role": null})), essence(&by_role, json!({})));
        let by_all = Remembered::new(None);
        assert_ne!(essence(&by_all, asked("customer", "o-1")), essence(&by_all, asked("customer", "o-2")));
        assert_ne!(essence(&by_role, json!("role")), essence(&by_role, json!("another")));
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let remembered = Remembered::new(None);
        for number in 0..REMEMBERED_MAX + 3 {
            remembered.keep(Value::from(number as u64), &Decision::Allow);
        }
        assert_eq!(remembered.decisions.lock().unwrap().len(), 3);
        assert_eq!(remembered.find(&Value::from(REMEMBERED_MAX as u64)), Some(Decision::Allow));
        assert_eq!(remembered.find(&Value::from(0_u64)), None);
    }
}
