//! Versions: registered, judged later, found, compared, deleted.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Address, Alarm, Glue,
    compatibility::{self, Mode},
    definition::{self, DataFormat},
    errors::{invalid, wrong_characters, wrong_length},
    input::Input,
    listing::Page,
    model::{Schema, Version, time_text},
    naming::{Number, SchemaRef, VersionRef},
};
use crate::{
    interface::{Quirk, SchemaVersionStatus, SchemaVersionStep},
    latency::{lognormal_of_two_ms, nanoseconds},
    service::{ServiceContext, ServiceError},
    sqs::message::unique_id,
};

type Outcome = Result<Value, ServiceError>;

const MAX_DEFINITION: usize = 170_000;
const MAX_ERROR: usize = 5_000;

/// A definition whose syntax is sound.
pub struct Draft {
    text: Arc<str>,
    hash: [u8; 32],
}

impl Draft {
    pub fn read(format: DataFormat, text: &str) -> Result<Self, ServiceError> {
        let hash = examine(format, text)?.map_err(|reason| {
            invalid(format!("Schema definition of {} data format is invalid: {reason}", format.name()))
        })?;
        Ok(Self { text: text.into(), hash })
    }
}

/// The hash of a definition, or what is wrong with its syntax.
///
/// # Errors
/// If the text is no definition of any format: empty or too long.
pub fn examine(format: DataFormat, text: &str) -> Result<Result<[u8; 32], String>, ServiceError> {
    if text.is_empty() || text.chars().count() > MAX_DEFINITION {
        return Err(wrong_length("SchemaDefinition"));
    }
    let checked = definition::examine(format, text);
    Ok(checked.map_err(|reason| reason.chars().take(MAX_ERROR).collect()))
}

/// When a version is judged.
enum Judged {
    Now,
    After(Duration),
    /// Like other versions, only that those to come do not wait for it.
    LaterAndApart(Duration),
    Never,
}

impl Version {
    /// Changes its status, which the journal notes.
    pub fn change(
        &mut self,
        context: &mut ServiceContext<'_>,
        registry: &str,
        schema: &str,
        status: SchemaVersionStatus,
    ) {
        if self.status != status {
            self.status = status;
            self.note(context, registry, schema, "".into());
        }
    }

    fn note(&self, context: &mut ServiceContext<'_>, registry: &str, schema: &str, definition: Arc<str>) {
        context.note_schema_version(SchemaVersionStep {
            at: context.now,
            call_sequence: context.call_sequence,
            registry: registry.to_owned(),
            schema: schema.to_owned(),
            version_id: self.id.clone(),
            number: self.number,
            status: self.status,
            definition,
            note: self.failure.clone(),
        });
    }
}

impl Glue {
    pub(super) fn register_schema_version(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        let text = input.required_text("SchemaDefinition")?;
        let (registry, schema) = self.live_schema(named)?;
        if schema.mode == Mode::Disabled && schema.numbers_given > 0 {
            return Err(named.disabled());
        }
        let draft = Draft::read(schema.format, text)?;
        if let Some(existing) = schema.with_hash(draft.hash) {
            return Ok(show_registered(existing));
        }
        self.check_limit("schema versions", self.versions_held(), 1)?;
        let (registry, schema) = (registry.to_owned(), schema.name.clone());
        let id = self.add_version(context, &registry, &schema, draft)?;
        self.version(VersionRef::Id(&id)).map(|(.., version)| show_registered(version))
    }

