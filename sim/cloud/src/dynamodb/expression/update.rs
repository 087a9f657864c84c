//! Applies an update expression to an item. Right sides see the item as it was.

use super::{
    super::{
        errors::DynamodbError,
        value::{AttributeValue, Item},
    },
    Bindings, ExpressionError, ResolvedStep,
    ast::{SetOperand, SetValue, Update},
    projection::check_overlap,
};

type Outcome<T> = Result<T, DynamodbError>;

const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const INVALID_PATH: &str = "The document path provided in the update expression is invalid for update";

/// Refuses what is wrong whatever the item: overlapping paths and literal operands of the wrong type.
pub fn check_update(update: &Update, bindings: &Bindings) -> Result<(), ExpressionError> {
    check_overlap(update.paths(), bindings)?;
    for (_, value) in &update.set {
        match value {
            SetValue::Operand(operand) => check_set_operand(operand, bindings)?,
            SetValue::Plus(left, right) => check_arithmetic("+", left, right, bindings)?,
            SetValue::Minus(left, right) => check_arithmetic("-", left, right, bindings)?,
        }
    }
    for (_, name) in &update.add {
        let value = bindings.value(name);
        if !matches!(value, AttributeValue::N(_)) && !is_set(value) {
            return Err(wrong_operand("ADD", value, ", typeset: ALLOWED_FOR_ADD_OPERAND"));
        }
    }
    for (_, name) in &update.delete {
        let value = bindings.value(name);
        if !is_set(value) {
            return Err(wrong_operand("DELETE", value, ", typeset: ALLOWED_FOR_DELETE_OPERAND"));
        }
    }
    Ok(())
}

fn is_set(value: &AttributeValue) -> bool {
    matches!(value, AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_))
}

fn wrong_operand(operator: &str, value: &AttributeValue, more: &str) -> ExpressionError {
    let (label, kind) = match operator {
        "ADD" | "DELETE" => ("operator", value.long_type_name()),
        _ => ("operator or function", value.type_name()),
    };
    ExpressionError::new(format!(
        "Incorrect operand type for operator or function; {label}: {operator}, operand type: {kind}{more}"
    ))
}

fn check_arithmetic(
    operator: &str,
    left: &SetOperand,
    right: &SetOperand,
    bindings: &Bindings,
) -> Result<(), ExpressionError> {
    for operand in [left, right] {
        check_set_operand(operand, bindings)?;
        if let SetOperand::Value(name) = operand {
            let value = bindings.value(name);
            if !matches!(value, AttributeValue::N(_)) {
                return Err(wrong_operand(operator, value, ""));
            }
        }
    }
    Ok(())
}

fn check_set_operand(operand: &SetOperand, bindings: &Bindings) -> Result<(), ExpressionError> {
    match operand {
        SetOperand::Path(_) | SetOperand::Value(_) => Ok(()),
        SetOperand::IfNotExists(_, other) => check_set_operand(other, bindings),
        SetOperand::ListAppend(left, right) => [left, right].into_iter().try_for_each(|operand| {
            check_set_operand(operand, bindings)?;
            match &**operand {
                SetOperand::Value(name) if !matches!(bindings.value(name), AttributeValue::L(_)) => {
                    Err(wrong_operand("list_append", bindings.value(name), ""))
                }
                _ => Ok(()),
            }
        }),
    }
}

/// The item after the update. `before` holds at least the key attributes.
pub fn apply_update(update: &Update, bindings: &Bindings, before: &Item) -> Outcome<Item> {
    let mut after = before.clone();
    let mut values = Vec::with_capacity(update.set.len());
    for (path, value) in &update.set {
        values.push((bindings.path(path), set_value(value, bindings, before)?));
    }
    // New elements beyond the end of a list are appended in index order, whatever their order in the text.
    values.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, value) in values {
        put(&mut after, &path, value)?;
    }
    for (path, name) in &update.add {
        let sum = add(bindings.find(path, before), bindings.value(name))?;
        put(&mut after, &bindings.path(path), sum)?;
    }
    for (path, name) in &update.delete {
        match (bindings.find(path, before), bindings.value(name)) {
            (None, _) => {}
            (Some(value), parts) => match subtract(value, parts)? {
                Some(rest) => put(&mut after, &bindings.path(path), rest)?,
                None => remove(&mut after, &bindings.path(path))?,
            },
        }
    }
    // The highest index first, so that the lower ones still mean what they meant before.
    let mut removals: Vec<_> = update.remove.iter().map(|path| bindings.path(path)).collect();
    removals.sort();
    for path in removals.iter().rev() {
        remove(&mut after, path)?;
    }
    Ok(after)
}

