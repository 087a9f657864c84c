//! Pages of lists, and the tokens by which they continue.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{errors::invalid, input::Input};
use crate::service::ServiceError;

const DEFAULT_PAGE: i64 = 25;

/// Which part of a list a request wants.
#[derive(Debug)]
pub struct Page {
    list: &'static str,
    size: usize,
    /// Goes on behind this one.
    after: Option<String>,
}

impl Page {
    /// # Errors
    /// If the size is not within 1 to `most`, or the token is none of this `list`.
    pub fn read(input: &Input<'_>, list: &'static str, most: i64) -> Result<Self, ServiceError> {
        let size = input.integer("MaxResults", 1, most)?.unwrap_or(DEFAULT_PAGE);
        let token = input.text("NextToken")?.filter(|token| !token.is_empty());
        let after =
            token.map(|token| decode(token, list).ok_or_else(|| invalid("NextToken is not valid."))).transpose()?;
        Ok(Self { list, size: usize::try_from(size).unwrap_or(usize::MAX), after })
    }

    /// The page out of entries that come in the order of their keys, under the member `name`.
    pub fn cut(self, name: &str, entries: impl Iterator<Item = (String, Value)>) -> Value {
        let after = self.after;
        let mut rest = entries.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).peekable();
        let mut shown = Vec::new();
        let mut last = String::new();
        while let Some((key, entry)) = rest.next_if(|_| shown.len() < self.size) {
            shown.push(entry);
            last = key;
        }
        let mut answer = json!({name: shown});
        if rest.peek().is_some() {
            answer["NextToken"] = json!(STANDARD.encode(json!([self.list, last]).to_string()));
        }
        answer
    }
}

fn decode(token: &str, list: &str) -> Option<String> {
    let bytes = STANDARD.decode(token).ok()?;
    let (of, after): (String, String) = serde_json::from_slice(&bytes).ok()?;
    (of == list).then_some(after)
}