    /// Adds a version and lets it be judged in its time; gives its id.
    pub(super) fn add_version(
        &mut self,
        context: &mut ServiceContext<'_>,
        registry: &str,
        name: &str,
        draft: Draft,
    ) -> Result<String, ServiceError> {
        let id = unique_id(context.entropy, "glue-version", &format!("{registry}/{name}"));
        let named = SchemaRef { arn: None, registry: Some(registry), schema: Some(name) };
        let (_, schema) = self.live_schema_mut(named)?;
        schema.numbers_given += 1;
        let version = Version {
            id: id.clone(),
            number: schema.numbers_given,
            definition: Arc::clone(&draft.text),
            hash: draft.hash,
            status: SchemaVersionStatus::Pending,
            created_at: context.now,
            is_doomed: context.quirks.contains(&Quirk::FailVersion),
            failure: String::new(),
            metadata: Vec::new(),
        };
        version.note(context, registry, name, draft.text);
        let number = version.number;
        schema.versions.insert(number, version);
        let judged = judged(context, schema, registry);
        if let Judged::After(wait) = judged {
            schema.judged_until = context.now.plus(wait);
        }
        self.addresses.insert(id.clone(), Address { registry: registry.to_owned(), schema: name.to_owned(), number });
        match judged {
            Judged::Now => self.judge(context, &id),
            Judged::After(wait) | Judged::LaterAndApart(wait) => {
                self.set_alarm(context, wait, Alarm::Judge { version_id: id.clone() });
            }
            Judged::Never => {}
        }
        Ok(id)
    }

    /// A version that is PENDING becomes AVAILABLE or FAILURE.
    pub(super) fn judge(&mut self, context: &mut ServiceContext<'_>, id: &str) {
        let Some((registry, schema, version)) = self.version_with_id(id) else { return };
        if version.status != SchemaVersionStatus::Pending {
            return;
        }
        let is_held_to_mode = schema.format != DataFormat::Json || context.assumptions.glue_json_compatibility_enforced;
        let verdict = match (version.is_doomed, is_held_to_mode) {
            (true, _) => Err("an injected fault".to_owned()),
            (false, true) => compatibility::judge(schema, version.number),
            (false, false) => Ok(()),
        };
        let (registry, schema, number) = (registry.to_owned(), schema.name.clone(), version.number);
        let found = self.registries.get_mut(&registry).and_then(|found| found.schemas.get_mut(&schema));
        let Some(version) = found.and_then(|found| found.versions.get_mut(&number)) else { return };
        let status = match verdict {
            Ok(()) => SchemaVersionStatus::Available,
            Err(reason) => {
                version.failure = reason;
                SchemaVersionStatus::Failure
            }
        };
        version.change(context, &registry, &schema, status);
    }

    /// What an operator does about versions that stay PENDING: they are judged now, in the order of their schemas and numbers.
    pub(super) fn release_pending_versions(&mut self, context: &mut ServiceContext<'_>) -> Value {
        let versions = self.registries.values().flat_map(|registry| registry.schemas.values());
        let versions = versions.flat_map(|schema| schema.versions.values());
        let pending: Vec<String> = versions
            .filter(|version| version.status == SchemaVersionStatus::Pending)
            .map(|version| version.id.clone())
            .collect();
        for id in &pending {
            self.judge(context, id);
        }
        json!({"SchemaVersionIds": pending})
    }

    pub(super) fn get_schema_version(&self, input: &Input<'_>) -> Outcome {
        let (registry, schema, version) = self.version(VersionRef::read(input)?)?;
        Ok(json!({
            "SchemaVersionId": version.id,
            "SchemaDefinition": *version.definition,
            "DataFormat": schema.format.name(),
            "SchemaArn": self.schema_arn(registry, &schema.name),
            "VersionNumber": version.number,
            "Status": version.status.name(),
            "CreatedTime": time_text(version.created_at),
        }))
    }

    pub(super) fn get_schema_by_definition(&self, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        let text = input.required_text("SchemaDefinition")?;
        let (registry, schema) = self.live_schema(named)?;
        let draft = Draft::read(schema.format, text)?;
        let version = schema.with_hash(draft.hash).ok_or_else(|| named.not_found())?;
        Ok(json!({
            "SchemaVersionId": version.id,
            "SchemaArn": self.schema_arn(registry, &schema.name),
            "DataFormat": schema.format.name(),
            "Status": version.status.name(),
            "CreatedTime": time_text(version.created_at),
        }))
    }

