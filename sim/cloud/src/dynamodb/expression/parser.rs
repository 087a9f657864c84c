//! Recursive descent over the tokens, refusing in the service's words.

use super::{
    ExpressionError,
    ast::{Comparator, Condition, Name, Operand, Path, SetOperand, SetValue, Step, Update, ValueName},
    lexer::{Kind, Token, tokens},
    reserved::is_reserved,
};

const MAX_EXPRESSION_BYTES: usize = 4096;
const MAX_OPERATORS: usize = 300;
const MAX_IN_OPERANDS: usize = 100;
const MAX_PATH_STEPS: usize = 32;
/// Deeper nesting of parentheses is refused before the stack would feel it.
const MAX_DEPTH: usize = 200;

/// An expression and the placeholders it used.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    pub node: T,
    pub names: Vec<String>,
    pub values: Vec<String>,
}

pub fn parse_condition(source: &str) -> Result<Parsed<Condition>, ExpressionError> {
    Parser::run(source, |parser| parser.disjunction(0))
}

pub fn parse_projection(source: &str) -> Result<Parsed<Vec<Path>>, ExpressionError> {
    Parser::run(source, |parser| {
        let mut paths = vec![parser.path()?];
        while parser.take_symbol(",") {
            paths.push(parser.path()?);
        }
        Ok(paths)
    })
}

pub fn parse_update(source: &str) -> Result<Parsed<Update>, ExpressionError> {
    Parser::run(source, Parser::update)
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    position: usize,
    operators: usize,
    names: Vec<String>,
    values: Vec<String>,
    reserved: Option<String>,
}

type Step0<T> = Result<T, ExpressionError>;

