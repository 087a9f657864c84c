//! SDK errors as the port's outcomes, by code and never by type alone: unmodelled codes count too.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{CancellationReason, error::TransactionCanceledException},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use nexus_ports::{
    AppendFailure, AppendRefused, AppendTransaction, CallFailure, Contended, EntryFailure, NotSent, ReadFailure,
    RecordFailure, RecordRefused, Rejected, Throttled, UnknownOutcome, WriteFailure,
};

use crate::{ConnectionNeverMade, TableNames, items};

/// Codes by which AWS says that it had no capacity and did nothing: the SDK's own list, DynamoDB's reasons inside a
/// cancelled transaction, and what SQS (`OverLimit`, `KMS.ThrottlingException`), SNS (`Throttled`, `KMSThrottling`) and
/// Kinesis (`KMSThrottlingException`) say in their own words.
const THROTTLING_CODES: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMS.ThrottlingException",
    "KMSThrottling",
    "KMSThrottlingException",
    "KmsThrottled",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
];

const CONTENTION_CODES: &[&str] =
    &["ReplicatedWriteConflictException", "TransactionConflict", "TransactionConflictException"];

/// Codes after which the request may have taken effect, or an earlier one under the same token may be taking it now.
const UNKNOWN_CODES: &[&str] = &[
    "IdempotentParameterMismatchException",
    "InternalError",
    "InternalFailure",
    "InternalFailureException",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "TransactionInProgressException",
];

/// Codes of a failed entry that lie with the entry, whomever the service blames: a receipt handle that has expired or
/// belongs to another receive, or a message that is not hidden any more.
const ENTRY_REJECTION_CODES: &[&str] = &[
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
    "MessageNotInflight",
    "ReceiptHandleIsInvalid",
];

/// An SDK error without what is special to its operation. The kinds mean what the ports' types of the same names mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Contended,
    Throttled { code: String },
    NotSent { reason: String },
    Rejected { code: String, message: String },
    Unknown { reason: String },
}

/// Tells the kinds of failure apart by where the error arose, the status and the code, for any service's SDK.
pub fn classify<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => {
            Failure::Rejected { code: "ConstructionFailure".to_owned(), message: chain(error) }
        }
        SdkError::DispatchFailure(_) if is_never_sent(error) => Failure::NotSent { reason: chain(error) },
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Failure::Rejected { code: "UnusableRequest".to_owned(), message: chain(error) }
        }
        SdkError::ServiceError(service_error) => {
            let metadata = service_error.err();
            by_status_and_code(service_error.raw().status().as_u16(), metadata.code(), metadata.message())
        }
        // A time-out, a broken connection, or a response that could not be parsed.
        _ => Failure::Unknown { reason: chain(error) },
    }
}

fn by_status_and_code(status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
    let message = message.unwrap_or_default();
    match code {
        // A 5xx proves nothing about the effect, whatever code it carries.
        _ if status >= 500 => {
            Failure::Unknown { reason: format!("HTTP {status} {}", code.unwrap_or("without a code")) }
        }
        Some(code) if THROTTLING_CODES.contains(&code) => Failure::Throttled { code: code.to_owned() },
        Some(code) if CONTENTION_CODES.contains(&code) => Failure::Contended,
        Some(code) if UNKNOWN_CODES.contains(&code) => Failure::Unknown { reason: code.to_owned() },
        Some(code) => Failure::Rejected { code: code.to_owned(), message: message.to_owned() },
        None if status == 429 => Failure::Throttled { code: "429".to_owned() },
        // Not from the service itself, since it always gives a code: what became of the request cannot be told.
        None => Failure::Unknown { reason: format!("HTTP {status} without an error code") },
    }
}

/// What became of an entry that a batch's answer lists as failed. Throttling counts first: SQS and SNS blame the sender
/// for it. Where neither a code that is known nor the sender is to blame, the service failed, and nothing can be told.
pub fn entry_failure(code: &str, is_sender_fault: bool, message: Option<&str>) -> EntryFailure {
    let message = message.unwrap_or_default();
    if THROTTLING_CODES.contains(&code) {
        EntryFailure::Throttled(Throttled { code: code.to_owned() })
    } else if !UNKNOWN_CODES.contains(&code) && (is_sender_fault || ENTRY_REJECTION_CODES.contains(&code)) {
        EntryFailure::Rejected(Rejected { code: code.to_owned(), message: message.to_owned() })
    } else {
        EntryFailure::Unknown(UnknownOutcome { reason: format!("{code}: {message}") })
    }
}

/// An error of a call to a stream, topic or queue.
pub fn call_failure<E>(error: &SdkError<E, HttpResponse>) -> CallFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match classify(error) {
        // Nothing was written, and another attempt may pass: for who calls, no different from a lack of capacity.
        Failure::Contended => CallFailure::Throttled(Throttled { code: Contended.to_string() }),
        Failure::Throttled { code } => CallFailure::Throttled(Throttled { code }),
        Failure::NotSent { reason } => CallFailure::NotSent(NotSent { reason }),
        Failure::Rejected { code, message } => CallFailure::Rejected(Rejected { code, message }),
        Failure::Unknown { reason } => CallFailure::Unknown(UnknownOutcome { reason }),
    }
}

/// An error of a write of one item under a condition; `refused` is what a failed condition means.
///
/// The condition may have failed on what an earlier attempt of the same caller wrote: the caller settles that.
pub(crate) fn conditional_failure<E, R>(
    error: &SdkError<E, HttpResponse>,
    refused: impl FnOnce() -> R,
) -> WriteFailure<R>
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Error,
{
    if is_failed_condition(error) { WriteFailure::Refused(refused()) } else { write_failure(classify(error)) }
}

