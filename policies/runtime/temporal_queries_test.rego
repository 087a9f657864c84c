package nexus.temporal_queries_test

import data.nexus.temporal_queries as policy

request(client, queries) := {
	"service": "query-dashboard",
	"operation": "temporal-query",
	"store": "event-store",
	"role": "customer",
	"client": client,
	"queries_in_last_minute": queries,
}

rules(requested) := found if {
	denials := policy.deny with input as requested
	found := {denial.rule | some denial in denials}
}

test_the_first_ten_queries_of_a_minute_pass if {
	every queries in numbers.range(0, 9) {
		policy.allow with input as request("client-1", queries)
		rules(request("client-1", queries)) == set()
	}
}

test_the_eleventh_query_is_denied if {
	every queries in [10, 11, 18446744073709551615] {
		not policy.allow with input as request("client-1", queries)
		rules(request("client-1", queries)) == {"temporal-queries-above-limit"}
	}
}

test_the_reason_tells_who_and_how_often if {
	denials := policy.deny with input as request("client-1", 12)
	{denial.reason | some denial in denials} == {"client client-1 asked 12 temporal queries in the last minute; 10 are allowed"}
}

test_a_query_without_a_count_is_denied if {
	every queries in [null, "9", [], {}] {
		rules(request("client-1", queries)) == {"temporal-query-uncounted"}
	}
	rules(object.remove(request("client-1", 1), ["queries_in_last_minute"])) == {"temporal-query-uncounted"}
}

test_a_query_without_a_client_is_denied if {
	every client in ["", null, 7] {
		not policy.allow with input as request(client, 1)
		rules(request(client, 1)) == {"temporal-query-uncounted"}
	}
	rules(object.remove(request("", 1), ["client"])) == {"temporal-query-uncounted"}
}

test_a_count_below_zero_is_no_way_round if {
	not policy.allow with input as request("client-1", -1)
	rules(request("client-1", -1)) == {"temporal-queries-above-limit"}
}

test_other_operations_are_not_counted if {
	every operation in ["append-event", "read-events", "read-snapshot"] {
		asked := object.union(request("client-1", 99), {"operation": operation})
		not policy.allow with input as asked
		rules(asked) == set()
	}
}

test_the_limit_comes_from_the_data if {
	allowed := data.temporal_queries.queries_per_minute_max
	allowed == 10
	not policy.allow with input as request("client-1", 3) with data.temporal_queries as {"queries_per_minute_max": 3}
	policy.allow with input as request("client-1", 2) with data.temporal_queries as {"queries_per_minute_max": 3}
}
