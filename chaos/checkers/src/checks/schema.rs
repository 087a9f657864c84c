//! The shapes of stored items, written by hand and apart from the schemas in force.

use serde_json::Value;

use super::Check;
use crate::{
    CheckInput, Needs, Violation,
    finding::Examination,
    item::{StoredAnswer, StoredEvent},
};

pub(crate) const SCHEMA: Check = Check {
    name: "schema",
    needs: Needs::GroundTruth,
    describe: "Every stored item can be read, and every event's payload has the shape of its type and version.",
    run: schema,
};

/// What a field of a payload may hold.
#[derive(Clone, Copy)]
enum Shape {
    Id,
    Sku,
    Currency,
    Carrier,
    TrackingNumber,
    Method,
    Reason,
    /// Whole number within both ends.
    Within(u64, u64),
    Lines,
    RefundDue,
}

struct Field {
    name: &'static str,
    shape: Shape,
    is_required: bool,
}

const UNIT_PRICE: Shape = Shape::Within(1, 10_000_000);
const QUANTITY: Shape = Shape::Within(1, 999);
const ORDER_TOTAL: Shape = Shape::Within(1, 499_500_000_000);

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: true }
}

const ORDER_PLACED_1: &[Field] = &[
    required("order_id", Shape::Id),
    required("customer_id", Shape::Id),
    required("lines", Shape::Lines),
    required("total_cents", ORDER_TOTAL),
];
const ORDER_PLACED_2: &[Field] = &[
    required("order_id", Shape::Id),
    required("customer_id", Shape::Id),
    required("currency", Shape::Currency),
    required("lines", Shape::Lines),
    required("total_cents", ORDER_TOTAL),
];
const PAYMENT_CONFIRMED: &[Field] =
    &[required("order_id", Shape::Id), required("payment_id", Shape::Id), required("amount_cents", ORDER_TOTAL)];
const ORDER_SHIPPED: &[Field] = &[
    required("order_id", Shape::Id),
    required("carrier", Shape::Carrier),
    required("tracking_number", Shape::TrackingNumber),
];
const ORDER_CANCELLED: &[Field] = &[
    required("order_id", Shape::Id),
    required("reason", Shape::Reason),
    Field { name: "refund_due", shape: Shape::RefundDue, is_required: false },
];
const PAYMENT_PROCESSED: &[Field] = &[
    required("payment_id", Shape::Id),
    required("order_id", Shape::Id),
    required("amount_cents", ORDER_TOTAL),
    required("method", Shape::Method),
];
const PAYMENT_REFUNDED: &[Field] =
    &[required("payment_id", Shape::Id), required("order_id", Shape::Id), required("amount_cents", ORDER_TOTAL)];
const ITEM_ADDED: &[Field] = &[
    required("cart_id", Shape::Id),
    required("customer_id", Shape::Id),
    required("sku", Shape::Sku),
    required("quantity", QUANTITY),
    required("unit_price_cents", UNIT_PRICE),
];
const ITEM_REMOVED: &[Field] = &[required("cart_id", Shape::Id), required("sku", Shape::Sku)];
const CART_ABANDONED: &[Field] = &[
    required("cart_id", Shape::Id),
    required("customer_id", Shape::Id),
    required("total_cents", Shape::Within(1, (1 << 53) - 1)),
];
const LINE: &[Field] =
    &[required("sku", Shape::Sku), required("quantity", QUANTITY), required("unit_price_cents", UNIT_PRICE)];
const REFUND_DUE: &[Field] = &[required("payment_id", Shape::Id), required("amount_cents", ORDER_TOTAL)];

fn fields_of(event_type: &str, schema_version: u64) -> Option<&'static [Field]> {
    Some(match (event_type, schema_version) {
        ("OrderPlaced", 1) => ORDER_PLACED_1,
        ("OrderPlaced", 2) => ORDER_PLACED_2,
        ("PaymentConfirmed", 1) => PAYMENT_CONFIRMED,
        ("OrderShipped", 1) => ORDER_SHIPPED,
        ("OrderCancelled", 1) => ORDER_CANCELLED,
        ("PaymentProcessed", 1) => PAYMENT_PROCESSED,
        ("PaymentRefunded", 1) => PAYMENT_REFUNDED,
        ("ItemAddedToCart", 1) => ITEM_ADDED,
        ("ItemRemovedFromCart", 1) => ITEM_REMOVED,
        ("CartAbandoned", 1) => CART_ABANDONED,
        _ => return None,
    })
}

fn schema(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    for write in &input.truth.writes {
        let Some(image) = &write.new_image else { continue };
        let problem = if write.table == settings.events_table {
            event_problem(image)
        } else if write.table == settings.idempotency_table {
            StoredAnswer::read(image).err().map(|unreadable| unreadable.to_string())
        } else {
            continue;
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("A stored item has not its shape: {}.", problem.unwrap_or_default()))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(image.to_string())
        });
    }
}

fn event_problem(image: &Value) -> Option<String> {
    let event = match StoredEvent::read(image) {
        Ok(event) => event,
        Err(unreadable) => return Some(unreadable.to_string()),
    };
    let Some(fields) = fields_of(&event.event_type, event.schema_version) else {
        return Some(format!("{} version {} is unknown", event.event_type, event.schema_version));
    };
    object_problem(&event.payload_json(), fields).map(|problem| format!("in {} {problem}", event.event_type))
}

fn object_problem(value: &Value, fields: &[Field]) -> Option<String> {
    let Some(members) = value.as_object() else { return Some("an object is missing".to_owned()) };
    if let Some(unknown) = members.keys().find(|name| fields.iter().all(|field| field.name != name.as_str())) {
        return Some(format!("`{unknown}` is not a field"));
    }
    fields.iter().find_map(|field| match members.get(field.name) {
        None => field.is_required.then(|| format!("`{}` is missing", field.name)),
        Some(member) => (!fits(member, field.shape)).then(|| format!("`{}` cannot be {member}", field.name)),
    })
}

fn fits(value: &Value, shape: Shape) -> bool {
    let is_text = |length_max: usize, first: fn(char) -> bool, later: fn(char) -> bool| {
        value.as_str().is_some_and(|text| {
            let mut characters = text.chars();
            let begins_well = characters.next().is_some_and(first);
            begins_well && characters.all(later) && text.chars().count() <= length_max
        })
    };
    let is_upper_or_digit = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit();
    match shape {
        Shape::Id => is_text(64, is_id_character, is_id_character),
        Shape::Sku => is_text(40, is_upper_or_digit, is_code_character),
        Shape::TrackingNumber => {
            is_text(40, is_upper_or_digit, is_code_character) && value.as_str().is_some_and(|text| text.len() >= 3)
        }
        Shape::Currency => {
            value.as_str().is_some_and(|text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
        }
        Shape::Carrier => is_text(40, |character| character.is_ascii_alphanumeric(), is_carrier_character),
        Shape::Method => is_text(32, |character| character.is_ascii_lowercase(), is_method_character),
        Shape::Reason => value.as_str().is_some_and(|text| (1..=200).contains(&text.chars().count())),
        Shape::Within(low, high) => value.as_u64().is_some_and(|number| (low..=high).contains(&number)),
        Shape::Lines => value.as_array().is_some_and(|lines| {
            (1..=50).contains(&lines.len()) && lines.iter().all(|line| object_problem(line, LINE).is_none())
        }),
        Shape::RefundDue => object_problem(value, REFUND_DUE).is_none(),
    }
}

fn is_id_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

fn is_code_character(character: char) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit() || character == '-'
}

fn is_carrier_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ' ' | '.' | '-')
}

fn is_method_character(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
}
