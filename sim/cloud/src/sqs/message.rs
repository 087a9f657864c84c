//! A message: what the sender gave, what the queue knows, its receipt handles and its checksums.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{
    errors::{error, handle_invalid, wrong_type},
    input::Input,
};
use crate::{
    entropy::{Entropy, hash_text, open_fraction},
    interface::UnixNanos,
    service::ServiceError,
};

/// A message attribute as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with a custom label after a dot.
    pub data_type: String,
    pub value: AttributeValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

pub type Attributes = BTreeMap<String, Attribute>;

/// What a sender wants stored.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub body: String,
    pub attributes: Attributes,
    /// The system attribute AWSTraceHeader, which counts neither as an attribute nor for the size.
    pub trace_header: Option<String>,
    pub delay_seconds: Option<u64>,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
}

impl Draft {
    pub fn size_bytes(&self) -> usize {
        self.body.len() + size_of_attributes(&self.attributes)
    }
}

/// Where in its queue a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not yet to be received: its delay, or its way through the queue's hosts, takes until then.
    Delayed {
        until: UnixNanos,
    },
    Visible,
    InFlight {
        until: UnixNanos,
    },
}

#[derive(Clone, Debug)]
pub struct Message {
    /// Order of arrival among all messages of all queues.
    pub ordinal: u64,
    pub id: String,
    pub draft: Draft,
    pub sender: String,
    /// When it was first sent, which a standard dead-letter queue keeps.
    pub sent_at: UnixNanos,
    /// From when its retention counts.
    pub enqueued_at: UnixNanos,
    /// Its turn among visible messages of a standard queue.
    pub order_at: UnixNanos,
    pub sequence_number: Option<String>,
    pub first_received_at: Option<UnixNanos>,
    /// Receives across all queues that it was in.
    pub receive_count: u32,
    /// Receives in this queue: these exhaust `maxReceiveCount`.
    pub receives_here: u32,
    /// The receive that its newest receipt handle came from, and when that was.
    pub receipt: u64,
    pub received_at: UnixNanos,
    pub place: Place,
    /// It was received and stays visible nevertheless: another copy of it was not told.
    pub duplicated: bool,
    /// The next receive leaves it visible.
    pub duplicate_next: bool,
    /// ARN of the queue it was dead-lettered from.
    pub dead_letter_source: Option<String>,
}

impl Message {
    pub fn group(&self) -> &str {
        self.draft.group.as_deref().unwrap_or_default()
    }
}

/// Made from a random address, so that removing one message leaves the ids of others alone.
pub fn unique_id(entropy: &mut Entropy, purpose: &str, key: &str) -> String {
    let high = entropy.next_u64(purpose, key);
    let low = entropy.next_u64(purpose, key);
    // Version 4, variant 1.
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A fraction in (0, 1) for an address that draws only once, which is not worth remembering.
pub fn fraction_once(entropy: &Entropy, purpose: &str, address: &str) -> f64 {
    open_fraction(entropy.fixed_u64(purpose, hash_text(address)))
}

/// What a receipt handle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub queue: String,
    pub message_id: String,
    pub ordinal: u64,
    pub receipt: u64,
}

impl Receipt {
    /// Opaque to clients.
    pub fn encode(&self) -> String {
        STANDARD.encode(format!("{} {} {} {}", self.queue, self.message_id, self.ordinal, self.receipt))
    }

    pub fn decode(handle: &str) -> Result<Self, ServiceError> {
        Self::read(handle).ok_or_else(|| handle_invalid(handle))
    }

    fn read(handle: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(handle).ok()?).ok()?;
        let mut parts = text.split(' ');
        let receipt = Self {
            queue: parts.next()?.to_owned(),
            message_id: parts.next()?.to_owned(),
            ordinal: parts.next()?.parse().ok()?,
            receipt: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(receipt)
    }
}

pub fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksum over attributes that SDKs verify: by name, each part with its length in four bytes, big endian.
pub fn md5_of_attributes<'a>(attributes: impl Iterator<Item = (&'a String, &'a Attribute)>) -> Option<String> {
    let mut hash = Md5::new();
    let mut any = false;
    let part = |hash: &mut Md5, bytes: &[u8]| {
        hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(bytes);
    };
    for (name, attribute) in attributes {
        any = true;
        part(&mut hash, name.as_bytes());
        part(&mut hash, attribute.data_type.as_bytes());
        match &attribute.value {
            AttributeValue::Text(text) => {
                hash.update([1]);
                part(&mut hash, text.as_bytes());
            }
            AttributeValue::Binary(bytes) => {
                hash.update([2]);
                part(&mut hash, bytes);
            }
        }
    }
    any.then(|| hex(&hash.finalize()))
}

