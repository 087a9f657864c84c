//! Which operations there are: their members, and where each is carried out.

use serde_json::Value;

use super::{Glue, input::Input};
use crate::service::{ServiceContext, ServiceError};

#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub is_write: bool,
    /// The service's model lists ConcurrentModificationException for it.
    pub can_conflict: bool,
    members: &'static [&'static str],
}

const fn read(name: &'static str, members: &'static [&'static str]) -> Operation {
    Operation { name, is_write: false, can_conflict: false, members }
}

const fn change(name: &'static str, members: &'static [&'static str]) -> Operation {
    Operation { name, is_write: true, can_conflict: true, members }
}

const fn annotate(name: &'static str, members: &'static [&'static str]) -> Operation {
    Operation { name, is_write: true, can_conflict: false, members }
}

const OF_VERSION: &[&str] = &["SchemaId", "SchemaVersionNumber", "SchemaVersionId", "MetadataKeyValue"];

/// In the order of their names.
static OPERATIONS: &[Operation] = &[
    read("CheckSchemaVersionValidity", &["DataFormat", "SchemaDefinition"]),
    change("CreateRegistry", &["RegistryName", "Description", "Tags"]),
    change(
        "CreateSchema",
        &["RegistryId", "SchemaName", "DataFormat", "Compatibility", "Description", "Tags", "SchemaDefinition"],
    ),
    change("DeleteRegistry", &["RegistryId"]),
    change("DeleteSchema", &["SchemaId"]),
    change("DeleteSchemaVersions", &["SchemaId", "Versions"]),
    read("GetRegistry", &["RegistryId"]),
    read("GetSchema", &["SchemaId"]),
    read("GetSchemaByDefinition", &["SchemaId", "SchemaDefinition"]),
    read("GetSchemaVersion", &["SchemaId", "SchemaVersionId", "SchemaVersionNumber"]),
    read(
        "GetSchemaVersionsDiff",
        &["SchemaId", "FirstSchemaVersionNumber", "SecondSchemaVersionNumber", "SchemaDiffType"],
    ),
    read("GetTags", &["ResourceArn"]),
    read("ListRegistries", &["MaxResults", "NextToken"]),
    read("ListSchemaVersions", &["SchemaId", "MaxResults", "NextToken"]),
    read("ListSchemas", &["RegistryId", "MaxResults", "NextToken"]),
    annotate("PutSchemaVersionMetadata", OF_VERSION),
    read(
        "QuerySchemaVersionMetadata",
        &["SchemaId", "SchemaVersionNumber", "SchemaVersionId", "MetadataList", "MaxResults", "NextToken"],
    ),
    change("RegisterSchemaVersion", &["SchemaId", "SchemaDefinition"]),
    annotate("RemoveSchemaVersionMetadata", OF_VERSION),
    annotate("TagResource", &["ResourceArn", "TagsToAdd"]),
    annotate("UntagResource", &["ResourceArn", "TagsToRemove"]),
    change("UpdateRegistry", &["RegistryId", "Description"]),
    change("UpdateSchema", &["SchemaId", "SchemaVersionNumber", "Compatibility", "Description"]),
];

impl Operation {
    pub fn find(name: &str) -> Option<&'static Self> {
        let place = OPERATIONS.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        OPERATIONS.get(place)
    }
}

impl Glue {
    pub(super) fn run(
        &mut self,
        context: &mut ServiceContext<'_>,
        operation: &Operation,
        request: &Value,
    ) -> Result<Value, ServiceError> {
        let input = &Input::new(request, operation.members, context.assumptions.unknown_members_refused)?;
        match operation.name {
            "CreateRegistry" => self.create_registry(context, input),
            "GetRegistry" => self.get_registry(input),
            "ListRegistries" => self.list_registries(input),
            "UpdateRegistry" => self.update_registry(context, input),
            "DeleteRegistry" => self.delete_registry(context, input),
            "CreateSchema" => self.create_schema(context, input),
            "GetSchema" => self.get_schema(input),
            "ListSchemas" => self.list_schemas(input),
            "UpdateSchema" => self.update_schema(context, input),
            "DeleteSchema" => self.delete_schema(context, input),
            "RegisterSchemaVersion" => self.register_schema_version(context, input),
            "GetSchemaVersion" => self.get_schema_version(input),
            "GetSchemaByDefinition" => self.get_schema_by_definition(input),
            "ListSchemaVersions" => self.list_schema_versions(input),
            "CheckSchemaVersionValidity" => self.check_schema_version_validity(input),
            "GetSchemaVersionsDiff" => self.get_schema_versions_diff(input),
            "DeleteSchemaVersions" => self.delete_schema_versions(context, input),
            "PutSchemaVersionMetadata" => self.put_schema_version_metadata(context, input),
            "QuerySchemaVersionMetadata" => self.query_schema_version_metadata(input),
            "RemoveSchemaVersionMetadata" => self.remove_schema_version_metadata(input),
            "TagResource" => self.tag_resource(input),
            "UntagResource" => self.untag_resource(input),
            "GetTags" => self.get_tags(input),
            other => Err(ServiceError::client("UnknownOperationException", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name() {
        for operation in OPERATIONS {
            assert_eq!(Operation::find(operation.name).map(|found| found.members), Some(operation.members));
        }
        assert!(Operation::find("GetTable").is_none());
    }
}
