//! The registry as services see it: answers that are remembered, attempts that are owned, waits that end.

use std::{future::Future, sync::Arc, time::Duration};

use nexus_ports::{
    AlreadyThere, BoxFuture, DefinedVersion, Measurement, MetricSink, MetricUnit, Platform, ReadFailure, SchemaDraft,
    SchemaRefused, SchemaRegistry, SchemaTraits, SchemaVersion, SchemaVersionStatus, SchemaVersionWithDefinition,
    UnknownOutcome, WriteFailure,
};

use super::{
    RegistrySettings, SchemaDefinition,
    cache::{Answer, CacheBounds},
    definition::DefinitionKey,
    flights::Flights,
};

/// The registry gave no answer in all attempts, and nothing that is remembered may stand in for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry gives no answer: {failure}")]
pub struct RegistryUnreachable {
    pub failure: ReadFailure,
}

/// A version did not become AVAILABLE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAvailable {
    /// It never will.
    #[error("version {id} of schema `{schema}` is {status}")]
    Judged { schema: String, id: String, status: SchemaVersionStatus },
    #[error("schema `{schema}` has no usable version after {} s: {last_seen}", .waited.as_secs())]
    NotInTime { schema: String, waited: Duration, last_seen: String },
}

/// A client of one schema registry. It owns all attempts and remembers answers; see [`RegistrySettings`] for how long.
/// Services share one.
pub struct RegistryClient {
    platform: Platform,
    registry: Arc<dyn SchemaRegistry>,
    metrics: Arc<dyn MetricSink>,
    settings: RegistrySettings,
    by_definition: Flights<DefinitionKey, Option<DefinedVersion>>,
    by_id: Flights<String, Option<SchemaVersionWithDefinition>>,
}

impl RegistryClient {
    /// `registry` attempts once per call and retries nothing.
    pub fn new(
        platform: Platform,
        registry: Arc<dyn SchemaRegistry>,
        metrics: Arc<dyn MetricSink>,
        settings: RegistrySettings,
    ) -> Self {
        let bounds = CacheBounds {
            failure_pause: settings.failure_pause,
            entries_max: settings.entries_max,
            flight_max: settings.flight_max(),
        };
        let by_definition = Flights::new(platform.clone(), bounds.clone());
        let by_id = Flights::new(platform.clone(), bounds);
        Self { platform, registry, metrics, settings, by_definition, by_id }
    }

    /// Whether the definition is known to be AVAILABLE, without asking anybody.
    pub fn is_known_available(&self, definition: &SchemaDefinition) -> bool {
        let now = self.platform.monotonic();
        let cache = self.by_definition.cache();
        matches!(cache.fresh(&definition.key, now), Some(Some(found)) if is_available(found.status))
    }

    /// The version that is registered with exactly this definition, if there is one. Only one that is AVAILABLE may be
    /// relied on.
    ///
    /// # Errors
    /// The registry does not answer, and nothing is remembered that may stand in.
    pub async fn find(&self, definition: &SchemaDefinition) -> Result<Option<DefinedVersion>, RegistryUnreachable> {
        let ask = async {
            let found = self.look(definition).await?;
            Ok::<_, ReadFailure>(self.defined(found))
        };
        let answered = self.by_definition.get(&definition.key, ask).await;
        self.noted(answered, definition.schema())
    }

    /// The version with this id, if there is one. Only one that is AVAILABLE may be relied on.
    ///
    /// # Errors
    /// As [`RegistryClient::find`].
    pub async fn version(&self, id: &str) -> Result<Option<SchemaVersionWithDefinition>, RegistryUnreachable> {
        let ask = async {
            let found = self.read(id, || self.registry.version_by_id(id)).await?;
            let status = found.as_ref().map(|found| found.version.status);
            Ok::<_, ReadFailure>(self.answer(found, status))
        };
        let answered = self.by_id.get(&id.to_owned(), ask).await;
        self.noted(answered, "by-id")
    }

    /// All versions of a schema, in the order of their numbers; `None` if there is no such schema. Nothing is remembered.
    ///
    /// # Errors
    /// A page was not answered in all attempts.
    pub async fn versions(&self, schema: &str) -> Result<Option<Vec<SchemaVersion>>, RegistryUnreachable> {
        let mut versions = Vec::new();
        let mut page = None;
        loop {
            let read = self.read(schema, || self.registry.versions(schema, page.as_deref())).await;
            let Some(read) = read.map_err(|failure| RegistryUnreachable { failure })? else { return Ok(None) };
            versions.extend(read.versions);
            match read.next_page {
                Some(next) => page = Some(next),
                None => break,
            }
        }
        // Glue lists the newest first.
        versions.sort_by_key(|version: &SchemaVersion| version.number);
        Ok(Some(versions))
    }

    /// Registers the definition as a version of its schema, which must be there. That says nothing about whether the
    /// version can be used, so nothing is remembered of it: see [`RegistryClient::wait_until_available`].
    ///
    /// # Errors
    /// How the last attempt ended.
    pub async fn register(&self, definition: &SchemaDefinition) -> Result<SchemaVersion, WriteFailure<SchemaRefused>> {
        let (schema, text) = (definition.schema(), definition.text());
        let registered = self.write(schema, || self.registry.register_version(schema, text)).await;
        // Whatever was known of the definition, and whatever is being found out at the moment, may be wrong now.
        self.by_definition.forget(&definition.key);
        registered
    }

