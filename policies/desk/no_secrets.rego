# No secret lies in the repository: who can read the source must not thereby be able to act.
package nexus.desk.no_secrets

deny contains {
	"rule": sprintf("secret-%s", [suspect.kind]),
	"what": sprintf("this looks like a secret%s: %s", [named(suspect), suspect.masked]),
	"file": suspect.file,
	"line": suspect.line,
	"mend": "take it out and replace it at its issuer, for it is known by now; read it from the environment or a secret store",
} if {
	some suspect in input.suspects
	not suspect.says_example
	not known(suspect)
}

# A property that by its name is secret, with a value that is written out.
deny contains {
	"rule": "secret-in-template",
	"what": sprintf("the property %s of %s is written out", [name, resource.id]),
	"file": resource.file,
	"line": resource.line,
	"mend": "let it point to AWS Secrets Manager: '{{resolve:secretsmanager:…}}'",
} if {
	some resource in input.resources
	some name, value in resource.properties
	is_string(value)
	regex.match(`(password|secret|token)$`, lower(name))
	not startswith(value, "{{resolve:")
}

known(suspect) if {
	some exception in data.no_secrets.exceptions
	exception.file == suspect.file
	exception.kind == suspect.kind
}

named(suspect) := sprintf(", assigned to %s", [suspect.name]) if suspect.name != ""

named(suspect) := "" if suspect.name == ""
