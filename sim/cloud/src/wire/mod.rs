//! The wire: from an HTTP request to an operation's name and JSON, and from an answer's body to an HTTP response.

pub mod json;
mod members;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    dynamodb::errors::DynamodbError,
    entropy::mix,
    interface::{Service, UnixNanos, WireRequest, WireResponse},
    service::Encoded,
};

pub use members::check_members;

const JSON_1_0: &str = "application/x-amz-json-1.0";
/// Larger requests are cut off before anybody reads them.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024 + 64 * 1024;

const TARGETS: [(&str, Service); 2] =
    [("DynamoDB_20120810", Service::Dynamodb), ("DynamoDBStreams_20120810", Service::DynamodbStreams)];

/// Targets of the services whose codecs are their own.
const OTHER_TARGETS: [(&str, Service); 3] =
    [("Kinesis_20131202", Service::Kinesis), ("AmazonSQS", Service::Sqs), ("AWSGlue", Service::Glue)];

/// The versions of Lambda's API that its operations still carry in their paths.
const LAMBDA_PATHS: [&str; 3] = ["/2015-03-31/", "/2017-10-31/functions/", "/2019-09-30/functions/"];

/// Whether a request lacks the signature that its service asks for. A function's runtime API asks for none.
pub fn needs_signature(request: &WireRequest) -> bool {
    let is_runtime_api = request.service == Service::Lambda && is_runtime_path(&request.path);
    !is_runtime_api && header(&request.headers, "authorization").is_none()
}

/// A function's runtime API, whether the path names the function or not.
fn is_runtime_path(path: &str) -> bool {
    let after_function = path.strip_prefix("/functions/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    after_function.or(path.strip_prefix('/')).is_some_and(|rest| rest.starts_with("2018-06-01/runtime/"))
}

/// The service that a request on a shared socket is for: by its target, its path (Lambda) or its form (SNS). Any other
/// request belongs to DynamoDB, which answers it as it answers any stranger.
pub fn route(_method: &str, path: &str, headers: &[(String, String)]) -> Option<Service> {
    let Some(target) = header(headers, "x-amz-target") else {
        let is_form = header(headers, "content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
        let is_lambda = LAMBDA_PATHS.iter().any(|prefix| path.starts_with(prefix)) || is_runtime_path(path);
        return Some(match (is_lambda, is_form) {
            (true, _) => Service::Lambda,
            (false, true) => Service::Sns,
            (false, false) => Service::Dynamodb,
        });
    };
    let (prefix, _) = target.split_once('.')?;
    TARGETS.iter().chain(&OTHER_TARGETS).find(|(name, _)| *name == prefix).map(|(_, service)| *service)
}

pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
}

/// Why a request never became an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Rejection {
    /// An answer in the protocol of the service.
    Error(DynamodbError),
    /// The front end answers by itself, in its own form.
    Plain { status: u16, content_type: &'static str, body: String },
}

/// The operation that a request names, if it passes the front end.
pub fn operation<'r>(request: &'r WireRequest, region: &str, needs_authorization: bool) -> Result<&'r str, Rejection> {
    if request.method == "GET" {
        let host = format!(
            "{}.{region}.amazonaws.com",
            request.service.name().replace("dynamodb-streams", "streams.dynamodb")
        );
        return Err(Rejection::Plain { status: 200, content_type: "text/plain", body: format!("healthy: {host} ") });
    }
    let content_type = header(&request.headers, "content-type").unwrap_or_default();
    let is_json = content_type.starts_with("application/x-amz-json-1.") || content_type.starts_with("application/json");
    if request.method != "POST" || !is_json {
        return Err(Rejection::Plain {
            status: 404,
            content_type: "application/xml",
            body: "<UnknownOperationException/>\n".into(),
        });
    }
    if request.body.len() > MAX_BODY_BYTES {
        return Err(Rejection::Plain { status: 413, content_type: "text/plain", body: String::new() });
    }
    let target = header(&request.headers, "x-amz-target").unwrap_or_default();
    let unknown = || Rejection::Error(DynamodbError::UnknownOperation { message: String::new() });
    let (prefix, name) = target.split_once('.').ok_or_else(unknown)?;
    if !TARGETS.contains(&(prefix, request.service)) {
        return Err(unknown());
    }
    if needs_authorization && header(&request.headers, "authorization").is_none() {
        return Err(Rejection::Error(DynamodbError::MissingAuthenticationToken));
    }
    Ok(name)
}

/// Makes responses with the headers that the service sets.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// See [`http_date`]; made once a second.
    pub date: Arc<str>,
    pub seed: u64,
    pub call_sequence: u64,
}

impl ResponseHead {
    pub fn success(&self, body: Vec<u8>) -> WireResponse {
        self.json(200, body)
    }

    pub fn error(&self, error: &DynamodbError) -> WireResponse {
        self.json(error.status(), error.to_body())
    }

    pub fn rejection(&self, rejection: &Rejection) -> WireResponse {
        match rejection {
            Rejection::Error(error) => self.error(error),
            Rejection::Plain { status, content_type, body } => self.plain(*status, content_type, body.clone()),
        }
    }

    /// What a load balancer answers when nothing stands behind it.
    pub fn service_unavailable_html(&self) -> WireResponse {
        let body = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";
        self.plain(503, "text/html", body.to_owned())
    }

