//! The views that were used last.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use nexus_ports::StreamName;

use crate::fold::View;

/// A bounded cache; what was not used for the longest time goes first. Whatever it says was true once: a write on top
/// of it is conditional, and is refused if someone else wrote meanwhile.
pub(crate) struct ViewCache {
    entries_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    views: BTreeMap<StreamName, (u64, View)>,
    by_use: BTreeMap<u64, StreamName>,
    uses: u64,
}

impl ViewCache {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries_max, state: Mutex::default() }
    }

    pub(crate) fn get(&self, stream: &StreamName) -> Option<View> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let view = state.remove(stream)?;
        state.insert(stream.clone(), view.clone());
        Some(view)
    }

    /// Keeps the view, unless a newer one is kept already.
    pub(crate) fn put(&self, stream: &StreamName, view: View) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = match state.remove(stream) {
            Some(kept) if kept.version() > view.version() => kept,
            _ => view,
        };
        state.insert(stream.clone(), newest);
        while state.views.len() > self.entries_max {
            let Some((_, oldest)) = state.by_use.pop_first() else { break };
            state.views.remove(&oldest);
        }
    }

    pub(crate) fn forget(&self, stream: &StreamName) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }
}

impl State {
    fn insert(&mut self, stream: StreamName, view: View) {
        self.uses += 1;
        self.by_use.insert(self.uses, stream.clone());
        self.views.insert(stream, (self.uses, view));
    }

    fn remove(&mut self, stream: &StreamName) -> Option<View> {
        let (used, view) = self.views.remove(stream)?;
        self.by_use.remove(&used);
        Some(view)
    }
}

#[cfg(test)]
mod tests {
    use nexus_ports::Version;

    use super::*;
    use crate::fold::{PaymentView, PaymentViewStatus};

    fn view(name: &str, version: u64) -> (StreamName, View) {
        let stream: StreamName = name.parse().unwrap();
        let view = View::Payment(PaymentView {
            stream: stream.clone(),
            version: Version(version),
            payment_id: name.to_owned(),
            status: PaymentViewStatus::Processed,
            order_id: "o".to_owned(),
            method: "card".to_owned(),
            processed_cents: 1,
            refunded_cents: 0,
        });
        (stream, view)
    }

    #[test]
    fn what_was_not_used_longest_goes_first() {
        let cache = ViewCache::new(2);
        let ((a, view_a), (b, view_b), (c, view_c)) = (view("a", 1), view("b", 1), view("c", 1));
        cache.put(&a, view_a.clone());
        cache.put(&b, view_b);
        assert_eq!(cache.get(&a), Some(view_a.clone()));
        cache.put(&c, view_c.clone());
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (Some(view_a), None, Some(view_c)));
    }

    #[test]
    fn an_older_view_does_not_replace_a_newer_one() {
        let cache = ViewCache::new(2);
        let (a, newer) = view("a", 3);
        cache.put(&a, newer.clone());
        cache.put(&a, view("a", 2).1);
        assert_eq!(cache.get(&a), Some(newer));
        cache.forget(&a);
        assert_eq!(cache.get(&a), None);
    }
}
