//! The byte forms, against digests that were computed by another program from the documentation.
#![forbid(unsafe_code)]

use serde_json::json;

use crate::{
    canonical::{canonical_json, event_hash, payload_digest},
    item::{StoredAnswer, StoredEvent},
};

fn event(trace_context: Option<&str>) -> StoredEvent {
    StoredEvent {
        stream: "order-o-1".to_owned(),
        version: 1,
        event_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        event_type: "OrderShipped".to_owned(),
        schema_version: 1,
        payload: r#"{"carrier":"Pöst","order_id":"o-1"}"#.to_owned(),
        recorded_at_ms: 1_700_000_000_000,
        command_id: "key-1".to_owned(),
        causation_id: "cause-1".to_owned(),
        correlation_id: "thread-1".to_owned(),
        trace_context: trace_context.map(str::to_owned),
        previous_hash: "0".repeat(64),
        hash: String::new(),
    }
}

#[test]
fn event_hashes_follow_the_documented_byte_form() {
    let cases = [
        (None, "de53fee014bf6cdbf358b3cd9ecd7f875d610bd05a3bb79d741397774f6d018b"),
        (
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            "b302d29b3f0f077bee73fcde0a1443e87f33683cbd0811cc3833c4181296d033",
        ),
    ];
    for (trace_context, expected) in cases {
        assert_eq!(event_hash(&event(trace_context)), expected, "{trace_context:?}");
    }
}

#[test]
fn every_field_of_an_event_changes_its_hash() {
    let changes: [fn(&mut StoredEvent); 12] = [
        |event| event.stream.push('x'),
        |event| event.version += 1,
        |event| event.event_id.push('x'),
        |event| event.event_type.push('x'),
        |event| event.schema_version += 1,
        |event| event.payload.push('x'),
        |event| event.recorded_at_ms += 1,
        |event| event.command_id.push('x'),
        |event| event.causation_id.push('x'),
        |event| event.correlation_id.push('x'),
        |event| event.trace_context = Some(String::new()),
        |event| event.previous_hash.push('x'),
    ];
    let original = event_hash(&event(None));
    for (position, change) in changes.iter().enumerate() {
        let mut changed = event(None);
        change(&mut changed);
        assert_ne!(event_hash(&changed), original, "field {position}");
    }
}

#[test]
fn payload_digests_do_not_depend_on_the_order_of_members() {
    let left = json!({"type": "ShipOrder", "order_id": "o-1", "z": {"b": 1, "a": [true, null]}});
    assert_eq!(canonical_json(&left), r#"{"order_id":"o-1","type":"ShipOrder","z":{"a":[true,null],"b":1}}"#);
    assert_eq!(payload_digest(&left), "6397aa6695078ccffd35cd8c103a83013f0717520116f5415d77fe077feceab9");
}

#[test]
fn items_are_read_only_in_their_documented_form() {
    let sound = json!({"pk": {"S": "k"}, "payload_digest": {"S": "d"}, "outcome": {"S": "accepted"}, "answer": {"S": "{}"},
        "stream": {"S": "order-o-1"}, "first_version": {"N": "1"}, "last_version": {"N": "2"},
        "event_ids": {"L": [{"S": "a"}, {"S": "b"}]}});
    let read = StoredAnswer::read(&sound).unwrap();
    assert!(read.is_accepted);
    assert_eq!((read.first_version, read.last_version, read.event_ids.len()), (Some(1), Some(2), 2));
    for (attribute, value) in [
        ("pk", json!({"N": "1"})),
        ("outcome", json!({"S": "perhaps"})),
        ("first_version", json!({"S": "1"})),
        ("event_ids", json!({"L": [{"N": "1"}]})),
    ] {
        let mut broken = sound.clone();
        broken[attribute] = value;
        assert_eq!(StoredAnswer::read(&broken).unwrap_err().attribute, attribute);
    }
}
