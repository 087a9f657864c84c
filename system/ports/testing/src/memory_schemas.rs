//! A schema registry in memory: a map of schemas, a script of what becomes of each call, and a judgement that takes its
//! time or goes wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_ports::{
    AlreadyThere, BoxFuture, Contended, DefinedVersion, NotSent, ReadFailure, Rejected, SchemaDraft, SchemaRefused,
    SchemaRegistry, SchemaTraits, SchemaVersion, SchemaVersionPage, SchemaVersionStatus, SchemaVersionWithDefinition,
    Throttled, UnknownOutcome, WriteFailure,
};

/// What becomes of one call. Without a script every call gets [`RegistryFate::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryFate {
    Answered,
    /// Done and answered, after this time.
    AnsweredAfter(Duration),
    /// Done; the answer is lost.
    AnswerLost,
    /// Not done; no answer.
    RequestLost,
    /// Never answers and is not done.
    Hangs,
    /// For a write; a read takes it as [`RegistryFate::Throttled`].
    Contended,
    Throttled,
    NotSent,
    Rejected,
}

/// How a version that is registered from now on is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Good at once.
    Good,
    /// Pending for so many reads of it, then good.
    GoodAfter { reads: u32 },
    /// Pending for ever.
    Never,
    /// Refused at once.
    Bad,
    /// Pending for so many reads of it, then refused.
    BadAfter { reads: u32 },
}

/// What was asked of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegistryOperation {
    CreateRegistry,
    CreateSchema,
    ReadSchema,
    Register,
    ById,
    ByNumber,
    ByDefinition,
    List,
}

/// A registry in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemorySchemaRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    exists: bool,
    schemas: BTreeMap<String, Schema>,
    fates: VecDeque<RegistryFate>,
    standing_fate: Option<RegistryFate>,
    judgement: Option<Judgement>,
    page_versions_max: Option<usize>,
    calls: Vec<RegistryOperation>,
}

struct Schema {
    traits: SchemaTraits,
    versions: Vec<Version>,
}

struct Version {
    id: String,
    definition: String,
    judgement: Judgement,
    /// Set behind the registry's back: goes before the judgement.
    fixed: Option<SchemaVersionStatus>,
}

impl Version {
    fn status(&self) -> SchemaVersionStatus {
        if let Some(status) = self.fixed {
            return status;
        }
        match self.judgement {
            Judgement::Good | Judgement::GoodAfter { reads: 0 } => SchemaVersionStatus::Available,
            Judgement::Bad | Judgement::BadAfter { reads: 0 } => SchemaVersionStatus::Failure,
            Judgement::GoodAfter { .. } | Judgement::BadAfter { .. } | Judgement::Never => SchemaVersionStatus::Pending,
        }
    }

    /// Its status for this read; time passes with reads.
    fn read(&mut self) -> SchemaVersionStatus {
        let status = self.status();
        if let Judgement::GoodAfter { reads } | Judgement::BadAfter { reads } = &mut self.judgement {
            *reads = reads.saturating_sub(1);
        }
        status
    }
}

impl MemorySchemaRegistry {
    /// Fates of the next calls, in order; after them all are [`RegistryFate::Answered`].
    pub fn script(&self, fates: impl IntoIterator<Item = RegistryFate>) {
        self.with(|state| state.fates.extend(fates));
    }

    /// Fate of all calls for which none is scripted; `None` for none but the usual one.
    pub fn stay(&self, fate: Option<RegistryFate>) {
        self.with(|state| state.standing_fate = fate);
    }

    /// How versions registered from now on are judged; at first they are good at once.
    pub fn judge(&self, judgement: Judgement) {
        self.with(|state| state.judgement = Some(judgement));
    }

    /// Splits lists into pages of so many versions.
    pub fn page_by(&self, versions_max: usize) {
        self.with(|state| state.page_versions_max = Some(versions_max));
    }

    /// Puts a version there, with its schema and the registry where they are missing, as if it had been there always.
    pub fn put(&self, schema: &str, definition: &str, status: SchemaVersionStatus) {
        self.with(|state| {
            state.exists = true;
            let traits = SchemaTraits {
                data_format: "JSON".to_owned(),
                compatibility: Some(nexus_ports::SchemaCompatibility::Backward),
            };
            let standing =
                state.schemas.entry(schema.to_owned()).or_insert_with(|| Schema { traits, versions: Vec::new() });
            let version = standing.add(schema, definition, Judgement::Never);
            version.fixed = Some(status);
        });
    }

