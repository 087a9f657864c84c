# What cannot be worked on is kept for people to look at: behind every queue, subscription and mapping lies a queue of dead
# letters, and letters are kept there longer than where they came from.
package nexus.desk.dead_letters

deny contains {
	"rule": "queue-without-dead-letters",
	"what": sprintf("the queue %s has no queue for its dead letters", [queue.id]),
	"file": queue.file,
	"line": queue.line,
	"mend": sprintf("write RedrivePolicy with a deadLetterTargetArn and maxReceiveCount %v", [data.dead_letters.receives_max]),
} if {
	some queue in queues
	not queue.id in dead_letter_queues
	not queue.properties.RedrivePolicy.deadLetterTargetArn
}

deny contains {
	"rule": "another-number-of-receives",
	"what": sprintf("the queue %s gives a message up after %v receives; %v are promised", [queue.id, received, data.dead_letters.receives_max]),
	"file": queue.file,
	"line": queue.line,
	"mend": sprintf("write maxReceiveCount: %v", [data.dead_letters.receives_max]),
} if {
	some queue in queues
	received := object.get(queue.properties, ["RedrivePolicy", "maxReceiveCount"], data.dead_letters.receives_max)
	received != data.dead_letters.receives_max
}

deny contains {
	"rule": "dead-letters-expire-first",
	"what": sprintf("%s keeps dead letters for %v s, but %s keeps messages for %v s, and their age counts on", [letters.id, retention(letters), queue.id, retention(queue)]),
	"file": letters.file,
	"line": letters.line,
	"mend": "write MessageRetentionPeriod: 1209600, the longest there is",
} if {
	some queue in queues
	some letters in queues
	letters.id == target(queue.properties.RedrivePolicy.deadLetterTargetArn)
	retention(letters) <= retention(queue)
}

deny contains {
	"rule": "subscription-without-dead-letters",
	"what": sprintf("what SNS cannot bring to %s is lost", [subscription.id]),
	"file": subscription.file,
	"line": subscription.line,
	"mend": "write RedrivePolicy with a deadLetterTargetArn",
} if {
	some subscription in input.resources
	subscription.type == "AWS::SNS::Subscription"
	not subscription.properties.RedrivePolicy.deadLetterTargetArn
}

# A queue has dead letters of its own; what a mapping gives up of a stream is gone unless the mapping has a destination.
deny contains {
	"rule": "mapping-without-destination",
	"what": sprintf("what the mapping %s gives up on is lost", [mapping.id]),
	"file": mapping.file,
	"line": mapping.line,
	"mend": "write DestinationConfig: { OnFailure: { Destination: … } }",
} if {
	some mapping in input.resources
	mapping.type == "AWS::Lambda::EventSourceMapping"
	not target(mapping.properties.EventSourceArn) in {queue.id | some queue in queues}
	not mapping.properties.DestinationConfig.OnFailure.Destination
}

queues contains resource if {
	some resource in input.resources
	resource.type == "AWS::SQS::Queue"
}

# A queue that others give up to; what is given up there is given up by people only.
dead_letter_queues contains queue if {
	some resource in input.resources
	queue := target(resource.properties.RedrivePolicy.deadLetterTargetArn)
}

dead_letter_queues contains queue if {
	some resource in input.resources
	queue := target(resource.properties.DestinationConfig.OnFailure.Destination)
}

dead_letter_queues contains queue if {
	some resource in input.resources
	queue := target(resource.properties.DeadLetterConfig.TargetArn)
}

# The resource that a value of a template points to.
target(value) := value["Fn::GetAtt"][0] if is_array(value["Fn::GetAtt"])

target(value) := value.Ref if is_string(value.Ref)

# SQS keeps messages for four days unless told otherwise.
retention(queue) := object.get(queue.properties, "MessageRetentionPeriod", 345600)
