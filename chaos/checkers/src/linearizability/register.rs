//! A register with read, write and compare-and-set.

use super::Model;

/// One register that holds nothing at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterInput {
    Read,
    Write(i64),
    CompareAndSet { expected: i64, new: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutput {
    Value(Option<i64>),
    Written,
    /// Whether the expected value was found, and so replaced.
    Compared(bool),
}

impl Model for Register {
    type State = Option<i64>;
    type Input = RegisterInput;
    type Output = RegisterOutput;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(&self, state: &Option<i64>, input: &RegisterInput, output: Option<&RegisterOutput>) -> Option<Option<i64>> {
        let (after, answer) = match *input {
            RegisterInput::Read => (*state, RegisterOutput::Value(*state)),
            RegisterInput::Write(value) => (Some(value), RegisterOutput::Written),
            RegisterInput::CompareAndSet { expected, new } if *state == Some(expected) => {
                (Some(new), RegisterOutput::Compared(true))
            }
            RegisterInput::CompareAndSet { .. } => (*state, RegisterOutput::Compared(false)),
        };
        output.is_none_or(|seen| *seen == answer).then_some(after)
    }
}