    pub(super) fn list_schema_versions(&self, input: &Input<'_>) -> Outcome {
        let page = Page::read(input, "versions", 100)?;
        let (registry, schema) = self.schema(SchemaRef::read(input)?)?;
        let arn = self.schema_arn(registry, &schema.name);
        let shown = schema.versions.values().map(|version| {
            let item = json!({
                "SchemaArn": arn,
                "SchemaVersionId": version.id,
                "VersionNumber": version.number,
                "Status": version.status.name(),
                "CreatedTime": time_text(version.created_at),
            });
            (format!("{:020}", version.number), item)
        });
        Ok(page.cut("Schemas", shown))
    }

    pub(super) fn get_schema_versions_diff(&self, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        if input.required_text("SchemaDiffType")? != "SYNTAX_DIFF" {
            return Err(invalid("Schema diff type is not valid."));
        }
        let (_, schema) = self.live_schema(named)?;
        let version = |member: &str| {
            input.required_structure(member, &["LatestVersion", "VersionNumber"])?;
            let number = Number::read(input, member)?;
            number.ok_or_else(|| invalid("One of version number (or) latest version is required."))?.of(schema, named)
        };
        let (first, second) = (version("FirstSchemaVersionNumber")?, version("SecondSchemaVersionNumber")?);
        Ok(json!({"Diff": definition::difference(&first.definition, &second.definition)}))
    }

    /// The first version and the checkpoint stay. That the mode may need others too is said of the service, not which.
    pub(super) fn delete_schema_versions(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        let (first, last) = read_range(input.required_text("Versions")?)?;
        let (registry, schema) = self.live_schema_mut(named)?;
        if first <= 1 {
            return Err(invalid("The first schema version can only be deleted with its schema."));
        }
        if (first..=last).contains(&schema.checkpoint) {
            let checkpoint = schema.checkpoint;
            return Err(invalid(format!("Version {checkpoint} is the checkpoint and cannot be deleted.")));
        }
        let mut errors = Vec::new();
        let mut ids = Vec::new();
        for number in first..=last {
            match schema.versions.get_mut(&number) {
                Some(version) => {
                    version.change(context, &registry, &schema.name, SchemaVersionStatus::Deleting);
                    ids.push(version.id.clone());
                }
                None => errors.push(json!({
                    "VersionNumber": number,
                    "ErrorDetails": {
                        "ErrorCode": "EntityNotFoundException",
                        "ErrorMessage": format!("Schema version is not found. VersionNumber: {number}"),
                    },
                })),
            }
        }
        self.set_alarm(context, self.deletion_time(context), Alarm::RemoveVersions { ids });
        Ok(json!({"SchemaVersionErrors": errors}))
    }
}

fn show_registered(version: &Version) -> Value {
    json!({"SchemaVersionId": version.id, "VersionNumber": version.number, "Status": version.status.name()})
}

/// The first version of a schema, and what is set up without a network, is judged at once.
fn judged(context: &mut ServiceContext<'_>, schema: &Schema, registry: &str) -> Judged {
    for quirk in context.quirks {
        if let Quirk::StayPending { release_after_ms } = quirk {
            let after = release_after_ms.map(Duration::from_millis);
            return after.map_or(Judged::Never, Judged::LaterAndApart);
        }
    }
    if schema.numbers_given == 1 || context.call_sequence == 0 {
        return Judged::Now;
    }
    let (p50_ms, p99_ms) = (context.assumptions.glue_pending_p50_ms, context.assumptions.glue_pending_p99_ms);
    if p50_ms <= 0.0 {
        return Judged::Now;
    }
    let fraction = context.entropy.next_fraction("glue-pending", &format!("{registry}/{}", schema.name));
    let wait = nanoseconds(lognormal_of_two_ms(p50_ms, p99_ms, fraction));
    Judged::After(wait.max(schema.judged_until.since(context.now)))
}

/// `5`, or `5-8`.
fn read_range(text: &str) -> Result<(u64, u64), ServiceError> {
    let number = |text: &str| {
        let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_number && *number <= 100_000)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(wrong_characters("versions")) };
    if first > last {
        return Err(invalid("The range of versions ends before it begins."));
    }
    Ok((first, last))
}
