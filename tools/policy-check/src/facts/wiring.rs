//! Which service calls what on AWS: the binary's wiring, followed from each subcommand to the adapters that it builds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use syn::{Expr, ImplItem, Item, Pat, visit::Visit};

use super::source::{Operation, Sources, ends_in, expressions_in, imports_of, is_test_only, names_called_in};
use crate::error::CheckError;

const BINARY: &str = "system/nexus/src/";
/// Each public function of this file is a service: it is named after the subcommand that runs it.
const SERVICES: &str = "system/nexus/src/services.rs";

/// A subcommand that makes things and ends. It is nobody's service.
const NO_SERVICE: [&str; 1] = ["provision"];

/// What the bus's parts are called in arguments.
const BUS: [(&str, &str); 5] = [
    ("core_stream", "stream"),
    ("background_topic", "topic"),
    ("notification_queue", "queue"),
    ("notification_dead_letters", "queue"),
    ("background_dead_letters", "queue"),
];

/// A program of the system: a subcommand of the binary.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// As on the command line, such as `event-router`.
    pub name: String,
    /// The crates of `system/` that its wiring names.
    pub crates: Vec<String>,
    pub calls: Vec<ServiceCall>,
    /// The port that it listens on unless told otherwise.
    pub listen_port: Option<u16>,
    pub file: String,
    pub line: usize,
}

/// A call that a service can make, and on what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServiceCall {
    /// `table`, `stream`, `topic`, `queue`, or `none` for a call about no part of the system.
    pub kind: String,
    /// Its name in the binary's arguments, such as `events` or `core_stream`.
    pub resource: String,
    /// As IAM spells it, such as `dynamodb:PutItem`.
    pub action: String,
    pub adapter: String,
    pub file: String,
    pub line: usize,
}

/// A function of the binary.
#[derive(Default)]
struct Body {
    /// Adapters that it builds or calls, and the parts of the bus and tables that it hands to them.
    adapters: Vec<(String, BTreeSet<String>)>,
    /// Functions of the binary that it calls, and what it hands to them.
    calls: Vec<(String, BTreeSet<String>)>,
    /// Names of other crates' items.
    crates: BTreeSet<String>,
    file: String,
    line: usize,
    is_public: bool,
}

pub(super) fn gather(sources: &Sources, operations: &[Operation]) -> Result<Vec<Service>, CheckError> {
    let adapters: BTreeSet<&str> = operations.iter().map(|operation| operation.adapter.as_str()).collect();
    let mut bodies = BTreeMap::new();
    for (file, source) in sources.shipped().filter(|(file, _)| file.starts_with(BINARY)) {
        read_items(file, &source.items, &adapters, &mut bodies);
    }
    let ports = listen_ports(sources);
    let own = bodies
        .iter()
        .filter(|(name, body)| body.file == SERVICES && body.is_public && !NO_SERVICE.contains(&name.as_str()));
    let services: Vec<Service> = own
        .map(|(name, body)| (name, body, crates_reached(name, &bodies)))
        .map(|(name, body, crates)| Service {
            name: name.replace('_', "-"),
            calls: calls_of(name, &bodies, operations, &names_called(sources, &crates)),
            crates,
            listen_port: ports.get(name.as_str()).copied(),
            file: body.file.clone(),
            line: body.line,
        })
        .collect();
    match services.is_empty() {
        true => Err(CheckError::Missing { file: SERVICES.to_owned(), what: "the functions that run the services" }),
        false => Ok(services),
    }
}

/// What the crates behind a service call by name, and the binary itself: an adapter's function that nobody names is not
/// called, be it reached through a port or not.
fn names_called(sources: &Sources, crates: &[String]) -> BTreeSet<String> {
    let folders = crates.iter().filter_map(|name| name.strip_prefix("nexus-")).map(|name| format!("system/{name}"));
    let folders = folders.chain(["system/nexus".to_owned()]);
    folders.flat_map(|folder| names_called_in(sources, &folder)).collect()
}

