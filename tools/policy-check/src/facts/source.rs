//! What the source says of AWS and of HTTP, read as syntax.
//!
//! Names are followed, types are not: a method call on a field is followed to the type that the field is declared with,
//! and a call on `self` to the same type. That is enough for the adapters, which are small and written in one way; what it
//! finds is an upper bound of what they do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use syn::{Expr, Item, visit::Visit};

use crate::{error::CheckError, worktree::WorkTree};

/// Where the adapters are.
const ADAPTERS: &str = "system/aws/";
const TABLES: &str = "system/aws/src/tables.rs";

/// One AWS call that an adapter can make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Operation {
    /// The adapter, a type or a function of `system/aws`.
    pub adapter: String,
    /// As IAM spells it, such as `dynamodb`.
    pub service: String,
    /// As AWS spells it, such as `PutItem`. What a transaction does to an item is listed by the item's own call.
    pub operation: String,
    /// Tables of the system by their name in `TableNames`; empty if the call is not about one of them.
    pub tables: Vec<String>,
    /// Whether the call bears a condition.
    pub conditional: bool,
    pub file: String,
    pub line: usize,
    /// The adapter's functions by which it is reached.
    pub through: Vec<String>,
}

/// A place that names an AWS SDK.
#[derive(Clone, Debug, Serialize)]
pub struct SdkUse {
    pub sdk: String,
    pub file: String,
    pub line: usize,
}

/// A place that speaks HTTP as a client, or names an address.
#[derive(Clone, Debug, Serialize)]
pub struct HttpUse {
    /// `client` or `address`.
    pub kind: String,
    /// The crate's folder.
    pub folder: String,
    /// The client's path in source, or the address.
    pub what: String,
    /// Of an address: the host, without its port.
    pub host: Option<String>,
    /// Of an address: the port, if it names one.
    pub port: Option<u16>,
    pub file: String,
    pub line: usize,
}

/// The source files that facts are read from, parsed.
pub struct Sources {
    pub(super) files: BTreeMap<String, syn::File>,
}

impl Sources {
    /// Everything of `system/` that ships, and whatever names an AWS SDK.
    pub(super) fn read(tree: &WorkTree) -> Result<Sources, CheckError> {
        let mut files = BTreeMap::new();
        for file in tree.files().filter(|file| file.ends_with(".rs")) {
            let ships = file.starts_with("system/") && is_shipped(file);
            if ships || tree.read(file)?.contains("aws_sdk_") {
                files.insert(file.to_owned(), parse(tree, file)?);
            }
        }
        Ok(Sources { files })
    }

    pub(super) fn shipped(&self) -> impl Iterator<Item = (&str, &syn::File)> {
        let files = self.files.iter().map(|(file, source)| (file.as_str(), source));
        files.filter(|(file, _)| file.starts_with("system/") && is_shipped(file))
    }
}

/// Not among tests, benchmarks and examples, nor what only those link.
fn is_shipped(file: &str) -> bool {
    let aside = ["/tests/", "/benches/", "/examples/", "/tests.rs", "system/ports/testing/"];
    !aside.iter().any(|part| file.contains(part))
}

pub(super) fn parse(tree: &WorkTree, file: &str) -> Result<syn::File, CheckError> {
    let text = tree.read(file)?;
    syn::parse_file(&text).map_err(|error| CheckError::rust(file, &text, &error))
}

pub(super) fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn folder_of(file: &str) -> String {
    file.split_once("/src/").map_or(file, |(folder, _)| folder).to_owned()
}