pub fn size_of_attributes(attributes: &Attributes) -> usize {
    let size = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Binary(bytes) => bytes.len(),
    };
    attributes.iter().map(|(name, it)| name.len() + it.data_type.len() + size(&it.value)).sum()
}

/// Reads the map of message attributes or of system attributes.
pub fn attributes(input: &Input<'_>, member: &str) -> Result<Attributes, ServiceError> {
    let mut attributes = Attributes::new();
    for (name, value) in input.pairs(member)? {
        check_attribute_name(name)?;
        attributes.insert(name.to_owned(), attribute(name, value)?);
    }
    Ok(attributes)
}

fn invalid(message: String) -> ServiceError {
    error("InvalidParameterValue", message)
}

fn check_attribute_name(name: &str) -> Result<(), ServiceError> {
    let lower = name.to_ascii_lowercase();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 256 {
        return Err(invalid("Message (user) attribute name must be between 1 and 256 characters long.".into()));
    }
    if !name.chars().all(is_plain) || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(invalid(format!(
            "The message attribute name '{name}' can contain alphanumeric characters and underscore, hyphen and period only; it must not start or end with a period, nor have periods in succession."
        )));
    }
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(invalid(format!(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.', which are reserved: '{name}'."
        )));
    }
    Ok(())
}

fn attribute(name: &str, value: &Value) -> Result<Attribute, ServiceError> {
    let input = Input::new(value);
    let data_type = input.text("DataType")?.unwrap_or_default();
    if data_type.is_empty() {
        return Err(invalid(format!("The message attribute '{name}' must contain non-empty message attribute type.")));
    }
    let base = data_type.split('.').next().unwrap_or_default();
    if data_type.len() > 256 || !["String", "Number", "Binary"].contains(&base) {
        return Err(invalid(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
        )));
    }
    let empty = || {
        invalid(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{base}'."
        ))
    };
    let value = if base == "Binary" {
        let text = input.text("BinaryValue")?.filter(|text| !text.is_empty()).ok_or_else(empty)?;
        AttributeValue::Binary(STANDARD.decode(text).map_err(|_| wrong_type("BinaryValue", "base64"))?)
    } else {
        let text = input.text("StringValue")?.filter(|text| !text.is_empty()).ok_or_else(empty)?;
        if base == "Number" && text.parse::<f64>().map_or(true, |number| !number.is_finite()) {
            return Err(invalid(format!("Can't cast the value of message (user) attribute '{name}' to a number.")));
        }
        AttributeValue::Text(text.to_owned())
    };
    Ok(Attribute { data_type: data_type.to_owned(), value })
}

pub fn attribute_json(attribute: &Attribute) -> Value {
    match &attribute.value {
        AttributeValue::Text(text) => json!({"DataType": attribute.data_type, "StringValue": text}),
        AttributeValue::Binary(bytes) => {
            json!({"DataType": attribute.data_type, "BinaryValue": STANDARD.encode(bytes)})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_that_sdks_compute() {
        assert_eq!(md5_hex(b"hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        let attribute = |data_type: &str, value| Attribute { data_type: data_type.into(), value };
        // MD5 over the bytes that the developer guide describes, written out.
        let mut bytes = vec![0, 0, 0, 1, b'a', 0, 0, 0, 6];
        bytes.extend(b"String\x01\x00\x00\x00\x02hi");
        bytes.extend(b"\x00\x00\x00\x01b\x00\x00\x00\x06Binary\x02\x00\x00\x00\x01\x07");
        let attributes = Attributes::from([
            ("b".to_owned(), attribute("Binary", AttributeValue::Binary(vec![7]))),
            ("a".to_owned(), attribute("String", AttributeValue::Text("hi".into()))),
        ]);
        assert_eq!(md5_of_attributes(attributes.iter()), Some(md5_hex(&bytes)));
        assert_eq!(md5_of_attributes(Attributes::new().iter()), None);
    }

    #[test]
    fn handles_come_back_as_they_were_and_others_are_refused() {
        let receipt = Receipt { queue: "orders.fifo".into(), message_id: "id".into(), ordinal: 7, receipt: 9 };
        assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt));
        for handle in ["", "nonsense", "YSBi"] {
            assert_eq!(Receipt::decode(handle).unwrap_err().code, "ReceiptHandleIsInvalid");
        }
    }

    #[test]
    fn ids_are_random_uuids() {
        let mut entropy = Entropy::new(1);
        let first = unique_id(&mut entropy, "id", "a");
        let second = unique_id(&mut entropy, "id", "a");
        assert_ne!(first, second);
        let marks: Vec<char> = [14, 19].iter().map(|at| first.chars().nth(*at).unwrap()).collect();
        assert!(first.len() == 36 && marks[0] == '4' && "89ab".contains(marks[1]), "{first}");
    }
}
