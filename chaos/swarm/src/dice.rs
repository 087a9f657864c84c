//! Draws from proptest strategies, one after another, by a runner whose every draw follows from its seed.

use proptest::{
    sample::select,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

/// One value of the strategy.
pub fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    match strategy.new_tree(runner) {
        Ok(tree) => tree.current(),
        Err(reason) => unreachable!("the strategies of a swarm filter nothing out: {reason}"),
    }
}

/// One of them. There must be one.
pub fn one_of<T: Clone + std::fmt::Debug + 'static>(runner: &mut TestRunner, choices: &[T]) -> T {
    draw(runner, select(choices.to_vec()))
}

/// True in so many of a hundred draws.
pub fn chance(runner: &mut TestRunner, percent: u32) -> bool {
    draw(runner, 0_u32..100) < percent
}

/// A place below `count`, which is at least 1.
pub fn index(runner: &mut TestRunner, count: usize) -> usize {
    draw(runner, 0..count.max(1))
}
