package nexus.snapshot_immutability_test

import data.nexus.snapshot_immutability as policy

request(operation, service) := {
	"service": service,
	"operation": operation,
	"store": "snapshot-store",
	"role": "system",
	"command": "",
	"aggregate": "order-o-1",
	"event_types": [],
	"amount_cents": null,
}

rules(requested) := found if {
	denials := policy.deny with input as requested
	found := {denial.rule | some denial in denials}
}

test_the_keeper_stores_snapshots if {
	policy.allow with input as request("store-snapshot", "snapshot-manager")
	rules(request("store-snapshot", "snapshot-manager")) == set()
}

test_anyone_reads_snapshots if {
	every service in ["command-service", "query-dashboard", "snapshot-manager"] {
		policy.allow with input as request("read-snapshot", service)
		rules(request("read-snapshot", service)) == set()
	}
}

test_nobody_changes_a_snapshot if {
	every service in ["command-service", "query-dashboard", "snapshot-manager", ""] {
		every operation in ["update-snapshot", "delete-snapshot", "Store-Snapshot", ""] {
			not policy.allow with input as request(operation, service)
			rules(request(operation, service)) == {"snapshot-store-insert-only"}
		}
	}
}

test_another_service_stores_no_snapshot if {
	every service in ["command-service", "query-dashboard", "", "Snapshot-Manager"] {
		not policy.allow with input as request("store-snapshot", service)
		rules(request("store-snapshot", service)) == {"snapshot-stored-by-another"}
	}
}

test_an_operation_that_is_not_told_is_denied if {
	not policy.allow with input as {"store": "snapshot-store", "service": "snapshot-manager"}
	rules({"store": "snapshot-store", "service": "snapshot-manager", "operation": null}) == {"snapshot-store-insert-only"}
}

test_other_stores_are_not_its_business if {
	every operation in ["store-snapshot", "read-snapshot", "delete-event"] {
		asked := object.union(request(operation, "snapshot-manager"), {"store": "event-store"})
		not policy.allow with input as asked
		rules(asked) == set()
	}
}

test_the_reasons_name_operation_and_service if {
	denials := policy.deny with input as request("delete-snapshot", "snapshot-manager")
	{denial.reason | some denial in denials} == {"delete-snapshot is not allowed on the snapshot store: snapshots are stored once and read, never changed"}
	others := policy.deny with input as request("store-snapshot", "query-dashboard")
	{denial.reason | some denial in others} == {"query-dashboard does not keep snapshots, so it may not store one"}
}
