use proptest::prelude::*;

use super::*;

fn condition_error(source: &str) -> String {
    parse_condition(source).map(|parsed| parsed.node.to_string()).unwrap_err().message
}

#[test]
fn precedence_is_not_and_or() {
    for (source, printed) in [
        ("a = :x OR b = :y AND NOT c = :z", "a = :x OR b = :y AND NOT c = :z"),
        ("(a = :x OR b = :y) AND c = :z", "(a = :x OR b = :y) AND c = :z"),
        ("NOT (a = :x AND b = :y)", "NOT (a = :x AND b = :y)"),
        ("(a = :x AND b = :y) AND c = :z", "a = :x AND b = :y AND c = :z"),
        ("a between :x and :y and b IN (:z,c)", "a BETWEEN :x AND :y AND b IN (:z, c)"),
        ("size(a.b[0].#c)>=:n", "size(a.b[0].#c) >= :n"),
        ("attribute_type(a,:t) or contains(a,:x)", "attribute_type(a, :t) OR contains(a, :x)"),
    ] {
        assert_eq!(parse_condition(source).unwrap().node.to_string(), printed);
    }
}

#[test]
fn refusals_use_the_services_words() {
    for (source, message) in [
        ("", "The expression can not be empty;"),
        ("a = ", r#"Syntax error; token: "<EOF>", near: "=""#),
        ("a = :x :y", r#"Syntax error; token: ":y", near: ":x :y""#),
        ("a == :x", r#"Syntax error; token: "=", near: "== :x""#),
        ("_a = :x", r#"Syntax error; token: "_", near: "_a""#),
        ("name = :x", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("foo(a)", "Invalid function name; function: foo"),
        ("Attribute_Exists(a)", "Invalid function name; function: Attribute_Exists"),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "begins_with(a)",
            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
        ),
        (
            "attribute_exists(:x)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "a = a",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        ),
        ("((a = :x))", "The expression has redundant parentheses;"),
    ] {
        assert_eq!(condition_error(source), message, "{source}");
    }
    assert!(parse_condition("((a = :x) AND (b = :y))").is_ok());
    assert!(condition_error(&"(".repeat(4000)).contains("nested too deeply"));
    assert!(condition_error(&"a".repeat(4097)).contains("maximum allowed size"));
}

#[test]
fn updates_are_sorted_into_sections() {
    let parsed =
        parse_update("REMOVE x[1], #y ADD n :one SET a = if_not_exists(a, :zero) + :one, b=list_append(b,:l)").unwrap();
    assert_eq!(
        parsed.node.to_string(),
        "SET a = if_not_exists(a, :zero) + :one, b = list_append(b, :l) REMOVE x[1], #y ADD n :one"
    );
    assert_eq!(parsed.names, ["#y"]);
    assert_eq!(parsed.values, [":one", ":zero", ":one", ":l"]);
    for (source, message) in [
        ("SET a = :x SET b = :y", r#"The "SET" section can only be used once in an update expression;"#),
        ("a = :x", r#"Syntax error; token: "a", near: "a =""#),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("ADD a b", r#"Syntax error; token: "b", near: "a b""#),
        ("SET a = :x + :y + :z", r#"Syntax error; token: "+", near: ":y + :z""#),
    ] {
        assert_eq!(parse_update(source).unwrap_err().message, message, "{source}");
    }
}

fn paths() -> impl Strategy<Value = Path> {
    let attribute = prop_oneof!["[a-z]{1,3}x", "#[a-z0-9_]{1,4}"].prop_map(|name| Step::Attribute(Name(name)));
    let step = prop_oneof![attribute.clone(), (0usize..9).prop_map(Step::Index)];
    (attribute, proptest::collection::vec(step, 0..3)).prop_map(|(first, rest)| {
        let mut steps = vec![first];
        steps.extend(rest);
        Path(steps)
    })
}

fn value_names() -> impl Strategy<Value = ValueName> {
    "[a-z]{1,3}".prop_map(|name| ValueName(format!(":{name}")))
}

fn operands() -> impl Strategy<Value = Operand> {
    prop_oneof![
        paths().prop_map(Operand::Path),
        value_names().prop_map(Operand::Value),
        paths().prop_map(Operand::Size)
    ]
}

fn comparators() -> impl Strategy<Value = Comparator> {
    use Comparator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    proptest::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual])
}

fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (operands(), comparators(), value_names()).prop_map(|(left, comparator, right)| Condition::Compare {
            left,
            comparator,
            right: Operand::Value(right)
        }),
        (operands(), operands(), operands()).prop_map(|(operand, low, high)| Condition::Between { operand, low, high }),
        (operands(), proptest::collection::vec(operands(), 1..4))
            .prop_map(|(operand, candidates)| Condition::In { operand, candidates }),
        paths().prop_map(Condition::AttributeExists),
        paths().prop_map(Condition::AttributeNotExists),
        (paths(), value_names()).prop_map(|(path, name)| Condition::AttributeType(path, name)),
        (operands(), value_names()).prop_map(|(left, right)| Condition::BeginsWith(left, Operand::Value(right))),
        (operands(), value_names()).prop_map(|(left, right)| Condition::Contains(left, Operand::Value(right))),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|condition| Condition::Not(Box::new(condition))),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Condition::And(Box::new(l), Box::new(r))),
            (inner.clone(), inner).prop_map(|(l, r)| Condition::Or(Box::new(l), Box::new(r))),
        ]
    })
}

