//! Batches of a table's stream and of Kinesis, as records of a feed.

use base64::{Engine, engine::general_purpose::STANDARD};
use nexus_ports::{FeedRecord, SequenceNumber, canonical_json};
use serde_json::Value;

use super::{MalformedEvent, Record, dynamodb, records};

/// One batch; all of it comes from one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// The shard, as far as the event tells: Kinesis names it in `eventID`; a table's stream names only itself. Empty for
    /// a batch without records.
    pub shard: String,
    /// In ascending order of sequence numbers.
    pub records: Vec<FeedRecord>,
}

/// Reads the event of a mapping of a table's stream or of Kinesis. Both kinds are told by their records.
///
/// Of a table's stream, an inserted item becomes the JSON of its event. Whatever else comes (an item that cannot be read as
/// an event; a change or a removal, which events never undergo) keeps its own JSON as body, to be parked as it is.
///
/// # Errors
/// [`MalformedEvent`] if the payload is of another kind.
pub fn feed_event(payload: &Value) -> Result<FeedEvent, MalformedEvent> {
    let records = records(payload)?;
    let shard = records.first().map(shard_of).transpose()?.unwrap_or_default();
    let mut records: Vec<_> = records.iter().map(feed_record).collect::<Result<_, _>>()?;
    records.sort_by(|one: &FeedRecord, other| one.sequence_number.cmp(&other.sequence_number));
    Ok(FeedEvent { shard, records })
}

fn shard_of(record: &Record<'_>) -> Result<String, MalformedEvent> {
    let stream = record.text("/eventSourceARN")?;
    let shard = record.text("/eventID").ok().filter(|_| record.find("/kinesis").is_some());
    match shard.and_then(|id| id.split_once(':')) {
        Some((shard, _)) => Ok(format!("{stream}/{shard}")),
        None => Ok(stream.to_owned()),
    }
}

fn feed_record(record: &Record<'_>) -> Result<FeedRecord, MalformedEvent> {
    match (record.find("/kinesis"), record.find("/dynamodb")) {
        (Some(_), _) => kinesis_record(record),
        (None, Some(change)) => stream_record(record, change),
        (None, None) => Err(record.malformed("/kinesis or dynamodb")),
    }
}

fn kinesis_record(record: &Record<'_>) -> Result<FeedRecord, MalformedEvent> {
    let data = STANDARD.decode(record.text("/kinesis/data")?).map_err(|_| record.malformed("/kinesis/data"))?;
    Ok(FeedRecord {
        sequence_number: sequence_number(record, "/kinesis/sequenceNumber")?,
        partition_key: record.text("/kinesis/partitionKey")?.to_owned(),
        body: data,
        arrived_at_ms: arrival(record, "/kinesis/approximateArrivalTimestamp"),
    })
}

fn stream_record(record: &Record<'_>, change: &Value) -> Result<FeedRecord, MalformedEvent> {
    let image = change.get("NewImage").filter(|_| record.text("/eventName") == Ok("INSERT"));
    let event = image.and_then(dynamodb::event_record);
    let body = match event.map(|event| serde_json::to_vec(&event)) {
        Some(Ok(body)) => body,
        Some(Err(_)) | None => canonical_json(image.unwrap_or(record.value)).into_bytes(),
    };
    let places = [change.get("Keys"), change.get("NewImage")];
    let partition_key = places.into_iter().flatten().find_map(|place| dynamodb::text(place, "pk"));
    Ok(FeedRecord {
        sequence_number: sequence_number(record, "/dynamodb/SequenceNumber")?,
        partition_key: partition_key.unwrap_or_default().to_owned(),
        body,
        arrived_at_ms: arrival(record, "/dynamodb/ApproximateCreationDateTime"),
    })
}

fn sequence_number(record: &Record<'_>, path: &str) -> Result<SequenceNumber, MalformedEvent> {
    SequenceNumber::try_from(record.text(path)?.to_owned()).map_err(|_| record.malformed(path))
}

