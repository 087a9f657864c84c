package nexus.desk.dependency_arrows_test

import data.nexus.desk.dependency_arrows as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

arrow(name, folder) := {"name": name, "kind": "normal", "folder": folder, "file": "Cargo.toml", "line": 5}

facts(folder, dependencies) := {
	"crates": [{"name": "x", "folder": folder, "dependencies": dependencies}],
	"sdk_uses": [],
}

test_arrows_down_the_house_are_well if {
	every pair in [
		["chaos/explore", "sim/world"], ["chaos/explore", "reports"], ["sim/world", "system/command-service"],
		["sim/engine", "sim/interposer"], ["system/command-service", "system/ports"], ["system/nexus", "system/aws/bus"],
		["system/aws/bus", "system/aws"], ["xtask", "xtask/commands"], ["tools/policy-check", "system/governance"],
	] {
		rules(facts(pair[0], [arrow("y", pair[1])])) == set()
	}
}

test_arrows_up_the_house_are_denied if {
	every pair in [
		["system/aws", "sim/cloud"], ["system/nexus", "tools/policy-check"], ["sim/world", "chaos/faults"],
		["sim/world", "reports"], ["chaos/explore", "tools/policy-check"], ["xtask", "system/schemas"],
		["tools/policy-check", "sim/cloud"],
	] {
		rules(facts(pair[0], [arrow("y", pair[1])])) == {"arrow-up-the-house"}
	}
}

test_a_dependency_of_tests_counts_too if {
	rules(facts("system/domain", [object.union(arrow("y", "sim/cloud"), {"kind": "dev"})])) == {"arrow-up-the-house", "leaf-depends-on-crate"}
}

test_services_do_not_know_each_other if {
	rules(facts("system/query-dashboard", [arrow("y", "system/command-service")])) == {"service-knows-service"}
	rules(facts("system/nexus", [arrow("y", "system/command-service")])) == set()
}

test_leaves_depend_on_nothing if {
	every leaf in ["system/domain", "sim/cloud", "chaos/checkers"] {
		rules(facts(leaf, [arrow("serde", null)])) == set()
	}
	rules(facts("chaos/checkers", [arrow("y", "system/domain")])) == {"leaf-depends-on-crate"}
	rules(facts("reports", [arrow("y", "xtask/commands")])) == {"arrow-up-the-house", "leaf-depends-on-crate"}
}

test_services_are_written_against_ports if {
	every adapter in ["system/aws", "system/aws/bus", "system/platform"] {
		rules(facts("system/event-router", [arrow("y", adapter)])) == {"adapters-behind-ports"}
		rules(facts("system/nexus", [arrow("y", adapter)])) == set()
	}
}

test_only_adapters_name_an_sdk_in_their_manifest if {
	rules(facts("system/command-service", [arrow("aws-sdk-dynamodb", null)])) == {"sdk-outside-adapters"}
	every folder in ["system/aws", "system/aws/bus", "system/aws/glue"] {
		rules(facts(folder, [arrow("aws-sdk-dynamodb", null)])) == set()
	}
	rules(facts("system/awsome", [arrow("aws-sdk-sqs", null)])) == {"sdk-outside-adapters"}
}

source(file) := {"crates": [], "sdk_uses": [{"sdk": "aws-sdk-sqs", "file": file, "line": 3}]}

test_only_adapters_name_an_sdk_in_source if {
	rules(source("system/nexus/src/aws.rs")) == {"sdk-in-source-outside-adapters"}
	rules(source("system/aws/bus/src/sqs.rs")) == set()
}
