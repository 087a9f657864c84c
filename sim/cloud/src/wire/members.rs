//! The members that each operation's request may have, as the published service models list them.

use super::json::{Json, ShapeError};

/// Refuses members that the operation does not have.
pub fn check_members(operation: &str, json: &Json<'_>) -> Result<(), ShapeError> {
    match MEMBERS.binary_search_by_key(&operation, |(name, _)| name) {
        Ok(index) => json.only(MEMBERS[index].1),
        Err(_) => Ok(()),
    }
}

/// By operation, in alphabetical order.
const MEMBERS: &[(&str, &[&str])] = &[
    ("BatchGetItem", &["RequestItems", "ReturnConsumedCapacity"]),
    ("BatchWriteItem", &["RequestItems", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"]),
    (
        "CreateTable",
        &[
            "AttributeDefinitions",
            "BillingMode",
            "DeletionProtectionEnabled",
            "GlobalSecondaryIndexes",
            "GlobalTableSettingsReplicationMode",
            "GlobalTableSourceArn",
            "KeySchema",
            "LocalSecondaryIndexes",
            "OnDemandThroughput",
            "ProvisionedThroughput",
            "ResourcePolicy",
            "SSESpecification",
            "StreamSpecification",
            "TableClass",
            "TableName",
            "Tags",
            "VectorIndexes",
            "WarmThroughput",
        ],
    ),
    (
        "DeleteItem",
        &[
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "Key",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
            "TableName",
        ],
    ),
    ("DeleteResourcePolicy", &["ExpectedRevisionId", "ResourceArn"]),
    ("DeleteTable", &["TableName"]),
    ("DescribeContinuousBackups", &["TableName"]),
    ("DescribeEndpoints", &[]),
    ("DescribeLimits", &[]),
    ("DescribeStream", &["ExclusiveStartShardId", "Limit", "ShardFilter", "StreamArn"]),
    ("DescribeTable", &["TableName"]),
    ("DescribeTimeToLive", &["TableName"]),
    (
        "GetItem",
        &[
            "AttributesToGet",
            "ConsistentRead",
            "ExpressionAttributeNames",
            "Key",
            "ProjectionExpression",
            "ReturnConsumedCapacity",
            "TableName",
        ],
    ),
    ("GetRecords", &["Limit", "ShardIterator"]),
    ("GetResourcePolicy", &["ResourceArn"]),
    ("GetShardIterator", &["SequenceNumber", "ShardId", "ShardIteratorType", "StreamArn", "Timestamp"]),
    ("ListStreams", &["ExclusiveStartStreamArn", "Limit", "TableName"]),
    ("ListTables", &["ExclusiveStartTableName", "Limit"]),
    ("ListTagsOfResource", &["NextToken", "ResourceArn"]),
    (
        "PutItem",
        &[
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "Item",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
            "TableName",
        ],
    ),
    ("PutResourcePolicy", &["ConfirmRemoveSelfResourceAccess", "ExpectedRevisionId", "Policy", "ResourceArn"]),
    (
        "Query",
        &[
            "AttributesToGet",
            "ConditionalOperator",
            "ConsistentRead",
            "ExclusiveStartKey",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "FilterExpression",
            "IndexName",
            "KeyConditionExpression",
            "KeyConditions",
            "Limit",
            "ProjectionExpression",
            "QueryFilter",
            "ReturnConsumedCapacity",
            "ScanIndexForward",
            "Select",
            "TableName",
        ],
    ),
    (
        "Scan",
        &[
            "AttributesToGet",
            "ConditionalOperator",
            "ConsistentRead",
            "ExclusiveStartKey",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "FilterExpression",
            "IndexName",
            "Limit",
            "ProjectionExpression",
            "ReturnConsumedCapacity",
            "ScanFilter",
            "Segment",
            "Select",
            "TableName",
            "TotalSegments",
        ],
    ),
    ("TagResource", &["ResourceArn", "Tags"]),
    ("TransactGetItems", &["ReturnConsumedCapacity", "TransactItems"]),
    (
        "TransactWriteItems",
        &["ClientRequestToken", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "TransactItems"],
    ),
    ("UntagResource", &["ResourceArn", "TagKeys"]),
    (
        "UpdateItem",
        &[
            "AttributeUpdates",
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "Key",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
            "TableName",
            "UpdateExpression",
        ],
    ),
    (
        "UpdateTable",
        &[
            "AttributeDefinitions",
            "BillingMode",
            "DeletionProtectionEnabled",
            "DisassociationProtectionEnabled",
            "GlobalSecondaryIndexUpdates",
            "GlobalTableSettingsReplicationMode",
            "GlobalTableWitnessUpdates",
            "MultiRegionConsistency",
            "OnDemandThroughput",
            "ProvisionedThroughput",
            "ReplicaUpdates",
            "SSESpecification",
            "StreamSpecification",
            "TableClass",
            "TableName",
            "VectorIndexUpdates",
            "WarmThroughput",
        ],
    ),
    ("UpdateTimeToLive", &["TableName", "TimeToLiveSpecification"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_members_are_refused() {
        assert!(MEMBERS.is_sorted_by_key(|(name, _)| *name));
        let json = Json::parse(br#"{"TableName":"t","Key":{},"ConsistentReads":true}"#).unwrap();
        assert_eq!(check_members("GetItem", &json).unwrap_err().message, "Unexpected member: ConsistentReads");
        let json = Json::parse(br#"{"TableName":"t","Key":{},"ConsistentRead":true}"#).unwrap();
        assert_eq!(check_members("GetItem", &json), Ok(()));
    }
}
