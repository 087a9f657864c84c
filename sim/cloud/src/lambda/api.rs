//! The operations about functions and mappings.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Lambda,
    desk::Desk,
    errors,
    functions::Function,
    mapping::{Mapping, State},
    members,
    profile::Profile,
    settings::Settings,
    source::Source,
};
use crate::service::ServiceError;

type Outcome = Result<Value, ServiceError>;

const MAX_TIMEOUT_SECONDS: i64 = 900;
const DEFAULT_TIMEOUT_SECONDS: i64 = 3;
const DEFAULT_MEMORY_MB: i64 = 128;
const MAX_MEMORY_MB: i64 = 10_240;
const MAX_ITEMS: i64 = 10_000;
/// As many as one page of a list gives.
const PAGE: usize = 50;
const MAPPINGS_PAGE: usize = 100;

/// The function's name from a name, an ARN or the part of one, with or without a qualifier.
pub fn function_name(text: &str) -> Result<String, ServiceError> {
    let after = text.rsplit_once("function:").map_or(text, |(_, rest)| rest);
    let after = match after.split(':').collect::<Vec<_>>()[..] {
        // account:name, the older short form
        [account, name] if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) => name,
        [name, ..] => name,
        [] => after,
    };
    let is_name = !after.is_empty()
        && after.len() <= 140
        && after.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_name {
        return Ok(after.to_owned());
    }
    Err(errors::validation(
        "functionName",
        &format!("'{text}'"),
        "satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
    ))
}

impl Lambda {
    /// The operation's answer, for all operations but those that invoke or belong to the runtime API.
    pub fn control(&mut self, desk: &mut Desk<'_, '_>, operation: &str, request: &Value) -> Outcome {
        match operation {
            "CreateFunction" => self.create_function(desk, request),
            "GetFunction" => self.get_function(desk, request),
            "GetFunctionConfiguration" => {
                let name = self.existing_function(desk, request)?;
                self.functions
                    .get(&name)
                    .map(|function| configuration(desk, function))
                    .ok_or_else(errors::mapping_not_found)
            }
            "UpdateFunctionConfiguration" => self.update_function(desk, request),
            "ListFunctions" => self.list_functions(desk, request),
            "DeleteFunction" => {
                let name = self.existing_function(desk, request)?;
                self.functions.remove(desk, &name);
                Ok(json!({}))
            }
            "PutFunctionConcurrency" => self.put_concurrency(desk, request),
            "GetFunctionConcurrency" => {
                let name = self.existing_function(desk, request)?;
                let reserved = self.functions.get(&name).and_then(|function| function.reserved);
                Ok(reserved.map_or_else(|| json!({}), |limit| json!({"ReservedConcurrentExecutions": limit})))
            }
            "DeleteFunctionConcurrency" => {
                let name = self.existing_function(desk, request)?;
                if let Some(function) = self.functions.get_mut(&name) {
                    function.reserved = None;
                }
                Ok(json!({}))
            }
            "CreateEventSourceMapping" => self.create_mapping(desk, request),
            "GetEventSourceMapping" => Ok(self.existing_mapping(request)?.describe(desk)),
            "UpdateEventSourceMapping" => self.update_mapping(desk, request),
            "DeleteEventSourceMapping" => self.delete_mapping(desk, request),
            "ListEventSourceMappings" => self.list_mappings(desk, request),
            _ => Err(errors::unknown_operation()),
        }
    }

    pub fn existing_function(&self, desk: &Desk<'_, '_>, request: &Value) -> Result<String, ServiceError> {
        let name = function_name(members::required_string(request, "FunctionName")?)?;
        match self.functions.get(&name) {
            Some(_) => Ok(name),
            None => Err(errors::function_not_found(&desk.function_arn(&name))),
        }
    }
}

/// Functions.
impl Lambda {
    fn create_function(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let name = function_name(members::required_string(request, "FunctionName")?)?;
        if self.functions.get(&name).is_some() {
            return Err(errors::conflict(format!("Function already exist: {name}")));
        }
        let timeout = timeout(request)?.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        let memory = members::integer(request, "MemorySize", 128, MAX_MEMORY_MB)?.unwrap_or(DEFAULT_MEMORY_MB);
        let reserved = members::integer(request, "ReservedConcurrency", 0, i64::from(u32::MAX))?;
        let text =
            |name: &str, default: &str| members::string(request, name).map(|text| text.unwrap_or(default).to_owned());
        let settings = json!({
            "Description": text("Description", "")?,
            "Handler": text("Handler", "bootstrap")?,
            "Runtime": text("Runtime", "provided.al2023")?,
            "Role": text("Role", &format!("arn:aws:iam::{}:role/lambda-role", desk.context.account_id))?,
            "PackageType": text("PackageType", "Zip")?,
            "MemorySize": memory,
            "LastModified": last_modified(desk),
            "RevisionId": desk.uuid("lambda-revision", &name),
        });
        self.functions.insert(name.clone(), settings, Duration::from_secs(timeout as u64));
        let function = self.functions.get_mut(&name).ok_or_else(errors::mapping_not_found)?;
        function.reserved = reserved.map(|limit| limit as u32);
        Ok(configuration(desk, function))
    }