    /// Changes what a schema was made to be.
    pub fn set_traits(&self, schema: &str, traits: SchemaTraits) {
        self.with(|state| {
            if let Some(standing) = state.schemas.get_mut(schema) {
                standing.traits = traits;
            }
        });
    }

    /// Removes a schema with all its versions.
    pub fn remove(&self, schema: &str) {
        self.with(|state| state.schemas.remove(schema));
    }

    /// Each schema with the status of each of its versions.
    pub fn standing(&self) -> BTreeMap<String, Vec<SchemaVersionStatus>> {
        self.with(|state| {
            let of = |schema: &Schema| schema.versions.iter().map(Version::status).collect();
            state.schemas.iter().map(|(name, schema)| (name.clone(), of(schema))).collect()
        })
    }

    /// Every call, whatever became of it.
    pub fn calls(&self) -> Vec<RegistryOperation> {
        self.with(|state| state.calls.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fate(&self, operation: RegistryOperation) -> RegistryFate {
        self.with(|state| {
            state.calls.push(operation);
            state.fates.pop_front().or(state.standing_fate).unwrap_or(RegistryFate::Answered)
        })
    }

    async fn write<T, R: std::error::Error>(
        &self,
        operation: RegistryOperation,
        apply: impl FnOnce(&mut State) -> Result<T, R> + Send,
    ) -> Result<T, WriteFailure<R>> {
        let reason = || "scripted".to_owned();
        let unknown = || WriteFailure::Unknown(UnknownOutcome { reason: reason() });
        match self.fate(operation) {
            RegistryFate::Answered => self.with(apply).map_err(WriteFailure::Refused),
            RegistryFate::AnsweredAfter(wait) => {
                tokio::time::sleep(wait).await;
                self.with(apply).map_err(WriteFailure::Refused)
            }
            RegistryFate::AnswerLost => {
                // Nobody hears whether it was refused.
                let _ = self.with(apply);
                Err(unknown())
            }
            RegistryFate::RequestLost => Err(unknown()),
            RegistryFate::Hangs => std::future::pending().await,
            RegistryFate::Contended => Err(WriteFailure::Contended(Contended)),
            RegistryFate::Throttled => Err(WriteFailure::Throttled(Throttled { code: reason() })),
            RegistryFate::NotSent => Err(WriteFailure::NotSent(NotSent { reason: reason() })),
            RegistryFate::Rejected => {
                Err(WriteFailure::Rejected(Rejected { code: "ScriptedException".to_owned(), message: reason() }))
            }
        }
    }

    async fn read<T>(
        &self,
        operation: RegistryOperation,
        read: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, ReadFailure> {
        let reason = || "scripted".to_owned();
        match self.fate(operation) {
            RegistryFate::Answered => Ok(self.with(read)),
            RegistryFate::AnsweredAfter(wait) => {
                tokio::time::sleep(wait).await;
                Ok(self.with(read))
            }
            RegistryFate::AnswerLost | RegistryFate::RequestLost => {
                Err(ReadFailure::NoAnswer(UnknownOutcome { reason: reason() }))
            }
            RegistryFate::Hangs => std::future::pending().await,
            RegistryFate::Contended | RegistryFate::Throttled => {
                Err(ReadFailure::Throttled(Throttled { code: reason() }))
            }
            RegistryFate::NotSent => Err(ReadFailure::NotSent(NotSent { reason: reason() })),
            RegistryFate::Rejected => {
                Err(ReadFailure::Rejected(Rejected { code: "ScriptedException".to_owned(), message: reason() }))
            }
        }
    }
}

impl State {
    fn judgement(&self) -> Judgement {
        self.judgement.unwrap_or(Judgement::Good)
    }

    fn create(&mut self, draft: &SchemaDraft) -> Result<SchemaVersion, SchemaRefused> {
        if !self.exists {
            return Err(SchemaRefused::NoSuchSchema);
        }
        if self.schemas.contains_key(&draft.schema) {
            return Err(SchemaRefused::AlreadyThere);
        }
        let judgement = self.judgement();
        let traits = SchemaTraits { data_format: "JSON".to_owned(), compatibility: Some(draft.compatibility) };
        let mut schema = Schema { traits, versions: Vec::new() };
        schema.add(&draft.schema, &draft.definition, judgement);
        let created = schema.told(0);
        self.schemas.insert(draft.schema.clone(), schema);
        Ok(created)
    }

    fn register(&mut self, name: &str, definition: &str) -> Result<SchemaVersion, SchemaRefused> {
        let judgement = self.judgement();
        let schema = self.schemas.get_mut(name).ok_or(SchemaRefused::NoSuchSchema)?;
        let standing = schema.versions.iter().position(|version| version.definition == definition);
        let index = standing.unwrap_or_else(|| {
            schema.add(name, definition, judgement);
            schema.versions.len() - 1
        });
        Ok(schema.told(index))
    }

    fn page(&self, name: &str, page: Option<&str>) -> Option<SchemaVersionPage> {
        let schema = self.schemas.get(name)?;
        let from = page.and_then(|page| page.parse::<usize>().ok()).unwrap_or_default();
        let versions_max = self.page_versions_max.unwrap_or(usize::MAX);
        let until = from.saturating_add(versions_max).min(schema.versions.len());
        let versions = (from..until).map(|index| schema.told(index)).collect();
        Some(SchemaVersionPage { versions, next_page: (until < schema.versions.len()).then(|| until.to_string()) })
    }
}

impl Schema {
    fn add(&mut self, name: &str, definition: &str, judgement: Judgement) -> &mut Version {
        let id = format!("{name}/{}", self.versions.len() + 1);
        self.versions.push(Version { id, definition: definition.to_owned(), judgement, fixed: None });
        let last = self.versions.len() - 1;
        &mut self.versions[last]
    }

    fn told(&self, index: usize) -> SchemaVersion {
        let version = &self.versions[index];
        SchemaVersion { id: version.id.clone(), number: index as u64 + 1, status: version.status() }
    }

    fn told_whole(&mut self, index: usize) -> Option<SchemaVersionWithDefinition> {
        let version = self.versions.get_mut(index)?;
        let (status, definition) = (version.read(), version.definition.clone());
        Some(SchemaVersionWithDefinition { version: SchemaVersion { status, ..self.told(index) }, definition })
    }
}

impl SchemaRegistry for MemorySchemaRegistry {
    fn create_registry(&self) -> BoxFuture<'_, Result<(), WriteFailure<AlreadyThere>>> {
        Box::pin(self.write(RegistryOperation::CreateRegistry, move |state| {
            let was_there = std::mem::replace(&mut state.exists, true);
            if was_there { Err(AlreadyThere) } else { Ok(()) }
        }))
    }

    fn create_schema<'a>(
        &'a self,
        draft: &'a SchemaDraft,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>> {
        Box::pin(self.write(RegistryOperation::CreateSchema, move |state| state.create(draft)))
    }

    fn schema<'a>(&'a self, schema: &'a str) -> BoxFuture<'a, Result<Option<SchemaTraits>, ReadFailure>> {
        Box::pin(self.read(RegistryOperation::ReadSchema, move |state| {
            state.schemas.get(schema).map(|standing| standing.traits.clone())
        }))
    }

    fn register_version<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>> {
        Box::pin(self.write(RegistryOperation::Register, move |state| state.register(schema, definition)))
    }

    fn version_by_id<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>> {
        Box::pin(self.read(RegistryOperation::ById, move |state| {
            state.schemas.values_mut().find_map(|schema| {
                let index = schema.versions.iter().position(|version| version.id == id)?;
                schema.told_whole(index)
            })
        }))
    }

    fn version_by_number<'a>(
        &'a self,
        schema: &'a str,
        number: u64,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>> {
        Box::pin(self.read(RegistryOperation::ByNumber, move |state| {
            let index = usize::try_from(number.checked_sub(1)?).ok()?;
            state.schemas.get_mut(schema)?.told_whole(index)
        }))
    }

    fn version_by_definition<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<Option<DefinedVersion>, ReadFailure>> {
        Box::pin(self.read(RegistryOperation::ByDefinition, move |state| {
            let versions = &mut state.schemas.get_mut(schema)?.versions;
            let version = versions.iter_mut().find(|version| version.definition == definition)?;
            Some(DefinedVersion { id: version.id.clone(), status: version.read() })
        }))
    }

    fn versions<'a>(
        &'a self,
        schema: &'a str,
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionPage>, ReadFailure>> {
        Box::pin(self.read(RegistryOperation::List, move |state| state.page(schema, page)))
    }
}
