# An order above the limit needs a role that answers for it.
package nexus.order_limits

deny contains {
	"rule": "order-above-limit",
	"reason": sprintf("an order of %v cents is above the limit of %v for the role %s", [input.amount_cents, limit, input.role]),
} if {
	input.command == "PlaceOrder"
	is_number(input.amount_cents)
	input.amount_cents > limit
	not unlimited
}

# An order whose amount is not told cannot be held to the limit, so it is denied rather than let through.
deny contains {
	"rule": "order-amount-untold",
	"reason": "the amount of the order is not told, so it cannot be held to the limit",
} if {
	input.command == "PlaceOrder"
	not is_number(input.amount_cents)
}

limit := data.order_limits.order_total_cents_max

unlimited if input.role in data.order_limits.roles_without_limit
