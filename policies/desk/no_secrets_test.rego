package nexus.desk.no_secrets_test

import data.nexus.desk.no_secrets as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

suspect(kind, example) := {
	"kind": kind, "name": "password", "masked": "hunt… (14 characters)", "says_example": example, "file": "a.yaml", "line": 3,
}

facts(suspects) := {"suspects": suspects, "resources": []}

template(properties) := {"suspects": [], "resources": [{
	"id": "Database", "type": "AWS::RDS::DBInstance", "properties": properties, "file": "t.yaml", "line": 2,
}]}

test_each_kind_of_secret_is_denied if {
	every kind in ["aws-access-key-id", "private-key", "service-token", "assigned-literal"] {
		rules(facts([suspect(kind, false)])) == {sprintf("secret-%s", [kind])}
	}
}

test_examples_are_no_secrets if {
	rules(facts([suspect("aws-access-key-id", true)])) == set()
}

test_an_exception_is_for_one_file_and_kind if {
	exceptions := [{"file": "a.yaml", "kind": "private-key", "why": "a key of a test"}]
	policy.deny == set() with input as facts([suspect("private-key", false)])
		with data.no_secrets as {"exceptions": exceptions}
	count(policy.deny) == 1 with input as facts([suspect("service-token", false)])
		with data.no_secrets as {"exceptions": exceptions}
}

test_what_is_found_is_told_with_its_name_if_it_has_one if {
	named := policy.deny with input as facts([suspect("assigned-literal", false)])
	{denial.what | some denial in named} == {"this looks like a secret, assigned to password: hunt… (14 characters)"}
	nameless := policy.deny with input as facts([object.union(suspect("private-key", false), {"name": ""})])
	{denial.what | some denial in nameless} == {"this looks like a secret: hunt… (14 characters)"}
}

test_a_template_writes_out_no_password if {
	rules(template({"MasterUserPassword": "hunter2hunter2"})) == {"secret-in-template"}
}

test_a_template_may_point_to_a_password if {
	rules(template({"MasterUserPassword": "{{resolve:secretsmanager:db:SecretString:password}}"})) == set()
	rules(template({"MasterUserPassword": {"Ref": "Password"}, "Name": "x"})) == set()
}
