//! What Kinesis refuses, in its own words.

use crate::{interface::UnixNanos, service::ServiceError, wire::http_date};

/// The names by which an error speaks of its stream.
#[derive(Clone, Copy, Debug)]
pub struct Named<'n> {
    pub stream: &'n str,
    pub account_id: &'n str,
}

pub fn invalid_argument(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidArgumentException", message)
}

pub fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ValidationException", message)
}

pub fn serialization(message: impl Into<String>) -> ServiceError {
    ServiceError::client("SerializationException", message)
}

pub fn limit_exceeded(message: impl Into<String>) -> ServiceError {
    ServiceError::client("LimitExceededException", message)
}

pub fn not_found(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ResourceNotFoundException", message)
}

pub fn in_use(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ResourceInUseException", message)
}

/// Status 500; whether anything took effect is not known.
pub fn internal_failure() -> ServiceError {
    ServiceError::client("InternalFailureException", INTERNAL_FAILURE).with_status(500)
}

/// What an entry of PutRecords says of an internal failure.
pub const INTERNAL_FAILURE: &str = "Internal Service Failure";

pub fn throttled(message: impl Into<String>) -> ServiceError {
    ServiceError::client("ProvisionedThroughputExceededException", message)
}

pub fn no_iterator() -> ServiceError {
    invalid_argument("Invalid ShardIterator.")
}

/// For what the real service can do and this one cannot.
pub fn unsupported(message: impl Into<String>) -> ServiceError {
    ServiceError::client("UnsupportedOperationException", message)
}

pub fn iterator_expired(issued_at: UnixNanos, now: UnixNanos) -> ServiceError {
    ServiceError::client(
        "ExpiredIteratorException",
        format!(
            "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the tolerated delay of 300000 milliseconds.",
            long_date(issued_at),
            long_date(now)
        ),
    )
}

/// `Thu Jan 22 01:22:02 UTC 2015`
fn long_date(at: UnixNanos) -> String {
    let date = http_date(at);
    let parts: Vec<&str> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [weekday, day, month, year, time, _] => format!("{weekday} {month} {day} {time} UTC {year}"),
        _ => date,
    }
}

impl Named<'_> {
    pub fn not_found(self) -> ServiceError {
        not_found(format!("Stream {} under account {} not found.", self.stream, self.account_id))
    }

    pub fn already_exists(self) -> ServiceError {
        in_use(format!("Stream {} under account {} already exists.", self.stream, self.account_id))
    }

    pub fn not_active(self, status: &str) -> ServiceError {
        in_use(format!(
            "Stream {} under account {} not ACTIVE, instead in state {status}",
            self.stream, self.account_id
        ))
    }

    pub fn rate_exceeded(self) -> ServiceError {
        limit_exceeded(format!("Rate exceeded for stream {} under account {}.", self.stream, self.account_id))
    }

    pub fn shard_throttled(self, shard: &str) -> ServiceError {
        throttled(format!(
            "Rate exceeded for shard {shard} in stream {} under account {}.",
            self.stream, self.account_id
        ))
    }

    pub fn no_such_shard(self, shard: &str) -> ServiceError {
        not_found(format!("Shard {shard} in stream {} under account {} does not exist", self.stream, self.account_id))
    }

    /// For a text that cannot be the name of any shard, and for operations that change shards.
    pub fn shard_not_found(self, shard: &str) -> ServiceError {
        not_found(format!("Could not find shard {shard} in stream {} under account {}.", self.stream, self.account_id))
    }

    pub fn on_demand(self) -> ServiceError {
        validation(format!(
            "Request is invalid. Stream {} under account {} is in On-Demand mode.",
            self.stream, self.account_id
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_iterators_read_as_the_service_writes_them() {
        assert_eq!(long_date(UnixNanos(1_421_889_722_000_000_000)), "Thu Jan 22 01:22:02 UTC 2015");
    }
}
