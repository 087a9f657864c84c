//! The syntax of Protocol Buffers, versions 2 and 3.
//!
//! Checked: tokens, the form of each statement, names and numbers of fields within their message, values of enumerations;
//! groups and extensions are refused, as the registry refuses them. Not checked: whether types exist, imports, what options
//! mean, reserved names and numbers, and rules that differ between the two versions.

use std::collections::BTreeSet;

type Outcome = Result<(), String>;

const MAX_DEPTH: u32 = 64;
const MAX_NUMBER: u64 = 536_870_911;

/// The tokens of a sound definition.
pub fn check(text: &str) -> Result<Vec<&str>, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0 };
    parser.file()?;
    Ok(tokens)
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            rest = rest[end..].trim_start();
            continue;
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or("a comment does not end")?;
            rest = rest[end + 2..].trim_start();
            continue;
        } else if first == '"' || first == '\'' {
            quoted(rest, first)?
        } else if first.is_ascii_alphanumeric() || "_.-+".contains(first) {
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || "_.-+".contains(letter);
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if "{}[]()<>=;,:/".contains(first) {
            1
        } else {
            return Err(format!("{first:?} belongs to nothing"));
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

/// Length of a quoted text with its quotes.
fn quoted(text: &str, quote: char) -> Result<usize, String> {
    let mut is_escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => break,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return Ok(index + 1),
            _ => {}
        }
    }
    Err("a text does not end".to_owned())
}

struct Parser<'t> {
    tokens: &'t [&'t str],
    next: usize,
}