fn set_operands() -> impl Strategy<Value = SetOperand> {
    let leaf = prop_oneof![paths().prop_map(SetOperand::Path), value_names().prop_map(SetOperand::Value)];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (paths(), inner.clone()).prop_map(|(path, other)| SetOperand::IfNotExists(path, Box::new(other))),
            (inner.clone(), inner).prop_map(|(l, r)| SetOperand::ListAppend(Box::new(l), Box::new(r))),
        ]
    })
}

fn updates() -> impl Strategy<Value = Update> {
    let value = prop_oneof![
        set_operands().prop_map(SetValue::Operand),
        (set_operands(), set_operands()).prop_map(|(l, r)| SetValue::Plus(l, r)),
        (set_operands(), set_operands()).prop_map(|(l, r)| SetValue::Minus(l, r)),
    ];
    let valued = || proptest::collection::vec((paths(), value_names()), 0..3);
    (proptest::collection::vec((paths(), value), 1..3), proptest::collection::vec(paths(), 0..3), valued(), valued())
        .prop_map(|(set, remove, add, delete)| Update { set, remove, add, delete })
}

/// A literal name that happens to be reserved is no fault of the printer.
fn is_about_reserved_words(error: &ExpressionError) -> bool {
    error.message.contains("reserved keyword")
}

proptest! {
    #[test]
    fn printed_conditions_parse_to_themselves(condition in conditions()) {
        match parse_condition(&condition.to_string()) {
            Ok(parsed) => prop_assert_eq!(parsed.node, condition),
            Err(error) => prop_assert!(is_about_reserved_words(&error), "{}: {}", condition, error.message),
        }
    }

    #[test]
    fn printed_updates_parse_to_themselves(update in updates()) {
        match parse_update(&update.to_string()) {
            Ok(parsed) => prop_assert_eq!(parsed.node, update),
            Err(error) => prop_assert!(is_about_reserved_words(&error), "{}: {}", update, error.message),
        }
    }

    #[test]
    fn no_text_panics(source in "[a-c#:()=<>,. \\[\\]0-9ANDORSET_+-]{0,40}") {
        let outcomes =
            (parse_condition(&source).is_ok(), parse_update(&source).is_ok(), parse_projection(&source).is_ok());
        prop_assert!(!(outcomes.0 && outcomes.1), "{} is both a condition and an update", source);
    }
}
