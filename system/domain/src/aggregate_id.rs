//! The name of an aggregate: its kind and its id within that kind.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an aggregate is. Its text begins every [`AggregateId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AggregateKind {
    Order,
    Cart,
    Payment,
}

impl AggregateKind {
    pub const ALL: [AggregateKind; 3] = [AggregateKind::Order, AggregateKind::Cart, AggregateKind::Payment];

    pub fn as_str(self) -> &'static str {
        match self {
            AggregateKind::Order => "order",
            AggregateKind::Cart => "cart",
            AggregateKind::Payment => "payment",
        }
    }
}

impl fmt::Display for AggregateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of one aggregate, written `order-<id>`, `cart-<id>` or `payment-<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AggregateId {
    pub kind: AggregateKind,
    /// 1 to 64 characters of `[A-Za-z0-9._-]`.
    pub id: String,
}

/// A text does not name an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAggregateId {
    #[error("`{text}` names no aggregate: expected order-<id>, cart-<id> or payment-<id>")]
    UnknownKind { text: String },
    #[error("the id of a {kind} is empty")]
    Empty { kind: AggregateKind },
    #[error("the id of a {kind} has {characters} characters; at most {} are allowed", AggregateId::ID_CHARACTERS_MAX)]
    TooLong { kind: AggregateKind, characters: usize },
    #[error("the id `{id}` of a {kind} contains {character:?}; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`")]
    ForbiddenCharacter { kind: AggregateKind, id: String, character: char },
}

impl AggregateId {
    pub const ID_CHARACTERS_MAX: usize = 64;

    /// # Errors
    /// The id is empty, longer than [`Self::ID_CHARACTERS_MAX`] or holds a character outside `[A-Za-z0-9._-]`.
    pub fn new(kind: AggregateKind, id: impl Into<String>) -> Result<Self, InvalidAggregateId> {
        let id = id.into();
        if id.is_empty() {
            return Err(InvalidAggregateId::Empty { kind });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(character) = id.chars().find(|&c| !allowed(c)) {
            return Err(InvalidAggregateId::ForbiddenCharacter { kind, id, character });
        }
        let characters = id.len();
        if characters > Self::ID_CHARACTERS_MAX {
            return Err(InvalidAggregateId::TooLong { kind, characters });
        }
        Ok(Self { kind, id })
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.id)
    }
}

impl FromStr for AggregateId {
    type Err = InvalidAggregateId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || InvalidAggregateId::UnknownKind { text: text.to_owned() };
        let (kind, id) = text.split_once('-').ok_or_else(unknown)?;
        let kind = AggregateKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(unknown)?;
        Self::new(kind, id)
    }
}

impl From<AggregateId> for String {
    fn from(id: AggregateId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for AggregateId {
    type Error = InvalidAggregateId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_are_two_forms_of_one_name() {
        for text in ["order-o-1", "cart-c_9.x", "payment-P", "order--"] {
            let id: AggregateId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_value(&id).unwrap();
            assert_eq!(json, serde_json::json!(text));
            assert_eq!(serde_json::from_value::<AggregateId>(json).unwrap(), id);
        }
    }

    #[test]
    fn what_names_no_aggregate_is_refused_with_the_reason() {
        let longest = format!("order-{}", "x".repeat(64));
        assert!(longest.parse::<AggregateId>().is_ok());
        let kind = AggregateKind::Order;
        let table = [
            ("".to_owned(), InvalidAggregateId::UnknownKind { text: "".into() }),
            ("order".to_owned(), InvalidAggregateId::UnknownKind { text: "order".into() }),
            ("stock-1".to_owned(), InvalidAggregateId::UnknownKind { text: "stock-1".into() }),
            ("Order-1".to_owned(), InvalidAggregateId::UnknownKind { text: "Order-1".into() }),
            ("order-".to_owned(), InvalidAggregateId::Empty { kind }),
            (longest + "x", InvalidAggregateId::TooLong { kind, characters: 65 }),
            ("order-a b".to_owned(), InvalidAggregateId::ForbiddenCharacter { kind, id: "a b".into(), character: ' ' }),
            ("order-é".to_owned(), InvalidAggregateId::ForbiddenCharacter { kind, id: "é".into(), character: 'é' }),
            ("order-a#b".to_owned(), InvalidAggregateId::ForbiddenCharacter { kind, id: "a#b".into(), character: '#' }),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<AggregateId>().unwrap_err(), expected, "{text:?}");
        }
    }
}