    fn get_function(&mut self, desk: &Desk<'_, '_>, request: &Value) -> Outcome {
        let name = self.existing_function(desk, request)?;
        let function = self.functions.get(&name).ok_or_else(errors::mapping_not_found)?;
        let mut answer = json!({
            "Configuration": configuration(desk, function),
            "Code": {"RepositoryType": "S3", "Location": ""},
            "Tags": {},
        });
        if let Some(limit) = function.reserved {
            answer["Concurrency"] = json!({"ReservedConcurrentExecutions": limit});
        }
        Ok(answer)
    }

    fn update_function(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let name = self.existing_function(desk, request)?;
        let timeout = timeout(request)?;
        let memory = members::integer(request, "MemorySize", 128, MAX_MEMORY_MB)?;
        let revision = desk.uuid("lambda-revision", &name);
        let function = self.functions.get_mut(&name).ok_or_else(errors::mapping_not_found)?;
        if let Some(seconds) = timeout {
            function.timeout = Duration::from_secs(seconds as u64);
        }
        if let Some(memory) = memory {
            function.settings["MemorySize"] = json!(memory);
        }
        for member in ["Description", "Handler", "Runtime", "Role"] {
            if let Some(text) = members::string(request, member)? {
                function.settings[member] = json!(text);
            }
        }
        function.settings["LastModified"] = json!(last_modified(desk));
        function.settings["RevisionId"] = json!(revision);
        Ok(configuration(desk, function))
    }

    fn list_functions(&mut self, desk: &Desk<'_, '_>, request: &Value) -> Outcome {
        let most = members::integer(request, "MaxItems", 1, MAX_ITEMS)?.map_or(PAGE, |most| (most as usize).min(PAGE));
        let after = members::string(request, "Marker")?.unwrap_or_default().to_owned();
        let mut page: Vec<&Function> =
            self.functions.all().filter(|function| function.name > after).take(most + 1).collect();
        let has_more = page.len() > most;
        page.truncate(most);
        let functions: Vec<Value> = page.iter().map(|function| configuration(desk, function)).collect();
        let mut answer = json!({"Functions": functions});
        if let (true, Some(last)) = (has_more, page.last()) {
            answer["NextMarker"] = json!(last.name);
        }
        Ok(answer)
    }

    fn put_concurrency(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let name = self.existing_function(desk, request)?;
        let limit = members::integer(request, "ReservedConcurrentExecutions", 0, i64::from(u32::MAX))?
            .ok_or_else(|| errors::validation("reservedConcurrentExecutions", "null", "not be null"))?;
        if let Some(function) = self.functions.get_mut(&name) {
            function.reserved = Some(limit as u32);
        }
        Ok(json!({"ReservedConcurrentExecutions": limit}))
    }
}

/// Mappings.
impl Lambda {
    fn create_mapping(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let arn = members::string(request, "EventSourceArn")?
            .ok_or_else(|| errors::invalid_parameter("Unrecognized event source."))?;
        let source = Source::from_arn(arn)?;
        let settings = Settings::for_creation(&source, request)?;
        let function = self.existing_function(desk, request)?;
        if let Some(other) = self.mapping_of(&function, arn) {
            return Err(duplicate(&source, &function, other));
        }
        let key = format!("{function}/{}", source.name);
        let uuid: Arc<str> = desk.uuid("lambda-mapping", &key).into();
        let profile = Profile {
            uuid: uuid.clone(),
            key,
            function,
            source,
            settings,
            generation: 0,
            is_paused: true,
            config: self.config.clone(),
        };
        let mapping = Mapping::create(desk, profile);
        let answer = mapping.describe(desk);
        self.mappings.insert(uuid, mapping);
        Ok(answer)
    }

    fn mapping_of(&self, function: &str, arn: &str) -> Option<&Mapping> {
        self.mappings.values().find(|mapping| mapping.profile.function == function && mapping.profile.source.arn == arn)
    }

    fn existing_mapping(&mut self, request: &Value) -> Result<&mut Mapping, ServiceError> {
        let uuid = members::required_string(request, "UUID")?;
        self.mappings.get_mut(uuid).ok_or_else(errors::mapping_not_found)
    }