impl<'a> Parser<'a> {
    fn run<T>(source: &'a str, rule: impl FnOnce(&mut Self) -> Step0<T>) -> Step0<Parsed<T>> {
        if source.trim().is_empty() {
            return Err(ExpressionError::new("The expression can not be empty;"));
        }
        if source.len() > MAX_EXPRESSION_BYTES {
            return Err(ExpressionError::new(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                source.len()
            )));
        }
        let mut parser = Self {
            source,
            tokens: tokens(source),
            position: 0,
            operators: 0,
            names: Vec::new(),
            values: Vec::new(),
            reserved: None,
        };
        let node = rule(&mut parser)?;
        if parser.peek().kind != Kind::End {
            return Err(parser.unexpected());
        }
        if let Some(word) = parser.reserved {
            return Err(ExpressionError::new(format!(
                "Attribute name is a reserved keyword; reserved keyword: {word}"
            )));
        }
        if parser.operators > MAX_OPERATORS {
            return Err(ExpressionError::new(format!(
                "The expression contains too many operators; operator count: {}",
                parser.operators
            )));
        }
        Ok(Parsed { node, names: parser.names, values: parser.values })
    }

    fn peek(&self) -> Token {
        self.tokens[self.position.min(self.tokens.len() - 1)]
    }

    fn peek_at(&self, ahead: usize) -> Token {
        self.tokens[(self.position + ahead).min(self.tokens.len() - 1)]
    }

    fn text(&self, token: Token) -> &'a str {
        &self.source[token.start..token.end]
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        self.peek().kind == Kind::Symbol && self.text(self.peek()) == symbol
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.position += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Step0<()> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn is_keyword(&self, word: &str) -> bool {
        self.peek().kind == Kind::Word && self.text(self.peek()).eq_ignore_ascii_case(word)
    }

    fn take_keyword(&mut self, word: &str) -> bool {
        let found = self.is_keyword(word);
        self.position += usize::from(found);
        found
    }

    fn expect_keyword(&mut self, word: &str) -> Step0<()> {
        if self.take_keyword(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The syntax error at the current token, with its neighbours.
    fn unexpected(&self) -> ExpressionError {
        let at = self.position.min(self.tokens.len() - 1);
        let token = self.tokens[at];
        let shown = if token.kind == Kind::End { "<EOF>" } else { self.text(token) };
        let start = self.tokens[at.saturating_sub(1)].start;
        let end = match self.tokens.get(at + 1) {
            Some(next) if next.kind != Kind::End => next.end,
            _ if token.kind == Kind::End => self.tokens[at.saturating_sub(1)].end,
            _ => token.end,
        };
        ExpressionError::new(format!(r#"Syntax error; token: "{shown}", near: "{}""#, &self.source[start..end]))
    }

    fn disjunction(&mut self, depth: usize) -> Step0<Condition> {
        let mut left = self.conjunction(depth)?;
        while self.take_keyword("OR") {
            self.operators += 1;
            left = Condition::Or(Box::new(left), Box::new(self.conjunction(depth)?));
        }
        Ok(left)
    }

    fn conjunction(&mut self, depth: usize) -> Step0<Condition> {
        let mut left = self.negation(depth)?;
        while self.take_keyword("AND") {
            self.operators += 1;
            left = Condition::And(Box::new(left), Box::new(self.negation(depth)?));
        }
        Ok(left)
    }

    fn negation(&mut self, depth: usize) -> Step0<Condition> {
        if depth > MAX_DEPTH {
            return Err(ExpressionError::new("The expression is nested too deeply"));
        }
        if self.take_keyword("NOT") {
            self.operators += 1;
            return Ok(Condition::Not(Box::new(self.negation(depth + 1)?)));
        }
        if !self.is_symbol("(") {
            return self.predicate();
        }
        self.advance();
        let doubled = self.is_symbol("(");
        let inner_start = self.position;
        let inner = self.disjunction(depth + 1)?;
        // `((a = b))`: the inner group ended exactly where the outer one ends.
        let redundant = doubled && self.matching_close(inner_start) == Some(self.position - 1);
        self.expect_symbol(")")?;
        if redundant {
            return Err(ExpressionError::new("The expression has redundant parentheses;"));
        }
        Ok(inner)
    }

    fn matching_close(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for index in open..self.tokens.len() {
            match self.text(self.tokens[index]) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                return Some(index);
            }
        }
        None
    }

    fn is_call(&self) -> bool {
        self.peek().kind == Kind::Word && self.text(self.peek_at(1)) == "("
    }

    fn predicate(&mut self) -> Step0<Condition> {
        if self.is_call() && self.text(self.peek()) != "size" && !self.is_keyword("IN") {
            return self.function();
        }
        let sized = self.is_call();
        let operand = self.operand()?;
        if self.take_keyword("BETWEEN") {
            self.operators += 1;
            let low = self.operand()?;
            self.expect_keyword("AND")?;
            let high = self.operand()?;
            return Ok(Condition::Between { operand, low, high });
        }
        if self.take_keyword("IN") {
            return self.membership(operand);
        }
        let Some(comparator) = self.comparator() else {
            if sized && (self.peek().kind == Kind::End || self.is_symbol(")")) {
                return Err(misplaced_function("size"));
            }
            return Err(self.unexpected());
        };
        self.operators += 1;
        let right = self.operand()?;
        if left_equals_right(&operand, &right) {
            return Err(ExpressionError::new(format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: {comparator}, first operand: [{operand}]"
            )));
        }
        Ok(Condition::Compare { left: operand, comparator, right })
    }

    fn membership(&mut self, operand: Operand) -> Step0<Condition> {
        self.operators += 1;
        self.expect_symbol("(")?;
        let mut candidates = vec![self.operand()?];
        while self.take_symbol(",") {
            candidates.push(self.operand()?);
        }
        self.expect_symbol(")")?;
        if candidates.len() > MAX_IN_OPERANDS {
            return Err(wrong_count("IN", candidates.len() + 1));
        }
        Ok(Condition::In { operand, candidates })
    }

    fn comparator(&mut self) -> Option<Comparator> {
        let token = self.peek();
        if token.kind != Kind::Symbol {
            return None;
        }
        let comparator = match self.text(token) {
            "=" => Comparator::Equal,
            "<>" => Comparator::NotEqual,
            "<" => Comparator::Less,
            "<=" => Comparator::LessOrEqual,
            ">" => Comparator::Greater,
            ">=" => Comparator::GreaterOrEqual,
            _ => return None,
        };
        self.advance();
        Some(comparator)
    }

    fn operand(&mut self) -> Step0<Operand> {
        if self.is_call() {
            let function = self.text(self.peek());
            if function != "size" {
                return Err(match function {
                    "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains" => {
                        misplaced_function(function)
                    }
                    _ => unknown_function(function),
                });
            }
            self.operators += 1;
            let mut arguments = self.arguments()?;
            return match (arguments.len(), arguments.pop()) {
                (1, Some(Operand::Path(path))) => Ok(Operand::Size(path)),
                (1, _) => Err(needs_path("size")),
                (count, _) => Err(wrong_count("size", count)),
            };
        }
        if self.peek().kind == Kind::ValuePlaceholder {
            return Ok(Operand::Value(self.value_name()?));
        }
        Ok(Operand::Path(self.path()?))
    }

    /// `name ( operand, … )`
    fn arguments(&mut self) -> Step0<Vec<Operand>> {
        self.advance();
        self.expect_symbol("(")?;
        let mut arguments = vec![self.operand()?];
        while self.take_symbol(",") {
            arguments.push(self.operand()?);
        }
        self.expect_symbol(")")?;
        Ok(arguments)
    }

    fn function(&mut self) -> Step0<Condition> {
        let function = self.text(self.peek());
        let wanted = match function {
            "attribute_exists" | "attribute_not_exists" => 1,
            "attribute_type" | "begins_with" | "contains" => 2,
            "if_not_exists" | "list_append" => return Err(misplaced_function(function)),
            _ => return Err(unknown_function(function)),
        };
        self.operators += 1;
        let arguments = self.arguments()?;
        if arguments.len() != wanted {
            return Err(wrong_count(function, arguments.len()));
        }
        let mut arguments = arguments.into_iter();
        let first = arguments.next().ok_or_else(|| wrong_count(function, 0))?;
        match (function, first, arguments.next()) {
            ("attribute_exists", Operand::Path(path), None) => Ok(Condition::AttributeExists(path)),
            ("attribute_not_exists", Operand::Path(path), None) => Ok(Condition::AttributeNotExists(path)),
            ("attribute_type", Operand::Path(path), Some(Operand::Value(name))) => {
                Ok(Condition::AttributeType(path, name))
            }
            ("attribute_type", Operand::Path(_), Some(_)) => Err(ExpressionError::new(
                "Operator or function requires an expression attribute value; operator or function: attribute_type",
            )),
            ("begins_with", left, Some(right)) => Ok(Condition::BeginsWith(left, right)),
            ("contains", left, Some(right)) if left_equals_right(&left, &right) => Err(ExpressionError::new(format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: contains, first operand: [{left}]"
            ))),
            ("contains", left, Some(right)) => Ok(Condition::Contains(left, right)),
            _ => Err(needs_path(function)),
        }
    }

    fn value_name(&mut self) -> Step0<ValueName> {
        if self.peek().kind != Kind::ValuePlaceholder {
            return Err(self.unexpected());
        }
        let token = self.advance();
        let name = self.text(token).to_owned();
        self.values.push(name.clone());
        Ok(ValueName(name))
    }

    fn path(&mut self) -> Step0<Path> {
        let mut steps = vec![self.attribute()?];
        loop {
            if self.take_symbol(".") {
                steps.push(self.attribute()?);
            } else if self.is_symbol("[") {
                self.advance();
                if self.peek().kind != Kind::Digits {
                    return Err(self.unexpected());
                }
                let token = self.advance();
                let text = self.text(token);
                let index = text.parse().map_err(|_| {
                    ExpressionError::new(format!("List index is not within the allowable range; index: [{text}]"))
                })?;
                self.expect_symbol("]")?;
                steps.push(Step::Index(index));
            } else {
                break;
            }
        }
        if steps.len() > MAX_PATH_STEPS {
            return Err(ExpressionError::new(format!(
                "The document path has too many nesting elements; nesting levels: {}",
                steps.len()
            )));
        }
        Ok(Path(steps))
    }

    fn attribute(&mut self) -> Step0<Step> {
        let token = self.peek();
        let text = self.text(token);
        match token.kind {
            Kind::NamePlaceholder => self.names.push(text.to_owned()),
            Kind::Word => {
                if self.reserved.is_none() && is_reserved(text) {
                    self.reserved = Some(text.to_owned());
                }
            }
            _ => return Err(self.unexpected()),
        }
        self.advance();
        Ok(Step::Attribute(Name(text.to_owned())))
    }

    fn update(&mut self) -> Step0<Update> {
        let mut update = Update::default();
        let mut seen: Vec<&str> = Vec::new();
        while self.peek().kind != Kind::End {
            let Some(section) = ["SET", "REMOVE", "ADD", "DELETE"].into_iter().find(|word| self.is_keyword(word))
            else {
                return Err(self.unexpected());
            };
            if seen.contains(&section) {
                return Err(ExpressionError::new(format!(
                    r#"The "{section}" section can only be used once in an update expression;"#
                )));
            }
            seen.push(section);
            self.advance();
            loop {
                match section {
                    "SET" => update.set.push(self.assignment()?),
                    "REMOVE" => update.remove.push(self.path()?),
                    "ADD" => update.add.push((self.path()?, self.value_name()?)),
                    _ => update.delete.push((self.path()?, self.value_name()?)),
                }
                if section != "SET" {
                    self.operators += 1;
                }
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        Ok(update)
    }

    fn assignment(&mut self) -> Step0<(Path, SetValue)> {
        let path = self.path()?;
        self.expect_symbol("=")?;
        self.operators += 1;
        let grouped = self.is_symbol("(");
        if grouped {
            self.advance();
        }
        let left = self.set_operand(0)?;
        let value = if self.take_symbol("+") {
            self.operators += 1;
            SetValue::Plus(left, self.set_operand(0)?)
        } else if self.take_symbol("-") {
            self.operators += 1;
            SetValue::Minus(left, self.set_operand(0)?)
        } else {
            SetValue::Operand(left)
        };
        if grouped {
            self.expect_symbol(")")?;
        }
        Ok((path, value))
    }

    fn set_operand(&mut self, depth: usize) -> Step0<SetOperand> {
        if depth > MAX_DEPTH {
            return Err(ExpressionError::new("The expression is nested too deeply"));
        }
        if !self.is_call() {
            return if self.peek().kind == Kind::ValuePlaceholder {
                Ok(SetOperand::Value(self.value_name()?))
            } else {
                Ok(SetOperand::Path(self.path()?))
            };
        }
        let function = self.text(self.peek());
        match function {
            "if_not_exists" | "list_append" => {}
            "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains" | "size" => {
                return Err(ExpressionError::new(format!(
                    "The function is not allowed in an update expression; function: {function}"
                )));
            }
            _ => return Err(unknown_function(function)),
        }
        self.operators += 1;
        self.advance();
        self.expect_symbol("(")?;
        let mut arguments = vec![self.set_operand(depth + 1)?];
        while self.take_symbol(",") {
            arguments.push(self.set_operand(depth + 1)?);
        }
        self.expect_symbol(")")?;
        let count = arguments.len();
        let (Some(second), Some(first), true) = (arguments.pop(), arguments.pop(), count == 2) else {
            return Err(wrong_count(function, count));
        };
        match (function, first) {
            ("list_append", first) => Ok(SetOperand::ListAppend(Box::new(first), Box::new(second))),
            (_, SetOperand::Path(path)) => Ok(SetOperand::IfNotExists(path, Box::new(second))),
            _ => Err(needs_path("if_not_exists")),
        }
    }
}

fn left_equals_right(left: &Operand, right: &Operand) -> bool {
    matches!((left, right), (Operand::Path(one), Operand::Path(other)) if one == other)
}

fn unknown_function(function: &str) -> ExpressionError {
    ExpressionError::new(format!("Invalid function name; function: {function}"))
}

fn misplaced_function(function: &str) -> ExpressionError {
    ExpressionError::new(format!(
        "The function is not allowed to be used this way in an expression; function: {function}"
    ))
}

fn needs_path(function: &str) -> ExpressionError {
    ExpressionError::new(format!("Operator or function requires a document path; operator or function: {function}"))
}

fn wrong_count(function: &str, count: usize) -> ExpressionError {
    ExpressionError::new(format!(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
    ))
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