/// `ListenArguments<8080>` in `CommandServiceArguments` is the port of `command_service`.
fn listen_ports(sources: &Sources) -> BTreeMap<String, u16> {
    let mut found = BTreeMap::new();
    for (_, source) in sources.shipped().filter(|(file, _)| file.starts_with(BINARY)) {
        for item in &source.items {
            let Item::Struct(item) = item else { continue };
            let Some(name) = item.ident.to_string().strip_suffix("Arguments").map(snake_case) else { continue };
            if let Some(port) = item.fields.iter().find_map(|field| port_in(&field.ty)) {
                found.insert(name, port);
            }
        }
    }
    found
}

fn port_in(of: &syn::Type) -> Option<u16> {
    let syn::Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "ListenArguments")?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Const(Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(port), .. })) => {
            port.base10_parse().ok()
        }
        _ => None,
    })
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

fn read_items(file: &str, items: &[Item], adapters: &BTreeSet<&str>, bodies: &mut BTreeMap<String, Body>) {
    let imports = imports_of(items).into_iter().filter_map(|import| {
        let first = import.path.split("::").next().filter(|first| first.starts_with("nexus_"))?;
        Some((import.name, first.replace('_', "-")))
    });
    let imports: BTreeMap<String, String> = imports.collect();
    let mut add = |prefix: &str, signature: &syn::Signature, visibility: &syn::Visibility, block: &syn::Block| {
        let line = signature.ident.span().start().line;
        let is_public = !matches!(visibility, syn::Visibility::Inherited);
        let body = Body { file: file.to_owned(), line, is_public, ..Body::default() };
        let mut reader = Reader { adapters, imports: &imports, aliases: BTreeMap::new(), body };
        reader.visit_block(block);
        let name = format!("{prefix}{}", signature.ident);
        // A service's own function goes before a helper of the same name elsewhere; the helper is kept beside it.
        let key = if bodies.contains_key(&name) { format!("{name}@{file}") } else { name };
        bodies.insert(key, reader.body);
    };
    for item in items {
        match item {
            Item::Fn(function) => add("", &function.sig, &function.vis, &function.block),
            Item::Impl(block) if !is_test_only(&block.attrs) => {
                for function in &block.items {
                    if let ImplItem::Fn(function) = function {
                        // Methods are kept apart from the services' functions, whose names some of them share.
                        add(METHOD, &function.sig, &function.vis, &function.block);
                    }
                }
            }
            _ => {}
        }
    }
}

const METHOD: &str = "method_";

struct Reader<'a> {
    adapters: &'a BTreeSet<&'a str>,
    /// The crates that the file's imports come from.
    imports: &'a BTreeMap<String, String>,
    /// Local names that stand for parts of the bus or tables.
    aliases: BTreeMap<String, BTreeSet<String>>,
    body: Body,
}

impl Reader<'_> {
    /// The parts of bus and tables that an expression names.
    fn parts_in<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> BTreeSet<String> {
        let mut parts = Parts { aliases: &self.aliases, found: BTreeSet::new() };
        for expression in expressions {
            parts.visit_expr(expression);
        }
        parts.found
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let Some(init) = &local.init {
            let names = names_in(&local.pat);
            match (&local.pat, init.expr.as_ref()) {
                // `let (table, stream) = (&tables.events, &ends.core_stream)` names each by its place.
                (Pat::Tuple(_), Expr::Tuple(tuple)) if tuple.elems.len() == names.len() => {
                    for (name, value) in names.into_iter().zip(&tuple.elems) {
                        let parts = self.parts_in([value]);
                        self.aliases.insert(name, parts);
                    }
                }
                (_, value) => {
                    let parts = self.parts_in([value]);
                    for name in names {
                        self.aliases.insert(name, parts.clone());
                    }
                }
            }
        }
        syn::visit::visit_local(self, local);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first().map(|segment| segment.ident.to_string()) {
            if first.starts_with("nexus_") {
                self.body.crates.insert(first.replace('_', "-"));
            }
            self.body.crates.extend(self.imports.get(&first).cloned());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(function) = call.func.as_ref() {
            let names: Vec<String> = function.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let parts = self.parts_in(&call.args);
            let named = names.iter().rev().take(2).find(|name| self.adapters.contains(name.as_str()));
            if let Some(adapter) = named {
                self.body.adapters.push((adapter.clone(), parts));
            } else if let Some(name) = names.last() {
                self.body.calls.push((name.clone(), parts));
            }
        }
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let parts = self.parts_in(&call.args);
        self.body.calls.push((format!("{METHOD}{}", call.method), parts));
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        for expression in expressions_in(invoked) {
            Visit::visit_expr(self, &expression);
        }
    }
}

