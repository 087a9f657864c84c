package nexus.desk.schema_registration_test

import data.nexus.desk.schema_registration as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

schema(event_type, version) := {"event_type": event_type, "version": version, "file": sprintf("%s/v%v.json", [event_type, version])}

event_type(name, newest) := {"name": name, "newest_version": newest, "file": "event.rs", "line": 22}

facts(types, schemas, statuses) := {
	"event_types": types,
	"schemas": schemas,
	"runtime": {"file": "policies/runtime/data.json", "data": {"schema_registration": {"schemas": statuses}}},
}

placed := event_type("OrderPlaced", 2)

available := {"OrderPlaced": "AVAILABLE"}

test_every_version_with_a_schema_and_a_status_is_well if {
	rules(facts([placed], [schema("OrderPlaced", 1), schema("OrderPlaced", 2)], available)) == set()
}

test_an_event_type_needs_a_schema if {
	rules(facts([placed], [], available)) == {"event-type-without-schema"}
}

test_every_version_needs_a_schema if {
	rules(facts([placed], [schema("OrderPlaced", 2)], available)) == {"schema-version-missing"}
	rules(facts([placed], [schema("OrderPlaced", 1)], available)) == {"schema-version-missing"}
}

test_a_schema_is_not_ahead_of_the_code if {
	rules(facts([event_type("OrderPlaced", 1)], [schema("OrderPlaced", 1), schema("OrderPlaced", 2)], available)) == {"schema-ahead-of-events"}
}

test_a_schema_belongs_to_a_type if {
	rules(facts([], [schema("OrderLost", 1)], {})) == {"schema-without-event-type"}
}

test_a_type_is_available_at_run_time if {
	schemas := [schema("OrderPlaced", 1), schema("OrderPlaced", 2)]
	rules(facts([placed], schemas, {})) == {"event-type-not-available"}
	rules(facts([placed], schemas, {"OrderPlaced": "PENDING"})) == {"event-type-not-available"}
}

test_without_settings_nothing_is_available if {
	rules({"event_types": [placed], "schemas": [schema("OrderPlaced", 1), schema("OrderPlaced", 2)], "runtime": {"file": "d", "data": null}}) == {"event-type-not-available"}
}
