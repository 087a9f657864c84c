//! `schema docs`: the catalogue of events as a page of Markdown.

use std::{fmt::Write as _, fs, path::Path};

use nexus_commands::{SchemaDocsOptions, exit};
use nexus_governance_compatibility::Schema;
use serde_json::{Map, Value};

use crate::{
    error::{At, ToolError},
    files,
    repository::{self, Versions},
    story::{self, Role},
};

const HEAD: &str = "# Catalogue of events\n\n\
    Written by `cargo xtask schema docs --out system/schemas/CATALOGUE.md`; do not edit it by hand. Fields and bounds are \
    read from the schemas, commands and aggregates from the domain, destinations from the router; consumers are those whose \
    own code makes something of the event.\n";

pub fn run(arguments: &SchemaDocsOptions, root: &Path) -> Result<u8, ToolError> {
    let page = page(&repository::current(root)?)?;
    let kept = repository::schemas_folder(root).join("CATALOGUE.md");
    match (&arguments.out, arguments.check) {
        (None, false) => {
            // The page ends with a line break of its own.
            anstream::print!("{page}");
            Ok(exit::HELD)
        }
        (Some(out), false) => {
            fs::write(out, &page).at("write", out)?;
            anstream::println!("wrote {}", out.display());
            Ok(exit::HELD)
        }
        (out, true) => check(out.as_deref().unwrap_or(&kept), &page),
    }
}

fn check(file: &Path, page: &str) -> Result<u8, ToolError> {
    let found = files::read_text(file)?;
    if found == page {
        anstream::println!("{} is up to date", file.display());
        return Ok(exit::HELD);
    }
    let differing = found.lines().zip(page.lines()).take_while(|(found, wanted)| found == wanted).count() + 1;
    anstream::println!(
        "{} is stale from line {differing} on\n\nhint: cargo xtask schema docs --out {}",
        file.display(),
        file.display()
    );
    Ok(exit::BROKE)
}

fn page(schemas: &Versions) -> Result<String, ToolError> {
    let roles = story::roles()?;
    let mut page = HEAD.to_owned();
    page.push_str(
        "\n| event | happens to | caused by | destination | consumers | versions |\n|---|---|---|---|---|---|\n",
    );
    for (event_type, versions) in schemas {
        let role = roles.get(event_type.as_str()).cloned().unwrap_or_default();
        let versions: Vec<String> = versions.keys().map(u32::to_string).collect();
        let _ = writeln!(
            page,
            "| [{event_type}](#{}) | {} | {} | {} | {} | {} |",
            event_type.to_lowercase(),
            role.aggregate,
            listed(role.commands.iter().copied()),
            role.destination.unwrap_or("none"),
            listed(role.consumers.iter().copied()),
            versions.join(", "),
        );
    }
    for (event_type, versions) in schemas {
        let _ = write!(page, "\n## {event_type}\n");
        write_role(&mut page, roles.get(event_type.as_str()));
        for (version, schema) in versions.iter().rev() {
            write_version(&mut page, *version, schema);
        }
    }
    Ok(page)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn write_role(page: &mut String, role: Option<&Role>) {
    let Some(role) = role else { return };
    let _ = writeln!(
        page,
        "\nProducer: command-service, on {}. Destination: {}. Consumers: {}.",
        listed(role.commands.iter().copied()),
        role.destination.unwrap_or("none"),
        listed(role.consumers.iter().copied()),
    );
}

fn write_version(page: &mut String, version: u32, schema: &Schema) {
    let document = schema.document();
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    let _ = write!(page, "\n### Version {version}: {}\n\n{}\n\n", text("title"), text("description"));
    page.push_str("| field | type | required | bounds | meaning |\n|---|---|---|---|---|\n");
    write_fields(page, document, "");
}

/// A row for each field, nested ones by their path; items of an array are written `[]`.
fn write_fields(page: &mut String, schema: &Value, path: &str) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_required = if required.contains(&name.as_str()) { "yes" } else { "no" };
        let description = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{path}` | {} | {is_required} | {} | {} |",
            type_of(field),
            bounds_of(field),
            cell(description)
        );
        write_fields(page, field, &path);
        if let Some(items) = field.get("items") {
            write_fields(page, items, &format!("{path}[]"));
        }
    }
}

fn type_of(field: &Value) -> String {
    match field.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

/// Keywords that are no bounds, or that have a column or rows of their own.
const NO_BOUNDS: [&str; 7] =
    ["type", "title", "description", "properties", "required", "items", "additionalProperties"];

fn bounds_of(field: &Value) -> String {
    let none = Map::new();
    let keywords = field.as_object().unwrap_or(&none).iter().filter(|(name, _)| !NO_BOUNDS.contains(&name.as_str()));
    keywords.map(|(name, value)| format!("{name} `{}`", cell(&plain(value)))).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A table's bars and line breaks would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
