# Services meet on the bus. None calls another by HTTP, above all not command-service and query-dashboard each other: a view
# that asks the write side, or a command that asks a view, brings back the coupling that events took away.
package nexus.desk.service_decoupling

# An address in a service's source that names another service.
deny contains {
	"rule": "service-names-another",
	"what": sprintf("%s names the address %s of %s", [use.folder, use.what, other]),
	"file": use.file,
	"line": use.line,
	"mend": "take what you need from its events, or keep a view of your own; services do not call each other",
} if {
	some use in input.http_uses
	use.kind == "address"
	use.folder in data.service_decoupling.service_folders
	some other in services
	contains(use.host, other)
	folder_of[other] != use.folder
}

# An address on this machine, with the port on which another service listens.
deny contains {
	"rule": "service-knows-anothers-port",
	"what": sprintf("%s names the address %s, where %s listens", [use.folder, use.what, other.name]),
	"file": use.file,
	"line": use.line,
	"mend": "take what you need from its events, or keep a view of your own; services do not call each other",
} if {
	some use in input.http_uses
	use.kind == "address"
	use.folder in data.service_decoupling.service_folders
	some other in input.services
	is_number(use.port)
	other.listen_port == use.port
	folder_of[other.name] != use.folder
}

# A service that can speak HTTP as a client will sooner or later speak to another.
deny contains {
	"rule": "service-has-http-client",
	"what": sprintf("%s has an HTTP client: %s", [use.folder, use.what]),
	"file": use.file,
	"line": use.line,
	"mend": "reach AWS through the adapters of system/aws; if this must speak HTTP, list it in policies/desk/data.json and say why",
} if {
	some use in input.http_uses
	use.kind == "client"
	use.folder in data.service_decoupling.service_folders
	not use.folder in object.keys(data.service_decoupling.may_speak_http)
}

# A template that tells a service an address by its environment.
deny contains {
	"rule": "template-names-an-address",
	"what": sprintf("%s tells its service the address %s by %s", [resource.id, value, name]),
	"file": resource.file,
	"line": resource.line,
	"mend": "give services names of tables and of parts of the bus; they do not call each other",
} if {
	some resource in input.resources
	some name, value in environment(resource)
	is_string(value)
	regex.match(`^https?://`, value)
}

environment(resource) := resource.properties.Environment.Variables if resource.type == "AWS::Lambda::Function"

environment(resource) := {variable.Name: text |
	some container in resource.properties.ContainerDefinitions
	some variable in container.Environment
	text := address(variable.Value)
} if {
	resource.type == "AWS::ECS::TaskDefinition"
}

# `Fn::Sub` builds a text; any other value names something of the template.
address(value) := value if is_string(value)

address(value) := value["Fn::Sub"] if is_string(value["Fn::Sub"])

services contains service.name if some service in input.services

services contains name if some name, _ in data.service_decoupling.folders_by_service

folder_of[name] := folder if some name, folder in data.service_decoupling.folders_by_service
