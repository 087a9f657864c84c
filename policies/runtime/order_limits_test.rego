package nexus.order_limits_test

import data.nexus.order_limits as policy

request(role, command, amount_cents) := {
	"service": "command-service",
	"operation": "append-event",
	"store": "event-store",
	"role": role,
	"command": command,
	"aggregate": "order-o-1",
	"event_types": ["OrderPlaced"],
	"amount_cents": amount_cents,
}

rules(requested) := found if {
	denials := policy.deny with input as requested
	found := {denial.rule | some denial in denials}
}

test_up_to_the_limit_anyone_may_order if {
	every amount_cents in [0, 1, 4999999, 5000000] {
		rules(request("customer", "PlaceOrder", amount_cents)) == set()
	}
}

test_above_the_limit_a_customer_may_not_order if {
	every role in ["customer", "payments", "warehouse", ""] {
		every amount_cents in [5000001, 499500000000, 18446744073709551615] {
			rules(request(role, "PlaceOrder", amount_cents)) == {"order-above-limit"}
		}
	}
}

test_above_the_limit_support_and_system_may_order if {
	every role in ["support", "system"] {
		rules(request(role, "PlaceOrder", 5000001)) == set()
	}
}

test_other_commands_have_no_limit_here if {
	every command in ["ProcessPayment", "ConfirmPayment", "RefundPayment", "AddItemToCart"] {
		rules(request("customer", command, 5000001)) == set()
	}
}

test_an_order_without_an_amount_is_denied if {
	rules(request("customer", "PlaceOrder", null)) == {"order-amount-untold"}
	rules(object.remove(request("customer", "PlaceOrder", 1), ["amount_cents"])) == {"order-amount-untold"}
}

test_the_limit_comes_from_the_data if {
	denials := policy.deny with input as request("customer", "PlaceOrder", 11)
		with data.order_limits as {"order_total_cents_max": 10, "roles_without_limit": []}
	some denial in denials
	denial.reason == "an order of 11 cents is above the limit of 10 for the role customer"
}
