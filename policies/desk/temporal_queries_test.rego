package nexus.desk.temporal_queries_test

import data.nexus.desk.temporal_queries as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

facts(settings) := {"runtime": {"file": "policies/runtime/data.json", "data": {"temporal_queries": settings}}}

test_the_promised_limit_and_stricter_ones_are_well if {
	every limit in [10, 3, 0] {
		rules(facts({"queries_per_minute_max": limit})) == set()
	}
}

test_a_looser_limit_breaks_the_promise if {
	rules(facts({"queries_per_minute_max": 11})) == {"temporal-limit-too-high"}
}

test_a_limit_must_be_there if {
	rules(facts({})) == {"temporal-limit-missing"}
	rules(facts({"queries_per_minute_max": "10"})) == {"temporal-limit-missing"}
	rules({"runtime": {"file": "d", "data": null}}) == {"temporal-limit-missing"}
}
