package nexus.desk.encryption_test

import data.nexus.desk.encryption as policy

rules(facts) := found if {
	denials := policy.deny with input as facts
	found := {denial.rule | some denial in denials}
}

facts(kind, properties) := {"resources": [{"id": "R", "type": kind, "properties": properties, "file": "t.yaml", "line": 6}]}

good := {
	"AWS::DynamoDB::Table": [{"SSESpecification": {"SSEEnabled": true}}],
	"AWS::Kinesis::Stream": [{"StreamEncryption": {"EncryptionType": "KMS"}}],
	"AWS::SNS::Topic": [{"KmsMasterKeyId": "alias/aws/sns"}],
	"AWS::SQS::Queue": [{"SqsManagedSseEnabled": true}, {"KmsMasterKeyId": {"Ref": "Key"}}],
	"AWS::S3::Bucket": [{"BucketEncryption": {"ServerSideEncryptionConfiguration": [{}]}}],
}

test_stores_that_say_so_are_well if {
	every kind, several in good {
		every properties in several {
			rules(facts(kind, properties)) == set()
		}
	}
}

test_stores_that_do_not_are_denied if {
	every kind, _ in good {
		rules(facts(kind, {})) == {"store-not-encrypted"}
	}
}

test_encryption_that_is_off_is_none if {
	rules(facts("AWS::DynamoDB::Table", {"SSESpecification": {"SSEEnabled": false}})) == {"store-not-encrypted"}
	rules(facts("AWS::SQS::Queue", {"SqsManagedSseEnabled": false})) == {"store-not-encrypted"}
	rules(facts("AWS::Kinesis::Stream", {"StreamEncryption": {"EncryptionType": "NONE"}})) == {"store-not-encrypted"}
}

test_every_store_is_of_a_kind_that_is_judged if {
	rules(facts("AWS::RDS::DBInstance", {"StorageEncrypted": true})) == {"unknown-store"}
	rules(facts("AWS::SQS::QueuePolicy", {})) == set()
	rules(facts("AWS::Lambda::Function", {})) == set()
}

test_the_denial_says_what_to_write if {
	denials := policy.deny with input as facts("AWS::SQS::Queue", {})
	{denial.mend | some denial in denials} == {"write SqsManagedSseEnabled: true"}
}
