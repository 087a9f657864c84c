//! Puts mutants into a file, each behind its switch: with no switch on, the file means what it meant.

use std::ops::Range;

use proc_macro2::{LineColumn, Span as TokenSpan};
use syn::{
    Arm, Expr, ExprBinary, ExprUnary, File, Pat,
    spanned::Spanned as _,
    visit::{self, Visit},
};

use crate::listing::{Genre, Mutant, Position};

/// Text to put in place of a range of bytes; an empty range is a place to insert at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    text: String,
}

/// A file with its mutants, and those that no switch could be put before.
#[derive(Debug, Default)]
pub struct Planted {
    pub text: String,
    /// The names of the mutants left out.
    pub refused: Vec<String>,
}

/// The call that asks whether a mutant is on.
pub fn switch(number: usize) -> String {
    format!("crate::mutated::on({number})")
}

/// # Errors
/// When `source` is not Rust.
pub fn plant(source: &str, mutants: &[(usize, Mutant)]) -> syn::Result<Planted> {
    let file = syn::parse_file(source)?;
    let lines = Lines::new(source);
    let mut taken: Vec<Edit> = Vec::new();
    let mut planted = Planted::default();
    for (number, mutant) in mutants {
        let edits = edits(&file, source, &lines, *number, mutant);
        let is_free = |edit: &Edit| taken.iter().all(|other| !clash(&edit.range, &other.range));
        match edits {
            Some(edits) if edits.iter().all(is_free) => taken.extend(edits),
            _ => planted.refused.push(mutant.name.clone()),
        }
    }
    planted.text = applied(source, taken);
    Ok(planted)
}

/// Whether two edits cannot both be made. Insertions at one place can, whatever their order.
fn clash(one: &Range<usize>, other: &Range<usize>) -> bool {
    if one.is_empty() && other.is_empty() { false } else { one.start < other.end && other.start < one.end }
}

fn applied(source: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut text = String::with_capacity(source.len() + edits.len() * 64);
    let mut next = 0;
    for edit in edits {
        text.push_str(&source[next..edit.range.start]);
        text.push_str(&edit.text);
        next = edit.range.end;
    }
    text.push_str(&source[next..]);
    text
}

/// The edits of one mutant, or none where its place is not found or cannot bear a switch.
fn edits(file: &File, source: &str, lines: &Lines, number: usize, mutant: &Mutant) -> Option<Vec<Edit>> {
    let on = switch(number);
    let replacement = &mutant.replacement;
    let start = lines.byte(mutant.span.start)?;
    let insert = |at: usize, text: String| Edit { range: at..at, text };
    match mutant.genre {
        Genre::FnValue => Some(vec![insert(start, format!("if {on} {{ return {replacement}; }} "))]),
        Genre::BinaryOperator => {
            let found = find(file, mutant.span.start)?.binary?;
            if contains_let(&found.left) || contains_let(&found.right) {
                return None;
            }
            let (left, right) = (lines.range(&*found.left)?, lines.range(&*found.right)?);
            let whole = left.start..right.end;
            let changed = format!("{} {replacement} {}", &source[left], &source[right]);
            Some(vec![either(source, whole, &on, &changed)])
        }
        Genre::UnaryOperator => {
            let found = find(file, mutant.span.start)?.unary?;
            let (whole, operand) = (lines.range(&found)?, lines.range(&*found.expr)?);
            let changed = format!("{replacement} {}", &source[operand]);
            Some(vec![either(source, whole, &on, &changed)])
        }
        Genre::MatchArmGuard => {
            let end = lines.byte(mutant.span.end)?;
            let guard: Expr = syn::parse_str(&source[start..end]).ok()?;
            (!contains_let(&guard)).then(|| vec![either(source, start..end, &on, replacement)])
        }
        Genre::MatchArm => {
            let arm = find(file, mutant.span.start)?.arm?;
            let arrow = lines.range(&arm.fat_arrow_token)?.start;
            match &arm.pat {
                Pat::Guard(guarded) if contains_let(&guarded.guard) => None,
                Pat::Guard(guarded) => {
                    let guard = lines.range(&*guarded.guard)?;
                    let kept = format!("({}) && !{on}", &source[guard.clone()]);
                    Some(vec![Edit { range: guard, text: kept }])
                }
                _ => Some(vec![insert(arrow, format!("if !{on} "))]),
            }
        }
        Genre::StructField => None,
    }
}

/// One branch is evaluated: what is moved in one may be moved in the other.
fn either(source: &str, whole: Range<usize>, on: &str, changed: &str) -> Edit {
    let text = format!("(if {on} {{ {changed} }} else {{ {} }})", &source[whole.clone()]);
    Edit { range: whole, text }
}

/// `let` in a condition cannot be put into parentheses.
fn contains_let(expression: &Expr) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_expr_let(&mut self, _: &'ast syn::ExprLet) {
            self.0 = true;
        }
    }
    let mut search = Search(false);
    search.visit_expr(expression);
    search.0
}

/// What begins, or has its operator, at a position.
#[derive(Default)]
struct Found {
    binary: Option<ExprBinary>,
    unary: Option<ExprUnary>,
    arm: Option<Arm>,
}

fn find(file: &File, at: Position) -> Option<Found> {
    struct Finder {
        at: Position,
        found: Found,
    }
    impl Finder {
        fn is_here(&self, span: TokenSpan) -> bool {
            position(span.start()) == self.at
        }
    }
    impl<'ast> Visit<'ast> for Finder {
        fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
            if self.is_here(node.op.span()) {
                self.found.binary = Some(node.clone());
            }
            visit::visit_expr_binary(self, node);
        }

        fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
            if self.is_here(node.op.span()) {
                self.found.unary = Some(node.clone());
            }
            visit::visit_expr_unary(self, node);
        }

        fn visit_arm(&mut self, node: &'ast Arm) {
            if self.is_here(node.span()) || self.is_here(node.pat.span()) {
                self.found.arm = Some(node.clone());
            }
            visit::visit_arm(self, node);
        }
    }
    let mut finder = Finder { at, found: Found::default() };
    finder.visit_file(file);
    let found = finder.found;
    (found.binary.is_some() || found.unary.is_some() || found.arm.is_some()).then_some(found)
}

