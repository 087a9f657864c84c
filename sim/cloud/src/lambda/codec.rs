//! REST-JSON: which operation a method and a path name, and how answers and errors stand in HTTP.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::errors::{invalid_parameter, serialization, unknown_operation, validation};
use crate::{
    interface::WireRequest,
    service::{Answer, Decoded, Encoded, ServiceError},
    wire,
};

const JSON: &str = "application/json";
/// The header by which an execution environment names its function where the path does not.
pub const FUNCTION_HEADER: &str = "x-nexus-function";
/// The header by which an execution environment names itself; see the module `functions`.
pub const ENVIRONMENT_HEADER: &str = "x-nexus-environment";

const FUNCTIONS: &str = "2015-03-31/functions";
const MAPPINGS: &str = "2015-03-31/event-source-mappings";
const RUNTIME: &str = "2018-06-01/runtime";

/// Operations of the runtime API, whose errors have a form of their own.
pub fn is_runtime(operation: &str) -> bool {
    matches!(operation, "NextInvocation" | "InvocationResponse" | "InvocationError" | "InitializationError")
}

pub fn decode(wire: &WireRequest) -> Result<Decoded, ServiceError> {
    let (path, query) = wire.path.split_once('?').unwrap_or((&wire.path, ""));
    let path = path.trim_matches('/');
    if let Some((owner, rest)) = split_runtime(path) {
        return decode_runtime(wire, owner, rest);
    }
    let segments: Vec<String> = path.split('/').map(percent_decoded).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (operation, identifiers): (&str, Vec<(&str, &str)>) = match (wire.method.as_str(), parts.as_slice()) {
        ("POST", ["2015-03-31", "functions"]) => ("CreateFunction", vec![]),
        ("GET", ["2015-03-31", "functions"]) => ("ListFunctions", vec![]),
        ("GET", ["2015-03-31", "functions", name]) => ("GetFunction", vec![("FunctionName", name)]),
        ("DELETE", ["2015-03-31", "functions", name]) => ("DeleteFunction", vec![("FunctionName", name)]),
        ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
            ("GetFunctionConfiguration", vec![("FunctionName", name)])
        }
        ("PUT", ["2015-03-31", "functions", name, "configuration"]) => {
            ("UpdateFunctionConfiguration", vec![("FunctionName", name)])
        }
        ("POST", ["2015-03-31", "functions", name, "invocations"]) => return decode_invoke(wire, name),
        ("PUT", ["2017-10-31", "functions", name, "concurrency"]) => {
            ("PutFunctionConcurrency", vec![("FunctionName", name)])
        }
        ("DELETE", ["2017-10-31", "functions", name, "concurrency"]) => {
            ("DeleteFunctionConcurrency", vec![("FunctionName", name)])
        }
        ("GET", ["2019-09-30", "functions", name, "concurrency"]) => {
            ("GetFunctionConcurrency", vec![("FunctionName", name)])
        }
        ("POST", ["2015-03-31", "event-source-mappings"]) => ("CreateEventSourceMapping", vec![]),
        ("GET", ["2015-03-31", "event-source-mappings"]) => ("ListEventSourceMappings", vec![]),
        ("GET", ["2015-03-31", "event-source-mappings", uuid]) => ("GetEventSourceMapping", vec![("UUID", uuid)]),
        ("PUT", ["2015-03-31", "event-source-mappings", uuid]) => ("UpdateEventSourceMapping", vec![("UUID", uuid)]),
        ("DELETE", ["2015-03-31", "event-source-mappings", uuid]) => ("DeleteEventSourceMapping", vec![("UUID", uuid)]),
        _ => return Err(unknown_operation()),
    };
    debug_assert!(path.starts_with(FUNCTIONS) || path.starts_with(MAPPINGS) || path.contains("concurrency"));
    let mut request = body_object(&wire.body)?;
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        request.insert(name.to_owned(), query_value(name, &percent_decoded(value))?);
    }
    for (name, value) in identifiers {
        request.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(Decoded { operation: operation.to_owned(), request: Value::Object(request) })
}

fn body_object(body: &[u8]) -> Result<Map<String, Value>, ServiceError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(serialization("Start of structure or map found where not expected.")),
        Err(error) => Err(serialization(format!("the request's body is no JSON: {error}"))),
    }
}

fn query_value(name: &str, value: &str) -> Result<Value, ServiceError> {
    if name != "MaxItems" {
        return Ok(Value::String(value.to_owned()));
    }
    let number: i64 = value.parse().map_err(|_| validation("maxItems", &format!("'{value}'"), "be an integer"))?;
    Ok(json!(number))
}

