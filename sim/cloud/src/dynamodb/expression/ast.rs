//! The expressions as written: placeholders stay placeholders until evaluation. Printing and parsing are inverse.

use std::fmt;

/// An attribute name: literal, or a placeholder with its `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub String);

impl Name {
    pub fn is_placeholder(&self) -> bool {
        self.0.starts_with('#')
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Attribute(Name),
    Index(usize),
}

/// A document path; its first step is an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// A value placeholder with its `:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueName(pub String);

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Path(Path),
    Value(ValueName),
    Size(Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Compare { left: Operand, comparator: Comparator, right: Operand },
    Between { operand: Operand, low: Operand, high: Operand },
    In { operand: Operand, candidates: Vec<Operand> },
    AttributeExists(Path),
    AttributeNotExists(Path),
    AttributeType(Path, ValueName),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SetOperand {
    Path(Path),
    Value(ValueName),
    IfNotExists(Path, Box<SetOperand>),
    ListAppend(Box<SetOperand>, Box<SetOperand>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    Operand(SetOperand),
    Plus(SetOperand, SetOperand),
    Minus(SetOperand, SetOperand),
}

/// An update expression by section; the order inside a section is that of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    pub set: Vec<(Path, SetValue)>,
    pub remove: Vec<Path>,
    pub add: Vec<(Path, ValueName)>,
    pub delete: Vec<(Path, ValueName)>,
}

impl Update {
    /// Every path that the update writes.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let valued = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        self.set.iter().map(|(path, _)| path).chain(&self.remove).chain(valued)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if index == 0 => f.write_str(&name.0)?,
                Step::Attribute(name) => write!(f, ".{}", name.0)?,
                Step::Index(element) => write!(f, "[{element}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Path(path) => path.fmt(f),
            Operand::Value(name) => f.write_str(&name.0),
            Operand::Size(path) => write!(f, "size({path})"),
        }
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        })
    }
}

impl Condition {
    /// How tightly the condition binds: OR 1, AND 2, NOT 3, everything else 4.
    fn precedence(&self) -> u8 {
        match self {
            Condition::Or(..) => 1,
            Condition::And(..) => 2,
            Condition::Not(_) => 3,
            _ => 4,
        }
    }

    fn write_at(&self, f: &mut fmt::Formatter<'_>, wanted: u8) -> fmt::Result {
        if self.precedence() < wanted { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Compare { left, comparator, right } => write!(f, "{left} {comparator} {right}"),
            Condition::Between { operand, low, high } => write!(f, "{operand} BETWEEN {low} AND {high}"),
            Condition::In { operand, candidates } => {
                let candidates: Vec<String> = candidates.iter().map(Operand::to_string).collect();
                write!(f, "{operand} IN ({})", candidates.join(", "))
            }
            Condition::AttributeExists(path) => write!(f, "attribute_exists({path})"),
            Condition::AttributeNotExists(path) => write!(f, "attribute_not_exists({path})"),
            Condition::AttributeType(path, name) => write!(f, "attribute_type({path}, {})", name.0),
            Condition::BeginsWith(left, right) => write!(f, "begins_with({left}, {right})"),
            Condition::Contains(left, right) => write!(f, "contains({left}, {right})"),
            Condition::Not(inner) => {
                f.write_str("NOT ")?;
                inner.write_at(f, 3)
            }
            Condition::And(left, right) => {
                left.write_at(f, 2)?;
                f.write_str(" AND ")?;
                right.write_at(f, 3)
            }
            Condition::Or(left, right) => {
                left.write_at(f, 1)?;
                f.write_str(" OR ")?;
                right.write_at(f, 2)
            }
        }
    }
}

impl fmt::Display for SetOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetOperand::Path(path) => path.fmt(f),
            SetOperand::Value(name) => f.write_str(&name.0),
            SetOperand::IfNotExists(path, other) => write!(f, "if_not_exists({path}, {other})"),
            SetOperand::ListAppend(left, right) => write!(f, "list_append({left}, {right})"),
        }
    }
}

impl fmt::Display for SetValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetValue::Operand(operand) => operand.fmt(f),
            SetValue::Plus(left, right) => write!(f, "{left} + {right}"),
            SetValue::Minus(left, right) => write!(f, "{left} - {right}"),
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sections = Vec::new();
        let mut section = |word: &str, actions: Vec<String>| {
            if !actions.is_empty() {
                sections.push(format!("{word} {}", actions.join(", ")));
            }
        };
        section("SET", self.set.iter().map(|(path, value)| format!("{path} = {value}")).collect());
        section("REMOVE", self.remove.iter().map(Path::to_string).collect());
        section("ADD", self.add.iter().map(|(path, name)| format!("{path} {}", name.0)).collect());
        section("DELETE", self.delete.iter().map(|(path, name)| format!("{path} {}", name.0)).collect());
        f.write_str(&sections.join(" "))
    }
}

/// Collects every path that a condition reads.
pub fn roots<'c>(condition: &'c Condition, paths: &mut Vec<&'c Path>) {
    let mut operand = |operand: &'c Operand| {
        if let Operand::Path(path) | Operand::Size(path) = operand {
            paths.push(path);
        }
    };
    match condition {
        Condition::Compare { left, right, .. }
        | Condition::BeginsWith(left, right)
        | Condition::Contains(left, right) => {
            operand(left);
            operand(right);
        }
        Condition::Between { operand: value, low, high } => [value, low, high].into_iter().for_each(operand),
        Condition::In { operand: value, candidates } => {
            operand(value);
            candidates.iter().for_each(operand);
        }
        Condition::AttributeExists(path) | Condition::AttributeNotExists(path) | Condition::AttributeType(path, _) => {
            paths.push(path)
        }
        Condition::Not(inner) => roots(inner, paths),
        Condition::And(left, right) | Condition::Or(left, right) => {
            roots(left, paths);
            roots(right, paths);
        }
    }
}
