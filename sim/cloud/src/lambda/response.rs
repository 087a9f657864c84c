//! What a function's answer says about the batch it was given (`ReportBatchItemFailures`).

use serde_json::Value;

/// A batch's fate as its function reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Success,
    /// The identifiers that were listed, in the order of the list.
    Partial(Vec<String>),
    /// The answer cannot be understood: the whole batch counts as failed.
    TotalFailure,
}

/// Reads an answer. Success: nothing, null, an empty text, list or object, and a list of failures that is absent, null or
/// empty. Total failure: what is no JSON or no object, and an identifier that is missing, misnamed, null, empty or no text.
/// Source: the developer guide's tables of success and failure conditions for each kind of event source. That a list which
/// is no list fails the batch is our reading of "invalid response".
pub fn read(answer: &str) -> Report {
    if answer.trim().is_empty() {
        return Report::Success;
    }
    let listed = match serde_json::from_str::<Value>(answer) {
        Ok(Value::Object(mut members)) => members.remove("batchItemFailures").unwrap_or(Value::Null),
        Ok(Value::Null) => return Report::Success,
        Ok(Value::String(text)) if text.is_empty() => return Report::Success,
        Ok(Value::Array(elements)) if elements.is_empty() => return Report::Success,
        _ => return Report::TotalFailure,
    };
    match listed {
        Value::Null => Report::Success,
        Value::Array(failures) if failures.is_empty() => Report::Success,
        Value::Array(failures) => {
            let identifiers: Option<Vec<String>> = failures.iter().map(identifier).collect();
            identifiers.map_or(Report::TotalFailure, Report::Partial)
        }
        _ => Report::TotalFailure,
    }
}

fn identifier(failure: &Value) -> Option<String> {
    failure.get("itemIdentifier")?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_answer() {
        let partial = |ids: &[&str]| Report::Partial(ids.iter().map(|id| (*id).to_owned()).collect());
        for (answer, wanted) in [
            ("", Report::Success),
            ("  ", Report::Success),
            ("null", Report::Success),
            ("{}", Report::Success),
            ("[]", Report::Success),
            ("\"\"", Report::Success),
            (r#"{"statusCode":200}"#, Report::Success),
            (r#"{"batchItemFailures":null}"#, Report::Success),
            (r#"{"batchItemFailures":[]}"#, Report::Success),
            (r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"a"}]}"#, partial(&["b", "a"])),
            (r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":""}]}"#, Report::TotalFailure),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, Report::TotalFailure),
            (r#"{"batchItemFailures":[{"itemIdentifier":7}]}"#, Report::TotalFailure),
            (r#"{"batchItemFailures":[{"messageId":"a"}]}"#, Report::TotalFailure),
            (r#"{"batchItemFailures":[{}]}"#, Report::TotalFailure),
            (r#"{"batchItemFailures":"a"}"#, Report::TotalFailure),
            ("not json", Report::TotalFailure),
            ("\"done\"", Report::TotalFailure),
            ("7", Report::TotalFailure),
        ] {
            assert_eq!(read(answer), wanted, "{answer}");
        }
    }
}