/// Whether the service itself says that the condition did not hold. A 5xx says nothing, whatever code it carries.
pub(crate) fn is_failed_condition<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code == Some("ConditionalCheckFailedException") && !is_server_error(error)
}

impl<R: Error> From<Failure> for WriteFailureOf<R> {
    fn from(failure: Failure) -> Self {
        Self(match failure {
            Failure::Contended => WriteFailure::Contended(Contended),
            Failure::Throttled { code } => WriteFailure::Throttled(Throttled { code }),
            Failure::NotSent { reason } => WriteFailure::NotSent(NotSent { reason }),
            Failure::Rejected { code, message } => WriteFailure::Rejected(Rejected { code, message }),
            Failure::Unknown { reason } => WriteFailure::Unknown(UnknownOutcome { reason }),
        })
    }
}

/// Carries a conversion between two foreign types.
struct WriteFailureOf<R: Error>(WriteFailure<R>);

fn write_failure<R: Error>(failure: Failure) -> WriteFailure<R> {
    WriteFailureOf::from(failure).0
}

pub(crate) fn read_failure<E>(error: &SdkError<E, HttpResponse>) -> ReadFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match classify(error) {
        Failure::Contended => ReadFailure::NoAnswer(UnknownOutcome { reason: Contended.to_string() }),
        Failure::Throttled { code } => ReadFailure::Throttled(Throttled { code }),
        Failure::NotSent { reason } => ReadFailure::NotSent(NotSent { reason }),
        Failure::Rejected { code, message } => ReadFailure::Rejected(Rejected { code, message }),
        Failure::Unknown { reason } => ReadFailure::NoAnswer(UnknownOutcome { reason }),
    }
}

/// Reads a failed append, a cancelled transaction reason by reason.
pub(crate) fn append_failure(
    error: &SdkError<TransactWriteItemsError, HttpResponse>,
    transaction: &AppendTransaction,
    tables: &TableNames,
) -> AppendFailure {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) if !is_server_error(error) => {
            cancelled_transaction(cancelled, transaction, tables)
        }
        _ => write_failure(classify(error)),
    }
}

/// Reads a failed conditional put of an idempotency record.
pub(crate) fn record_failure(error: &SdkError<PutItemError, HttpResponse>, tables: &TableNames) -> RecordFailure {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) if !is_server_error(error) => {
            let standing =
                failed.item().map(|item| items::idempotency_record(&tables.idempotency, |name| item.get(name)));
            // An unreadable item stays unseen here; the strong read that follows names what is wrong with it.
            WriteFailure::Refused(RecordRefused { record: standing.and_then(Result::ok) })
        }
        _ => write_failure(classify(error)),
    }
}

/// A failed condition outweighs all else, since attempting again cannot help; then what storage will never take; then
/// contention; then throttling.
fn cancelled_transaction(
    cancelled: &TransactionCanceledException,
    transaction: &AppendTransaction,
    tables: &TableNames,
) -> AppendFailure {
    let reasons = cancelled.cancellation_reasons();
    let with_code =
        |codes: &[&str]| reasons.iter().find(|reason| reason.code().is_some_and(|code| codes.contains(&code)));
    if with_code(&["ConditionalCheckFailed"]).is_some() {
        return WriteFailure::Refused(standing_in_the_way(reasons, transaction, tables));
    }
    if let Some(reason) = reasons.iter().find(|reason| reason.code().is_some_and(is_rejection)) {
        let code = reason.code().unwrap_or_default().to_owned();
        return WriteFailure::Rejected(Rejected { code, message: reason.message().unwrap_or_default().to_owned() });
    }
    if with_code(CONTENTION_CODES).is_some() {
        return WriteFailure::Contended(Contended);
    }
    if let Some(code) = with_code(THROTTLING_CODES).and_then(CancellationReason::code) {
        return WriteFailure::Throttled(Throttled { code: code.to_owned() });
    }
    WriteFailure::Unknown(UnknownOutcome { reason: "the transaction was cancelled without a known reason".to_owned() })
}

fn is_rejection(code: &str) -> bool {
    !["None", "ConditionalCheckFailed"].contains(&code)
        && !CONTENTION_CODES.contains(&code)
        && !THROTTLING_CODES.contains(&code)
        && !UNKNOWN_CODES.contains(&code)
}

/// The reasons come in the order of the request: events first, the record last.
fn standing_in_the_way(
    reasons: &[CancellationReason],
    transaction: &AppendTransaction,
    tables: &TableNames,
) -> AppendRefused {
    let mut found = AppendRefused::default();
    for (index, reason) in reasons.iter().enumerate() {
        let Some(item) = reason.item().filter(|item| !item.is_empty()) else { continue };
        if index < transaction.events.len() {
            found.events.extend(items::event_record(&tables.events, |name| item.get(name)));
        } else {
            found.record = items::idempotency_record(&tables.idempotency, |name| item.get(name)).ok();
        }
    }
    found
}

fn is_server_error<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() >= 500)
}

fn is_never_sent(error: &(dyn Error + 'static)) -> bool {
    // Without credentials nothing can be signed, so that nothing left either.
    causes(error).any(|error| error.is::<ConnectionNeverMade>() || error.is::<CredentialsError>())
}

/// The error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}
