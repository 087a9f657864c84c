# Each role may do what its service's own code calls, on what it calls it on, and nothing else.
package nexus.desk.least_privilege

deny contains {
	"rule": "wildcard-action",
	"what": sprintf("%s grants %s", [statement.holder, action]),
	"file": statement.file,
	"line": statement.line,
	"mend": "name each action that the service calls",
} if {
	some statement in allowing
	some action in statement.actions
	contains(action, "*")
}

deny contains {
	"rule": "wildcard-resource",
	"what": sprintf("%s grants %s on everything", [statement.holder, concat(", ", statement.actions)]),
	"file": statement.file,
	"line": statement.line,
	"mend": "name the resource; where IAM knows none for the call, list the action in policies/desk/data.json and say why",
} if {
	some statement in allowing
	some grant in statement.grants
	grant.wildcard == "all"
	some action in statement.actions
	not action in object.keys(data.least_privilege.actions_without_resource)
}

deny contains {
	"rule": "wildcard-in-resource",
	"what": sprintf("%s grants %s on %s, which is more than one", [statement.holder, concat(", ", statement.actions), grant.text]),
	"file": statement.file,
	"line": statement.line,
	"mend": "name the resource; where its name is not known beforehand, list the action in policies/desk/data.json and say why",
} if {
	some statement in allowing
	some grant in statement.grants
	grant.wildcard == "part"
	some action in statement.actions
	not action in object.keys(data.least_privilege.actions_on_unnamed)
}

deny contains {
	"rule": "everything-but",
	"what": sprintf("%s grants everything but what it names", [statement.holder]),
	"file": statement.file,
	"line": statement.line,
	"mend": "write Action and Resource, and name what is needed",
} if {
	some statement in allowing
	statement.inverted
}

deny contains {
	"rule": "granted-but-never-called",
	"what": sprintf("%s grants %s on %s, which %s never calls", [statement.holder, action, grant.name, concat(" and ", statement.services)]),
	"file": statement.file,
	"line": statement.line,
	"mend": "take it out; if the code does call it, the wiring in system/nexus/src does not show it",
} if {
	some statement in allowing
	count(statement.services) > 0
	some grant in statement.grants
	is_string(grant.name)
	some action in statement.actions
	not contains(action, "*")
	not called(statement.services, action, grant.name)
	not done_by_host(action, grant)
}

deny contains {
	"rule": "role-of-nobody",
	"what": sprintf("%s is a role that no service of ours runs under", [statement.holder]),
	"file": statement.file,
	"line": statement.line,
	"mend": "take it out; if AWS itself needs it, list it in policies/desk/data.json and say why",
} if {
	some statement in allowing
	statement.holder_type == "AWS::IAM::Role"
	count(statement.services) == 0
	not statement.holder in object.keys(data.least_privilege.roles_of_aws)
}

deny contains {
	"rule": "role-of-several",
	"what": sprintf("%s is the role of %s together, so each may do what the others need", [statement.holder, concat(" and ", statement.services)]),
	"file": statement.file,
	"line": statement.line,
	"mend": "give each service a role of its own",
} if {
	some statement in allowing
	count({canonical(service) | some service in statement.services}) > 1
}

# Statements that grant something: not those that deny, that say who may assume a role, or that a resource has about others.
allowing contains statement if {
	some statement in input.statements
	statement.effect == "Allow"
	not statement.assumes
	not statement.has_principal
}

called(services, action, name) if {
	some service in input.services
	some one in services
	service.name == canonical(one)
	some call in service.calls
	call.resource == name
	call.action == action
}

# What Lambda does in the service's name: it reads the source of a mapping, and sends what it gave up on.
done_by_host(action, grant) if action in data.least_privilege.actions_of_mappings[grant.type]

# A function may be called otherwise than the program that it runs.
canonical(service) := object.get(data.least_privilege.program_of_function, service, service)
