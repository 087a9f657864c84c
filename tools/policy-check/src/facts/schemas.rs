//! Event types of the domain, and the schemas that they have.

use serde::Serialize;
use syn::{Expr, ImplItem, Item, Lit};

use super::source::parse;
use crate::{error::CheckError, worktree::WorkTree};

const SCHEMAS: &str = "system/schemas/events/";
const EVENTS: &str = "system/domain/src/event.rs";
const UPCASTERS: &str = "system/domain/src/upcast.rs";

#[derive(Clone, Debug, Serialize)]
pub struct Schema {
    pub event_type: String,
    pub version: u32,
    pub file: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct EventType {
    pub name: String,
    /// The version that new events are written in.
    pub newest_version: u32,
    pub file: String,
    pub line: usize,
}

/// `system/schemas/events/<type>/v<version>.json`, from the names of the files.
pub(super) fn schemas(tree: &WorkTree) -> Result<Vec<Schema>, CheckError> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| file.starts_with(SCHEMAS)) {
        let name = &file[SCHEMAS.len()..];
        let parts = name.split_once('/').and_then(|(event_type, rest)| {
            let version = rest.strip_prefix('v')?.strip_suffix(".json")?.parse().ok()?;
            Some((event_type.to_owned(), version))
        });
        let Some((event_type, version)) = parts else {
            return Err(CheckError::SchemaName { file: file.to_owned() });
        };
        found.push(Schema { event_type, version, file: file.to_owned() });
    }
    Ok(found)
}

/// The variants of the domain's `Event`.
pub(super) fn event_types(tree: &WorkTree) -> Result<Vec<EventType>, CheckError> {
    let source = parse(tree, EVENTS)?;
    let variants = source.items.iter().find_map(|item| match item {
        Item::Enum(item) if item.ident == "Event" => Some(&item.variants),
        _ => None,
    });
    let variants = variants.ok_or_else(|| CheckError::Missing { file: EVENTS.to_owned(), what: "the enum `Event`" })?;
    let raised = if tree.files().any(|file| file == UPCASTERS) { newest_versions(tree)? } else { Vec::new() };
    let newest =
        |name: &str| raised.iter().find(|(event_type, _)| event_type == name).map_or(1, |(_, version)| *version);
    Ok(variants
        .iter()
        .map(|variant| {
            let name = variant.ident.to_string();
            let line = variant.ident.span().start().line;
            EventType { newest_version: newest(&name), name, file: EVENTS.to_owned(), line }
        })
        .collect())
}

/// Each event type that the upcasters raise, with the version that they raise it to: arms of the form
/// `"Type" => number` in `newest_version`.
fn newest_versions(tree: &WorkTree) -> Result<Vec<(String, u32)>, CheckError> {
    let source = parse(tree, UPCASTERS)?;
    let functions = source.items.iter().flat_map(|item| match item {
        Item::Fn(function) => vec![(&function.sig, function.block.as_ref())],
        Item::Impl(item) => item
            .items
            .iter()
            .filter_map(
                |item| if let ImplItem::Fn(function) = item { Some((&function.sig, &function.block)) } else { None },
            )
            .collect(),
        _ => Vec::new(),
    });
    let mut found = Vec::new();
    for (signature, block) in functions {
        if signature.ident == "newest_version" {
            let mut arms = Arms { found: &mut found };
            syn::visit::Visit::visit_block(&mut arms, block);
        }
    }
    Ok(found)
}

struct Arms<'a> {
    found: &'a mut Vec<(String, u32)>,
}

impl<'ast> syn::visit::Visit<'ast> for Arms<'_> {
    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Expr::Lit(body) = arm.body.as_ref()
            && let Lit::Int(version) = &body.lit
            && let Ok(version) = version.base10_parse::<u32>()
        {
            for name in texts_of(&arm.pat) {
                self.found.push((name, version));
            }
        }
    }
}

fn texts_of(pattern: &syn::Pat) -> Vec<String> {
    match pattern {
        syn::Pat::Lit(literal) => match &literal.lit {
            Lit::Str(text) => vec![text.value()],
            _ => Vec::new(),
        },
        syn::Pat::Or(several) => several.cases.iter().flat_map(texts_of).collect(),
        _ => Vec::new(),
    }
}
