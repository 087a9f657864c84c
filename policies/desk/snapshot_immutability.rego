# A snapshot is stored once and read: the fold of events that never change never changes.
package nexus.desk.snapshot_immutability

deny contains {
	"rule": "code-changes-snapshots",
	"what": sprintf("%s calls %s on the table of snapshots", [operation.adapter, operation.operation]),
	"file": operation.file,
	"line": operation.line,
	"mend": "store a later snapshot under its own version; the old one stays what it was",
} if {
	some operation in input.operations
	"snapshots" in operation.tables
	operation.operation in {"UpdateItem", "DeleteItem", "BatchWriteItem"}
}

deny contains {
	"rule": "code-overwrites-snapshots",
	"what": sprintf("%s stores snapshots without a condition", [operation.adapter]),
	"file": operation.file,
	"line": operation.line,
	"mend": "put with the condition attribute_not_exists(pk)",
} if {
	some operation in input.operations
	"snapshots" in operation.tables
	operation.operation == "PutItem"
	not operation.conditional
}

deny contains {
	"rule": "grant-changes-snapshots",
	"what": sprintf("%s grants %s on the table of snapshots", [statement.holder, action]),
	"file": statement.file,
	"line": statement.line,
	"mend": "take the action out: dynamodb:PutItem and reading are all that a snapshot needs",
} if {
	some statement in input.statements
	statement.effect == "Allow"
	some grant in statement.grants
	grant.name == "snapshots"
	some action in statement.actions
	action in {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"}
}

deny contains {
	"rule": "services-may-change-snapshots",
	"what": sprintf("the run-time policy lets snapshots be changed: it permits %v", [operation]),
	"file": input.runtime.file,
	"line": 1,
	"mend": "permit store-snapshot and read-snapshot only",
} if {
	some operation in input.runtime.data.snapshot_immutability.operations
	not operation in {"store-snapshot", "read-snapshot"}
}