/// The default name of each table, by its field in `TableNames`.
pub(super) fn table_names(tree: &WorkTree) -> Result<BTreeMap<String, String>, CheckError> {
    struct Names(BTreeMap<String, String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_expr_struct(&mut self, built: &'ast syn::ExprStruct) {
            if built.rest.is_none() {
                for field in &built.fields {
                    if let (syn::Member::Named(name), Some(text)) = (&field.member, literal_in(&field.expr)) {
                        self.0.insert(name.to_string(), text);
                    }
                }
            }
        }
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !is_test_only(&module.attrs) {
                syn::visit::visit_item_mod(self, module);
            }
        }
    }
    let mut names = Names(BTreeMap::new());
    names.visit_file(&parse(tree, TABLES)?);
    names.0.retain(|_, text| text.starts_with("nexus-"));
    match names.0.is_empty() {
        true => Err(CheckError::Missing { file: TABLES.to_owned(), what: "the tables' default names" }),
        false => Ok(names.0),
    }
}

/// `"text"` or `"text".to_owned()`.
fn literal_in(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        Expr::MethodCall(call) => literal_in(&call.receiver),
        _ => None,
    }
}

pub(super) fn sdk_uses(sources: &Sources) -> Vec<SdkUse> {
    struct Uses<'a> {
        file: &'a str,
        found: Vec<SdkUse>,
        seen: BTreeSet<String>,
    }
    impl<'ast> Visit<'ast> for Uses<'_> {
        fn visit_ident(&mut self, name: &'ast proc_macro2::Ident) {
            let sdk = name.to_string();
            if sdk.starts_with("aws_sdk_") && self.seen.insert(sdk.clone()) {
                let line = name.span().start().line;
                self.found.push(SdkUse { sdk: sdk.replace('_', "-"), file: self.file.to_owned(), line });
            }
        }
    }
    let mut found = Vec::new();
    for (file, source) in &sources.files {
        let mut uses = Uses { file, found: Vec::new(), seen: BTreeSet::new() };
        uses.visit_file(source);
        found.append(&mut uses.found);
    }
    found
}

/// HTTP clients of Rust by the paths that name them.
const CLIENTS: [&str; 9] =
    ["hyper::client", "hyper_util::client", "reqwest", "ureq", "isahc", "surf", "awc", "attohttpc", "minreq"];

pub(super) fn http_uses(sources: &Sources) -> Vec<HttpUse> {
    struct Uses<'a> {
        file: &'a str,
        found: Vec<HttpUse>,
    }
    impl Uses<'_> {
        fn client(&mut self, path: &str, line: usize) {
            let known = |client: &&str| {
                path == *client || path.strip_prefix(*client).is_some_and(|rest| rest.starts_with("::"))
            };
            if CLIENTS.iter().any(known) {
                self.push("client", path, None, None, line);
            }
        }

        fn push(&mut self, kind: &str, what: &str, host: Option<String>, port: Option<u16>, line: usize) {
            let (kind, what) = (kind.to_owned(), what.to_owned());
            let folder = folder_of(self.file);
            self.found.push(HttpUse { kind, folder, what, host, port, file: self.file.to_owned(), line });
        }
    }
    impl<'ast> Visit<'ast> for Uses<'_> {
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !is_test_only(&module.attrs) {
                syn::visit::visit_item_mod(self, module);
            }
        }

        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            for import in paths_of(&item.tree, "") {
                self.client(&import.path, import.line);
            }
        }

        fn visit_path(&mut self, path: &'ast syn::Path) {
            let text = path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::");
            if let Some(first) = path.segments.first() {
                self.client(&text, first.ident.span().start().line);
            }
            syn::visit::visit_path(self, path);
        }

        fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

        fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
            let value = text.value();
            if let Some((host, port)) = host_and_port(&value) {
                self.push("address", &value, Some(host), port, text.span().start().line);
            }
        }

        fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
            for literal in literals_in(invoked.tokens.clone()) {
                self.visit_lit_str(&literal);
            }
        }
    }
    let mut found = Vec::new();
    for (file, source) in sources.shipped() {
        let mut uses = Uses { file, found: Vec::new() };
        uses.visit_file(source);
        found.append(&mut uses.found);
    }
    found
}

fn literals_in(tokens: proc_macro2::TokenStream) -> Vec<syn::LitStr> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) => found.extend(literals_in(group.stream())),
            proc_macro2::TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    found.push(text);
                }
            }
            _ => {}
        }
    }
    found
}

