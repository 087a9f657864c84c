package nexus.desk.dead_letters_test

import data.nexus.desk.dead_letters as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

resource(id, kind, properties) := {"id": id, "type": kind, "properties": properties, "file": "t.yaml", "line": 6}

queue(id, properties) := resource(id, "AWS::SQS::Queue", properties)

redrive(target, receives) := {"RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": [target, "Arn"]}, "maxReceiveCount": receives}}

letters := queue("Letters", {"MessageRetentionPeriod": 1209600})

facts(resources) := {"resources": resources}

test_a_queue_with_dead_letters_is_well if {
	rules(facts([queue("Work", redrive("Letters", 5)), letters])) == set()
}

test_a_queue_needs_dead_letters if {
	rules(facts([queue("Work", {})])) == {"queue-without-dead-letters"}
}

test_dead_letters_need_none_of_their_own if {
	mapping := resource("M", "AWS::Lambda::EventSourceMapping", {
		"EventSourceArn": {"Fn::GetAtt": ["Stream", "Arn"]},
		"DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Letters", "Arn"]}}},
	})
	rules(facts([letters, mapping])) == set()
	rules(facts([letters, resource("F", "AWS::Lambda::Function", {"DeadLetterConfig": {"TargetArn": {"Ref": "Letters"}}})])) == set()
}

test_five_receives_are_promised if {
	rules(facts([queue("Work", redrive("Letters", 3)), letters])) == {"another-number-of-receives"}
}

test_dead_letters_are_kept_longest if {
	rules(facts([queue("Work", redrive("Letters", 5)), queue("Letters", {})])) == {"dead-letters-expire-first"}
	long := object.union(redrive("Letters", 5), {"MessageRetentionPeriod": 1209600})
	rules(facts([queue("Work", long), letters])) == {"dead-letters-expire-first"}
}

test_a_subscription_needs_dead_letters if {
	rules(facts([resource("S", "AWS::SNS::Subscription", {"Protocol": "sqs"})])) == {"subscription-without-dead-letters"}
	rules(facts([letters, resource("S", "AWS::SNS::Subscription", redrive("Letters", 5))])) == set()
}

test_a_mapping_of_a_stream_needs_a_destination if {
	rules(facts([resource("M", "AWS::Lambda::EventSourceMapping", {"EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]}})])) == {"mapping-without-destination"}
}

test_a_mapping_of_a_queue_has_the_queues if {
	rules(facts([
		queue("Work", redrive("Letters", 5)), letters,
		resource("M", "AWS::Lambda::EventSourceMapping", {"EventSourceArn": {"Fn::GetAtt": ["Work", "Arn"]}}),
	])) == set()
}
