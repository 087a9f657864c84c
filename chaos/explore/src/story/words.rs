//! Items and commands in a few words.

use serde_json::Value;

/// What is worth saying of an item, in this order; its other attributes are left out.
const TELLING: [&str; 15] = [
    "version",
    "sk",
    "event_type",
    "status",
    "outcome",
    "owner",
    "epoch",
    "counter",
    "progress",
    "state",
    "reason",
    "last_version",
    "first_version",
    "command_id",
    "event_id",
];
/// Characters of one attribute's value.
const VALUE_MAX: usize = 60;

/// The text or number of an attribute in DynamoDB JSON.
pub fn attribute<'v>(image: &'v Value, name: &str) -> Option<&'v str> {
    let value = image.get(name)?;
    value.get("S").or_else(|| value.get("N"))?.as_str()
}

/// An item, as `version 3, event_type OrderPlaced`.
pub fn item(image: &Value) -> String {
    let told = |name: &&str| Some(format!("{} {}", named(name), shortened(attribute(image, name)?, VALUE_MAX)));
    let told: Vec<String> = TELLING.iter().filter_map(told).collect();
    if told.is_empty() { shortened(&image.to_string(), 2 * VALUE_MAX) } else { told.join(", ") }
}

fn named(attribute: &str) -> &str {
    match attribute {
        "sk" => "version",
        other => other,
    }
}

/// A command or a read, as `PlaceOrder o-1`.
pub fn command(body: &Value) -> String {
    let kind = body["type"].as_str().unwrap_or("a command");
    let ids = ["order_id", "cart_id", "payment_id"];
    let id = ids.iter().find_map(|name| body[*name].as_str()).unwrap_or("");
    format!("{kind} {id}").trim_end().to_owned()
}

/// The aggregate that a command is about, by the names that events are stored under.
pub fn aggregate_of_command(body: &Value) -> Option<String> {
    let is_payment = body["type"].as_str().is_some_and(|kind| kind.contains("Payment"));
    let id = |name: &str, prefix: &str| body[name].as_str().map(|id| format!("{prefix}-{id}"));
    let payment = if is_payment { id("payment_id", "payment") } else { None };
    payment.or_else(|| id("cart_id", "cart")).or_else(|| id("order_id", "order"))
}

/// At most `most` characters.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_and_items_are_told_by_what_matters() {
        let place = json!({"type": "PlaceOrder", "order_id": "o-1", "lines": []});
        assert_eq!(
            (command(&place).as_str(), aggregate_of_command(&place).as_deref()),
            ("PlaceOrder o-1", Some("order-o-1"))
        );
        let pay = json!({"type": "ProcessPayment", "order_id": "o-1", "payment_id": "p-1"});
        assert_eq!(aggregate_of_command(&pay).as_deref(), Some("payment-p-1"));
        let image = json!({"pk": {"S": "order-o-1"}, "sk": {"N": "3"}, "event_type": {"S": "OrderPlaced"}});
        assert_eq!(item(&image), "version 3, event_type OrderPlaced");
        assert_eq!(item(&json!({"x": 1})), "{\"x\":1}");
    }
}
