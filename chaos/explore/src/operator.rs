//! What operators and other producers do to the bus, behind the system's back.

use nexus_cloud::{Cloud, Quirk, Service, UnixNanos, service::ServiceError};
use nexus_faults::{OperatorAct, RogueDeed, SchemaFate};
use nexus_world::{bus, registry};
use serde_json::{Value, json};

use crate::backlog::{EVENTS_TABLE as EVENTS, ROGUE_PREFIX};

/// Acts. `Ok(false)`: there was nothing to act on (yet), like a redrive without dead letters.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn operate(cloud: &mut Cloud, now: UnixNanos, act: &OperatorAct) -> Result<bool, ServiceError> {
    match act {
        OperatorAct::PoisonEvent { number } => poison_events(cloud, now, *number),
        OperatorAct::PoisonRecord { number } => {
            let request = json!({
                "StreamName": bus::CORE_STREAM,
                "PartitionKey": format!("{ROGUE_PREFIX}{number}"),
                // "this is no event"
                "Data": "dGhpcyBpcyBubyBldmVudA==",
            });
            cloud.call_now(now, Service::Kinesis, "PutRecord", request).map(|_| true)
        }
        OperatorAct::PoisonMessage { number } => {
            let request = json!({
                "QueueUrl": bus::queue_url(bus::NOTIFICATION_QUEUE),
                "MessageBody": format!("this is no event ({ROGUE_PREFIX}{number})"),
            });
            cloud.call_now(now, Service::Sqs, "SendMessage", request).map(|_| true)
        }
        OperatorAct::SplitShard => split(cloud, now),
        OperatorAct::MergeShards => merge(cloud, now),
        OperatorAct::Redrive { .. } => redrive(cloud, now),
        OperatorAct::RegisterUnusably { event_type, fate } => {
            let quirk = match fate {
                SchemaFate::Failed => Quirk::FailVersion,
                SchemaFate::Late | SchemaFate::Pending => Quirk::StayPending { release_after_ms: None },
            };
            registry::register(cloud, now, event_type, &[quirk]).map(|()| true)
        }
        OperatorAct::MendSchema { event_type } => registry::mend(cloud, now, event_type),
        OperatorAct::PushBreakingSchema { event_type } => {
            registry::push_breaking_version(cloud, now, event_type).map(|()| true)
        }
        OperatorAct::RogueWrite { deed } => rogue_write(cloud, now, *deed),
        // Not acts upon services of the cloud: see `policies` and `tampering`.
        OperatorAct::ReplacePolicies { .. } | OperatorAct::Tamper { .. } => Ok(false),
        OperatorAct::Purge { dead_letters: true } => purge(cloud, now, bus::NOTIFICATION_DEAD_LETTERS),
        OperatorAct::Purge { dead_letters: false } => purge(cloud, now, bus::NOTIFICATION_QUEUE),
    }
}

/// Attacks the first event in storage. That it is refused is what should happen; if it is not, the checks of immutability
/// have something to find.
fn rogue_write(cloud: &mut Cloud, now: UnixNanos, deed: RogueDeed) -> Result<bool, ServiceError> {
    let Some(event) = cloud.scan_now(EVENTS).into_iter().next() else { return Ok(false) };
    let key = json!({"pk": event["pk"], "sk": event["sk"]});
    let mut forged = event;
    forged["payload"] = json!({"S": "{}"});
    let update = json!({
        "TableName": EVENTS, "Key": key, "UpdateExpression": "SET payload = :forged",
        "ExpressionAttributeValues": {":forged": {"S": "{}"}},
    });
    let delete = json!({"TableName": EVENTS, "Key": key});
    let batch = |request| json!({"RequestItems": {EVENTS: [request]}});
    let transaction = |item| json!({"TransactItems": [item]});
    let (operation, request) = match deed {
        RogueDeed::Update => ("UpdateItem", update),
        RogueDeed::Delete => ("DeleteItem", delete),
        RogueDeed::BatchPut => ("BatchWriteItem", batch(json!({"PutRequest": {"Item": forged}}))),
        RogueDeed::BatchDelete => ("BatchWriteItem", batch(json!({"DeleteRequest": {"Key": key}}))),
        RogueDeed::TransactUpdate => ("TransactWriteItems", transaction(json!({"Update": update}))),
        RogueDeed::TransactDelete => ("TransactWriteItems", transaction(json!({"Delete": delete}))),
    };
    match cloud.call_now(now, Service::Dynamodb, operation, request) {
        Ok(_) => Ok(true),
        Err(error) if error.code == "AccessDeniedException" => Ok(true),
        Err(error) => Err(error),
    }
}