/// Seconds, whole or with a fraction.
fn arrival(record: &Record<'_>, path: &str) -> Option<u64> {
    let seconds = record.find(path)?.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
    Some((seconds * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use nexus_ports::EventRecord;
    use serde_json::json;

    use super::*;

    fn image() -> Value {
        json!({
            "pk": {"S": "order-o-1"}, "sk": {"N": "2"}, "event_id": {"S": "e-2"}, "event_type": {"S": "OrderShipped"},
            "schema_version": {"N": "1"}, "payload": {"S": "{}"}, "recorded_at_ms": {"N": "1700000000123"},
            "command_id": {"S": "k"}, "causation_id": {"S": "k"}, "correlation_id": {"S": "c"},
            "previous_hash": {"S": "a"}, "hash": {"S": "b"},
        })
    }

    fn change(name: &str, image: &Value, sequence_number: &str) -> Value {
        json!({
            "eventID": "a14537b9", "eventName": name, "eventSource": "aws:dynamodb",
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:1:table/nexus-events/stream/2026",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_700_000_000, "Keys": {"pk": {"S": "order-o-1"}, "sk": {"N": "2"}},
                "NewImage": image, "SequenceNumber": sequence_number, "StreamViewType": "NEW_IMAGE",
            },
        })
    }

    fn read(records: Value) -> FeedEvent {
        feed_event(&json!({ "Records": records })).unwrap()
    }

    #[test]
    fn an_inserted_item_is_an_event() {
        let mut traced = image();
        traced["trace_context"] = json!({"S": "00-1-2-01"});
        for (image, trace_context) in [(image(), None), (traced, Some("00-1-2-01".to_owned()))] {
            let event = read(json!([change("INSERT", &image, "100")]));
            assert_eq!(event.shard, "arn:aws:dynamodb:us-east-1:1:table/nexus-events/stream/2026");
            let record = &event.records[0];
            assert_eq!(record.partition_key, "order-o-1");
            assert_eq!(record.arrived_at_ms, Some(1_700_000_000_000));
            let body: EventRecord = serde_json::from_slice(&record.body).unwrap();
            assert_eq!((body.stream.as_str(), body.version, body.event_id.as_str()), ("order-o-1", Version(2), "e-2"));
            assert_eq!((body.recorded_at_ms, body.envelope.trace_context), (1_700_000_000_123, trace_context));
        }
    }

    #[test]
    fn what_is_no_event_keeps_its_own_json() {
        let without = |attribute: &str| {
            let mut image = image();
            image.as_object_mut().unwrap().remove(attribute);
            image
        };
        let with = |attribute: &str, value: Value| {
            let mut image = image();
            image[attribute] = value;
            image
        };
        let cases = [
            ("INSERT", without("event_id")),
            ("INSERT", without("pk")),
            ("INSERT", with("sk", json!({"S": "2"}))),
            ("INSERT", with("schema_version", json!({"N": "one"}))),
            ("INSERT", with("trace_context", json!({"N": "1"}))),
            ("MODIFY", image()),
            ("REMOVE", Value::Null),
        ];
        for (name, image) in cases {
            let event = read(json!([change(name, &image, "100")]));
            let record = &event.records[0];
            assert!(serde_json::from_slice::<EventRecord>(&record.body).is_err(), "{name} {image}");
            let kept: Value = serde_json::from_slice(&record.body).unwrap();
            let wanted = if name == "INSERT" { image } else { change(name, &image, "100") };
            assert_eq!(kept, wanted);
            assert_eq!(record.partition_key, "order-o-1");
        }
    }

    #[test]
    fn kinesis_data_is_decoded_and_records_sorted() {
        let record = |sequence_number: &str, data: &str| {
            json!({
                "eventID": format!("shardId-000000000003:{sequence_number}"), "eventName": "aws:kinesis:record",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/nexus-core",
                "kinesis": {
                    "partitionKey": "order-o-1", "data": data, "sequenceNumber": sequence_number,
                    "approximateArrivalTimestamp": 1_700_000_000.25, "kinesisSchemaVersion": "1.0",
                },
            })
        };
        let event = read(json!([record("110", "Yg=="), record("99", "YQ==")]));
        assert_eq!(event.shard, "arn:aws:kinesis:us-east-1:1:stream/nexus-core/shardId-000000000003");
        let seen: Vec<_> =
            event.records.iter().map(|record| (record.sequence_number.as_str(), record.body.as_slice())).collect();
        assert_eq!(seen, [("99", b"a".as_slice()), ("110", b"b")]);
        assert_eq!(event.records[0].arrived_at_ms, Some(1_700_000_000_250));
    }

    #[test]
    fn another_kind_of_event_is_told() {
        let cases = [
            (json!({}), "Records"),
            (json!({"Records": "x"}), "Records"),
            (json!({"Records": [{}]}), "Records[0].eventSourceARN"),
            (json!({"Records": [{"eventSourceARN": "arn:x"}]}), "Records[0].kinesis or dynamodb"),
            (json!({"Records": [change("INSERT", &image(), "12a")]}), "Records[0].dynamodb.SequenceNumber"),
        ];
        for (payload, what) in cases {
            assert_eq!(feed_event(&payload), Err(MalformedEvent { what: what.to_owned() }), "{payload}");
        }
        assert_eq!(read(json!([])), FeedEvent { shard: String::new(), records: Vec::new() });
    }

    use nexus_ports::Version;
}
