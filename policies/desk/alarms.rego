# What scenarios promise in simulation is watched on real AWS: every objective has an alarm that goes off no later than the
# objective is missed, and that tells somebody.
package nexus.desk.alarms

deny contains {
	"rule": "objective-without-alarm",
	"what": sprintf("nothing on AWS watches that %v %% of %s take less than %v ms (%s)", [objective.percentile, objective.latency, objective.limit_ms, objective.phase]),
	"file": objective.file,
	"line": objective.line,
	"mend": "add an AWS::CloudWatch::Alarm with `Metadata: { Objective: { latency, phase, percentile, limit_ms } }`",
} if {
	count(watching) > 0
	some objective in judged
	not watched(objective)
}

deny contains {
	"rule": "alarm-after-the-fact",
	"what": sprintf("the alarm %s goes off at %v ms; the objective %s is missed at %v ms", [alarm.id, threshold_ms(alarm), alarm.metadata.Objective.latency, alarm.metadata.Objective.limit_ms]),
	"file": alarm.file,
	"line": alarm.line,
	"mend": "set Threshold to the objective's limit, in the metric's own unit",
} if {
	some alarm in watching
	threshold_ms(alarm) > alarm.metadata.Objective.limit_ms
}

deny contains {
	"rule": "alarm-by-another-percentile",
	"what": sprintf("the alarm %s looks at %v, its objective at the percentile %v", [alarm.id, statistic(alarm), alarm.metadata.Objective.percentile]),
	"file": alarm.file,
	"line": alarm.line,
	"mend": sprintf("write ExtendedStatistic: p%v", [alarm.metadata.Objective.percentile]),
} if {
	some alarm in watching
	statistic(alarm) != sprintf("p%v", [alarm.metadata.Objective.percentile])
}

deny contains {
	"rule": "alarm-tells-nobody",
	"what": sprintf("the alarm %s has no action", [alarm.id]),
	"file": alarm.file,
	"line": alarm.line,
	"mend": "write AlarmActions with a topic that people read",
} if {
	some alarm in alarms
	not alarm.properties.AlarmActions
}

alarms contains resource if {
	some resource in input.resources
	resource.type == "AWS::CloudWatch::Alarm"
}

# Alarms that say which objective they watch.
watching contains alarm if {
	some alarm in alarms
	alarm.metadata.Objective
}

# Objectives of what runs on real AWS too; the phases of chaos are there in simulation only.
judged contains objective if {
	some objective in input.objectives
	objective.phase in data.alarms.phases
}

watched(objective) if {
	some alarm in watching
	of := alarm.metadata.Objective
	of.latency == objective.latency
	of.percentile == objective.percentile
	of.limit_ms <= objective.limit_ms
}

threshold_ms(alarm) := alarm.properties.Threshold * object.get(data.alarms.milliseconds_by_metric, alarm.properties.MetricName, 1)

statistic(alarm) := object.get(alarm.properties, "ExtendedStatistic", "no percentile")
