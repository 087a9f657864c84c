//! Schemas as a graph: each node is a list of assertions that must all hold, references are followed, and equal
//! schemas are one node, in whichever document they stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use bigdecimal::BigDecimal;
use serde_json::{Map, Value};

use crate::{
    number::{decimal_of, is_integer, same_value},
    pointer,
    schema::UnusableSchema,
};

pub type NodeId = u32;

/// Kinds of JSON values. Whole numbers and others are told apart, since `integer` asks for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Null,
    Boolean,
    Integer,
    Fraction,
    Text,
    Array,
    Object,
}

impl Kind {
    /// In the order in which counterexamples are sought: the plainest first.
    pub const ALL: [Kind; 7] =
        [Kind::Integer, Kind::Text, Kind::Boolean, Kind::Null, Kind::Fraction, Kind::Array, Kind::Object];

    pub fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(number) if is_integer(&decimal_of(number)) => Kind::Integer,
            Value::Number(_) => Kind::Fraction,
            Value::String(_) => Kind::Text,
            Value::Array(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
        }
    }
}

/// A set of [`Kind`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    pub const EVERY: Kinds = Kinds(0x7f);
    const NUMBERS: Kinds = Kinds(1 << Kind::Integer as u8 | 1 << Kind::Fraction as u8);

    pub fn one(kind: Kind) -> Kinds {
        Kinds(1 << kind as u8)
    }

    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub fn with(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub fn both(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    fn named(name: &str) -> Kinds {
        match name {
            "null" => Kinds::one(Kind::Null),
            "boolean" => Kinds::one(Kind::Boolean),
            "integer" => Kinds::one(Kind::Integer),
            "number" => Kinds::NUMBERS,
            "string" => Kinds::one(Kind::Text),
            "array" => Kinds::one(Kind::Array),
            "object" => Kinds::one(Kind::Object),
            _ => Kinds::NONE,
        }
    }

    /// As `type` would write them.
    pub fn names(self) -> Vec<&'static str> {
        let table = [
            (Kind::Null, "null"),
            (Kind::Boolean, "boolean"),
            (Kind::Text, "string"),
            (Kind::Array, "array"),
            (Kind::Object, "object"),
        ];
        let mut names: Vec<_> = table.iter().filter(|(kind, _)| self.contains(*kind)).map(|(_, name)| *name).collect();
        match (self.contains(Kind::Integer), self.contains(Kind::Fraction)) {
            (true, true) => names.push("number"),
            (true, false) => names.push("integer"),
            (false, true) => names.push("number with a fraction"),
            (false, false) => {}
        }
        names.sort_unstable();
        names
    }
}

/// Something about strings that is not a regular language here: it is compared by its text, and asked of the validator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Predicate {
    pub keyword: &'static str,
    pub text: Rc<str>,
}

