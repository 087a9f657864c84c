//! Linearizability of what clients saw, aggregate by aggregate.

use std::collections::BTreeMap;

use super::{CartState, Completion, Model, Operation, OrderState, PaymentState, Verdict, decide};
use crate::{
    CheckInput, Checker, Finding, Needs, Request, SentCommand, Violation,
    answer::{Answer, OrderView},
    finding::Examination,
    sent::{Submission, submissions},
};

/// One aggregate, whichever its kind: an untouched one takes the kind of the first command that is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct AggregateModel;

/// The naive state of one aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AggregateState {
    Order(OrderState),
    Payment(PaymentState),
    Cart(CartState),
    Untouched,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AggregateInput {
    Command(SentCommand),
    ReadOrder,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AggregateOutput {
    /// `events` holds type and version of each.
    Accepted {
        version: u64,
        events: Vec<(String, u64)>,
    },
    /// The domain refused with this code.
    Refused {
        code: String,
    },
    Order(OrderView),
    NotFound,
}

impl Model for AggregateModel {
    type State = AggregateState;
    type Input = AggregateInput;
    type Output = AggregateOutput;

    fn initial(&self) -> AggregateState {
        AggregateState::Untouched
    }

    fn step(
        &self,
        state: &AggregateState,
        input: &AggregateInput,
        output: Option<&AggregateOutput>,
    ) -> Option<AggregateState> {
        match input {
            AggregateInput::ReadOrder => output.is_none_or(|seen| state.can_show(seen)).then(|| state.clone()),
            AggregateInput::Command(command) => state.command(command, output),
        }
    }
}

impl AggregateState {
    fn command(&self, command: &SentCommand, output: Option<&AggregateOutput>) -> Option<Self> {
        let refusals = self.refusals(command);
        match output {
            None if refusals.is_empty() => Some(self.after(command)),
            None => Some(self.clone()),
            Some(AggregateOutput::Accepted { version, events }) => {
                let types = command.event_types();
                let expected = types.iter().zip(self.version() + 1..);
                let is_expected = refusals.is_empty()
                    && *version == self.version() + command.versions()
                    && events.len() == types.len()
                    && events.iter().zip(expected).all(|((event_type, at), (expected_type, expected_at))| {
                        event_type == expected_type && *at == expected_at
                    });
                is_expected.then(|| self.after(command))
            }
            Some(AggregateOutput::Refused { code }) => refusals.contains(&code.as_str()).then(|| self.clone()),
            Some(AggregateOutput::Order(_) | AggregateOutput::NotFound) => None,
        }
    }

    fn can_show(&self, output: &AggregateOutput) -> bool {
        match (self, output) {
            (AggregateState::Untouched, AggregateOutput::NotFound) => true,
            (AggregateState::Order(order), AggregateOutput::Order(view)) => {
                view.status == order.status.name()
                    && view.version == order.version
                    && view.total_cents.is_none_or(|total_cents| total_cents == order.total_cents)
                    && view.customer_id.as_ref().is_none_or(|customer_id| *customer_id == order.customer_id)
            }
            _ => false,
        }
    }

    fn version(&self) -> u64 {
        match self {
            AggregateState::Order(order) => order.version,
            AggregateState::Payment(payment) => payment.version,
            AggregateState::Cart(cart) => cart.version,
            AggregateState::Untouched => 0,
        }
    }

    fn refusals(&self, command: &SentCommand) -> Vec<&'static str> {
        match self {
            AggregateState::Order(order) => order.refusals(command),
            AggregateState::Payment(payment) => payment.refusals(command),
            AggregateState::Cart(cart) => cart.refusals(command),
            AggregateState::Untouched => Self::fresh(command).refusals(command),
        }
    }

    fn after(&self, command: &SentCommand) -> Self {
        match self {
            AggregateState::Order(order) => AggregateState::Order(order.after(command)),
            AggregateState::Payment(payment) => AggregateState::Payment(payment.after(command)),
            AggregateState::Cart(cart) => AggregateState::Cart(cart.after(command)),
            AggregateState::Untouched => Self::fresh(command).after(command),
        }
    }

    /// The empty aggregate of the kind that a command is about.
    fn fresh(command: &SentCommand) -> Self {
        use SentCommand::*;
        match command {
            PlaceOrder { .. }
            | ConfirmPayment { .. }
            | ShipOrder { .. }
            | ConfirmPaymentAndShip { .. }
            | CancelOrder { .. } => AggregateState::Order(OrderState::default()),
            ProcessPayment { .. } | RefundPayment { .. } => AggregateState::Payment(PaymentState::default()),
            AddItemToCart { .. } | RemoveItemFromCart { .. } | ReplaceItemInCart { .. } | AbandonCart { .. } => {
                AggregateState::Cart(CartState::default())
            }
        }
    }
}

/// What clients saw of each aggregate can be put into one order that the naive rules accept.
pub struct Linearizability;

