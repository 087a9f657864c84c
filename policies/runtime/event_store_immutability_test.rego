package nexus.event_store_immutability_test

import data.nexus.event_store_immutability as policy

roles := {"customer", "payments", "support", "system", "warehouse", "unheard-of"}

request(operation, role) := {
	"service": "command-service",
	"operation": operation,
	"store": "event-store",
	"role": role,
	"command": "",
	"aggregate": "order-o-1",
	"event_types": [],
	"amount_cents": null,
}

test_appending_and_reading_are_not_denied if {
	every operation in ["append-event", "read-events", "temporal-query"] {
		count(policy.deny) == 0 with input as request(operation, "customer")
	}
}

test_every_other_operation_is_denied_for_every_role if {
	every role in roles {
		every operation in ["update-event", "delete-event", "truncate", "Append-Event", ""] {
			denials := policy.deny with input as request(operation, role)
			{denial.rule | some denial in denials} == {"event-store-append-only"}
		}
	}
}

test_other_stores_are_not_its_business if {
	count(policy.deny) == 0 with input as object.union(request("delete-event", "system"), {"store": "read-model"})
}

test_only_reading_is_granted_here if {
	policy.allow with input as request("read-events", "customer")
	not policy.allow with input as request("append-event", "customer")
	not policy.allow with input as object.union(request("read-events", "customer"), {"store": "elsewhere"})
}

test_the_reason_names_the_operation if {
	denials := policy.deny with input as request("delete-event", "system")
	some denial in denials
	startswith(denial.reason, "delete-event is not allowed")
}
