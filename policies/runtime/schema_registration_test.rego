package nexus.schema_registration_test

import data.nexus.schema_registration as policy

request(operation, event_types) := {
	"service": "command-service",
	"operation": operation,
	"store": "event-store",
	"role": "customer",
	"command": "PlaceOrder",
	"aggregate": "order-o-1",
	"event_types": event_types,
	"amount_cents": 100,
}

rules(requested) := found if {
	denials := policy.deny with input as requested
	found := {denial.rule | some denial in denials}
}

test_registered_types_may_be_appended if {
	count(data.schema_registration.schemas) == 9
	every event_type, _ in data.schema_registration.schemas {
		rules(request("append-event", [event_type])) == set()
	}
	rules(request("append-event", ["OrderPlaced", "OrderCancelled"])) == set()
}

test_one_unregistered_type_denies_the_whole_append if {
	every event_types in [["OrderLost"], ["OrderPlaced", "OrderLost"], ["orderplaced"], [""]] {
		rules(request("append-event", event_types)) == {"event-type-not-registered"}
	}
}

test_each_unregistered_type_is_named if {
	denials := policy.deny with input as request("append-event", ["A", "OrderPlaced", "B"])
	{denial.reason | some denial in denials} == {
		"the event type A is not registered",
		"the event type B is not registered",
	}
}

test_an_append_without_types_is_denied if {
	rules(request("append-event", [])) == {"nothing-to-append"}
	rules(object.remove(request("append-event", []), ["event_types"])) == {"nothing-to-append"}
}

test_reading_needs_no_types if {
	rules(request("read-events", [])) == set()
}

test_a_schema_that_is_not_available_denies if {
	every status in ["PENDING", "FAILURE", "DELETING", "available", ""] {
		denials := policy.deny with input as request("append-event", ["OrderPlaced", "OrderShipped"])
			with data.schema_registration as {"schemas": {"OrderPlaced": status, "OrderShipped": "AVAILABLE"}}
		{denial.rule | some denial in denials} == {"schema-not-available"}
	}
}

test_the_reason_names_type_and_status if {
	denials := policy.deny with input as request("append-event", ["OrderPlaced"])
		with data.schema_registration as {"schemas": {"OrderPlaced": "PENDING"}}
	{denial.reason | some denial in denials} == {"the schema of OrderPlaced is PENDING, not AVAILABLE"}
}