fn set_value(value: &SetValue, bindings: &Bindings, item: &Item) -> Outcome<AttributeValue> {
    let number = |operand: &SetOperand| match set_operand(operand, bindings, item)? {
        AttributeValue::N(number) => Ok(number),
        _ => Err(DynamodbError::validation(WRONG_TYPE)),
    };
    let result = match value {
        SetValue::Operand(operand) => return set_operand(operand, bindings, item),
        SetValue::Plus(left, right) => number(left)?.plus(number(right)?),
        SetValue::Minus(left, right) => number(left)?.minus(number(right)?),
    };
    result.map(AttributeValue::N).map_err(|error| DynamodbError::validation(error.to_string()))
}

fn set_operand(operand: &SetOperand, bindings: &Bindings, item: &Item) -> Outcome<AttributeValue> {
    match operand {
        SetOperand::Value(name) => Ok(bindings.value(name).clone()),
        SetOperand::Path(path) => bindings.find(path, item).cloned().ok_or_else(|| DynamodbError::validation(MISSING)),
        SetOperand::IfNotExists(path, other) => match bindings.find(path, item) {
            Some(value) => Ok(value.clone()),
            None => set_operand(other, bindings, item),
        },
        SetOperand::ListAppend(left, right) => {
            match (set_operand(left, bindings, item)?, set_operand(right, bindings, item)?) {
                (AttributeValue::L(mut left), AttributeValue::L(right)) => {
                    left.extend(right);
                    Ok(AttributeValue::L(left))
                }
                _ => Err(DynamodbError::validation(WRONG_TYPE)),
            }
        }
    }
}

fn add(old: Option<&AttributeValue>, operand: &AttributeValue) -> Outcome<AttributeValue> {
    use AttributeValue::{Bs, N, Ns, Ss};
    Ok(match (old, operand) {
        (None, operand) => operand.clone(),
        (Some(N(old)), N(operand)) => {
            N(old.plus(*operand).map_err(|error| DynamodbError::validation(error.to_string()))?)
        }
        (Some(Ss(old)), Ss(more)) => Ss(old.union(more).cloned().collect()),
        (Some(Ns(old)), Ns(more)) => Ns(old.union(more).copied().collect()),
        (Some(Bs(old)), Bs(more)) => Bs(old.union(more).cloned().collect()),
        _ => return Err(DynamodbError::validation(WRONG_TYPE)),
    })
}

/// What remains of a set; nothing when it became empty.
fn subtract(old: &AttributeValue, parts: &AttributeValue) -> Outcome<Option<AttributeValue>> {
    use AttributeValue::{Bs, Ns, Ss};
    let (rest, empty) = match (old, parts) {
        (Ss(old), Ss(parts)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(parts).cloned().collect();
            let empty = rest.is_empty();
            (Ss(rest), empty)
        }
        (Ns(old), Ns(parts)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(parts).copied().collect();
            let empty = rest.is_empty();
            (Ns(rest), empty)
        }
        (Bs(old), Bs(parts)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(parts).cloned().collect();
            let empty = rest.is_empty();
            (Bs(rest), empty)
        }
        _ => return Err(DynamodbError::validation(WRONG_TYPE)),
    };
    Ok((!empty).then_some(rest))
}

fn invalid_path() -> DynamodbError {
    DynamodbError::validation(INVALID_PATH)
}