    /// Looks at the definition's version until it is AVAILABLE, and remembers that.
    ///
    /// # Errors
    /// It was judged and refused, or did not become AVAILABLE within [`RegistrySettings::polls_max`] looks.
    pub async fn wait_until_available(&self, definition: &SchemaDefinition) -> Result<String, NotAvailable> {
        let schema = || definition.schema().to_owned();
        let mut last_seen = String::new();
        for look in 0..self.settings.polls_max.max(1) {
            if look > 0 {
                self.platform.sleep(self.settings.poll_every).await;
            }
            last_seen = match self.look(definition).await {
                Ok(Some(found)) if is_available(found.status) => {
                    let id = found.id.clone();
                    let answer = self.defined(Some(found));
                    self.by_definition.cache().remember(&definition.key, answer, self.platform.monotonic());
                    return Ok(id);
                }
                Ok(Some(DefinedVersion { id, status })) if status != SchemaVersionStatus::Pending => {
                    return Err(NotAvailable::Judged { schema: schema(), id, status });
                }
                Ok(Some(DefinedVersion { id, status })) => format!("version {id} is {status}"),
                // A version just registered may not be known everywhere yet.
                Ok(None) => "the definition is not registered".to_owned(),
                Err(failure) => failure.to_string(),
            };
        }
        let waited = self.settings.poll_every.saturating_mul(self.settings.polls_max.saturating_sub(1));
        Err(NotAvailable::NotInTime { schema: schema(), waited, last_seen })
    }

    pub(crate) async fn create_registry(&self) -> Result<(), WriteFailure<AlreadyThere>> {
        self.write("registry", || self.registry.create_registry()).await
    }

    pub(crate) async fn create_schema(
        &self,
        draft: &SchemaDraft,
    ) -> Result<SchemaVersion, WriteFailure<SchemaRefused>> {
        self.write(&draft.schema, || self.registry.create_schema(draft)).await
    }

    pub(crate) async fn traits(&self, schema: &str) -> Result<Option<SchemaTraits>, ReadFailure> {
        self.read(schema, || self.registry.schema(schema)).await
    }

    /// Asks the registry for the definition, whatever is remembered of it.
    pub(crate) async fn look(&self, definition: &SchemaDefinition) -> Result<Option<DefinedVersion>, ReadFailure> {
        let (schema, text) = (definition.schema(), definition.text());
        self.read(schema, || self.registry.version_by_definition(schema, text)).await
    }

    fn defined(&self, found: Option<DefinedVersion>) -> Answer<Option<DefinedVersion>> {
        let status = found.as_ref().map(|found| found.status);
        self.answer(found, status)
    }

    fn answer<V>(&self, value: V, status: Option<SchemaVersionStatus>) -> Answer<V> {
        if status.is_some_and(is_available) {
            Answer { value, fresh_for: self.settings.fresh_for, stale_for: self.settings.stale_for }
        } else {
            Answer { value, fresh_for: self.settings.negative_for, stale_for: Duration::ZERO }
        }
    }

    fn noted<V>(
        &self,
        answered: Result<(V, Option<ReadFailure>), ReadFailure>,
        of: &str,
    ) -> Result<V, RegistryUnreachable> {
        match answered {
            Ok((value, None)) => Ok(value),
            Ok((value, Some(_))) => {
                self.count("SchemaRegistryStaleUses", &[("schema", of)]);
                Ok(value)
            }
            Err(failure) => Err(RegistryUnreachable { failure }),
        }
    }

    fn count(&self, name: &'static str, dimensions: &[(&'static str, &str)]) {
        let at_ms = self.platform.unix_time().as_millis();
        self.metrics.record(Measurement { name, unit: MetricUnit::Count, value: 1.0, dimensions, at_ms });
    }

    /// All attempts of one read.
    async fn read<'a, T>(
        &self,
        what: &str,
        call: impl Fn() -> BoxFuture<'a, Result<T, ReadFailure>>,
    ) -> Result<T, ReadFailure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.in_time(call()).await.unwrap_or_else(|unknown| Err(unknown.into())) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.count("SchemaRegistryFailures", &[("kind", kind(&failure))]);
            let is_final = matches!(failure, ReadFailure::Rejected(_) | ReadFailure::Unreadable(_));
            if is_final || attempts >= self.settings.attempts_max {
                return Err(failure);
            }
            self.pause(attempts, what).await;
        }
    }

    /// All attempts of one write. Every write of the port may be repeated: what is there already is told, not doubled.
    async fn write<'a, T, R: std::error::Error>(
        &self,
        what: &str,
        call: impl Fn() -> BoxFuture<'a, Result<T, WriteFailure<R>>>,
    ) -> Result<T, WriteFailure<R>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let ended = self.in_time(call()).await.unwrap_or_else(|unknown| Err(WriteFailure::Unknown(unknown)));
            match ended {
                Err(failure) if attempts < self.settings.attempts_max && may_pass(&failure) => {
                    self.pause(attempts, what).await;
                }
                ended => return ended,
            }
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, UnknownOutcome> {
        let within = self.settings.call_timeout;
        self.platform.timeout(within, call).await.map_err(|late| UnknownOutcome { reason: late.to_string() })
    }

    async fn pause(&self, failures: u32, what: &str) {
        let fraction = self.platform.random_fraction("schema-registry-backoff", what);
        self.platform.sleep(self.settings.pause(failures, fraction)).await;
    }
}

fn is_available(status: SchemaVersionStatus) -> bool {
    status == SchemaVersionStatus::Available
}

fn may_pass<R: std::error::Error>(failure: &WriteFailure<R>) -> bool {
    !matches!(failure, WriteFailure::Refused(_) | WriteFailure::Rejected(_))
}

fn kind(failure: &ReadFailure) -> &'static str {
    match failure {
        ReadFailure::Throttled(_) => "throttled",
        ReadFailure::NotSent(_) => "not-sent",
        ReadFailure::Rejected(_) => "rejected",
        ReadFailure::NoAnswer(_) => "no-answer",
        ReadFailure::Unreadable(_) => "unreadable",
    }
}
