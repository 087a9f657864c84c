package nexus.desk.snapshot_immutability_test

import data.nexus.desk.snapshot_immutability as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

operation(name, tables, conditional) := {
	"adapter": "Snapshots", "operation": name, "tables": tables, "conditional": conditional, "file": "a.rs", "line": 4,
}

facts(operations, statements, permitted) := {
	"operations": operations,
	"statements": statements,
	"runtime": {"file": "d", "data": {"snapshot_immutability": {"operations": permitted}}},
}

statement(action, name) := {
	"holder": "SnapshotRole", "effect": "Allow", "actions": [action], "file": "t.yaml", "line": 3,
	"grants": [{"name": name}],
}

test_snapshots_are_stored_once_and_read if {
	rules(facts(
		[operation("PutItem", ["snapshots"], true), operation("GetItem", ["snapshots"], false)],
		[statement("dynamodb:PutItem", "snapshots"), statement("dynamodb:DeleteItem", "parked")],
		["store-snapshot", "read-snapshot"],
	)) == set()
}

test_code_may_not_change_snapshots if {
	every name in ["UpdateItem", "DeleteItem", "BatchWriteItem"] {
		rules(facts([operation(name, ["snapshots"], true)], [], [])) == {"code-changes-snapshots"}
		rules(facts([operation(name, ["views"], true)], [], [])) == set()
	}
}

test_code_may_not_overwrite_snapshots if {
	rules(facts([operation("PutItem", ["snapshots"], false)], [], [])) == {"code-overwrites-snapshots"}
}

test_no_role_may_change_snapshots if {
	rules(facts([], [statement("dynamodb:UpdateItem", "snapshots")], [])) == {"grant-changes-snapshots"}
}

test_the_run_time_policy_permits_no_change if {
	rules(facts([], [], ["store-snapshot", "delete-snapshot"])) == {"services-may-change-snapshots"}
}