/// One name that a `use` brings in.
pub(super) struct Import {
    /// What it is called here.
    pub name: String,
    pub path: String,
    line: usize,
}

fn paths_of(tree: &syn::UseTree, before: &str) -> Vec<Import> {
    let joined = |name: &syn::Ident| if before.is_empty() { name.to_string() } else { format!("{before}::{name}") };
    let import = |name: &syn::Ident, path| Import { name: name.to_string(), path, line: name.span().start().line };
    match tree {
        syn::UseTree::Path(path) => paths_of(&path.tree, &joined(&path.ident)),
        syn::UseTree::Name(name) => vec![import(&name.ident, joined(&name.ident))],
        syn::UseTree::Rename(rename) => {
            vec![Import { path: joined(&rename.ident), ..import(&rename.rename, String::new()) }]
        }
        syn::UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            vec![Import { name: "*".to_owned(), path: before.to_owned(), line }]
        }
        syn::UseTree::Group(group) => group.items.iter().flat_map(|tree| paths_of(tree, before)).collect(),
    }
}

/// Host and port of `http://host:port/…`; a host that is filled in at run time is none.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    };
    (!host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

// ---- Operations ----------------------------------------------------------------------------------------------------

/// One AWS call as it stands in a body.
#[derive(Clone)]
struct AwsCall {
    operation: String,
    service: String,
    file: String,
    line: usize,
}

/// A function of the adapters and what its body does. Functions of one name are taken together.
#[derive(Default)]
struct Body {
    is_public: bool,
    calls_aws: Vec<AwsCall>,
    tables: BTreeSet<String>,
    conditional: bool,
    /// Owners (a type, or nothing) and names of the functions that it calls.
    calls: BTreeSet<(String, String)>,
}

impl Body {
    fn merge(&mut self, other: Body) {
        self.is_public |= other.is_public;
        self.calls_aws.extend(other.calls_aws);
        self.tables.extend(other.tables);
        self.conditional |= other.conditional;
        self.calls.extend(other.calls);
    }
}

type Bodies = BTreeMap<(String, String), Body>;

pub(super) fn operations(sources: &Sources) -> Vec<Operation> {
    let mut bodies = Bodies::new();
    let mut public_types = BTreeSet::new();
    let fields = field_types(sources);
    for (file, source) in sources.shipped().filter(|(file, _)| file.starts_with(ADAPTERS)) {
        read_items(file, &source.items, &fields, &mut bodies, &mut public_types);
    }
    let mut found = BTreeMap::<Operation, BTreeSet<String>>::new();
    for ((owner, name), body) in &bodies {
        let adapter = if owner.is_empty() { name } else { owner };
        let is_adapter = if owner.is_empty() { body.is_public } else { public_types.contains(owner) };
        if is_adapter {
            let tables_of_owner = tables_of_type(owner, &bodies);
            for key in reached(&(owner.clone(), name.clone()), &bodies) {
                for operation in operations_of(adapter, &key, &tables_of_owner, &bodies) {
                    found.entry(operation).or_default().insert(name.clone());
                }
            }
        }
    }
    let with_ways = |(operation, through): (Operation, BTreeSet<String>)| Operation {
        through: through.into_iter().collect(),
        ..operation
    };
    found.into_iter().map(with_ways).collect()
}

/// Every table that any function of a type names.
fn tables_of_type(owner: &str, bodies: &Bodies) -> BTreeSet<String> {
    let own = bodies.iter().filter(|((other, _), _)| !owner.is_empty() && other == owner);
    own.flat_map(|(_, body)| body.tables.iter().cloned()).collect()
}

/// The functions that can be reached from one, itself included.
fn reached(from: &(String, String), bodies: &Bodies) -> BTreeSet<(String, String)> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![from.clone()];
    while let Some(key) = waiting.pop() {
        if let Some(body) = bodies.get(&key)
            && seen.insert(key)
        {
            waiting.extend(body.calls.iter().cloned());
        }
    }
    seen
}

