//! Who may send what, told naively and apart from the policies in force.

use super::Check;
use crate::{
    CheckInput, Needs, SentCommand, Violation,
    finding::Examination,
    item::{event_key, events_written},
    sent::{submissions, submissions_by_key},
};

pub(crate) const POLICY: Check = Check {
    name: "policy",
    needs: Needs::GroundTruth,
    describe: "No stored event follows from a command that the sender's role may not send.",
    run: policy,
};

/// Orders above this need a role that answers for them.
const ORDER_TOTAL_CENTS_MAX: u128 = 5_000_000;

fn policy(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    let by_key = submissions_by_key(&submissions);
    for (write, event) in events_written(input) {
        let under_key = by_key.get(event.command_id.as_str()).map_or(&[][..], Vec::as_slice);
        // An event that nobody asked for is another check's business.
        let Some(source) = under_key.iter().find(|submission| submission.explains(&event)) else { continue };
        let Some(command) = SentCommand::read(source.body) else { continue };
        let is_permitted = source.attempts.iter().any(|(attempt, _)| is_permitted(&attempt.role, &command));
        examination.expect(is_permitted, || {
            let roles: Vec<&str> = source.attempts.iter().map(|(attempt, _)| attempt.role.as_str()).collect();
            Violation::new(format!("An event is stored that no sender's role permits: {}.", event.event_type))
                .key(event_key(&input.settings.events_table, &event))
                .at(write.at_ns)
                .evidence(format!("sent by {}: {}", roles.join(", "), source.body))
                .operations(source.operations())
        });
    }
}

fn is_permitted(role: &str, command: &SentCommand) -> bool {
    use SentCommand::*;
    let may_send = match role {
        "system" => true,
        "customer" => matches!(
            command,
            PlaceOrder { .. }
                | CancelOrder { .. }
                | AddItemToCart { .. }
                | RemoveItemFromCart { .. }
                | ReplaceItemInCart { .. }
                | AbandonCart { .. }
        ),
        "payments" => matches!(command, ConfirmPayment { .. } | ProcessPayment { .. } | RefundPayment { .. }),
        "support" => matches!(command, CancelOrder { .. } | RefundPayment { .. }),
        "warehouse" => matches!(command, ShipOrder { .. }),
        _ => false,
    };
    let is_within_limit = command.order_total_cents() <= ORDER_TOTAL_CENTS_MAX || matches!(role, "support" | "system");
    may_send && is_within_limit
}
