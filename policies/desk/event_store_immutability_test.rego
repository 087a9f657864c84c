package nexus.desk.event_store_immutability_test

import data.nexus.desk.event_store_immutability as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

operation(name, tables, conditional) := {
	"adapter": "Store", "operation": name, "tables": tables, "conditional": conditional, "file": "a.rs", "line": 4,
}

code(operations) := {"operations": operations, "statements": [], "resources": []}

grant(name, wildcard, text) := {"name": name, "wildcard": wildcard, "text": text, "id": null, "type": null}

statement(effect, actions, grants) := {
	"holder": "CommandRole", "effect": effect, "actions": actions, "grants": grants, "file": "t.yaml", "line": 9,
}

template(statements) := {"operations": [], "statements": statements, "resources": []}

table(name, deletion, properties) := {"operations": [], "statements": [], "resources": [{
	"id": "EventsTable", "type": "AWS::DynamoDB::Table", "deletion_policy": deletion, "file": "t.yaml", "line": 2,
	"properties": object.union({"TableName": name}, properties),
}]}

events := grant("events", "none", "EventsTable.Arn")

test_code_may_insert_and_read if {
	rules(code([
		operation("PutItem", ["events", "idempotency"], true),
		operation("TransactWriteItems", ["events"], true),
		operation("Query", ["events"], false),
	])) == set()
}

test_code_may_not_change_events if {
	every name in ["UpdateItem", "DeleteItem", "BatchWriteItem", "ExecuteStatement"] {
		rules(code([operation(name, ["events"], true)])) == {"code-changes-events"}
	}
}

test_code_may_change_other_tables if {
	rules(code([operation("DeleteItem", ["parked"], true), operation("PutItem", ["views"], false)])) == set()
}

test_code_may_not_overwrite_events if {
	rules(code([operation("PutItem", ["events"], false)])) == {"code-overwrites-events"}
}

test_roles_may_insert_and_read if {
	rules(template([statement("Allow", ["dynamodb:PutItem", "dynamodb:Query"], [events])])) == set()
}

test_no_role_may_change_events if {
	every action in [
		"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLDelete",
		"dynamodb:DeleteTable", "dynamodb:*", "dynamodb:Update*", "DynamoDB:updateitem", "dynamodb:?pdateItem", "*",
	] {
		rules(template([statement("Allow", [action], [events])])) == {"grant-changes-events"}
	}
}

test_patterns_that_reach_no_change_are_left_alone if {
	every action in ["dynamodb:Get*", "dynamodb:DescribeTable", "sqs:*", "dynamodb:UpdateItems"] {
		rules(template([statement("Allow", [action], [events])])) == set()
	}
}

test_a_grant_on_everything_reaches_events if {
	rules(template([statement("Allow", ["dynamodb:DeleteItem"], [grant(null, "all", "*")])])) == {"grant-changes-events"}
	rules(template([statement("Allow", ["dynamodb:DeleteItem"], [grant(null, "part", "arn:aws:dynamodb:*:*:table/*")])])) == {"grant-changes-events"}
}

test_a_grant_on_another_table_does_not if {
	rules(template([statement("Allow", ["dynamodb:DeleteItem"], [grant("parked", "none", "ParkedTable.Arn")])])) == set()
	rules(template([statement("Allow", ["sqs:DeleteMessage"], [grant(null, "part", "arn:aws:sqs:*:*:x")])])) == set()
}

test_a_statement_that_denies_is_welcome if {
	rules(template([statement("Deny", ["dynamodb:UpdateItem"], [events])])) == set()
}

test_the_table_outlives_its_stack if {
	rules(table("nexus-events", "Retain", {})) == set()
	rules(table("nexus-events", "Delete", {})) == {"event-table-not-retained"}
	rules(table("nexus-events", null, {})) == {"event-table-not-retained"}
	rules(table("nexus-views", null, {})) == set()
}

test_events_do_not_expire if {
	ttl := {"TimeToLiveSpecification": {"Enabled": true, "AttributeName": "ttl"}}
	rules(table("nexus-events", "Retain", ttl)) == {"events-expire"}
	rules(table("nexus-views", null, ttl)) == set()
}