#[derive(Default)]
struct Fields<'t> {
    names: BTreeSet<&'t str>,
    numbers: BTreeSet<u64>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Result<&'t str, String> {
        let token = self.peek().ok_or("the definition ends too early")?;
        self.next += 1;
        Ok(token)
    }

    fn expect(&mut self, wanted: &str) -> Outcome {
        let token = self.take()?;
        if token == wanted { Ok(()) } else { Err(format!("'{token}' stands where '{wanted}' is expected")) }
    }

    fn name(&mut self) -> Result<&'t str, String> {
        let token = self.take()?;
        let begins = token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let is_name = begins && token.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if is_name { Ok(token) } else { Err(format!("'{token}' is no name")) }
    }

    fn file(&mut self) -> Outcome {
        let mut names = BTreeSet::new();
        let mut has_types = false;
        while let Some(token) = self.peek() {
            match token {
                "message" | "enum" => {
                    let name = self.definition(0)?;
                    has_types = true;
                    if !names.insert(name) {
                        return Err(format!("{name} is defined twice"));
                    }
                }
                "syntax" => self.syntax()?,
                "import" | "package" | "option" => self.statement()?,
                "service" => {
                    self.take()?;
                    self.name()?;
                    self.block()?;
                }
                "extend" => return Err("extensions are not supported".to_owned()),
                ";" => self.next += 1,
                other => return Err(format!("'{other}' begins no statement")),
            }
        }
        if has_types { Ok(()) } else { Err("no message is defined".to_owned()) }
    }

    fn syntax(&mut self) -> Outcome {
        if self.next > 0 {
            return Err("syntax has to come first".to_owned());
        }
        self.take()?;
        self.expect("=")?;
        let version = self.take()?;
        if !["proto2", "proto3"].contains(&version.trim_matches(['"', '\''])) {
            return Err(format!("the syntax {version} is not supported; proto2 and proto3 are"));
        }
        self.expect(";")
    }

    /// Whatever ends with a semicolon.
    fn statement(&mut self) -> Outcome {
        loop {
            match self.peek() {
                Some("{") => self.block()?,
                Some(";") => return self.expect(";"),
                Some("}") => return Err("'}' stands where ';' is expected".to_owned()),
                _ => drop(self.take()?),
            }
        }
    }

    /// Whatever stands between braces.
    fn block(&mut self) -> Outcome {
        self.expect("{")?;
        let mut depth = 1u32;
        while depth > 0 {
            match self.take()? {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// A message or an enumeration; gives its name.
    fn definition(&mut self, depth: u32) -> Result<&'t str, String> {
        if depth > MAX_DEPTH {
            return Err("messages are nested too deeply".to_owned());
        }
        let kind = self.take()?;
        let name = self.name()?;
        self.expect("{")?;
        if kind == "enum" {
            self.values(name)?
        } else {
            self.members(name, depth)?
        }
        Ok(name)
    }

    fn values(&mut self, of: &str) -> Outcome {
        let mut names = BTreeSet::new();
        loop {
            match self.peek() {
                Some("}") => break,
                Some("option" | "reserved") => self.statement()?,
                Some(";") => self.next += 1,
                _ => {
                    let name = self.name()?;
                    self.expect("=")?;
                    let number = self.take()?;
                    if number_of(number.trim_start_matches('-')).is_none() {
                        return Err(format!("{of}: '{number}' is no number"));
                    }
                    if !names.insert(name) {
                        return Err(format!("{of}: {name} is defined twice"));
                    }
                    self.statement()?;
                }
            }
        }
        if names.is_empty() {
            return Err(format!("{of} has no values"));
        }
        self.expect("}")
    }

    fn members(&mut self, of: &str, depth: u32) -> Outcome {
        let mut fields = Fields::default();
        let mut types = BTreeSet::new();
        loop {
            match self.peek() {
                Some("}") => return self.expect("}"),
                // A field may have a type of one of these names.
                Some("message" | "enum") if self.tokens.get(self.next + 2) == Some(&"{") => {
                    let name = self.definition(depth + 1)?;
                    if !types.insert(name) {
                        return Err(format!("{of}: {name} is defined twice"));
                    }
                }
                Some("oneof") if self.tokens.get(self.next + 2) == Some(&"{") => self.one_of(of, &mut fields)?,
                Some("option" | "reserved") => self.statement()?,
                Some("extensions" | "extend") => return Err("extensions are not supported".to_owned()),
                Some(";") => self.next += 1,
                _ => self.field(of, &mut fields)?,
            }
        }
    }

    fn one_of(&mut self, of: &str, fields: &mut Fields<'t>) -> Outcome {
        self.take()?;
        self.name()?;
        self.expect("{")?;
        loop {
            match self.peek() {
                Some("}") => return self.expect("}"),
                Some("option") => self.statement()?,
                _ => self.field(of, fields)?,
            }
        }
    }

    fn field(&mut self, of: &str, fields: &mut Fields<'t>) -> Outcome {
        if let Some("optional" | "required" | "repeated") = self.peek() {
            self.take()?;
        }
        let kind = self.take()?;
        if kind == "group" {
            return Err("groups are not supported".to_owned());
        }
        if kind == "map" && self.peek() == Some("<") {
            self.take()?;
            self.take()?;
            self.expect(",")?;
            self.take()?;
            self.expect(">")?;
        } else if !kind.starts_with(|first: char| first.is_ascii_alphabetic() || "_.".contains(first)) {
            return Err(format!("{of}: '{kind}' is no type"));
        }
        let name = self.name().map_err(|reason| format!("{of}: {reason}"))?;
        self.expect("=").map_err(|reason| format!("{of}.{name}: {reason}"))?;
        let text = self.take()?;
        let number = number_of(text).filter(|number| (1..=MAX_NUMBER).contains(number));
        let number = number.filter(|number| !(19_000..20_000).contains(number));
        let number = number.ok_or_else(|| format!("{of}.{name}: '{text}' is no field's number"))?;
        if !fields.names.insert(name) {
            return Err(format!("{of}: {name} is defined twice"));
        }
        if !fields.numbers.insert(number) {
            return Err(format!("{of}.{name}: the number {number} is used twice"));
        }
        self.statement()
    }
}

fn number_of(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_sound_or_say_what_is_wrong() {
        let cases = [
            (
                "syntax = \"proto3\"; package shop; message Order { string id = 1; repeated int32 amounts = 2 [packed=true]; }",
                None,
            ),
            (
                "syntax = 'proto2'; message Order { optional string id = 1 [default = \"a;}\"]; required .shop.Line line = 0x2; }",
                None,
            ),
            (
                "message A { map<string, B> parts = 1; oneof kind { int32 a = 2; B b = 3; } message B {} enum C { D = 0; E = -1; } }",
                None,
            ),
            (
                "import \"a.proto\"; option java_package = \"a\"; service S { rpc Get (A) returns (A) {} } message A { reserved 2, 4 to 6; }",
                None,
            ),
            ("/* a */ message A { // b\n int32 message = 1; }", None),
            ("", Some("no message")),
            ("syntax = \"proto3\";", Some("no message")),
            ("syntax = \"proto4\"; message A {}", Some("proto2 and proto3 are")),
            ("message A {} syntax = \"proto3\";", Some("has to come first")),
            ("message A {", Some("ends too early")),
            ("message A { string id }", Some("where '=' is expected")),
            ("message A { string id = 1 }", Some("where ';' is expected")),
            ("message A { string id = 0; }", Some("no field's number")),
            ("message A { string id = 19500; }", Some("no field's number")),
            ("message A { string id = 1; int32 id = 2; }", Some("id is defined twice")),
            ("message A { string id = 1; int32 a = 1; }", Some("used twice")),
            ("message A { 7 id = 1; }", Some("is no type")),
            ("message A { optional group B = 1 { } }", Some("groups are not supported")),
            ("message A { extensions 4 to 6; }", Some("extensions are not supported")),
            ("extend A { int32 b = 4; }", Some("extensions are not supported")),
            ("message A {} message A {}", Some("A is defined twice")),
            ("enum A {}", Some("no values")),
            ("hello", Some("begins no statement")),
            ("message A { string a = 1; } ?", Some("belongs to nothing")),
            ("message A { /* }", Some("a comment does not end")),
            ("option a = \"b", Some("a text does not end")),
        ];
        for (text, wanted) in cases {
            match (wanted, check(text)) {
                (None, Ok(_)) => {}
                (Some(part), Err(reason)) if reason.contains(part) => {}
                (wanted, found) => panic!("{text}: {found:?} instead of {wanted:?}"),
            }
        }
        let nested = format!("{}{}", "message A {".repeat(10_000), "}".repeat(10_000));
        assert!(check(&nested).unwrap_err().contains("too deeply"));
    }
}
