//! Stored events forged behind the API, by somebody who may change the table's policy.

use std::collections::BTreeMap;

use nexus_checkers::TamperedEvent;
use nexus_cloud::{Cloud, UnixNanos};
use nexus_event_store::event_hash;
use nexus_faults::Forgery;
use nexus_ports::{EventEnvelope, EventRecord, StreamName, Version};
use serde_json::{Value, json};

use crate::backlog::{EVENTS_TABLE as EVENTS, ROGUE_PREFIX};

/// Forges the first event of the stream that was last written to, of those that go on after it: so whoever reads the stream can
/// know, and somebody will read it. `None` if there is no such stream yet but those that were forged before.
pub fn tamper(cloud: &mut Cloud, now: UnixNanos, forgery: Forgery, before: &[TamperedEvent]) -> Option<TamperedEvent> {
    let items = cloud.scan_now(EVENTS);
    let number = |item: &Value, name: &str| item[name]["N"].as_str().and_then(|digits| digits.parse::<u64>().ok());
    let mut last_written: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items.iter().filter(|item| number(item, "sk").is_some_and(|version| version > 1)) {
        let Some(stream) = item["pk"]["S"].as_str() else { continue };
        let at_ms = last_written.entry(stream).or_default();
        *at_ms = number(item, "recorded_at_ms").unwrap_or(0).max(*at_ms);
    }
    last_written
        .retain(|stream, _| !stream.starts_with(ROGUE_PREFIX) && before.iter().all(|event| event.stream != *stream));
    let (stream, _) = last_written.into_iter().max_by_key(|(_, at_ms)| *at_ms)?;
    let first = items.iter().find(|item| item["pk"]["S"] == stream && number(item, "sk") == Some(1))?;
    let image = match forgery {
        Forgery::Removed => None,
        Forgery::Content => Some(forged(first)?),
        Forgery::Rehashed => Some(rehashed(forged(first)?)?),
    };
    let key = json!({"pk": first["pk"], "sk": first["sk"]});
    cloud.tamper(now, EVENTS, &key, image).ok()?;
    Some(TamperedEvent { stream: stream.to_owned(), version: 1, at_ns: now.0 })
}

/// The event with another number in its payload: nothing that a schema would notice.
fn forged(item: &Value) -> Option<Value> {
    let mut payload: Value = serde_json::from_str(item["payload"]["S"].as_str()?).ok()?;
    if !raise_first_number(&mut payload) {
        return None;
    }
    let mut item = item.clone();
    item["payload"] = json!({"S": nexus_ports::canonical_json(&payload)});
    Some(item)
}

fn raise_first_number(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => {
                *value = json!(whole + 1);
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().any(raise_first_number),
        Value::Object(fields) => fields.values_mut().any(raise_first_number),
        _ => false,
    }
}

fn rehashed(mut item: Value) -> Option<Value> {
    let hash = event_hash(&record(&item)?);
    item["hash"] = json!({"S": hash});
    Some(item)
}

fn record(item: &Value) -> Option<EventRecord> {
    let text = |name: &str| item[name]["S"].as_str().map(str::to_owned);
    let number = |name: &str| item[name]["N"].as_str()?.parse::<u64>().ok();
    Some(EventRecord {
        stream: StreamName::try_from(text("pk")?).ok()?,
        version: Version(number("sk")?),
        event_id: text("event_id")?,
        event_type: text("event_type")?,
        schema_version: number("schema_version")?.try_into().ok()?,
        payload: text("payload")?,
        recorded_at_ms: number("recorded_at_ms")?,
        envelope: EventEnvelope {
            command_id: text("command_id")?,
            causation_id: text("causation_id")?,
            correlation_id: text("correlation_id")?,
            trace_context: text("trace_context"),
        },
        previous_hash: text("previous_hash")?,
        hash: text("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use nexus_cloud::{CloudConfig, NoFaults};
    use nexus_world::wiring;

    use super::*;

    const NOW: UnixNanos = UnixNanos(1_793_491_200_000_000_000);

    fn item(stream: &str, version: u64) -> Value {
        let text = |value: &str| json!({"S": value});
        let number = |value: u64| json!({"N": value.to_string()});
        json!({"pk": text(stream), "sk": number(version), "event_id": text("e"), "event_type": text("PaymentProcessed"),
            "schema_version": number(1), "payload": text(r#"{"amount":{"cents":1000},"payment_id":"p-1"}"#),
            "recorded_at_ms": number(version * 10), "command_id": text("c"), "causation_id": text("c"),
            "correlation_id": text("c"), "previous_hash": text("0"), "hash": text("1")})
    }

    fn cloud(events: &[(&str, u64)]) -> Cloud {
        let mut cloud = Cloud::new(CloudConfig::default(), Box::new(NoFaults));
        wiring::set_up(&mut cloud, NOW).unwrap();
        for (stream, version) in events {
            let request = json!({"TableName": EVENTS, "Item": item(stream, *version)});
            cloud.call_now(NOW, nexus_cloud::Service::Dynamodb, "PutItem", request).unwrap();
        }
        cloud
    }

    #[test]
    fn only_a_stream_that_goes_on_is_forged_and_only_once() {
        let mut cloud =
            cloud(&[("order-a", 1), ("order-b", 1), ("order-b", 2), ("order-c", 1), ("order-c", 2), ("order-c", 3)]);
        let mut before = Vec::new();
        while let Some(event) = tamper(&mut cloud, NOW, Forgery::Content, &before) {
            before.push(event);
        }
        let forged: Vec<_> = before.iter().map(|event| (event.stream.as_str(), event.version)).collect();
        assert_eq!(forged, [("order-c", 1), ("order-b", 1)], "the one last written to first");
    }

    #[test]
    fn each_forgery_leaves_its_own_trace() {
        for forgery in Forgery::ALL {
            let mut cloud = cloud(&[("order-a", 1), ("order-a", 2)]);
            tamper(&mut cloud, NOW, forgery, &[]).expect("there is a stream to forge");
            let items = cloud.scan_now(EVENTS);
            let first = items.iter().find(|item| item["sk"]["N"] == "1");
            let Some(first) = first else {
                assert_eq!(forgery, Forgery::Removed);
                continue;
            };
            assert_eq!(first["payload"]["S"], r#"{"amount":{"cents":1001},"payment_id":"p-1"}"#);
            let agrees = record(first).is_some_and(|record| event_hash(&record) == record.hash);
            assert_eq!(agrees, forgery == Forgery::Rehashed, "{forgery}");
        }
    }
}