fn operations_of(
    adapter: &str,
    key: &(String, String),
    tables_of_adapter: &BTreeSet<String>,
    bodies: &Bodies,
) -> Vec<Operation> {
    let Some(body) = bodies.get(key) else { return Vec::new() };
    let within: Vec<&Body> = reached(key, bodies).iter().filter_map(|key| bodies.get(key)).collect();
    let named: BTreeSet<String> = within.iter().flat_map(|body| body.tables.iter().cloned()).collect();
    let tables = if named.is_empty() { tables_of_adapter } else { &named };
    let conditional = within.iter().any(|body| body.conditional);
    let calls = body.calls_aws.iter();
    calls
        .map(|call| Operation {
            adapter: adapter.to_owned(),
            service: call.service.clone(),
            operation: call.operation.clone(),
            tables: tables.iter().cloned().collect(),
            conditional,
            file: call.file.clone(),
            line: call.line,
            through: Vec::new(),
        })
        .collect()
}

/// The declared type of each field of each struct: its last name, references and containers taken away.
fn field_types(sources: &Sources) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for (_, source) in sources.shipped() {
        for item in &source.items {
            let Item::Struct(item) = item else { continue };
            for field in &item.fields {
                if let (Some(name), Some(of)) = (&field.ident, last_name(&field.ty)) {
                    found.insert((item.ident.to_string(), name.to_string()), of);
                }
            }
        }
    }
    found
}

fn last_name(of: &syn::Type) -> Option<String> {
    match of {
        syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        syn::Type::Reference(reference) => last_name(&reference.elem),
        _ => None,
    }
}

fn read_items(
    file: &str,
    items: &[Item],
    fields: &BTreeMap<(String, String), String>,
    bodies: &mut Bodies,
    public_types: &mut BTreeSet<String>,
) {
    let common = service_of(items).unwrap_or_default();
    let clients = services_by_client(items);
    let mut add = |owner: &str, signature: &syn::Signature, is_public: bool, block: &syn::Block| {
        let body = Body { is_public, ..Body::default() };
        let own = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => last_name(&typed.ty).and_then(|name| clients.get(&name)),
            syn::FnArg::Receiver(_) => None,
        });
        let service = own.last().unwrap_or(&common);
        let mut reader = BodyReader { owner, fields, file, service, body };
        reader.visit_block(block);
        bodies.entry((owner.to_owned(), signature.ident.to_string())).or_default().merge(reader.body);
    };
    for item in items {
        match item {
            Item::Fn(item) => add("", &item.sig, matches!(item.vis, syn::Visibility::Public(_)), &item.block),
            Item::Struct(item) if matches!(item.vis, syn::Visibility::Public(_)) => {
                public_types.insert(item.ident.to_string());
            }
            Item::Impl(item) => {
                let Some(owner) = last_name(&item.self_ty) else { continue };
                for function in &item.items {
                    if let syn::ImplItem::Fn(function) = function {
                        add(&owner, &function.sig, false, &function.block);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The service whose SDK a file names; of several the first.
fn service_of(items: &[Item]) -> Option<String> {
    imports_of(items).into_iter().find_map(|import| service_in(&import.path))
}

/// Where a file gives clients names of their own (`aws_sdk_sqs::Client as SqsClient`), which is of which service.
fn services_by_client(items: &[Item]) -> BTreeMap<String, String> {
    let imports = imports_of(items).into_iter();
    imports.filter_map(|import| Some((import.name, service_in(&import.path)?))).collect()
}

/// As IAM spells it, which knows the change streams under the name of the tables.
fn service_in(path: &str) -> Option<String> {
    let sdk = path.strip_prefix("aws_sdk_")?.split("::").next()?;
    Some(if sdk == "dynamodbstreams" { "dynamodb" } else { sdk }.to_owned())
}

/// The imports at the head of a file.
pub(super) fn imports_of(items: &[Item]) -> Vec<Import> {
    let uses = items.iter().filter_map(|item| if let Item::Use(item) = item { Some(&item.tree) } else { None });
    uses.flat_map(|tree| paths_of(tree, "")).collect()
}

/// Expressions that a macro like `vec!` is handed; none if they are no list of expressions.
pub(super) fn expressions_in(invoked: &syn::Macro) -> Vec<Expr> {
    type List = syn::punctuated::Punctuated<Expr, syn::Token![,]>;
    invoked.parse_body_with(List::parse_terminated).map(|list| list.into_iter().collect()).unwrap_or_default()
}

/// The names of all functions and methods that shipped source of a crate calls; of macros every word counts.
pub(super) fn names_called_in(sources: &Sources, folder: &str) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
            self.0.insert(call.method.to_string());
            syn::visit::visit_expr_method_call(self, call);
        }
        fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
            self.0.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
        }
        fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
            words_in(invoked.tokens.clone(), &mut self.0);
        }
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !is_test_only(&module.attrs) {
                syn::visit::visit_item_mod(self, module);
            }
        }
    }
    let mut names = Names(BTreeSet::new());
    let prefix = format!("{folder}/src/");
    for (_, source) in sources.shipped().filter(|(file, _)| file.starts_with(&prefix)) {
        names.visit_file(source);
    }
    names.0
}