fn position(at: LineColumn) -> Position {
    Position { line: at.line, column: at.column + 1 }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Lines<'a> {
        let after = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Lines { source, starts: std::iter::once(0).chain(after).collect() }
    }

    fn byte(&self, at: Position) -> Option<usize> {
        let start = *self.starts.get(at.line.checked_sub(1)?)?;
        let rest = &self.source[start..];
        let places = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
        places.skip(at.column.checked_sub(1)?).map(|index| start + index).next()
    }

    fn range(&self, node: &impl syn::spanned::Spanned) -> Option<Range<usize>> {
        let span = node.span();
        Some(self.byte(position(span.start()))?..self.byte(position(span.end()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::Span;

    /// The mutant at the first place where `needle` stands in `source`.
    fn mutant(source: &str, needle: &str, genre: Genre, replacement: &str) -> Mutant {
        let at = |byte: usize| {
            let before = &source[..byte];
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            Position { line: before.matches('\n').count() + 1, column }
        };
        let byte = source.find(needle).unwrap_or_else(|| panic!("{needle} stands in {source}"));
        let span = Span { start: at(byte), end: at(byte + needle.len()) };
        let name = format!("{needle} -> {replacement}");
        Mutant { name, file: "a.rs".to_owned(), span, replacement: replacement.to_owned(), genre }
    }

    fn planted(source: &str, needle: &str, genre: Genre, replacement: &str) -> Planted {
        let planted = plant(source, &[(3, mutant(source, needle, genre, replacement))]).expect("Rust");
        syn::parse_file(&planted.text).unwrap_or_else(|error| panic!("{error}: {}", planted.text));
        planted
    }

    #[test]
    fn every_genre_stands_behind_its_switch() {
        let cases = [
            (
                "fn f(a: u8) -> bool {\n    a > 1\n}",
                "a > 1",
                Genre::FnValue,
                "true",
                "fn f(a: u8) -> bool {\n    if crate::mutated::on(3) { return true; } a > 1\n}",
            ),
            (
                "fn f(ä: u8) -> bool { /* ü */ g(ä) >= 1 }",
                ">=",
                Genre::BinaryOperator,
                "<",
                "fn f(ä: u8) -> bool { /* ü */ (if crate::mutated::on(3) { g(ä) < 1 } else { g(ä) >= 1 }) }",
            ),
            (
                "fn f(a: &mut u8) { *a += 1; }",
                "+=",
                Genre::BinaryOperator,
                "-=",
                "fn f(a: &mut u8) { (if crate::mutated::on(3) { *a -= 1 } else { *a += 1 }); }",
            ),
            (
                "fn f(a: bool) -> bool { !a }",
                "!",
                Genre::UnaryOperator,
                "",
                "fn f(a: bool) -> bool { (if crate::mutated::on(3) {  a } else { !a }) }",
            ),
            (
                "fn f(a: u8) { match a { 1 => g(), _ => {} } }",
                "1 => g(),",
                Genre::MatchArm,
                "",
                "fn f(a: u8) { match a { 1 if !crate::mutated::on(3) => g(), _ => {} } }",
            ),
            (
                "fn f(a: u8) { match a { b if b > 2 || c => g(), _ => {} } }",
                "b if",
                Genre::MatchArm,
                "",
                "fn f(a: u8) { match a { b if (b > 2 || c) && !crate::mutated::on(3) => g(), _ => {} } }",
            ),
            (
                "fn f(a: u8) { match a { b if b > 2 => g(), _ => {} } }",
                "b > 2",
                Genre::MatchArmGuard,
                "true",
                "fn f(a: u8) { match a { b if (if crate::mutated::on(3) { true } else { b > 2 }) => g(), _ => {} } }",
            ),
        ];
        for (source, needle, genre, replacement, expected) in cases {
            let planted = planted(source, needle, genre, replacement);
            assert_eq!(planted.text, expected);
            assert!(planted.refused.is_empty(), "{:?}", planted.refused);
        }
    }

    #[test]
    fn what_cannot_bear_a_switch_is_refused_and_left_alone() {
        let chain = "fn f(a: Option<u8>) { if let Some(b) = a && b > 1 { g() } }";
        let left = planted(chain, "&&", Genre::BinaryOperator, "||");
        assert_eq!((left.text.as_str(), left.refused.len()), (chain, 1));
        let inner = planted(chain, "> 1", Genre::BinaryOperator, "<");
        assert!(inner.text.contains("(if crate::mutated::on(3) { b < 1 } else { b > 1 })"), "{}", inner.text);
    }

    #[test]
    fn of_two_that_overlap_the_second_is_refused() {
        let source = "fn f(a: u8, b: u8) -> bool { a > 1 && b > 2 }";
        let outer = mutant(source, "&&", Genre::BinaryOperator, "||");
        let inner = mutant(source, "> 2", Genre::BinaryOperator, "<");
        let whole = mutant(source, "a > 1", Genre::FnValue, "true");
        let planted = plant(source, &[(0, outer), (1, inner.clone()), (2, whole)]).expect("Rust");
        assert_eq!(planted.refused, [inner.name]);
        assert!(planted.text.contains("on(0)") && planted.text.contains("on(2)"), "{}", planted.text);
        syn::parse_file(&planted.text).expect("still Rust");
    }
}
