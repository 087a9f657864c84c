package nexus.command_authorization_test

import data.nexus.command_authorization as policy

commands := {
	"PlaceOrder", "ConfirmPayment", "ShipOrder", "ConfirmPaymentAndShip", "CancelOrder", "ProcessPayment", "RefundPayment",
	"AddItemToCart", "RemoveItemFromCart", "ReplaceItemInCart", "AbandonCart",
}

# Written out here once more, so that a slip in data.json does not pass unseen.
expected := {
	"customer": {"PlaceOrder", "CancelOrder", "AddItemToCart", "RemoveItemFromCart", "ReplaceItemInCart", "AbandonCart"},
	"payments": {"ProcessPayment", "ConfirmPayment", "RefundPayment"},
	"support": {"CancelOrder", "RefundPayment"},
	"system": commands,
	"warehouse": {"ShipOrder"},
}

request(role, command) := {
	"service": "command-service",
	"operation": "append-event",
	"store": "event-store",
	"role": role,
	"command": command,
	"aggregate": "order-o-1",
	"event_types": [],
	"amount_cents": null,
}

rules(requested) := found if {
	denials := policy.deny with input as requested
	found := {denial.rule | some denial in denials}
}

test_each_role_may_send_its_commands if {
	every role, granted in expected {
		every command in granted {
			policy.allow with input as request(role, command)
			rules(request(role, command)) == set()
		}
	}
}

test_no_role_may_send_another_command if {
	every role, granted in expected {
		every command in commands - granted {
			not policy.allow with input as request(role, command)
			rules(request(role, command)) == {"command-not-permitted"}
		}
	}
}

test_the_data_lists_no_further_role if {
	object.keys(data.command_authorization.commands_by_role) == object.keys(expected)
}

test_an_unknown_role_is_denied if {
	every role in ["", "Customer", "root", "*"] {
		not policy.allow with input as request(role, "PlaceOrder")
		rules(request(role, "PlaceOrder")) == {"role-unknown"}
	}
}

test_an_unknown_role_may_not_even_read if {
	rules(object.union(request("root", ""), {"operation": "read-events"})) == {"role-unknown"}
}

test_the_star_is_no_command if {
	not policy.allow with input as request("customer", "*")
	not policy.allow with input as request("system", "")
}

test_only_appending_is_granted_here if {
	not policy.allow with input as object.union(request("customer", "PlaceOrder"), {"operation": "delete-event"})
}