fn decode_invoke(wire: &WireRequest, function: &str) -> Result<Decoded, ServiceError> {
    let header = |name: &str| wire::header(&wire.headers, name);
    let invocation_type = header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let payload = String::from_utf8(wire.body.to_vec())
        .map_err(|_| invalid_request_content("the request's body is not UTF-8"))?;
    let mut request = json!({"FunctionName": function, "InvocationType": invocation_type, "Payload": payload});
    if let Some(encoded) = header("x-amz-client-context") {
        let bytes = STANDARD.decode(encoded).map_err(|_| invalid_request_content("Client context must be base64"))?;
        request["ClientContext"] = Value::String(String::from_utf8_lossy(&bytes).into_owned());
    }
    if let Some(trace) = header("x-amzn-trace-id") {
        request["TraceId"] = Value::String(trace.to_owned());
    }
    Ok(Decoded { operation: "Invoke".to_owned(), request })
}

pub fn invalid_request_content(detail: impl std::fmt::Display) -> ServiceError {
    ServiceError::client("InvalidRequestContentException", format!("Could not parse request body into json: {detail}"))
}

/// The function's name, if the path has it, and what follows the runtime API's prefix.
fn split_runtime(path: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = path.strip_prefix(RUNTIME) {
        return Some((None, rest.trim_start_matches('/')));
    }
    let (name, rest) = path.strip_prefix("functions/")?.split_once('/')?;
    Some((Some(percent_decoded(name)), rest.strip_prefix(RUNTIME)?.trim_start_matches('/')))
}

/// The function's name, if the request went to a host that is its own: `NAME.runtime.lambda.REGION…`.
fn host_of_function(wire: &WireRequest) -> Option<String> {
    let (name, rest) = wire::header(&wire.headers, "host")?.split_once(".runtime.")?;
    rest.starts_with("lambda.").then(|| name.to_owned())
}

fn decode_runtime(wire: &WireRequest, owner: Option<String>, rest: &str) -> Result<Decoded, ServiceError> {
    let header = |name: &str| wire::header(&wire.headers, name).map(str::to_owned);
    let function = owner.or_else(|| header(FUNCTION_HEADER)).or_else(|| host_of_function(wire)).ok_or_else(|| {
        invalid_parameter(format!(
            "the runtime API needs to know its function: call /functions/NAME/{RUNTIME}/… or send the header {FUNCTION_HEADER}"
        ))
    })?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (operation, id) = match (wire.method.as_str(), parts.as_slice()) {
        ("GET", ["invocation", "next"]) => ("NextInvocation", None),
        ("POST", ["invocation", id, "response"]) => ("InvocationResponse", Some(*id)),
        ("POST", ["invocation", id, "error"]) => ("InvocationError", Some(*id)),
        ("POST", ["init", "error"]) => ("InitializationError", None),
        _ => return Err(unknown_operation()),
    };
    let mut request = json!({"FunctionName": function});
    if let Some(id) = id {
        request["RequestId"] = Value::String(id.to_owned());
    }
    if let Some(environment) = header(ENVIRONMENT_HEADER) {
        request["Environment"] = Value::String(environment);
    }
    if let Some(kind) = header("lambda-runtime-function-error-type") {
        request["ErrorType"] = Value::String(kind);
    }
    if operation != "NextInvocation" {
        request["Payload"] = Value::String(String::from_utf8_lossy(&wire.body).into_owned());
    }
    Ok(Decoded { operation: operation.to_owned(), request })
}

pub fn encode(operation: &str, result: &Result<Answer, ServiceError>) -> Encoded {
    match result {
        Ok(answer) => encode_success(operation, answer),
        Err(error) if is_runtime(operation) => {
            let body = json!({"errorMessage": error.message, "errorType": error.code});
            Encoded { status: error.status, content_type: JSON, headers: Vec::new(), body: text(&body) }
        }
        Err(error) => encode_error(error),
    }
}

