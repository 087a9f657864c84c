# The event store takes appends and reads. Nobody updates or deletes an event, whatever the role.
package nexus.event_store_immutability

deny contains {
	"rule": "event-store-append-only",
	"reason": sprintf("%s is not allowed on the event store: events are appended and read, never changed", [input.operation]),
} if {
	input.store == "event-store"
	not permitted(input.operation)
}

permitted(operation) if operation in data.event_store_immutability.operations

# Reading takes no command, so no grant of command_authorization covers it.
allow if {
	input.store == "event-store"
	input.operation == "read-events"
}
