# Events are inserted and read. No code of ours calls what changes them, no role may, and the table outlives its stack.
package nexus.desk.event_store_immutability

deny contains {
	"rule": "code-changes-events",
	"what": sprintf("%s calls %s on the event table", [operation.adapter, operation.operation]),
	"file": operation.file,
	"line": operation.line,
	"mend": "append an event that says what is now true; nothing stored is ever changed",
} if {
	some operation in input.operations
	"events" in operation.tables
	operation.operation in changing_operations
}

# A put without a condition replaces what lies under the key.
deny contains {
	"rule": "code-overwrites-events",
	"what": sprintf("%s calls %s on the event table without a condition", [operation.adapter, operation.operation]),
	"file": operation.file,
	"line": operation.line,
	"mend": "put with the condition attribute_not_exists(pk), so that a second event under the same version is refused",
} if {
	some operation in input.operations
	"events" in operation.tables
	operation.operation == "PutItem"
	not operation.conditional
}

deny contains {
	"rule": "grant-changes-events",
	"what": sprintf("%s grants %s on the event table", [statement.holder, action]),
	"file": statement.file,
	"line": statement.line,
	"mend": "take the action out: dynamodb:PutItem and reading are all that an append needs",
} if {
	some statement in input.statements
	statement.effect == "Allow"
	some grant in statement.grants
	reaches_events(grant)
	some action in statement.actions
	may_change(action)
}

deny contains {
	"rule": "event-table-not-retained",
	"what": sprintf("the event table %s goes away with its stack", [resource.id]),
	"file": resource.file,
	"line": resource.line,
	"mend": "write DeletionPolicy: Retain",
} if {
	some resource in event_tables
	not resource.deletion_policy == "Retain"
}

deny contains {
	"rule": "events-expire",
	"what": sprintf("items of the event table %s expire", [resource.id]),
	"file": resource.file,
	"line": resource.line,
	"mend": "take TimeToLiveSpecification out: an event that is gone takes every later one's history with it",
} if {
	some resource in event_tables
	resource.properties.TimeToLiveSpecification.Enabled
}

changing_operations := {"UpdateItem", "DeleteItem", "BatchWriteItem", "ExecuteStatement", "ExecuteTransaction", "BatchExecuteStatement"}

changing_actions := {sprintf("dynamodb:%s", [operation]) | some operation in changing_operations} | {
	"dynamodb:PartiQLUpdate",
	"dynamodb:PartiQLDelete",
	"dynamodb:PartiQLInsert",
	"dynamodb:DeleteTable",
}

# IAM reads an action with `*` and `?` as a pattern, whatever its case.
may_change(pattern) if {
	some action in changing_actions
	glob_matches(lower(pattern), lower(action))
}

glob_matches(pattern, text) if {
	escaped := replace(replace(replace(pattern, ".", `\.`), "*", ".*"), "?", ".")
	regex.match(concat("", ["^", escaped, "$"]), text)
}

reaches_events(grant) if grant.name == "events"

reaches_events(grant) if grant.wildcard == "all"

reaches_events(grant) if {
	grant.wildcard == "part"
	not is_string(grant.id)
	contains(grant.text, ":table/")
}

event_tables contains resource if {
	some resource in input.resources
	resource.type == "AWS::DynamoDB::Table"
	resource.properties.TableName == data.event_store_immutability.table_name
}