/// The container that holds the last step of `path`.
fn parent<'i>(item: &'i mut Item, path: &[ResolvedStep<'_>]) -> Outcome<&'i mut AttributeValue> {
    let [ResolvedStep::Attribute(root), steps @ ..] = path else { return Err(invalid_path()) };
    let mut value = item.get_mut(*root).ok_or_else(invalid_path)?;
    for step in steps {
        value = match (step, value) {
            (ResolvedStep::Attribute(name), AttributeValue::M(members)) => members.get_mut(*name),
            (ResolvedStep::Index(index), AttributeValue::L(elements)) => elements.get_mut(*index),
            _ => None,
        }
        .ok_or_else(invalid_path)?;
    }
    Ok(value)
}

fn put(item: &mut Item, path: &[ResolvedStep<'_>], value: AttributeValue) -> Outcome<()> {
    match path {
        [ResolvedStep::Attribute(root)] => {
            item.insert((*root).to_owned(), value);
            Ok(())
        }
        [above @ .., last] => match (last, parent(item, above)?) {
            (ResolvedStep::Attribute(name), AttributeValue::M(members)) => {
                members.insert((*name).to_owned(), value);
                Ok(())
            }
            (ResolvedStep::Index(index), AttributeValue::L(elements)) => {
                match elements.get_mut(*index) {
                    Some(element) => *element = value,
                    None => elements.push(value),
                }
                Ok(())
            }
            _ => Err(invalid_path()),
        },
        [] => Err(invalid_path()),
    }
}

fn remove(item: &mut Item, path: &[ResolvedStep<'_>]) -> Outcome<()> {
    match path {
        [ResolvedStep::Attribute(root)] => {
            item.remove(*root);
            Ok(())
        }
        [above @ .., last] => match (last, parent(item, above)?) {
            (ResolvedStep::Attribute(name), AttributeValue::M(members)) => {
                members.remove(*name);
                Ok(())
            }
            (ResolvedStep::Index(index), AttributeValue::L(elements)) => {
                if *index < elements.len() {
                    elements.remove(*index);
                }
                Ok(())
            }
            _ => Err(invalid_path()),
        },
        [] => Err(invalid_path()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{
            super::value::{item_from_json, item_to_json},
            parser::parse_update,
        },
        *,
    };
    use crate::wire::json::Json;

    fn item(json: Value) -> Item {
        let text = json.to_string();
        item_from_json(&Json::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn bindings() -> Bindings {
        Bindings {
            names: [("#m".to_owned(), "m".to_owned())].into(),
            values: item(json!({
                ":one": {"N": "1"}, ":two": {"N": "2"}, ":s": {"S": "x"}, ":l": {"L": [{"N": "9"}]},
                ":ss": {"SS": ["a"]}, ":all": {"SS": ["a", "b"]}, ":more": {"SS": ["b", "c"]}, ":map": {"M": {}},
            })),
        }
    }

    fn before() -> Item {
        item(json!({
            "n": {"N": "5"}, "l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]}, "m": {"M": {"x": {"N": "7"}}},
            "tags": {"SS": ["a", "b"]}, "words": {"S": "t"},
        }))
    }

    fn updated(source: &str) -> Result<Value, String> {
        let bindings = bindings();
        let update = parse_update(source).map_err(|error| error.message)?.node;
        check_update(&update, &bindings).map_err(|error| error.message)?;
        apply_update(&update, &bindings, &before()).map(|after| item_to_json(&after)).map_err(|error| error.to_string())
    }

    #[test]
    fn updates_change_what_they_name() {
        for (source, attribute, wanted) in [
            ("SET n = n + :one", "n", json!({"N": "6"})),
            ("SET n = :one - n", "n", json!({"N": "-4"})),
            ("SET q = if_not_exists(q, :one) + :two", "q", json!({"N": "3"})),
            ("SET n = if_not_exists(n, :one)", "n", json!({"N": "5"})),
            ("SET l = list_append(:l, l)", "l", json!({"L": [{"N": "9"}, {"N": "0"}, {"N": "1"}, {"N": "2"}]})),
            ("SET l[1] = :s", "l", json!({"L": [{"N": "0"}, {"S": "x"}, {"N": "2"}]})),
            (
                "SET l[9] = :s, l[7] = :one",
                "l",
                json!({"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"N": "1"}, {"S": "x"}]}),
            ),
            ("SET #m.y = :s", "m", json!({"M": {"x": {"N": "7"}, "y": {"S": "x"}}})),
            ("SET n = words, words = n", "n", json!({"S": "t"})),
            ("REMOVE l[0], l[2]", "l", json!({"L": [{"N": "1"}]})),
            ("REMOVE l[7]", "l", json!({"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]})),
            ("REMOVE m.x", "m", json!({"M": {}})),
            ("REMOVE absent", "n", json!({"N": "5"})),
            ("ADD n :two", "n", json!({"N": "7"})),
            ("ADD fresh :two", "fresh", json!({"N": "2"})),
            ("ADD tags :more", "tags", json!({"SS": ["a", "b", "c"]})),
            ("ADD m.x :one", "m", json!({"M": {"x": {"N": "8"}}})),
            ("DELETE tags :ss", "tags", json!({"SS": ["b"]})),
            ("DELETE tags :all", "tags", Value::Null),
            ("DELETE absent :ss", "absent", Value::Null),
            ("REMOVE words SET twin = words", "twin", json!({"S": "t"})),
        ] {
            let after = updated(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(after.get(attribute).cloned().unwrap_or_default(), wanted, "{source}");
        }
    }

    #[test]
    fn impossible_updates_are_refused() {
        for (source, message) in [
            ("SET a = absent", MISSING),
            ("SET a = n + words", WRONG_TYPE),
            ("SET absent.x = :one", INVALID_PATH),
            ("SET n.x = :one", INVALID_PATH),
            ("SET m[0] = :one", INVALID_PATH),
            ("REMOVE absent.x", INVALID_PATH),
            ("ADD words :one", WRONG_TYPE),
            ("ADD tags :two", WRONG_TYPE),
            ("DELETE n :ss", WRONG_TYPE),
            (
                "ADD n :s",
                "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeset: ALLOWED_FOR_ADD_OPERAND",
            ),
            (
                "SET n = n + :s",
                "Incorrect operand type for operator or function; operator or function: +, operand type: S",
            ),
            (
                "SET l = list_append(l, :s)",
                "Incorrect operand type for operator or function; operator or function: list_append, operand type: S",
            ),
            (
                "SET n = :one REMOVE n",
                "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]",
            ),
        ] {
            assert_eq!(updated(source).unwrap_err(), message, "{source}");
        }
    }
}