struct Parts<'a> {
    aliases: &'a BTreeMap<String, BTreeSet<String>>,
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Parts<'_> {
    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if let syn::Member::Named(name) = &field.member {
            let name = name.to_string();
            if ends_in(&field.base, "tables") || BUS.iter().any(|(part, _)| *part == name) {
                self.found.insert(name);
            }
        }
        syn::visit::visit_expr_field(self, field);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        if let Some(name) = path.path.get_ident()
            && let Some(parts) = self.aliases.get(&name.to_string())
        {
            self.found.extend(parts.iter().cloned());
        }
    }
}

fn names_in(pattern: &Pat) -> Vec<String> {
    match pattern {
        Pat::Ident(name) => vec![name.ident.to_string()],
        Pat::Tuple(several) => several.elems.iter().flat_map(names_in).collect(),
        Pat::Type(typed) => names_in(&typed.pat),
        _ => Vec::new(),
    }
}

/// Every function that can be reached from a service's, with the parts that it was handed.
fn reached<'b>(from: &str, bodies: &'b BTreeMap<String, Body>) -> Vec<(&'b Body, BTreeSet<String>)> {
    let mut seen: BTreeSet<(String, BTreeSet<String>)> = BTreeSet::new();
    let mut waiting = vec![(from.to_owned(), BTreeSet::new())];
    let mut found = Vec::new();
    while let Some((name, parts)) = waiting.pop() {
        let Some(body) = bodies.get(&name) else { continue };
        if seen.insert((name, parts.clone())) {
            waiting.extend(body.calls.iter().cloned());
            found.push((body, parts));
        }
    }
    found
}

fn crates_reached(from: &str, bodies: &BTreeMap<String, Body>) -> Vec<String> {
    let crates: BTreeSet<String> =
        reached(from, bodies).into_iter().flat_map(|(body, _)| body.crates.iter().cloned()).collect();
    crates.into_iter().collect()
}

fn calls_of(
    from: &str,
    bodies: &BTreeMap<String, Body>,
    operations: &[Operation],
    names: &BTreeSet<String>,
) -> Vec<ServiceCall> {
    let is_called = |operation: &&Operation| operation.through.iter().any(|function| names.contains(function));
    let mut found = BTreeSet::new();
    for (body, handed) in reached(from, bodies) {
        for (adapter, parts) in &body.adapters {
            // An adapter that is handed nothing by name works on what its function was handed.
            let parts = if parts.is_empty() { &handed } else { parts };
            for operation in operations.iter().filter(|operation| operation.adapter == *adapter).filter(is_called) {
                found.extend(calls_on(operation, parts));
            }
        }
    }
    found.into_iter().collect()
}