    /// The answer of a service with a codec of its own.
    pub fn encoded(&self, encoded: Encoded) -> WireResponse {
        let mut headers = vec![
            ("date".to_owned(), self.date.to_string()),
            ("content-type".to_owned(), encoded.content_type.to_owned()),
            ("x-amzn-requestid".to_owned(), self.request_id()),
        ];
        headers.extend(encoded.headers);
        WireResponse { status: encoded.status, headers, body: Bytes::from(encoded.body) }
    }

    /// Fresh for each call.
    pub fn request_id(&self) -> String {
        request_id(self.seed, self.call_sequence)
    }

    fn plain(&self, status: u16, content_type: &str, body: String) -> WireResponse {
        WireResponse {
            status,
            headers: vec![
                ("date".to_owned(), self.date.to_string()),
                ("content-type".to_owned(), content_type.to_owned()),
            ],
            body: body.into(),
        }
    }

    fn json(&self, status: u16, body: Vec<u8>) -> WireResponse {
        let checksum = crc32fast::hash(&body);
        WireResponse {
            status,
            headers: vec![
                ("server".to_owned(), "Server".to_owned()),
                ("date".to_owned(), self.date.to_string()),
                ("content-type".to_owned(), JSON_1_0.to_owned()),
                ("x-amzn-requestid".to_owned(), request_id(self.seed, self.call_sequence)),
                ("x-amz-crc32".to_owned(), checksum.to_string()),
            ],
            body: Bytes::from(body),
        }
    }
}

/// 52 capital letters and digits, a function of the seed and the call.
fn request_id(seed: u64, call_sequence: u64) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = String::with_capacity(52);
    for part in 0..5u64 {
        let mut bits = mix(mix(seed ^ part) ^ call_sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..if part == 4 { 4 } else { 12 } {
            id.push(char::from(ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
    }
    id
}

/// Year, month, day, and the day of the week counted from Thursday, of a day after the epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are taken to begin in March, so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// `Mon, 23 Nov 2026 18:55:38 GMT`
pub fn http_date(at: UnixNanos) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.0 / 1_000_000_000;
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[(month - 1) as usize],
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `2026-11-23T18:55:38.123`, the form of stream labels.
pub fn iso_8601_ms(at: UnixNanos) -> String {
    let milliseconds = at.as_millis();
    let seconds = milliseconds / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        milliseconds % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, http, iso) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000"),
            (1_795_460_138, "Mon, 23 Nov 2026 18:55:38 GMT", "2026-11-23T18:55:38.000"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59.000"),
        ] {
            let at = UnixNanos(seconds * 1_000_000_000);
            assert_eq!(http_date(at), http);
            assert_eq!(iso_8601_ms(at), iso);
        }
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> WireRequest {
        WireRequest {
            service: Service::Dynamodb,
            caller: "test".into(),
            method: method.into(),
            path: "/".into(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn the_front_end_rejects_what_is_no_call() {
        let json = ("content-type", "application/x-amz-json-1.0");
        let target = ("x-amz-target", "DynamoDB_20120810.GetItem");
        let authorization = ("authorization", "AWS4-HMAC-SHA256 …");
        assert_eq!(operation(&request("POST", &[json, target, authorization]), "r", true), Ok("GetItem"));
        assert_eq!(operation(&request("POST", &[json, target]), "r", false), Ok("GetItem"));
        let code = |outcome: Result<&str, Rejection>| match outcome.unwrap_err() {
            Rejection::Error(error) => error.code().to_owned(),
            Rejection::Plain { status, .. } => status.to_string(),
        };
        for (method, headers, wanted) in [
            ("GET", vec![], "200"),
            ("PUT", vec![json, target, authorization], "404"),
            ("POST", vec![target, authorization], "404"),
            ("POST", vec![json, authorization], "UnknownOperationException"),
            ("POST", vec![json, ("x-amz-target", "SQS.Send"), authorization], "UnknownOperationException"),
            (
                "POST",
                vec![json, ("x-amz-target", "DynamoDBStreams_20120810.GetRecords"), authorization],
                "UnknownOperationException",
            ),
            ("POST", vec![json, target], "MissingAuthenticationTokenException"),
        ] {
            assert_eq!(code(operation(&request(method, &headers), "r", true)), wanted, "{method} {headers:?}");
        }
    }

    #[test]
    fn shared_sockets_route_by_target() {
        let headers = |target: &str| vec![("x-amz-target".to_owned(), target.to_owned())];
        assert_eq!(route("POST", "/", &headers("DynamoDB_20120810.PutItem")), Some(Service::Dynamodb));
        assert_eq!(route("POST", "/", &headers("DynamoDBStreams_20120810.GetRecords")), Some(Service::DynamodbStreams));
        assert_eq!(route("POST", "/", &headers("Kinesis_20131202.PutRecord")), Some(Service::Kinesis));
        assert_eq!(route("POST", "/", &headers("AmazonSQS.SendMessage")), Some(Service::Sqs));
        assert_eq!(route("POST", "/", &headers("AWSGlue.GetSchema")), Some(Service::Glue));
        assert_eq!(route("POST", "/", &headers("AWSEvents.PutEvents")), None);
        let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        assert_eq!(route("POST", "/", &form), Some(Service::Sns));
        assert_eq!(route("GET", "/2018-06-01/runtime/invocation/next", &[]), Some(Service::Lambda));
        assert_eq!(route("GET", "/functions/f/2018-06-01/runtime/invocation/next", &[]), Some(Service::Lambda));
        assert_eq!(route("PUT", "/2017-10-31/functions/f/concurrency", &[]), Some(Service::Lambda));
        assert_eq!(route("GET", "/", &[]), Some(Service::Dynamodb));
    }
}
