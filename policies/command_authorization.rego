# Which role may send which command: data.command_authorization.commands_by_role. "*" stands for every command.
package nexus.command_authorization

allow if {
	input.operation == "append-event"
	granted
}

deny contains {
	"rule": "role-unknown",
	"reason": sprintf("the role %q is not known", [input.role]),
} if {
	not data.command_authorization.commands_by_role[input.role]
}

deny contains {
	"rule": "command-not-permitted",
	"reason": sprintf("the role %s may not send %s", [input.role, input.command]),
} if {
	input.operation == "append-event"
	data.command_authorization.commands_by_role[input.role]
	not granted
}

granted if input.command in data.command_authorization.commands_by_role[input.role]

granted if {
	"*" in data.command_authorization.commands_by_role[input.role]
	input.command != ""
}
