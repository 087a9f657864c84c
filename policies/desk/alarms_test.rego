package nexus.desk.alarms_test

import data.nexus.desk.alarms as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

objective(latency, phase, limit_ms) := {
	"latency": latency, "phase": phase, "percentile": 99, "limit_ms": limit_ms, "file": "s.toml", "line": 22,
}

alarm(changes) := object.union(
	{
		"id": "RoutingAlarm", "type": "AWS::CloudWatch::Alarm", "file": "t.yaml", "line": 30,
		"metadata": {"Objective": {"latency": "routing", "phase": "nominal", "percentile": 99, "limit_ms": 500}},
		"properties": {"MetricName": "RoutingLatency", "Threshold": 500, "ExtendedStatistic": "p99", "AlarmActions": ["topic"]},
	},
	changes,
)

facts(objectives, resources) := {"objectives": objectives, "resources": resources}

routing := objective("routing", "nominal", 500)

test_a_watched_objective_is_well if {
	rules(facts([routing], [alarm({})])) == set()
}

test_every_objective_is_watched if {
	rules(facts([routing, objective("command", "nominal", 500)], [alarm({})])) == {"objective-without-alarm"}
	rules(facts([objective("routing", "nominal", 100)], [alarm({})])) == {"objective-without-alarm"}
}

test_phases_of_chaos_are_watched_in_simulation_only if {
	rules(facts([routing, objective("recovery", "heal", 9)], [alarm({})])) == set()
}

test_without_a_template_nothing_is_judged if {
	rules(facts([routing], [])) == set()
}

test_an_alarm_goes_off_in_time if {
	rules(facts([routing], [alarm({"properties": {"Threshold": 501}})])) == {"alarm-after-the-fact"}
}

seconds(threshold) := {"properties": {"MetricName": "TargetResponseTime", "Threshold": threshold}}

test_the_metrics_own_unit_counts if {
	rules(facts([routing], [alarm(seconds(0.5))])) == set()
	rules(facts([routing], [alarm(seconds(5))])) == {"alarm-after-the-fact"}
}

test_an_alarm_looks_at_its_objectives_percentile if {
	rules(facts([routing], [alarm({"properties": {"ExtendedStatistic": "p50"}})])) == {"alarm-by-another-percentile"}
	rules(facts([routing], [alarm({"properties": {"ExtendedStatistic": null}})])) == {"alarm-by-another-percentile"}
}

test_an_alarm_tells_somebody if {
	quiet := object.union(alarm({}), {"metadata": null, "properties": {"AlarmActions": false}})
	rules(facts([], [quiet])) == {"alarm-tells-nobody"}
}
