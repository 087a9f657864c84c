# Ten temporal queries a minute a client is a promise to everybody else: the setting of the run-time policy may be stricter,
# not looser, and the policy may not be taken away.
package nexus.desk.temporal_queries

deny contains {
	"rule": "temporal-limit-too-high",
	"what": sprintf("temporal queries are limited to %v a minute and client; %v are promised", [limit, promised]),
	"file": input.runtime.file,
	"line": 1,
	"mend": sprintf("set temporal_queries.queries_per_minute_max to %v or less", [promised]),
} if {
	is_number(limit)
	limit > promised
}

deny contains {
	"rule": "temporal-limit-missing",
	"what": "temporal queries have no limit",
	"file": input.runtime.file,
	"line": 1,
	"mend": sprintf("set temporal_queries.queries_per_minute_max to %v", [promised]),
} if {
	not is_number(limit)
}

limit := input.runtime.data.temporal_queries.queries_per_minute_max

promised := data.temporal_queries.queries_per_minute_max