/// What one keyword asks of a value.
#[derive(Clone, Debug)]
pub enum Assertion {
    Kinds(Kinds),
    /// Arrays and objects among the values also stand as nodes, which say the same by structure.
    Among {
        values: Rc<[Value]>,
        containers: Rc<[(Kind, NodeId)]>,
    },
    AllOf(Rc<[NodeId]>),
    AnyOf(Rc<[NodeId]>),
    OneOf(Rc<[NodeId]>),
    Not(NodeId),
    IfThenElse {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    Lower {
        bound: BigDecimal,
        exclusive: bool,
    },
    Upper {
        bound: BigDecimal,
        exclusive: bool,
    },
    MultipleOf(BigDecimal),
    LengthMin(u64),
    LengthMax(u64),
    Pattern(Rc<str>),
    Predicate(Predicate),
    /// Every item from this index on.
    ItemsFrom {
        start: usize,
        node: NodeId,
    },
    ItemsTuple(Rc<[NodeId]>),
    Contains(NodeId),
    ItemsMin(u64),
    ItemsMax(u64),
    Unique,
    Required(Rc<[Rc<str>]>),
    Properties(Rc<BTreeMap<Rc<str>, NodeId>>),
    PatternProperty {
        pattern: Rc<str>,
        node: NodeId,
    },
    /// Every property that is neither among the names nor matches a pattern.
    Additional {
        names: Rc<BTreeSet<Rc<str>>>,
        patterns: Rc<[Rc<str>]>,
        node: NodeId,
    },
    Names(NodeId),
    PropertiesMin(u64),
    PropertiesMax(u64),
    DependsOnNames {
        name: Rc<str>,
        required: Rc<[Rc<str>]>,
    },
    DependsOnNode {
        name: Rc<str>,
        node: NodeId,
    },
}

impl Assertion {
    /// The kinds of values of which this asks anything.
    pub fn kinds(&self) -> Kinds {
        match self {
            Assertion::Kinds(_)
            | Assertion::Among { .. }
            | Assertion::AllOf(_)
            | Assertion::AnyOf(_)
            | Assertion::OneOf(_)
            | Assertion::Not(_)
            | Assertion::IfThenElse { .. } => Kinds::EVERY,
            Assertion::Lower { .. } | Assertion::Upper { .. } | Assertion::MultipleOf(_) => Kinds::NUMBERS,
            Assertion::LengthMin(_) | Assertion::LengthMax(_) | Assertion::Pattern(_) | Assertion::Predicate(_) => {
                Kinds::one(Kind::Text)
            }
            Assertion::ItemsFrom { .. }
            | Assertion::ItemsTuple(_)
            | Assertion::Contains(_)
            | Assertion::ItemsMin(_)
            | Assertion::ItemsMax(_)
            | Assertion::Unique => Kinds::one(Kind::Array),
            Assertion::Required(_)
            | Assertion::Properties(_)
            | Assertion::PatternProperty { .. }
            | Assertion::Additional { .. }
            | Assertion::Names(_)
            | Assertion::PropertiesMin(_)
            | Assertion::PropertiesMax(_)
            | Assertion::DependsOnNames { .. }
            | Assertion::DependsOnNode { .. } => Kinds::one(Kind::Object),
        }
    }
}

/// The formats that draft-07 defines. They are asserted; any other format says nothing to a validator.
const FORMATS: [&str; 17] = [
    "date-time",
    "date",
    "time",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

#[derive(Default)]
pub struct Graph {
    nodes: Vec<Rc<[Assertion]>>,
    interned: BTreeMap<String, NodeId>,
}

impl Graph {
    pub fn assertions(&self, node: NodeId) -> Rc<[Assertion]> {
        self.nodes.get(node as usize).cloned().unwrap_or_default()
    }

    /// Whether every value passes.
    pub fn is_anything(&self, node: NodeId) -> bool {
        self.nodes.get(node as usize).is_some_and(|assertions| assertions.is_empty())
    }

    pub fn intern(&mut self, assertions: Vec<Assertion>) -> NodeId {
        let key = format!("{assertions:?}");
        if let Some(node) = self.interned.get(&key) {
            return *node;
        }
        let node = self.push(assertions.into());
        self.interned.insert(key, node);
        node
    }

    fn push(&mut self, assertions: Rc<[Assertion]>) -> NodeId {
        let node = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        self.nodes.push(assertions);
        node
    }

    /// A place for a node that is to be filled later, so that schemas can refer to themselves.
    pub fn reserve(&mut self) -> NodeId {
        self.push(Rc::default())
    }

    pub fn fill(&mut self, node: NodeId, assertions: Vec<Assertion>) {
        if let Some(slot) = self.nodes.get_mut(node as usize) {
            *slot = assertions.into();
        }
    }

    pub fn anything(&mut self) -> NodeId {
        self.intern(Vec::new())
    }

    pub fn nothing(&mut self) -> NodeId {
        self.intern(vec![Assertion::AnyOf(Rc::default())])
    }

    /// The node that only this value passes.
    pub fn exactly(&mut self, value: &Value) -> NodeId {
        self.one_of(std::slice::from_ref(value))
    }

    /// The node that only these values pass.
    pub fn one_of(&mut self, values: &[Value]) -> NodeId {
        let among = self.among(values);
        self.intern(vec![among])
    }

    fn among(&mut self, values: &[Value]) -> Assertion {
        let mut distinct: Vec<Value> = Vec::new();
        for value in values {
            if !distinct.iter().any(|known| same_value(known, value)) {
                distinct.push(value.clone());
            }
        }
        distinct.sort_by_cached_key(ToString::to_string);
        let containers = distinct.iter().filter_map(|value| self.by_structure(value)).collect();
        Assertion::Among { values: distinct.into(), containers }
    }

    fn by_structure(&mut self, value: &Value) -> Option<(Kind, NodeId)> {
        match value {
            Value::Array(items) => {
                let nodes = items.iter().map(|item| self.exactly(item)).collect();
                let count = items.len() as u64;
                let assertions = vec![
                    Assertion::Kinds(Kinds::one(Kind::Array)),
                    Assertion::ItemsTuple(nodes),
                    Assertion::ItemsMin(count),
                    Assertion::ItemsMax(count),
                ];
                Some((Kind::Array, self.intern(assertions)))
            }
            Value::Object(fields) => {
                let nodes = fields.iter().map(|(name, field)| (Rc::from(name.as_str()), self.exactly(field))).collect();
                let names = fields.keys().map(|name| Rc::from(name.as_str())).collect();
                let assertions = vec![
                    Assertion::Kinds(Kinds::one(Kind::Object)),
                    Assertion::Properties(Rc::new(nodes)),
                    Assertion::Required(names),
                    Assertion::PropertiesMax(fields.len() as u64),
                ];
                Some((Kind::Object, self.intern(assertions)))
            }
            _ => None,
        }
    }

    /// Adds a whole document and gives the node of its root.
    ///
    /// # Errors
    /// A reference leads to another document, to nowhere, or back to itself without reading anything.
    pub fn add(&mut self, document: &Value) -> Result<NodeId, UnusableSchema> {
        self.add_part(document, "")
    }

    /// Adds the schema at a pointer of a document, and whatever it refers to.
    ///
    /// # Errors
    /// As [`Graph::add`], or there is nothing at the pointer.
    pub fn add_part(&mut self, document: &Value, place: &str) -> Result<NodeId, UnusableSchema> {
        let part = document.pointer(place).ok_or_else(|| UnusableSchema::Invalid {
            pointer: place.to_owned(),
            message: "there is nothing here".to_owned(),
        })?;
        let (finished, reserved) = (BTreeMap::new(), BTreeMap::new());
        Reader { graph: self, document, steps: Vec::new(), finished, reserved }.read(part, place, true)
    }
}

/// A schema that is being read: where it stands, and whether it is about a part of what the schema around it is about.
struct Step {
    place: String,
    is_about_a_part: bool,
}

struct Reader<'d, 'g> {
    graph: &'g mut Graph,
    document: &'d Value,
    steps: Vec<Step>,
    finished: BTreeMap<String, NodeId>,
    /// Stand-ins for schemas that were referred to while they were still being read.
    reserved: BTreeMap<String, NodeId>,
}

impl<'d> Reader<'d, '_> {
    fn read(&mut self, schema: &'d Value, place: &str, is_about_a_part: bool) -> Result<NodeId, UnusableSchema> {
        if let Some(node) = self.finished.get(place) {
            return Ok(*node);
        }
        if let Some(position) = self.steps.iter().position(|step| step.place == place) {
            let between = self.steps.get(position + 1..).unwrap_or_default();
            if !is_about_a_part && !between.iter().any(|step| step.is_about_a_part) {
                return Err(UnusableSchema::EndlessReference { pointer: place.to_owned() });
            }
            return Ok(self.reserve(place));
        }
        if self.steps.len() > DEPTH_MAX {
            return Err(UnusableSchema::TooDeep { pointer: place.to_owned() });
        }
        self.steps.push(Step { place: place.to_owned(), is_about_a_part });
        let read = self.read_whole(schema, place);
        self.steps.pop();
        let node = read?;
        self.finished.insert(place.to_owned(), node);
        let assertions = self.graph.assertions(node);
        if let Some(slot) = self.reserved.get(place).and_then(|stand_in| self.graph.nodes.get_mut(*stand_in as usize)) {
            *slot = assertions;
        }
        Ok(node)
    }

    fn reserve(&mut self, place: &str) -> NodeId {
        if let Some(node) = self.reserved.get(place) {
            return *node;
        }
        let node = self.graph.reserve();
        self.reserved.insert(place.to_owned(), node);
        node
    }

    fn read_whole(&mut self, schema: &'d Value, place: &str) -> Result<NodeId, UnusableSchema> {
        let fields = match schema {
            Value::Bool(true) => return Ok(self.graph.anything()),
            Value::Bool(false) => return Ok(self.graph.nothing()),
            Value::Object(fields) => fields,
            _ => {
                let message = "a schema is an object or a boolean".to_owned();
                return Err(UnusableSchema::Invalid { pointer: place.to_owned(), message });
            }
        };
        // Draft-07 ignores whatever stands beside a reference.
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let target = pointer::resolve(self.document, reference, place)?;
            return self.read(target.schema, &target.pointer, false);
        }
        let mut found = Vec::new();
        self.read_general(fields, place, &mut found)?;
        read_numbers(fields, &mut found);
        read_texts(fields, &mut found);
        self.read_items(fields, place, &mut found)?;
        self.read_properties(fields, place, &mut found)?;
        Ok(self.graph.intern(found))
    }