fn calls_on(operation: &Operation, parts: &BTreeSet<String>) -> Vec<ServiceCall> {
    let call = |kind: &str, resource: &str| ServiceCall {
        kind: kind.to_owned(),
        resource: resource.to_owned(),
        action: format!("{}:{}", operation.service, iam_action(&operation.service, &operation.operation)),
        adapter: operation.adapter.clone(),
        file: operation.file.clone(),
        line: operation.line,
    };
    // IAM knows no transaction: it asks leave for what the transaction does to each item, which is listed by itself.
    if operation.operation.starts_with("Transact") {
        return Vec::new();
    }
    if !operation.tables.is_empty() {
        return operation.tables.iter().map(|table| call("table", table)).collect();
    }
    if parts.is_empty() {
        return vec![call("none", "")];
    }
    let kind_of = |part: &str| BUS.iter().find(|(name, _)| *name == part).map_or("table", |(_, kind)| kind);
    parts.iter().map(|part| call(kind_of(part), part)).collect()
}

/// What IAM asks leave for: batches need that of their single call.
fn iam_action(service: &str, operation: &str) -> String {
    let single = match (service, operation) {
        ("sqs", "ChangeMessageVisibilityBatch") => "ChangeMessageVisibility",
        ("sqs" | "sns", batch) => batch.strip_suffix("Batch").unwrap_or(batch),
        (_, other) => other,
    };
    single.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_s_calls_are_followed_through_its_wiring() {
        let services = "pub(crate) async fn event_router(arguments: A) { wiring.event_router(&ends).await }
            pub(crate) async fn provision(arguments: A) { provision_tables(x) }";
        let wiring = "use nexus_event_router::Router;
        impl Wiring {
            async fn event_router(&self, ends: &Ends) -> Router {
                let topic_arn = self.aws.topic_arn(&ends.background_topic).await?;
                Router::new(KinesisStream::new(&self.platform, &ends.core_stream), SnsTopic::new(topic_arn), vec![self.lot()],
                    self.aws.queue(&ends.notification_queue))
            }
            fn lot(&self) -> DynamoParkingLot { DynamoParkingLot::new(&self.tables) }
        }
        impl Aws { fn queue(&self, queue: &Q) -> SqsQueue { SqsQueue::new(url) } }
        struct EventRouterArguments { listen: ListenArguments<8080> }";
        let router = "impl Router { fn route(&self) { self.stream.used() } }";
        let files = BTreeMap::from([
            ("system/event-router/src/lib.rs".to_owned(), syn::parse_file(router).unwrap()),
            (SERVICES.to_owned(), syn::parse_file(services).unwrap()),
            (format!("{BINARY}wiring.rs"), syn::parse_file(wiring).unwrap()),
        ]);
        let operation = |adapter: &str, service: &str, operation: &str, tables: &[&str]| Operation {
            adapter: adapter.to_owned(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            conditional: true,
            file: "a.rs".to_owned(),
            line: 1,
            through: vec![if operation == "DeleteItem" { "never" } else { "used" }.to_owned()],
        };
        let operations = [
            operation("KinesisStream", "kinesis", "PutRecords", &[]),
            operation("SnsTopic", "sns", "PublishBatch", &[]),
            operation("DynamoParkingLot", "dynamodb", "PutItem", &["parked"]),
            operation("DynamoParkingLot", "dynamodb", "DeleteItem", &["parked"]),
            operation("DynamoParkingLot", "dynamodb", "TransactWriteItems", &["parked"]),
            operation("SqsQueue", "sqs", "DeleteMessageBatch", &[]),
        ];
        let found = gather(&Sources { files }, &operations).unwrap();
        assert_eq!(found.len(), 1, "what provisions is no service");
        assert_eq!(found[0].crates, ["nexus-event-router"]);
        assert_eq!((found[0].name.as_str(), found[0].listen_port), ("event-router", Some(8080)));
        let told: Vec<_> =
            found[0].calls.iter().map(|call| format!("{} {} {}", call.action, call.kind, call.resource)).collect();
        assert_eq!(
            told,
            [
                "sqs:DeleteMessage queue notification_queue",
                "kinesis:PutRecords stream core_stream",
                "dynamodb:PutItem table parked",
                "sns:Publish topic background_topic",
            ]
        );
    }
}
