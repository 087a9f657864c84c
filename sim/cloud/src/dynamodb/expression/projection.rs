//! The parts of an item that a list of paths names.

use std::collections::BTreeMap;

use super::{
    super::value::{AttributeValue, Item},
    Bindings, ExpressionError, ResolvedStep,
    ast::Path,
    show_path,
};

/// Paths merged into a tree; a leaf takes everything below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    members: BTreeMap<String, Projection>,
    elements: BTreeMap<usize, Projection>,
}

impl Projection {
    /// Merges paths of which none lies inside another; see [`check_overlap`].
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a Path>, bindings: &Bindings) -> Self {
        let mut root = Self::default();
        for path in paths {
            let mut node = &mut root;
            for step in bindings.path(path) {
                node = match step {
                    ResolvedStep::Attribute(name) => node.members.entry(name.to_owned()).or_default(),
                    ResolvedStep::Index(index) => node.elements.entry(index).or_default(),
                };
            }
        }
        root
    }

    /// Whole top-level attributes.
    pub fn of_attributes<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        Self {
            members: names.into_iter().map(|name| (name.clone(), Self::default())).collect(),
            elements: BTreeMap::new(),
        }
    }

    fn is_leaf(&self) -> bool {
        self.members.is_empty() && self.elements.is_empty()
    }

    /// The projected item; list elements close up in index order.
    pub fn apply(&self, item: &Item) -> Item {
        self.members.iter().filter_map(|(name, below)| Some((name.clone(), below.value(item.get(name)?)?))).collect()
    }

    fn value(&self, value: &AttributeValue) -> Option<AttributeValue> {
        if self.is_leaf() {
            return Some(value.clone());
        }
        match value {
            AttributeValue::M(members) => {
                let found: Item = self
                    .members
                    .iter()
                    .filter_map(|(name, below)| Some((name.clone(), below.value(members.get(name)?)?)))
                    .collect();
                (!found.is_empty()).then_some(AttributeValue::M(found))
            }
            AttributeValue::L(elements) => {
                let found: Vec<AttributeValue> =
                    self.elements.iter().filter_map(|(index, below)| below.value(elements.get(*index)?)).collect();
                (!found.is_empty()).then_some(AttributeValue::L(found))
            }
            _ => None,
        }
    }
}

/// Refuses paths of which one lies inside another, and paths that see one value as both map and list.
pub fn check_overlap<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    bindings: &'a Bindings,
) -> Result<(), ExpressionError> {
    let resolved: Vec<_> = paths.into_iter().map(|path| bindings.path(path)).collect();
    for (index, one) in resolved.iter().enumerate() {
        for other in &resolved[..index] {
            let problem = match one.iter().zip(other).find(|(left, right)| left != right) {
                None => "overlap",
                Some((ResolvedStep::Attribute(_), ResolvedStep::Index(_)))
                | Some((ResolvedStep::Index(_), ResolvedStep::Attribute(_))) => "conflict",
                Some(_) => continue,
            };
            return Err(ExpressionError::new(format!(
                "Two document paths {problem} with each other; must remove or rewrite one of these paths; \
                 path one: {}, path two: {}",
                show_path(other),
                show_path(one)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            super::value::{item_from_json, item_to_json},
            parser::parse_projection,
        },
        *,
    };
    use crate::wire::json::Json;

    #[test]
    fn takes_the_named_parts() {
        let text = json!({
            "a": {"N": "1"}, "m": {"M": {"x": {"S": "1"}, "y": {"S": "2"}}},
            "l": {"L": [{"S": "0"}, {"S": "1"}, {"M": {"z": {"S": "2"}}}]},
        })
        .to_string();
        let item = item_from_json(&Json::parse(text.as_bytes()).unwrap()).unwrap();
        let bindings = Bindings::default();
        for (source, wanted) in [
            ("a", json!({"a": {"N": "1"}})),
            ("m.x, l[2].z", json!({"m": {"M": {"x": {"S": "1"}}}, "l": {"L": [{"M": {"z": {"S": "2"}}}]}})),
            ("l[1], l[0]", json!({"l": {"L": [{"S": "0"}, {"S": "1"}]}})),
            ("m.absent, a.b, q", json!({})),
        ] {
            let paths = parse_projection(source).unwrap().node;
            assert_eq!(item_to_json(&Projection::new(&paths, &bindings).apply(&item)), wanted, "{source}");
        }
    }

    #[test]
    fn overlapping_and_conflicting_paths_are_refused() {
        let bindings = Bindings::default();
        for (source, message) in [
            (
                "a, a.b",
                "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
            ),
            (
                "a.b, a[0]",
                "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]",
            ),
        ] {
            let paths = parse_projection(source).unwrap().node;
            assert_eq!(check_overlap(&paths, &bindings).unwrap_err().message, message);
        }
        let distinct = parse_projection("a.b, a.c, d[0], d[1]").unwrap().node;
        assert_eq!(check_overlap(&distinct, &bindings), Ok(()));
    }
}