    fn child(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        keyword: &str,
    ) -> Result<Option<NodeId>, UnusableSchema> {
        let about_a_part = !matches!(keyword, "not" | "if" | "then" | "else");
        let place = pointer::join(place, keyword);
        fields.get(keyword).map(|schema| self.read(schema, &place, about_a_part)).transpose()
    }

    fn list(&mut self, schemas: &'d [Value], place: &str, about_a_part: bool) -> Result<Rc<[NodeId]>, UnusableSchema> {
        let places = (0..).map(|index: usize| pointer::join(place, &index.to_string()));
        schemas.iter().zip(places).map(|(schema, place)| self.read(schema, &place, about_a_part)).collect()
    }

    fn read_general(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        found: &mut Vec<Assertion>,
    ) -> Result<(), UnusableSchema> {
        match fields.get("type") {
            Some(Value::String(name)) => found.push(Assertion::Kinds(Kinds::named(name))),
            Some(Value::Array(names)) => {
                let kinds = names.iter().filter_map(Value::as_str).map(Kinds::named);
                found.push(Assertion::Kinds(kinds.fold(Kinds::NONE, Kinds::with)));
            }
            _ => {}
        }
        if let Some(values) = fields.get("enum").and_then(Value::as_array) {
            found.push(self.graph.among(values));
        }
        if let Some(value) = fields.get("const") {
            found.push(self.graph.among(std::slice::from_ref(value)));
        }
        type Make = fn(Rc<[NodeId]>) -> Assertion;
        let lists: [(&str, Make); 3] =
            [("allOf", Assertion::AllOf), ("anyOf", Assertion::AnyOf), ("oneOf", Assertion::OneOf)];
        for (keyword, make) in lists {
            if let Some(schemas) = fields.get(keyword).and_then(Value::as_array) {
                found.push(make(self.list(schemas, &pointer::join(place, keyword), false)?));
            }
        }
        if let Some(node) = self.child(fields, place, "not")? {
            found.push(Assertion::Not(node));
        }
        if let Some(condition) = self.child(fields, place, "if")? {
            let anything = self.graph.anything();
            let then = self.child(fields, place, "then")?.unwrap_or(anything);
            let otherwise = self.child(fields, place, "else")?.unwrap_or(anything);
            found.push(Assertion::IfThenElse { condition, then, otherwise });
        }
        Ok(())
    }

