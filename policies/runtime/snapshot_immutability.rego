# A snapshot is the fold of events that never change, so it never changes either: it is stored once and read.
package nexus.snapshot_immutability

deny contains {
	"rule": "snapshot-store-insert-only",
	"reason": sprintf("%s is not allowed on the snapshot store: snapshots are stored once and read, never changed", [input.operation]),
} if {
	input.store == "snapshot-store"
	not permitted
}

deny contains {
	"rule": "snapshot-stored-by-another",
	"reason": sprintf("%s does not keep snapshots, so it may not store one", [input.service]),
} if {
	input.store == "snapshot-store"
	input.operation == "store-snapshot"
	not keeper
}

allow if {
	input.store == "snapshot-store"
	input.operation == "store-snapshot"
	keeper
}

allow if {
	input.store == "snapshot-store"
	input.operation == "read-snapshot"
}

permitted if input.operation in data.snapshot_immutability.operations

keeper if input.service in data.snapshot_immutability.services_that_store