/// Two events of an aggregate of their own, written past every check: one of a type that nobody registered, and one that
/// must wait behind it.
fn poison_events(cloud: &mut Cloud, now: UnixNanos, number: u32) -> Result<bool, ServiceError> {
    for version in 1..=2 {
        let text = |value: String| json!({"S": value});
        let number_of = |value: u64| json!({"N": value.to_string()});
        let item = json!({
            "pk": text(format!("{ROGUE_PREFIX}{number}")),
            "sk": number_of(version),
            "event_id": text(format!("{ROGUE_PREFIX}{number}-{version}")),
            "event_type": text("OrderTeleported".to_owned()),
            "schema_version": number_of(1),
            "payload": text("{\"to\":\"nowhere\"}".to_owned()),
            "recorded_at_ms": number_of(now.as_millis()),
            "command_id": text("rogue".to_owned()),
            "causation_id": text("rogue".to_owned()),
            "correlation_id": text("rogue".to_owned()),
            "previous_hash": text("0".repeat(64)),
            "hash": text("0".repeat(64)),
        });
        cloud.call_now(now, Service::Dynamodb, "PutItem", json!({"TableName": EVENTS, "Item": item}))?;
    }
    Ok(true)
}

/// An open shard of the core stream with its range of hash keys.
struct OpenShard {
    id: String,
    from: u128,
    until: u128,
}

fn open_shards(cloud: &mut Cloud, now: UnixNanos) -> Result<Vec<OpenShard>, ServiceError> {
    let answer = cloud.call_now(now, Service::Kinesis, "ListShards", json!({"StreamName": bus::CORE_STREAM}))?;
    let shards = answer["Shards"].as_array().cloned().unwrap_or_default();
    let bound = |shard: &Value, name: &str| shard["HashKeyRange"][name].as_str()?.parse().ok();
    let mut open: Vec<OpenShard> = shards
        .iter()
        .filter(|shard| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none_or(Value::is_null))
        .filter_map(|shard| {
            let id = shard["ShardId"].as_str()?.to_owned();
            Some(OpenShard { id, from: bound(shard, "StartingHashKey")?, until: bound(shard, "EndingHashKey")? })
        })
        .collect();
    open.sort_by_key(|shard| shard.from);
    Ok(open)
}

/// Splits the widest open shard in the middle. A stream that is being changed already refuses: later, then.
fn split(cloud: &mut Cloud, now: UnixNanos) -> Result<bool, ServiceError> {
    let shards = open_shards(cloud, now)?;
    let Some(widest) = shards.iter().max_by_key(|shard| shard.until - shard.from) else { return Ok(false) };
    let middle = widest.from + (widest.until - widest.from) / 2 + 1;
    let request = json!({
        "StreamName": bus::CORE_STREAM,
        "ShardToSplit": widest.id,
        "NewStartingHashKey": middle.to_string(),
    });
    changed(cloud.call_now(now, Service::Kinesis, "SplitShard", request))
}

fn merge(cloud: &mut Cloud, now: UnixNanos) -> Result<bool, ServiceError> {
    let shards = open_shards(cloud, now)?;
    let Some([lower, upper]) = shards.first_chunk::<2>() else { return Ok(false) };
    let request = json!({
        "StreamName": bus::CORE_STREAM,
        "ShardToMerge": lower.id,
        "AdjacentShardToMerge": upper.id,
    });
    changed(cloud.call_now(now, Service::Kinesis, "MergeShards", request))
}