fn words_in(tokens: proc_macro2::TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) => words_in(group.stream(), found),
            proc_macro2::TokenTree::Ident(word) => {
                found.insert(word.to_string());
            }
            _ => {}
        }
    }
}

struct BodyReader<'a> {
    owner: &'a str,
    fields: &'a BTreeMap<(String, String), String>,
    file: &'a str,
    service: &'a str,
    body: Body,
}

impl<'ast> Visit<'ast> for BodyReader<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        if call.args.is_empty() && ends_in(&call.receiver, "client") {
            self.calls_aws(pascal_case(&name), call.method.span().start().line);
        }
        if name == "condition_expression" {
            self.body.conditional = true;
        }
        if let Some(owner) = self.owner_of(&call.receiver) {
            self.body.calls.insert((owner, name));
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(function) = call.func.as_ref() {
            let names: Vec<String> = function.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            match names.as_slice() {
                [.., item, builder] if builder == "builder" => self.item_of_a_transaction(item, function),
                [.., owner, name] if owner == "Self" => self.calls(self.owner.to_owned(), name),
                [.., owner, name] if owner.starts_with(char::is_uppercase) => self.calls(owner.clone(), name),
                [.., name] => self.calls(String::new(), name),
                [] => {}
            }
        }
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if let syn::Member::Named(name) = &field.member
            && (ends_in(&field.base, "tables") || ends_in(&field.base, "names"))
        {
            self.body.tables.insert(name.to_string());
        }
        syn::visit::visit_expr_field(self, field);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        for expression in expressions_in(invoked) {
            Visit::visit_expr(self, &expression);
        }
    }
}

impl BodyReader<'_> {
    fn calls(&mut self, owner: String, name: &str) {
        self.body.calls.insert((owner, name.to_owned()));
    }

    fn calls_aws(&mut self, operation: String, line: usize) {
        let (service, file) = (self.service.to_owned(), self.file.to_owned());
        self.body.calls_aws.push(AwsCall { operation, service, file, line });
    }

    /// `Put::builder()` and its like make an item of a transaction.
    fn item_of_a_transaction(&mut self, item: &str, function: &syn::ExprPath) {
        let operation = match item {
            "Put" => "PutItem",
            "Update" => "UpdateItem",
            "Delete" => "DeleteItem",
            "ConditionCheck" => "ConditionCheckItem",
            _ => return,
        };
        let line = function.path.segments.first().map_or(1, |segment| segment.ident.span().start().line);
        self.calls_aws(operation.to_owned(), line);
    }

    /// The type that a receiver is of: `self`, or a field of `self`.
    fn owner_of(&self, receiver: &Expr) -> Option<String> {
        match receiver {
            Expr::Path(path) if path.path.is_ident("self") => Some(self.owner.to_owned()),
            Expr::Field(field) if matches!(field.base.as_ref(), Expr::Path(path) if path.path.is_ident("self")) => {
                let syn::Member::Named(name) = &field.member else { return None };
                self.fields.get(&(self.owner.to_owned(), name.to_string())).cloned()
            }
            Expr::Reference(reference) => self.owner_of(&reference.expr),
            _ => None,
        }
    }
}

