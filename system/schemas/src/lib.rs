//! Every event version's JSON Schema (draft-07: the newest that AWS Glue's registry accepts), as data.
//!
//! A schema owns the shape of one event version: patterns of strings, ranges of numbers, which fields there are.
//! What depends on history or on arithmetic is the domain's. A version is never edited once events of it are
//! stored: a change of shape is a new version with an upcaster in `nexus-domain`.
#![forbid(unsafe_code)]

/// One version of one event type's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaDocument {
    pub event_type: &'static str,
    /// Counted from 1, without gaps.
    pub version: u32,
    /// The JSON text of the schema.
    pub text: &'static str,
}

macro_rules! document {
    ($event_type:literal, $version:literal) => {
        SchemaDocument {
            event_type: $event_type,
            version: $version,
            text: include_str!(concat!("../events/", $event_type, "/v", $version, ".json")),
        }
    };
}

static ALL: &[SchemaDocument] = &[
    document!("CartAbandoned", 1),
    document!("ItemAddedToCart", 1),
    document!("ItemRemovedFromCart", 1),
    document!("OrderCancelled", 1),
    document!("OrderPlaced", 1),
    document!("OrderPlaced", 2),
    document!("OrderShipped", 1),
    document!("PaymentConfirmed", 1),
    document!("PaymentProcessed", 1),
    document!("PaymentRefunded", 1),
];

/// All schemas, sorted by event type, then version.
pub fn all() -> &'static [SchemaDocument] {
    ALL
}