fn encode_success(operation: &str, answer: &Answer) -> Encoded {
    let mut headers = answer.headers.clone();
    let member = |name: &str| answer.body.get(name).and_then(Value::as_str);
    let (status, body) = match operation {
        "Invoke" => {
            let status = answer.body["StatusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
            headers.push(("x-amz-executed-version".to_owned(), "$LATEST".to_owned()));
            if let Some(kind) = member("FunctionError") {
                headers.push(("x-amz-function-error".to_owned(), kind.to_owned()));
            }
            (status.unwrap_or(200), member("Payload").unwrap_or_default().as_bytes().to_vec())
        }
        "NextInvocation" => (200, member("Payload").unwrap_or_default().as_bytes().to_vec()),
        "DeleteFunction" | "DeleteFunctionConcurrency" => (204, Vec::new()),
        "CreateFunction" => (201, text(&answer.body)),
        "InvocationResponse"
        | "InvocationError"
        | "InitializationError"
        | "CreateEventSourceMapping"
        | "UpdateEventSourceMapping"
        | "DeleteEventSourceMapping" => (202, text(&answer.body)),
        _ => (200, text(&answer.body)),
    };
    Encoded { status, content_type: JSON, headers, body }
}

fn encode_error(error: &ServiceError) -> Encoded {
    let kind = if error.status >= 500 { "Service" } else { "User" };
    let message = if matches!(error.code.as_str(), "ResourceNotFoundException" | "ServiceException") {
        "Message"
    } else {
        "message"
    };
    let mut body = json!({"Type": kind, message: error.message});
    if let Some(reason) = error.query_code {
        body["Reason"] = Value::String(reason.to_owned());
    }
    Encoded {
        status: error.status,
        content_type: JSON,
        headers: vec![("x-amzn-errortype".to_owned(), error.code.clone())],
        body: text(&body),
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = (bytes[index] == b'%')
            .then(|| bytes.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escaped.unwrap_or(bytes[index]));
        index += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Service;

    fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> WireRequest {
        WireRequest {
            service: Service::Lambda,
            caller: "test".into(),
            method: method.into(),
            path: path.into(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.to_owned().into_bytes().into(),
        }
    }

    #[test]
    fn methods_and_paths_name_operations() {
        for (method, path, operation, member, value) in [
            ("POST", "/2015-03-31/functions", "CreateFunction", "", ""),
            ("GET", "/2015-03-31/functions/", "ListFunctions", "", ""),
            ("GET", "/2015-03-31/functions/a%3Ab", "GetFunction", "FunctionName", "a:b"),
            ("DELETE", "/2015-03-31/functions/f", "DeleteFunction", "FunctionName", "f"),
            ("PUT", "/2017-10-31/functions/f/concurrency", "PutFunctionConcurrency", "FunctionName", "f"),
            ("POST", "/2015-03-31/functions/f/invocations", "Invoke", "InvocationType", "RequestResponse"),
            (
                "GET",
                "/2015-03-31/event-source-mappings/?FunctionName=f",
                "ListEventSourceMappings",
                "FunctionName",
                "f",
            ),
            ("DELETE", "/2015-03-31/event-source-mappings/u", "DeleteEventSourceMapping", "UUID", "u"),
            ("GET", "/functions/f/2018-06-01/runtime/invocation/next", "NextInvocation", "FunctionName", "f"),
            ("POST", "/functions/f/2018-06-01/runtime/invocation/i/response", "InvocationResponse", "RequestId", "i"),
            ("POST", "/functions/f/2018-06-01/runtime/init/error", "InitializationError", "FunctionName", "f"),
        ] {
            let decoded = decode(&request(method, path, &[], "")).unwrap();
            assert_eq!(decoded.operation, operation, "{method} {path}");
            assert_eq!(decoded.request.get(member).and_then(Value::as_str).unwrap_or_default(), value, "{path}");
        }
        let header = [(FUNCTION_HEADER, "f"), (ENVIRONMENT_HEADER, "e")];
        let next = decode(&request("GET", "/2018-06-01/runtime/invocation/next", &header, "")).unwrap();
        assert_eq!(next.request, json!({"FunctionName": "f", "Environment": "e"}));
        let host = [("host", "g.runtime.lambda.us-east-1.amazonaws.com:80")];
        let next = decode(&request("GET", "/2018-06-01/runtime/invocation/next", &host, "")).unwrap();
        assert_eq!(next.request, json!({"FunctionName": "g"}));
    }

    #[test]
    fn what_names_no_operation_is_refused() {
        for (method, path, code) in [
            ("PATCH", "/2015-03-31/functions/f", "UnknownOperationException"),
            ("GET", "/elsewhere", "UnknownOperationException"),
            ("GET", "/2018-06-01/runtime/invocation/next", "InvalidParameterValueException"),
            ("GET", "/functions/f/2018-06-01/runtime/invocation/last", "UnknownOperationException"),
            ("GET", "/2015-03-31/functions?MaxItems=x", "ValidationException"),
        ] {
            assert_eq!(decode(&request(method, path, &[], "")).unwrap_err().code, code, "{path}");
        }
        let broken = request("POST", "/2015-03-31/functions", &[], "{");
        assert_eq!(decode(&broken).unwrap_err().code, "SerializationException");
    }
}