    fn update_mapping(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let function = match members::string(request, "FunctionName")? {
            Some(_) => Some(self.existing_function(desk, request)?),
            None => None,
        };
        let mapping = self.existing_mapping(request)?;
        if !mapping.state.is_settled() {
            return Err(errors::in_use());
        }
        let mut settings = mapping.profile.settings.clone();
        settings.change(&mapping.profile.source, request)?;
        let (arn, source_name) = (mapping.profile.source.arn.clone(), mapping.profile.source.name.clone());
        if let Some(function) = &function
            && *function != mapping.profile.function
        {
            let source = mapping.profile.source.clone();
            if let Some(other) = self.mapping_of(function, &arn) {
                return Err(duplicate(&source, function, other));
            }
        }
        let mapping = self.existing_mapping(request)?;
        let state = match (mapping.state, settings.is_enabled) {
            (State::Enabled, false) => State::Disabling,
            (State::Disabled, true) => State::Enabling,
            _ => State::Updating,
        };
        mapping.profile.settings = settings;
        if let Some(function) = function {
            mapping.profile.key = format!("{function}/{source_name}");
            mapping.profile.function = function;
        }
        mapping.transition(desk, state);
        Ok(mapping.describe(desk))
    }

    fn delete_mapping(&mut self, desk: &mut Desk<'_, '_>, request: &Value) -> Outcome {
        let mapping = self.existing_mapping(request)?;
        if !mapping.state.is_settled() && mapping.state != State::Creating {
            return Err(errors::in_use());
        }
        mapping.transition(desk, State::Deleting);
        Ok(mapping.describe(desk))
    }

    fn list_mappings(&mut self, desk: &Desk<'_, '_>, request: &Value) -> Outcome {
        let function = members::string(request, "FunctionName")?.map(function_name).transpose()?;
        let arn = members::string(request, "EventSourceArn")?;
        let most = members::integer(request, "MaxItems", 1, MAX_ITEMS)?
            .map_or(MAPPINGS_PAGE, |most| (most as usize).min(MAPPINGS_PAGE));
        let after = members::string(request, "Marker")?.unwrap_or_default();
        let wanted = |mapping: &&Mapping| {
            function.as_ref().is_none_or(|function| mapping.profile.function == *function)
                && arn.is_none_or(|arn| mapping.profile.source.arn == arn)
                && *mapping.profile.uuid > *after
        };
        let mut page: Vec<&Mapping> = self.mappings.values().filter(wanted).take(most + 1).collect();
        let has_more = page.len() > most;
        page.truncate(most);
        let mappings: Vec<Value> = page.iter().map(|mapping| mapping.describe(desk)).collect();
        let mut answer = json!({"EventSourceMappings": mappings});
        if let (true, Some(last)) = (has_more, page.last()) {
            answer["NextMarker"] = json!(&*last.uuid());
        }
        Ok(answer)
    }
}

fn duplicate(source: &Source, function: &str, other: &Mapping) -> ServiceError {
    let (arn, uuid) = (&source.arn, &other.profile.uuid);
    errors::conflict(if source.is_queue() {
        format!(
            "An event source mapping with SQS arn (\" {arn} \") and function (\" {function} \") already exists. Please update or delete the existing mapping with UUID {uuid}"
        )
    } else {
        format!(
            "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. Please update or delete the existing mapping with UUID {uuid}"
        )
    })
}

fn timeout(request: &Value) -> Result<Option<i64>, ServiceError> {
    members::integer(request, "Timeout", 1, MAX_TIMEOUT_SECONDS)
}

fn last_modified(desk: &Desk<'_, '_>) -> String {
    format!("{}+0000", crate::wire::iso_8601_ms(desk.context.now))
}

fn configuration(desk: &Desk<'_, '_>, function: &Function) -> Value {
    let mut configuration = json!({
        "FunctionName": function.name,
        "FunctionArn": desk.function_arn(&function.name),
        "Timeout": function.timeout.as_secs(),
        "Version": "$LATEST",
        "CodeSize": 0,
        "CodeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "TracingConfig": {"Mode": "PassThrough"},
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "State": "Active",
        "LastUpdateStatus": "Successful",
    });
    if let (Value::Object(all), Some(settings)) = (&mut configuration, function.settings.as_object()) {
        all.extend(settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    configuration
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_in_many_ways() {
        for text in [
            "router",
            "router:$LATEST",
            "123456789012:router",
            "123456789012:function:router",
            "arn:aws:lambda:us-east-1:123456789012:function:router",
            "arn:aws:lambda:us-east-1:123456789012:function:router:7",
        ] {
            assert_eq!(function_name(text).unwrap(), "router", "{text}");
        }
        for text in ["", "a b", "arn:aws:lambda:us-east-1:123456789012:function:", &"x".repeat(141)] {
            assert_eq!(function_name(text).unwrap_err().code, "ValidationException", "{text}");
        }
    }
}
