//! Delta debugging over a list: which of its members are needed.

/// Takes ever smaller stretches out of the list for as long as `first_that_fails` finds that the rest still fails, down to
/// single members, and ends when no single member can be taken out any more: the list is then 1-minimal.
///
/// `first_that_fails` gets candidates in order and answers with the position of the first that fails. How many of them it
/// tries at a time is its own affair: the result is the same.
pub fn minimise<T: Clone>(mut items: Vec<T>, first_that_fails: &mut dyn FnMut(Vec<Vec<T>>) -> Option<usize>) -> Vec<T> {
    if items.is_empty() || first_that_fails(vec![Vec::new()]).is_some() {
        return Vec::new();
    }
    let mut size = items.len().div_ceil(2);
    loop {
        let before = items.len();
        let mut from = 0;
        while from < items.len() {
            // All stretches from here on, so that several can be tried at a time.
            let starts: Vec<usize> = (from..items.len()).step_by(size).collect();
            let candidates = starts.iter().map(|start| without(&items, *start, size)).collect();
            match first_that_fails(candidates) {
                Some(winner) => {
                    // What follows moves up to the place of what was taken out.
                    from = starts[winner];
                    items = without(&items, from, size);
                }
                None => break,
            }
        }
        match size {
            1 if items.len() == before => return items,
            1 => {}
            _ => size = (size / 2).min(items.len().max(1)),
        }
    }
}

fn without<T: Clone>(items: &[T], from: usize, size: usize) -> Vec<T> {
    let until = (from + size).min(items.len());
    items[..from].iter().chain(&items[until..]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts trials, and asks in waves of `jobs` as the shrinker does.
    fn run(all: usize, jobs: usize, fails: impl Fn(&[usize]) -> bool) -> (Vec<usize>, usize) {
        let mut trials = 0;
        let mut oracle = |candidates: Vec<Vec<usize>>| {
            for (wave, members) in candidates.chunks(jobs).enumerate() {
                trials += members.len();
                if let Some(winner) = members.iter().position(|candidate| fails(candidate)) {
                    return Some(wave * jobs + winner);
                }
            }
            None
        };
        (minimise((0..all).collect(), &mut oracle), trials)
    }

    #[test]
    fn only_what_is_needed_stays_and_few_trials_tell_it() {
        for needed in [vec![], vec![0], vec![199], vec![3, 77, 150], vec![10, 11, 12, 13, 14]] {
            let fails = |left: &[usize]| needed.iter().all(|one| left.contains(one));
            let (left, trials) = run(200, 1, fails);
            assert_eq!(left, needed);
            assert!(trials < 130, "{needed:?} took {trials} trials");
        }
    }

    proptest! {
        #[test]
        fn the_result_is_one_minimal_and_does_not_depend_on_how_many_run_at_a_time(
            all in 1usize..40,
            needed in proptest::collection::vec(proptest::collection::vec(0usize..40, 1..4), 1..3),
            jobs in 1usize..6,
        ) {
            // Fails if any of the sets of needed members is there: more than one way to fail.
            let needed: Vec<Vec<usize>> =
                needed.into_iter().map(|set| set.into_iter().map(|one| one % all).collect()).collect();
            let fails = |left: &[usize]| needed.iter().any(|set| set.iter().all(|one| left.contains(one)));
            let (left, _) = run(all, jobs, fails);
            prop_assert!(fails(&left));
            for index in 0..left.len() {
                prop_assert!(!fails(&without(&left, index, 1)), "{left:?} can do without {index}");
            }
            prop_assert_eq!(left, run(all, 1, fails).0);
        }
    }
}
