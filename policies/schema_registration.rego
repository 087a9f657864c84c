# Only event types that are registered (data.schema_registration.event_types) may be appended.
package nexus.schema_registration

deny contains {
	"rule": "event-type-not-registered",
	"reason": sprintf("the event type %s is not registered", [event_type]),
} if {
	input.operation == "append-event"
	some event_type in input.event_types
	not event_type in data.schema_registration.event_types
}

deny contains {
	"rule": "nothing-to-append",
	"reason": "an append names at least one event type",
} if {
	input.operation == "append-event"
	not names_events
}

names_events if count(input.event_types) > 0