    fn read_items(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        found: &mut Vec<Assertion>,
    ) -> Result<(), UnusableSchema> {
        match fields.get("items") {
            Some(Value::Array(schemas)) => {
                let nodes = self.list(schemas, &pointer::join(place, "items"), true)?;
                let start = nodes.len();
                found.push(Assertion::ItemsTuple(nodes));
                if let Some(node) = self.child(fields, place, "additionalItems")? {
                    found.push(Assertion::ItemsFrom { start, node });
                }
            }
            Some(_) => {
                if let Some(node) = self.child(fields, place, "items")? {
                    found.push(Assertion::ItemsFrom { start: 0, node });
                }
            }
            None => {}
        }
        if let Some(node) = self.child(fields, place, "contains")? {
            found.push(Assertion::Contains(node));
        }
        found.extend(count(fields, "minItems").map(Assertion::ItemsMin));
        found.extend(count(fields, "maxItems").map(Assertion::ItemsMax));
        if fields.get("uniqueItems") == Some(&Value::Bool(true)) {
            found.push(Assertion::Unique);
        }
        Ok(())
    }

    fn read_properties(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        found: &mut Vec<Assertion>,
    ) -> Result<(), UnusableSchema> {
        if let Some(names) = fields.get("required").and_then(Value::as_array).filter(|names| !names.is_empty()) {
            found.push(Assertion::Required(texts(names)));
        }
        let named = self.named(fields, place, "properties")?;
        let patterned = self.named(fields, place, "patternProperties")?;
        let names = Rc::new(named.keys().cloned().collect::<BTreeSet<_>>());
        let patterns = patterned.keys().cloned().collect::<Rc<[_]>>();
        if !named.is_empty() {
            found.push(Assertion::Properties(Rc::new(named)));
        }
        found.extend(patterned.into_iter().map(|(pattern, node)| Assertion::PatternProperty { pattern, node }));
        if let Some(node) = self.child(fields, place, "additionalProperties")? {
            found.push(Assertion::Additional { names, patterns, node });
        }
        if let Some(node) = self.child(fields, place, "propertyNames")? {
            found.push(Assertion::Names(node));
        }
        found.extend(count(fields, "minProperties").map(Assertion::PropertiesMin));
        found.extend(count(fields, "maxProperties").map(Assertion::PropertiesMax));
        self.read_dependencies(fields, place, found)
    }

