//! A borrowed JSON tree and typed access to it, refusing wrong types in the words of the service.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows its text from the request wherever no escape stands in the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// In order of appearance. When a name appears twice, the last one counts.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The request's JSON does not have the shape that the operation's model asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ShapeError {
    pub message: String,
}

fn shape<T>(message: impl Into<String>) -> Result<T, ShapeError> {
    Err(ShapeError { message: message.into() })
}

impl<'a> Json<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    fn class_name(&self) -> &'static str {
        match self {
            Json::Bool(_) => "java.lang.Boolean",
            Json::Integer(number) if i16::try_from(*number).is_ok() => "java.lang.Short",
            Json::Integer(number) if i32::try_from(*number).is_ok() => "java.lang.Integer",
            Json::Integer(_) => "java.lang.Long",
            Json::Float(_) => "java.lang.Double",
            _ => "java.lang.String",
        }
    }

    pub fn as_str(&self) -> Result<&str, ShapeError> {
        match self {
            Json::String(text) => Ok(text),
            Json::Array(_) => shape("Start of list found where not expected"),
            Json::Object(_) => shape("Start of structure or map found where not expected."),
            other => shape(format!("class {} can not be converted to an String", other.class_name())),
        }
    }

    pub fn as_bool(&self) -> Result<bool, ShapeError> {
        match self {
            Json::Bool(value) => Ok(*value),
            Json::String(text) if ["true", "false"].contains(&text.to_ascii_lowercase().as_str()) => {
                Ok(text.eq_ignore_ascii_case("true"))
            }
            Json::String(text) => shape(format!("'{}' can not be converted to an Boolean", text.to_uppercase())),
            Json::Array(_) => shape("Start of list found where not expected"),
            Json::Object(_) => shape("Start of structure or map found where not expected."),
            other => shape(format!("class {} can not be converted to an Boolean", other.class_name())),
        }
    }

    pub fn as_integer(&self, kind: &str) -> Result<i64, ShapeError> {
        match self {
            Json::Integer(number) => Ok(*number),
            Json::Float(number) => Ok(libm::floor(*number) as i64),
            Json::Array(_) => shape("Start of list found where not expected"),
            Json::Object(_) => shape("Start of structure or map found where not expected."),
            other => shape(format!("class {} can not be converted to an {kind}", other.class_name())),
        }
    }

    /// Seconds after the epoch, as timestamps stand in requests.
    pub fn as_seconds(&self) -> Result<f64, ShapeError> {
        match self {
            Json::Integer(seconds) => Ok(*seconds as f64),
            Json::Float(seconds) => Ok(*seconds),
            other => shape(format!("class {} can not be converted to a Timestamp", other.class_name())),
        }
    }

    pub fn as_array(&self) -> Result<&[Json<'a>], ShapeError> {
        match self {
            Json::Array(elements) => Ok(elements),
            Json::Object(_) => shape("Start of structure or map found where not expected."),
            _ => shape("Unexpected field type"),
        }
    }

    pub fn as_object(&self) -> Result<&[(Cow<'a, str>, Json<'a>)], ShapeError> {
        match self {
            Json::Object(members) => Ok(members),
            Json::Array(_) => shape("Unrecognized collection type class java.util.ArrayList"),
            _ => shape("Unexpected field type"),
        }
    }

    /// The member of that name; a null counts as absent.
    pub fn get(&self, name: &str) -> Result<Option<&Json<'a>>, ShapeError> {
        let member = self.as_object()?.iter().rev().find(|(key, _)| key == name);
        Ok(member.map(|(_, value)| value).filter(|value| !matches!(value, Json::Null)))
    }

    pub fn string(&self, name: &str) -> Result<Option<&str>, ShapeError> {
        self.get(name)?.map(Json::as_str).transpose()
    }

    pub fn bool(&self, name: &str) -> Result<Option<bool>, ShapeError> {
        self.get(name)?.map(Json::as_bool).transpose()
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, ShapeError> {
        self.get(name)?.map(|value| value.as_integer("Integer")).transpose()
    }

    pub fn long(&self, name: &str) -> Result<Option<i64>, ShapeError> {
        self.get(name)?.map(|value| value.as_integer("Long")).transpose()
    }

    pub fn array(&self, name: &str) -> Result<Option<&[Json<'a>]>, ShapeError> {
        self.get(name)?.map(Json::as_array).transpose()
    }

    /// A list of strings.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, ShapeError> {
        let Some(elements) = self.array(name)? else { return Ok(None) };
        elements.iter().map(|element| element.as_str().map(str::to_owned)).collect::<Result<_, _>>().map(Some)
    }

    /// Refuses members outside `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), ShapeError> {
        for (name, _) in self.as_object()? {
            if !known.contains(&name.as_ref()) {
                return shape(format!("Unexpected member: {name}"));
            }
        }
        Ok(())
    }
}

struct JsonVisitor;

/// Text that stays borrowed where it can.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Integer(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Float(value))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain_from..index]);
        plain_from = index + 1;
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_are_refused_in_the_services_words() {
        let json = Json::parse(br#"{"a":23,"b":true,"c":[],"d":{},"e":"x"}"#).unwrap();
        for (name, message) in [
            ("a", "class java.lang.Short can not be converted to an String"),
            ("b", "class java.lang.Boolean can not be converted to an String"),
            ("c", "Start of list found where not expected"),
            ("d", "Start of structure or map found where not expected."),
        ] {
            assert_eq!(json.string(name).unwrap_err().message, message);
        }
        assert_eq!(json.string("e").unwrap(), Some("x"));
        assert_eq!(json.string("f").unwrap(), None);
        assert_eq!(json.array("e").unwrap_err().message, "Unexpected field type");
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let json = Json::parse(br#"{"plain":"abc","escaped":"a\"c"}"#).unwrap();
        assert!(matches!(json.get("plain").unwrap(), Some(Json::String(Cow::Borrowed("abc")))));
        assert_eq!(json.string("escaped").unwrap(), Some("a\"c"));
    }

    #[test]
    fn written_strings_read_back() {
        for text in ["", "plain", "quote\" back\\ line\n tab\t bell\u{7} é 😀"] {
            let mut out = Vec::new();
            write_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
