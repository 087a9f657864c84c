# Arrows point one way: chaos -> sim -> system, and reports is a leaf. Services do not know each other, and AWS's own
# clients stay in the adapters. Whatever reaches further goes through a direct arrow that is found here, so direct
# arrows are all that is looked at.
package nexus.desk.dependency_arrows

deny contains {
	"rule": "arrow-up-the-house",
	"what": sprintf("%s depends on %s: %s", [from.folder, arrow.folder, floors[floor(from.folder)].why]),
	"file": arrow.file,
	"line": arrow.line,
	"mend": "turn the arrow round: move what both need to the lower floor",
} if {
	some [from, arrow] in arrows
	floor(arrow.folder) in floors[floor(from.folder)].may_not_know
}

deny contains {
	"rule": "service-knows-service",
	"what": sprintf("%s depends on %s: services meet on the bus, not in code", [from.folder, arrow.folder]),
	"file": arrow.file,
	"line": arrow.line,
	"mend": "move what both need to a crate of its own, such as one under system/ports",
} if {
	some [from, arrow] in arrows
	from.folder in data.dependency_arrows.services
	arrow.folder in data.dependency_arrows.services
}

deny contains {
	"rule": "leaf-depends-on-crate",
	"what": sprintf("%s depends on %s: %s", [from.folder, arrow.folder, data.dependency_arrows.leaves[from.folder]]),
	"file": arrow.file,
	"line": arrow.line,
	"mend": "hand the value in instead, or move what is needed into the leaf",
} if {
	some [from, arrow] in arrows
	from.folder in object.keys(data.dependency_arrows.leaves)
}

deny contains {
	"rule": "adapters-behind-ports",
	"what": sprintf("%s depends on %s: only the binary stands on AWS and on the real machine", [from.folder, arrow.folder]),
	"file": arrow.file,
	"line": arrow.line,
	"mend": "ask for it by a port of system/ports, and let system/nexus hand it in",
} if {
	some [from, arrow] in arrows
	floor(from.folder) == "system"
	not from.folder in data.dependency_arrows.may_know_adapters
	arrow.folder in data.dependency_arrows.adapters
}

deny contains {
	"rule": "sdk-outside-adapters",
	"what": sprintf("%s names %s in its manifest: only the adapters speak to AWS", [from.folder, dependency.name]),
	"file": dependency.file,
	"line": dependency.line,
	"mend": "move the call behind a port, into system/aws or system/aws/bus",
} if {
	some from in input.crates
	some dependency in from.dependencies
	startswith(dependency.name, "aws-sdk-")
	not may_speak_to_aws(from.folder)
}

# Source can name what another crate hands on, so manifests alone do not tell.
deny contains {
	"rule": "sdk-in-source-outside-adapters",
	"what": sprintf("source names %s: only the adapters speak to AWS", [use.sdk]),
	"file": use.file,
	"line": use.line,
	"mend": "move the call behind a port, into system/aws or system/aws/bus",
} if {
	some use in input.sdk_uses
	not may_speak_to_aws(use.file)
}

may_speak_to_aws(path) if {
	some folder in data.dependency_arrows.may_speak_to_aws
	under(path, folder)
}

under(path, folder) if path == folder

under(path, folder) if startswith(path, sprintf("%s/", [folder]))

# Each crate with each of its arrows to another crate of the workspace.
arrows contains [from, dependency] if {
	some from in input.crates
	some dependency in from.dependencies
	is_string(dependency.folder)
}

floors := data.dependency_arrows.floors

floor(folder) := split(folder, "/")[0]
