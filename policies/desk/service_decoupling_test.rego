package nexus.desk.service_decoupling_test

import data.nexus.desk.service_decoupling as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

use(folder, kind, what, host, port) := {
	"folder": folder, "kind": kind, "what": what, "host": host, "port": port,
	"file": sprintf("%s/src/a.rs", [folder]), "line": 7,
}

services := [
	{"name": "command-service", "listen_port": 8080},
	{"name": "query-dashboard", "listen_port": 8081},
	{"name": "event-router", "listen_port": null},
]

facts(uses) := {"http_uses": uses, "services": services, "resources": []}

template(resource) := {"http_uses": [], "services": services, "resources": [resource]}

test_the_dashboard_may_not_name_the_command_service if {
	rules(facts([use("system/query-dashboard", "address", "http://command-service:9/x", "command-service", 9)])) == {"service-names-another"}
}

test_the_command_service_may_not_name_the_dashboard if {
	rules(facts([use("system/command-service", "address", "http://query-dashboard.internal", "query-dashboard.internal", null)])) == {"service-names-another"}
}

test_a_service_may_not_know_anothers_port if {
	rules(facts([use("system/query-dashboard", "address", "http://127.0.0.1:8080", "127.0.0.1", 8080)])) == {"service-knows-anothers-port"}
	rules(facts([use("system/query-dashboard", "address", "http://127.0.0.1:8081", "127.0.0.1", 8081)])) == set()
}

test_a_service_may_name_itself_and_strangers if {
	rules(facts([
		use("system/command-service", "address", "http://command-service", "command-service", null),
		use("system/command-service", "address", "https://json-schema.org/x", "json-schema.org", null),
	])) == set()
}

test_a_service_has_no_http_client if {
	rules(facts([use("system/query-dashboard", "client", "hyper::client", null, null)])) == {"service-has-http-client"}
}

test_the_host_of_functions_and_the_adapters_speak_http if {
	rules(facts([
		use("system/lambda-runtime", "client", "hyper::client", null, null),
		use("system/aws", "client", "hyper::client", null, null),
		use("system/aws", "address", "http://command-service", "command-service", 8080),
	])) == set()
}

test_a_denial_tells_where_and_how_to_mend_it if {
	denials := policy.deny with input as facts([use("system/query-dashboard", "client", "reqwest::get", null, null)])
	some denial in denials
	denial.file == "system/query-dashboard/src/a.rs"
	denial.line == 7
	contains(denial.what, "reqwest::get")
	contains(denial.mend, "system/aws")
}

function(variables) := {
	"type": "AWS::Lambda::Function", "id": "Function", "file": "t.yaml", "line": 3,
	"properties": {"Environment": {"Variables": variables}},
}

task(variables) := {
	"type": "AWS::ECS::TaskDefinition", "id": "Task", "file": "t.yaml", "line": 3,
	"properties": {"ContainerDefinitions": [{"Environment": variables}]},
}

test_a_template_tells_no_function_an_address if {
	rules(template(function({"OTHER": "http://command-service"}))) == {"template-names-an-address"}
	rules(template(function({"NEXUS_EVENTS_TABLE": {"Ref": "EventsTable"}, "MODE": "http"}))) == set()
}

test_a_template_tells_no_container_an_address if {
	rules(template(task([{"Name": "OTHER", "Value": "https://x"}]))) == {"template-names-an-address"}
	rules(template(task([{"Name": "OTHER", "Value": {"Fn::Sub": "http://${LoadBalancer.DNSName}"}}]))) == {"template-names-an-address"}
	rules(template(task([{"Name": "NEXUS_EVENTS_TABLE", "Value": {"Ref": "EventsTable"}}]))) == set()
}

test_other_resources_may_hold_addresses if {
	rules(template({"type": "AWS::SNS::Subscription", "id": "S", "file": "t", "line": 1, "properties": {"Endpoint": "https://x"}})) == set()
}
