//! What happened in the routing, for metrics.

use nexus_ports::{Measurement, MetricSink, MetricUnit, ParkReason, UnixTime};

use crate::Destination;

/// Something that operators count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A destination accepted the event.
    Routed {
        destination: Destination,
        recorded_at_ms: u64,
    },
    /// A destination accepted the event in a replay: how late it is says nothing about the router's speed.
    Replayed {
        destination: Destination,
    },
    /// A record of this type, where it is a known one, failed examination.
    ValidationFailed {
        event_type: Option<String>,
    },
    /// An attempt for the event failed, and another will follow.
    RetryDue {
        destination: Destination,
    },
    Parked {
        reason: ParkReason,
    },
    /// Missing events were read from the event store.
    GapRepaired {
        events: usize,
    },
}

/// Counts the note, at this moment of the wall clock.
pub(crate) fn measure(metrics: &dyn MetricSink, now: UnixTime, note: &Note) {
    let at_ms = now.as_millis();
    let record = |name, unit, value, dimensions: &[(&'static str, &str)]| {
        metrics.record(Measurement { name, unit, value, dimensions, at_ms });
    };
    match note {
        Note::Routed { destination, recorded_at_ms } => {
            let dimensions = [("destination", destination.as_str())];
            // The two clocks are different machines' clocks: a negative difference is skew, not speed.
            let latency_ms = at_ms.saturating_sub(*recorded_at_ms);
            record("RoutingLatency", MetricUnit::Milliseconds, latency_ms as f64, &dimensions);
            record("TotalEvents", MetricUnit::Count, 1.0, &dimensions);
        }
        Note::Replayed { destination } => {
            record("EventsReplayed", MetricUnit::Count, 1.0, &[("destination", destination.as_str())]);
        }
        Note::ValidationFailed { event_type } => {
            let event_type = event_type.as_deref().unwrap_or("unknown");
            record("ValidationFailures", MetricUnit::Count, 1.0, &[("event_type", event_type)]);
        }
        Note::RetryDue { destination } => {
            record("RoutingRetries", MetricUnit::Count, 1.0, &[("destination", destination.as_str())]);
        }
        Note::Parked { reason } => {
            let reason = match reason {
                ParkReason::Poison => "poison",
                ParkReason::AttemptsExhausted => "attempts-exhausted",
            };
            record("EventsParked", MetricUnit::Count, 1.0, &[("reason", reason)]);
        }
        Note::GapRepaired { events } => record("GapsRepaired", MetricUnit::Count, *events as f64, &[]),
    }
}
