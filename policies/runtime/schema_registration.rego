# An event may be appended only under a registered schema that is AVAILABLE: data.schema_registration.schemas tells the
# registry's status of each event type. A schema that is PENDING, failed or being deleted is no promise to readers.
package nexus.schema_registration

deny contains {
	"rule": "event-type-not-registered",
	"reason": sprintf("the event type %s is not registered", [event_type]),
} if {
	input.operation == "append-event"
	some event_type in input.event_types
	not schemas[event_type]
}

deny contains {
	"rule": "schema-not-available",
	"reason": sprintf("the schema of %s is %v, not AVAILABLE", [event_type, status]),
} if {
	input.operation == "append-event"
	some event_type in input.event_types
	status := schemas[event_type]
	status != "AVAILABLE"
}

deny contains {
	"rule": "nothing-to-append",
	"reason": "an append names at least one event type",
} if {
	input.operation == "append-event"
	not names_events
}

schemas := data.schema_registration.schemas

names_events if some _ in input.event_types
