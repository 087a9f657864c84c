//! JSON pointers (RFC 6901), and where local references lead.

use serde_json::Value;

use crate::schema::UnusableSchema;

/// The pointer one step further.
pub fn join(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

pub struct Target<'d> {
    pub pointer: String,
    pub schema: &'d Value,
}

/// Where `reference`, which stands at `place`, leads within its own document.
///
/// # Errors
/// It leads to another document, or to nothing.
pub fn resolve<'d>(document: &'d Value, reference: &str, place: &str) -> Result<Target<'d>, UnusableSchema> {
    let remote = || UnusableSchema::RemoteReference { pointer: join(place, "$ref"), reference: reference.to_owned() };
    let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let own = document.get("$id").and_then(Value::as_str).unwrap_or_default();
    let own = own.split_once('#').map_or(own, |(base, _)| base);
    if !base.is_empty() && base != own {
        return Err(remote());
    }
    let fragment = percent_decoded(fragment);
    let found = if fragment.is_empty() || fragment.starts_with('/') {
        document.pointer(&fragment).map(|schema| Target { pointer: fragment.clone(), schema })
    } else {
        named(document, &format!("#{fragment}"), String::new())
    };
    found.ok_or_else(|| UnusableSchema::DanglingReference {
        pointer: join(place, "$ref"),
        reference: reference.to_owned(),
    })
}

/// The schema whose `$id` is this fragment.
fn named<'d>(schema: &'d Value, identifier: &str, pointer: String) -> Option<Target<'d>> {
    match schema {
        Value::Object(fields) => {
            if fields.get("$id").and_then(Value::as_str) == Some(identifier) {
                return Some(Target { pointer, schema });
            }
            fields.iter().find_map(|(name, field)| named(field, identifier, join(&pointer, name)))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| named(item, identifier, join(&pointer, &index.to_string()))),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten();
        let decoded =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