/// Moves dead letters back, if there are any and no task runs.
fn redrive(cloud: &mut Cloud, now: UnixNanos) -> Result<bool, ServiceError> {
    let queue = cloud.inspect(Service::Sqs)["queues"][bus::NOTIFICATION_DEAD_LETTERS].clone();
    if queue["visible"].as_u64().unwrap_or(0) == 0 {
        return Ok(false);
    }
    let request = json!({"SourceArn": bus::queue_arn(bus::NOTIFICATION_DEAD_LETTERS)});
    match cloud.call_now(now, Service::Sqs, "StartMessageMoveTask", request) {
        Ok(_) => Ok(true),
        // A task that still runs.
        Err(error) if error.code == "InvalidParameterValue" || error.code == "UnsupportedOperation" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Throws away what is in a queue, if anything is. Once a minute only: sooner it is refused.
fn purge(cloud: &mut Cloud, now: UnixNanos, name: &str) -> Result<bool, ServiceError> {
    let queue = cloud.inspect(Service::Sqs)["queues"][name].clone();
    if ["visible", "in_flight"].iter().all(|state| queue[*state].as_u64().unwrap_or(0) == 0) {
        return Ok(false);
    }
    match cloud.call_now(now, Service::Sqs, "PurgeQueue", json!({"QueueUrl": bus::queue_url(name)})) {
        Ok(_) => Ok(true),
        Err(error) if error.code == "PurgeQueueInProgress" => Ok(false),
        Err(error) => Err(error),
    }
}

fn changed(result: Result<Value, ServiceError>) -> Result<bool, ServiceError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.code == "ResourceInUseException" || error.code == "LimitExceededException" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Queues in which messages wait, hide or are on their way, in words.
pub fn messages_left(cloud: &Cloud) -> Vec<String> {
    let held = cloud.inspect(Service::Sqs);
    let Some(queues) = held["queues"].as_object() else { return Vec::new() };
    let mut left = Vec::new();
    for (name, queue) in queues {
        let [visible, in_flight, delayed] =
            ["visible", "in_flight", "delayed"].map(|state| queue[state].as_u64().unwrap_or(0));
        if visible + in_flight + delayed > 0 {
            left.push(format!("{name} holds {visible} visible, {in_flight} hidden and {delayed} delayed messages"));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use nexus_cloud::{CloudConfig, NoFaults};
    use nexus_world::wiring;

    use super::*;

    const NOW: UnixNanos = UnixNanos(1_793_491_200_000_000_000);

    /// One event in storage.
    fn cloud() -> Cloud {
        let mut cloud = Cloud::new(CloudConfig::default(), Box::new(NoFaults));
        wiring::set_up(&mut cloud, NOW).unwrap();
        let item = json!({"pk": {"S": "order-o-1"}, "sk": {"N": "1"}, "payload": {"S": "{\"order_id\":\"o-1\"}"}});
        cloud.call_now(NOW, Service::Dynamodb, "PutItem", json!({"TableName": EVENTS, "Item": item})).unwrap();
        cloud
    }

    #[test]
    fn every_deed_of_a_rogue_would_succeed_but_for_the_tables_policy() {
        for deed in RogueDeed::ALL {
            let mut guarded = cloud();
            let before = guarded.scan_now(EVENTS);
            assert_eq!(rogue_write(&mut guarded, NOW, deed), Ok(true), "{deed}");
            assert_eq!(guarded.scan_now(EVENTS), before, "{deed}");

            let mut open = cloud();
            let table = open.call_now(NOW, Service::Dynamodb, "DescribeTable", json!({"TableName": EVENTS})).unwrap();
            let arn = json!({"ResourceArn": table["Table"]["TableArn"]});
            open.call_now(NOW, Service::Dynamodb, "DeleteResourcePolicy", arn).unwrap();
            assert_eq!(rogue_write(&mut open, NOW, deed), Ok(true), "{deed}");
            assert_ne!(open.scan_now(EVENTS), before, "{deed}");
        }
    }
}
