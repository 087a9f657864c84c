# Reading the past is dear: it folds a stream from its beginning. A client may ask so often a minute and no more, over all
# instances together. Whoever asks the policies counts, and hands the count in; the policy only judges it.
package nexus.temporal_queries

allow if {
	input.operation == "temporal-query"
	within_limit
}

deny contains {
	"rule": "temporal-queries-above-limit",
	"reason": sprintf("client %s asked %v temporal queries in the last minute; %v are allowed", [
		input.client,
		input.queries_in_last_minute,
		limit,
	]),
} if {
	input.operation == "temporal-query"
	counted
	not within_limit
}

# A client that is not told cannot be held to its limit, so it is denied rather than let through.
deny contains {
	"rule": "temporal-query-uncounted",
	"reason": "the client and its temporal queries in the last minute are not told, so they cannot be held to the limit",
} if {
	input.operation == "temporal-query"
	not counted
}

limit := data.temporal_queries.queries_per_minute_max

# The query that is asked about is not in the count yet: the tenth of a minute comes with a count of nine.
within_limit if {
	counted
	input.queries_in_last_minute >= 0
	input.queries_in_last_minute < limit
}

counted if {
	is_string(input.client)
	input.client != ""
	is_number(input.queries_in_last_minute)
}
