//! [`SchemaRegistry`] on Glue.

use aws_sdk_glue::{
    Client,
    types::{DataFormat, RegistryId, SchemaId, SchemaVersionNumber},
};
use nexus_aws::{AwsConfig, ClientParts, sdk_config};
use nexus_ports::{
    AlreadyThere, BoxFuture, DefinedVersion, Platform, ReadFailure, SchemaDraft, SchemaRefused, SchemaRegistry,
    SchemaTraits, SchemaVersion, SchemaVersionPage, SchemaVersionWithDefinition, UnknownOutcome, UnreadableRecord,
    WriteFailure,
};

use crate::outcomes::{
    Obstacle, absent_or_failure, glue_compatibility, known_compatibility, known_status, required, version,
    write_failure,
};

/// Versions asked for in one page: Glue gives at most 100.
const PAGE_VERSIONS: i32 = 100;

/// One registry of Glue's, by its name.
#[derive(Clone, Debug)]
pub struct GlueRegistry {
    client: Client,
    registry: String,
}

impl GlueRegistry {
    /// Where the region's public endpoint is not meant, `config` names Glue's own.
    pub fn new(platform: &Platform, config: &AwsConfig, registry: impl Into<String>) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_glue, ClientParts::new(platform, config)));
        Self { client, registry: registry.into() }
    }

    fn schema_id(&self, schema: &str) -> SchemaId {
        SchemaId::builder().registry_name(&self.registry).schema_name(schema).build()
    }

    async fn create(&self, draft: &SchemaDraft) -> Result<SchemaVersion, WriteFailure<SchemaRefused>> {
        let call = self.client.create_schema();
        let call = call
            .registry_id(RegistryId::builder().registry_name(&self.registry).build())
            .schema_name(&draft.schema)
            .data_format(DataFormat::Json)
            .compatibility(glue_compatibility(draft.compatibility))
            .schema_definition(&draft.definition);
        let answer = call.send().await.map_err(|error| write_failure(&error, |obstacle| Some(refused(obstacle))))?;
        let status = answer.schema_version_status.as_ref();
        version(&draft.schema, answer.schema_version_id, answer.latest_schema_version, status).map_err(unusable)
    }

    async fn register(&self, schema: &str, definition: &str) -> Result<SchemaVersion, WriteFailure<SchemaRefused>> {
        let call = self.client.register_schema_version().schema_id(self.schema_id(schema));
        let answer = call.schema_definition(definition).send().await;
        let answer = answer.map_err(|error| {
            write_failure(&error, |obstacle| Some(refused(obstacle)).filter(|_| obstacle == Obstacle::NotFound))
        })?;
        version(schema, answer.schema_version_id, answer.version_number, answer.status.as_ref()).map_err(unusable)
    }

    async fn traits(&self, schema: &str) -> Result<Option<SchemaTraits>, ReadFailure> {
        let answer = match self.client.get_schema().schema_id(self.schema_id(schema)).send().await {
            Ok(answer) => answer,
            Err(error) => return absent_or_failure(&error),
        };
        let data_format = required(schema, "DataFormat", answer.data_format)?;
        let compatibility = answer.compatibility.as_ref().and_then(known_compatibility);
        Ok(Some(SchemaTraits { data_format: data_format.as_str().to_owned(), compatibility }))
    }

    async fn by_id_or_number(
        &self,
        what: String,
        id: Option<&str>,
        place: Option<(&str, u64)>,
    ) -> Result<Option<SchemaVersionWithDefinition>, ReadFailure> {
        let number = |number| {
            // A number that Glue cannot hold is one that it does not have.
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            SchemaVersionNumber::builder().version_number(number).build()
        };
        let call = self.client.get_schema_version().set_schema_version_id(id.map(str::to_owned));
        let call = call.set_schema_id(place.map(|(schema, _)| self.schema_id(schema)));
        let answer = match call.set_schema_version_number(place.map(|(_, place)| number(place))).send().await {
            Ok(answer) => answer,
            Err(error) => return absent_or_failure(&error),
        };
        let version = version(&what, answer.schema_version_id, answer.version_number, answer.status.as_ref())?;
        let definition = required(&what, "SchemaDefinition", answer.schema_definition)?;
        Ok(Some(SchemaVersionWithDefinition { version, definition }))
    }

    async fn by_definition(&self, schema: &str, definition: &str) -> Result<Option<DefinedVersion>, ReadFailure> {
        let call = self.client.get_schema_by_definition().schema_id(self.schema_id(schema));
        let answer = match call.schema_definition(definition).send().await {
            Ok(answer) => answer,
            Err(error) => return absent_or_failure(&error),
        };
        let id = required(schema, "SchemaVersionId", answer.schema_version_id)?;
        let status = required(schema, "Status", answer.status.as_ref().and_then(known_status))?;
        Ok(Some(DefinedVersion { id, status }))
    }

    async fn page(&self, schema: &str, page: Option<&str>) -> Result<Option<SchemaVersionPage>, ReadFailure> {
        let call = self.client.list_schema_versions().schema_id(self.schema_id(schema)).max_results(PAGE_VERSIONS);
        let answer = match call.set_next_token(page.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(error) => return absent_or_failure(&error),
        };
        let listed = answer.schemas.unwrap_or_default().into_iter();
        let versions =
            listed.map(|item| version(schema, item.schema_version_id, item.version_number, item.status.as_ref()));
        let versions = versions.collect::<Result<_, _>>()?;
        Ok(Some(SchemaVersionPage { versions, next_page: answer.next_token.filter(|token| !token.is_empty()) }))
    }
}

fn refused(obstacle: Obstacle) -> SchemaRefused {
    match obstacle {
        Obstacle::NotFound => SchemaRefused::NoSuchSchema,
        Obstacle::AlreadyThere => SchemaRefused::AlreadyThere,
    }
}

/// The write was answered, but not with what an answer must hold: it may well have taken effect.
fn unusable(unreadable: UnreadableRecord) -> WriteFailure<SchemaRefused> {
    WriteFailure::Unknown(UnknownOutcome { reason: unreadable.to_string() })
}

impl SchemaRegistry for GlueRegistry {
    fn create_registry(&self) -> BoxFuture<'_, Result<(), WriteFailure<AlreadyThere>>> {
        Box::pin(async move {
            let call = self.client.create_registry().registry_name(&self.registry);
            let refused = |obstacle| (obstacle == Obstacle::AlreadyThere).then_some(AlreadyThere);
            call.send().await.map(|_| ()).map_err(|error| write_failure(&error, refused))
        })
    }

    fn create_schema<'a>(
        &'a self,
        draft: &'a SchemaDraft,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>> {
        Box::pin(self.create(draft))
    }

    fn schema<'a>(&'a self, schema: &'a str) -> BoxFuture<'a, Result<Option<SchemaTraits>, ReadFailure>> {
        Box::pin(self.traits(schema))
    }

    fn register_version<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>> {
        Box::pin(self.register(schema, definition))
    }

    fn version_by_id<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>> {
        Box::pin(self.by_id_or_number(id.to_owned(), Some(id), None))
    }

    fn version_by_number<'a>(
        &'a self,
        schema: &'a str,
        number: u64,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>> {
        Box::pin(self.by_id_or_number(format!("{schema}/{number}"), None, Some((schema, number))))
    }

    fn version_by_definition<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<Option<DefinedVersion>, ReadFailure>> {
        Box::pin(self.by_definition(schema, definition))
    }

    fn versions<'a>(
        &'a self,
        schema: &'a str,
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionPage>, ReadFailure>> {
        Box::pin(self.page(schema, page))
    }
}
