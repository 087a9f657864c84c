# Whatever keeps data of customers keeps it encrypted, and says so in the template, whatever AWS does by default this year.
package nexus.desk.encryption

deny contains {
	"rule": "store-not-encrypted",
	"what": sprintf("%s (%s) does not say that it is encrypted", [resource.id, resource.type]),
	"file": resource.file,
	"line": resource.line,
	"mend": remedies[resource.type],
} if {
	some resource in input.resources
	resource.type in object.keys(remedies)
	not encrypted(resource)
}

# A kind of store that this policy does not know is no store that it has judged.
deny contains {
	"rule": "unknown-store",
	"what": sprintf("%s is a store of a kind (%s) whose encryption nobody has thought about", [resource.id, resource.type]),
	"file": resource.file,
	"line": resource.line,
	"mend": "teach policies/desk/encryption.rego how such a store is encrypted",
} if {
	some resource in input.resources
	some service in data.encryption.services_that_store
	startswith(resource.type, sprintf("AWS::%s::", [service]))
	not resource.type in object.keys(remedies)
	not resource.type in data.encryption.keep_nothing
}

remedies := data.encryption.remedies

encrypted(resource) if {
	resource.type == "AWS::DynamoDB::Table"
	resource.properties.SSESpecification.SSEEnabled == true
}

encrypted(resource) if {
	resource.type == "AWS::Kinesis::Stream"
	resource.properties.StreamEncryption.EncryptionType == "KMS"
}

encrypted(resource) if {
	resource.type == "AWS::SNS::Topic"
	resource.properties.KmsMasterKeyId
}

encrypted(resource) if {
	resource.type == "AWS::SQS::Queue"
	resource.properties.SqsManagedSseEnabled == true
}

encrypted(resource) if {
	resource.type == "AWS::SQS::Queue"
	resource.properties.KmsMasterKeyId
}

encrypted(resource) if {
	resource.type == "AWS::S3::Bucket"
	count(resource.properties.BucketEncryption.ServerSideEncryptionConfiguration) > 0
}