    fn named(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        keyword: &str,
    ) -> Result<BTreeMap<Rc<str>, NodeId>, UnusableSchema> {
        let place = pointer::join(place, keyword);
        let schemas = fields.get(keyword).and_then(Value::as_object).into_iter().flatten();
        schemas
            .map(|(name, schema)| Ok((Rc::from(name.as_str()), self.read(schema, &pointer::join(&place, name), true)?)))
            .collect()
    }

    fn read_dependencies(
        &mut self,
        fields: &'d Map<String, Value>,
        place: &str,
        found: &mut Vec<Assertion>,
    ) -> Result<(), UnusableSchema> {
        let place = pointer::join(place, "dependencies");
        for (name, dependency) in fields.get("dependencies").and_then(Value::as_object).into_iter().flatten() {
            let name_of = Rc::from(name.as_str());
            found.push(match dependency {
                Value::Array(names) => Assertion::DependsOnNames { name: name_of, required: texts(names) },
                schema => {
                    let node = self.read(schema, &pointer::join(&place, name), false)?;
                    Assertion::DependsOnNode { name: name_of, node }
                }
            });
        }
        Ok(())
    }
}

/// How deep schemas may nest, references followed. It keeps the stack small.
const DEPTH_MAX: usize = 400;

fn texts(names: &[Value]) -> Rc<[Rc<str>]> {
    names.iter().filter_map(Value::as_str).map(Rc::from).collect()
}

/// A count; 2.0 is 2.
fn count(fields: &Map<String, Value>, keyword: &str) -> Option<u64> {
    let number = fields.get(keyword)?.as_number()?;
    decimal_of(number).to_plain_string().parse().ok()
}

fn read_numbers(fields: &Map<String, Value>, found: &mut Vec<Assertion>) {
    let decimal = |keyword: &str| fields.get(keyword).and_then(Value::as_number).map(decimal_of);
    found.extend(decimal("minimum").map(|bound| Assertion::Lower { bound, exclusive: false }));
    found.extend(decimal("exclusiveMinimum").map(|bound| Assertion::Lower { bound, exclusive: true }));
    found.extend(decimal("maximum").map(|bound| Assertion::Upper { bound, exclusive: false }));
    found.extend(decimal("exclusiveMaximum").map(|bound| Assertion::Upper { bound, exclusive: true }));
    found.extend(decimal("multipleOf").map(Assertion::MultipleOf));
}

fn read_texts(fields: &Map<String, Value>, found: &mut Vec<Assertion>) {
    let text = |keyword: &str| fields.get(keyword).and_then(Value::as_str);
    found.extend(count(fields, "minLength").map(Assertion::LengthMin));
    found.extend(count(fields, "maxLength").map(Assertion::LengthMax));
    found.extend(text("pattern").map(|pattern| Assertion::Pattern(Rc::from(pattern))));
    if let Some(format) = text("format").filter(|format| FORMATS.contains(format)) {
        found.push(Assertion::Predicate(Predicate { keyword: "format", text: Rc::from(format) }));
    }
    // The two belong together: the media type is that of what the encoding yields.
    if fields.contains_key("contentMediaType") || fields.contains_key("contentEncoding") {
        let both = serde_json::json!({
            "contentMediaType": text("contentMediaType"), "contentEncoding": text("contentEncoding"),
        });
        found.push(Assertion::Predicate(Predicate { keyword: "content", text: Rc::from(both.to_string()) }));
    }
}
