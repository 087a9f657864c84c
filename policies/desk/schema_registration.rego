# No event without a schema: each type of the domain has every version up to its newest in system/schemas, is listed for
# the run-time policy with a status that lets it be appended, and no schema is left of a type that is no more.
package nexus.desk.schema_registration

deny contains {
	"rule": "event-type-without-schema",
	"what": sprintf("the event type %s has no schema", [event_type.name]),
	"file": event_type.file,
	"line": event_type.line,
	"mend": sprintf("write system/schemas/events/%s/v1.json and name it in system/schemas/src/lib.rs", [event_type.name]),
} if {
	some event_type in input.event_types
	count(versions(event_type.name)) == 0
}

deny contains {
	"rule": "schema-version-missing",
	"what": sprintf("version %v of %s has no schema", [version, event_type.name]),
	"file": event_type.file,
	"line": event_type.line,
	"mend": sprintf("write system/schemas/events/%s/v%v.json: stored events of every version must stay readable", [event_type.name, version]),
} if {
	some event_type in input.event_types
	count(versions(event_type.name)) > 0
	some version in numbers.range(1, event_type.newest_version)
	not version in versions(event_type.name)
}

deny contains {
	"rule": "schema-ahead-of-events",
	"what": sprintf("version %v of %s has a schema, but events are written in version %v", [schema.version, schema.event_type, event_type.newest_version]),
	"file": schema.file,
	"line": 1,
	"mend": "raise the type's newest version in system/domain/src/upcast.rs, or take the schema away",
} if {
	some schema in input.schemas
	some event_type in input.event_types
	event_type.name == schema.event_type
	schema.version > event_type.newest_version
}

deny contains {
	"rule": "schema-without-event-type",
	"what": sprintf("the schema is of %s, which is no event type of the domain", [schema.event_type]),
	"file": schema.file,
	"line": 1,
	"mend": "name the type in system/domain/src/event.rs, or take the schema away",
} if {
	some schema in input.schemas
	not schema.event_type in {event_type.name | some event_type in input.event_types}
}

deny contains {
	"rule": "event-type-not-available",
	"what": sprintf("the event type %s may not be appended: the run-time policy has it as %v", [event_type.name, status(event_type.name)]),
	"file": event_type.file,
	"line": event_type.line,
	"mend": sprintf("register its schema, then list it as AVAILABLE under schema_registration.schemas in %s", [input.runtime.file]),
} if {
	some event_type in input.event_types
	status(event_type.name) != "AVAILABLE"
}

versions(name) := {schema.version |
	some schema in input.schemas
	schema.event_type == name
}

status(name) := input.runtime.data.schema_registration.schemas[name]

status(name) := "unknown" if not input.runtime.data.schema_registration.schemas[name]