pub(super) fn ends_in(expression: &Expr, name: &str) -> bool {
    match expression {
        Expr::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
        Expr::Field(field) => matches!(&field.member, syn::Member::Named(member) if member == name),
        Expr::Reference(reference) => ends_in(&reference.expr, name),
        Expr::MethodCall(call) if call.method == "clone" => ends_in(&call.receiver, name),
        _ => false,
    }
}

fn pascal_case(name: &str) -> String {
    let parts = name.split('_').filter(|part| !part.is_empty());
    parts.map(|part| part[..1].to_ascii_uppercase() + &part[1..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_spelled_as_aws_spells_them() {
        assert_eq!(pascal_case("transact_write_items"), "TransactWriteItems");
        assert_eq!(pascal_case("query"), "Query");
    }

    #[test]
    fn addresses_name_host_and_port() {
        let table = [
            ("http://command-service:8080/commands", Some(("command-service", Some(8080)))),
            ("https://Example.com", Some(("example.com", None))),
            ("http://{}", Some(("{}", None))),
            ("ftp://x", None),
            ("http://", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(text), expected, "{text}");
        }
    }

    fn operations_in(source: &str) -> Vec<Operation> {
        let files = BTreeMap::from([("system/aws/src/a.rs".to_owned(), syn::parse_file(source).unwrap())]);
        operations(&Sources { files })
    }

    #[test]
    fn an_operation_is_found_with_its_table_through_fields_and_helpers() {
        let found = operations_in(
            "use aws_sdk_dynamodb::Client;
             pub struct Outbox { table: RecordTable }
             impl Outbox {
                 fn new(tables: &TableNames) -> Self { Self { table: RecordTable::new(&tables.outbox) } }
                 fn record(&self) { self.table.put() }
             }
             struct RecordTable { client: Client }
             impl RecordTable {
                 fn put(&self) { self.client.put_item().condition_expression(\"x\").send() }
                 fn delete(&self) { self.client.delete_item().send() }
             }
             pub struct Events { client: Client, tables: TableNames }
             impl Events {
                 fn append(&self) { self.client.transact_write_items().set_items(self.puts()).send() }
                 fn puts(&self) { Put::builder().table_name(&self.tables.events).build() }
             }",
        );
        let told: Vec<_> = found
            .iter()
            .map(|found| format!("{} {} {:?} {}", found.adapter, found.operation, found.tables, found.conditional))
            .collect();
        assert_eq!(
            told,
            [
                "Events PutItem [\"events\"] false",
                "Events TransactWriteItems [\"events\"] false",
                "Outbox PutItem [\"outbox\"] true",
            ]
        );
        assert!(found.iter().all(|found| found.service == "dynamodb" && found.line > 1));
    }

    #[test]
    fn clients_and_addresses_are_found_outside_tests() {
        let source = "use hyper::client::conn::http1;
            fn call() { let to = format!(\"http://command-service:8080/{}\", 1); reqwest::get(to) }
            #[cfg(test)]
            mod tests { const A: &str = \"http://other:1\"; }";
        let file = "system/query-dashboard/src/a.rs".to_owned();
        let files = BTreeMap::from([(file, syn::parse_file(source).unwrap())]);
        let told: Vec<_> = http_uses(&Sources { files })
            .iter()
            .map(|found| format!("{} {} {} {:?}", found.folder, found.line, found.what, found.port))
            .collect();
        assert_eq!(
            told,
            [
                "system/query-dashboard 1 hyper::client::conn::http1 None",
                "system/query-dashboard 2 http://command-service:8080/{} Some(8080)",
                "system/query-dashboard 2 reqwest::get None",
            ]
        );
    }
}
