//! Everything that the queues hold, for judging.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    message::{Message, Place},
    queue::Queue,
};

pub fn inspect(queues: &BTreeMap<String, Queue>) -> Value {
    let queues: Map<String, Value> = queues.iter().map(|(name, queue)| (name.clone(), of_queue(queue))).collect();
    json!({"queues": queues})
}

fn of_queue(queue: &Queue) -> Value {
    json!({
        "visible": queue.visible(),
        "in_flight": queue.in_flight,
        "delayed": queue.delayed,
        "waiting_receives": queue.polls.len(),
        "messages": queue.messages.values().map(of_message).collect::<Vec<_>>(),
        "move_tasks": queue.moves.iter().map(|task| task.show()).collect::<Vec<_>>(),
    })
}

fn of_message(message: &Message) -> Value {
    let place = match message.place {
        Place::Visible => "visible",
        Place::InFlight { .. } => "in-flight",
        Place::Delayed { .. } => "delayed",
    };
    json!({
        "id": message.id,
        "group": message.group(),
        "place": place,
        "receive_count": message.receive_count,
        "sent_at_ms": message.sent_at.as_millis(),
        "body": message.draft.body,
    })
}
