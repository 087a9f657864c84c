# Which role may send which command: data.command_authorization.commands_by_role. "*" stands for every command.
package nexus.command_authorization

# Looked up once a decision; undefined for an unknown role.
commands := data.command_authorization.commands_by_role[input.role]

allow if {
	input.operation == "append-event"
	granted
}

deny contains {
	"rule": "role-unknown",
	"reason": sprintf("the role \"%s\" is not known", [input.role]),
} if {
	not commands
}

deny contains {
	"rule": "command-not-permitted",
	"reason": sprintf("the role %s may not send %s", [input.role, input.command]),
} if {
	input.operation == "append-event"
	not granted
	commands
}

granted if input.command in commands

granted if {
	input.command != ""
	"*" in commands
}