/// One operation of the search, with the customers' operations behind it.
struct Seen {
    operations: Vec<u32>,
    told: String,
}

#[derive(Default)]
struct AggregateHistory {
    operations: Vec<Operation<AggregateInput, AggregateOutput>>,
    seen: Vec<Seen>,
}

impl Checker for Linearizability {
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn needs(&self) -> Needs {
        Needs::ObservationOnly
    }

    fn describe(&self) -> &'static str {
        "What clients saw of each aggregate fits one order of commands and reads, each at an instant between its first request and its answer; commands without an answer may take effect at any time or never."
    }

    fn check(&self, input: &CheckInput) -> Finding {
        let mut examination = Examination::default();
        for (aggregate, history) in histories(input) {
            for _ in &history.operations {
                examination.examine();
            }
            match decide(&AggregateModel, &history.operations, input.settings.linearizability_steps_max) {
                Verdict::Linearizable { .. } => {}
                Verdict::Undecided { steps } => {
                    examination.undecided(format!("{aggregate} was not decided within {steps} steps"));
                }
                Verdict::NotLinearizable { prefix, stuck, .. } => {
                    examination.violation(history.violation(&aggregate, &prefix, &stuck));
                }
            }
        }
        examination.finish(self.name())
    }
}

impl AggregateHistory {
    fn push(&mut self, operation: Operation<AggregateInput, AggregateOutput>, operations: Vec<u32>) {
        let answered = match &operation.completion {
            Some(completion) => format!("answered at {} ns: {:?}", completion.completed_ns, completion.output),
            None => "never answered".to_owned(),
        };
        let told = format!("{:?} from {} ns, {answered}", operation.input, operation.invoked_ns);
        self.operations.push(operation);
        self.seen.push(Seen { operations, told });
    }

    fn violation(&self, aggregate: &str, prefix: &[usize], stuck: &[usize]) -> Violation {
        let definite = |index: &&usize| self.operations[**index].completion.is_some();
        let mut violation = Violation::new(format!(
            "No order of the operations on {aggregate} explains what clients saw: after {} of {} operations none of the next can follow.",
            prefix.len(),
            self.operations.len()
        ))
        .key(aggregate);
        for &index in prefix.iter().rev().take(5).rev() {
            violation = violation.evidence(format!("could be ordered: {}", self.seen[index].told));
        }
        for &index in stuck.iter().filter(definite) {
            let seen = &self.seen[index];
            violation = violation.evidence(format!("cannot follow: {}", seen.told)).operations(seen.operations.clone());
        }
        let first = stuck.iter().filter(definite).filter_map(|&index| self.operations[index].completion.as_ref());
        violation.at_ns = first.map(|completion| completion.completed_ns).min();
        violation
    }
}

fn histories(input: &CheckInput) -> BTreeMap<String, AggregateHistory> {
    let mut histories: BTreeMap<String, AggregateHistory> = BTreeMap::new();
    for submission in submissions(input) {
        let Some(command) = SentCommand::read(submission.body) else { continue };
        let aggregate = command.aggregate();
        let Some(operation) = command_operation(&submission, command) else { continue };
        histories.entry(aggregate).or_default().push(operation, submission.operations().collect());
    }
    for attempt in &input.observation.attempts {
        // Eventual reads promise no more than some past state; the check of views looks at those.
        let (Request::ReadOrder { order_id, eventual: false }, Some(completed_ns)) =
            (&attempt.request, attempt.completed_ns)
        else {
            continue;
        };
        let output = match Answer::of(attempt) {
            Answer::Read(view) => AggregateOutput::Order(view),
            Answer::NotFound => AggregateOutput::NotFound,
            _ => continue,
        };
        let completion = Some(Completion { output, completed_ns });
        let operation = Operation { input: AggregateInput::ReadOrder, invoked_ns: attempt.invoked_ns, completion };
        histories.entry(format!("order-{order_id}")).or_default().push(operation, vec![attempt.operation]);
    }
    histories
}

/// All retries under one key are one operation, from the first request to the first answer that is kept. `None` if
/// it certainly did nothing.
fn command_operation(
    submission: &Submission<'_>,
    command: SentCommand,
) -> Option<Operation<AggregateInput, AggregateOutput>> {
    let completion = submission.first_kept_answer().and_then(|(completed_ns, answer)| {
        let output = match answer {
            Answer::Accepted(accepted) => AggregateOutput::Accepted {
                version: accepted.version,
                events: accepted.events.iter().map(|event| (event.event_type.clone(), event.version)).collect(),
            },
            Answer::DomainRefused { code } => AggregateOutput::Refused { code: code.clone() },
            _ => return None,
        };
        Some(Completion { output, completed_ns })
    });
    let may_have_effect = completion.is_some() || submission.is_in_doubt();
    let invoked_ns = submission.invoked_ns();
    may_have_effect.then_some(Operation { input: AggregateInput::Command(command), invoked_ns, completion })
}
