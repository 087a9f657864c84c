package nexus.desk.least_privilege_test

import data.nexus.desk.least_privilege as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

grant(name, wildcard) := {"name": name, "wildcard": wildcard, "text": "somewhere", "id": "Table", "type": "AWS::DynamoDB::Table"}

base := {
	"holder": "CommandRole", "holder_type": "AWS::IAM::Role", "services": ["command-service"], "effect": "Allow",
	"assumes": false, "has_principal": false, "inverted": false, "file": "t.yaml", "line": 9,
	"actions": ["dynamodb:PutItem"], "grants": [grant("events", "none")],
}

services := [
	{"name": "command-service", "calls": [{"resource": "events", "action": "dynamodb:PutItem"}]},
	{"name": "notifier", "calls": [{"resource": "outbox", "action": "dynamodb:PutItem"}]},
]

facts(changes) := {"services": services, "statements": [object.union(base, changes)]}

test_a_role_may_do_what_its_service_calls if {
	rules(facts({})) == set()
}

test_no_action_is_a_pattern if {
	every action in ["*", "dynamodb:*", "dynamodb:Put*"] {
		"wildcard-action" in rules(facts({"actions": [action]}))
	}
}

test_no_grant_is_on_everything if {
	rules(facts({"grants": [grant(null, "all")]})) == {"wildcard-resource"}
	rules(facts({"actions": ["ecr:GetAuthorizationToken"], "grants": [grant(null, "all")]})) == set()
}

test_no_grant_is_on_several if {
	rules(facts({"grants": [grant(null, "part")]})) == {"wildcard-in-resource"}
	rules(facts({"actions": ["dynamodb:ListStreams"], "grants": [grant("events", "part")]})) == set()
}

test_nothing_is_granted_by_leaving_out if {
	rules(facts({"inverted": true})) == {"everything-but"}
}

test_what_the_service_never_calls_is_not_granted if {
	rules(facts({"actions": ["dynamodb:DeleteItem"]})) == {"granted-but-never-called"}
	rules(facts({"grants": [grant("outbox", "none")]})) == {"granted-but-never-called"}
}

test_a_function_is_known_by_its_program if {
	rules(facts({"services": ["notifications"], "grants": [grant("outbox", "none")]})) == set()
	rules(facts({"services": ["notifications", "notifier"], "grants": [grant("outbox", "none")]})) == set()
}

test_what_lambda_does_in_its_name_is_granted if {
	rules(facts({"actions": ["dynamodb:GetRecords"]})) == set()
}

test_every_role_is_somebodys if {
	rules(facts({"services": []})) == {"role-of-nobody"}
	rules(facts({"services": [], "holder": "ExecutionRole"})) == set()
	rules(facts({"services": [], "holder_type": "AWS::SQS::QueuePolicy"})) == set()
}

test_a_role_is_not_shared if {
	rules(facts({"services": ["command-service", "notifier"]})) == {"role-of-several"}
}

test_statements_that_grant_nothing_are_not_judged if {
	every change in [{"effect": "Deny"}, {"assumes": true}, {"has_principal": true}] {
		rules(facts(object.union(change, {"actions": ["*"], "grants": [grant(null, "all")]}))) == set()
	}
}
