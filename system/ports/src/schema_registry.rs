//! Where the shapes of events are registered for everybody: schemas with numbered versions, each judged by the registry
//! against those before it.

use std::fmt;

use crate::{BoxFuture, ReadFailure, WriteFailure};

/// One registry of JSON Schemas.
///
/// Registering is **asynchronous**, as AWS Glue's is: the registry takes a version first and judges it afterwards, so that
/// a version which was just registered may still turn into [`SchemaVersionStatus::Failure`]. Nothing may be validated or
/// written by a version that is not [`SchemaVersionStatus::Available`].
///
/// An implementation makes ONE attempt per call and retries nothing by itself: whoever calls owns the attempts. What is not
/// there is an answer to a read (`None`), not a failure of it.
pub trait SchemaRegistry: Send + Sync {
    /// Makes the registry itself.
    fn create_registry(&self) -> BoxFuture<'_, Result<(), WriteFailure<AlreadyThere>>>;

    /// Makes a schema together with its first version.
    fn create_schema<'a>(
        &'a self,
        draft: &'a SchemaDraft,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>>;

    /// What the schema was made to be.
    fn schema<'a>(&'a self, schema: &'a str) -> BoxFuture<'a, Result<Option<SchemaTraits>, ReadFailure>>;

    /// Registers the definition as the schema's next version. A definition that is registered already gives that version
    /// back, whatever its status is, so that repeating the call does no harm.
    fn register_version<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<SchemaVersion, WriteFailure<SchemaRefused>>>;

    fn version_by_id<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>>;

    fn version_by_number<'a>(
        &'a self,
        schema: &'a str,
        number: u64,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionWithDefinition>, ReadFailure>>;

    /// The version whose definition is this one. The registry compares meaning, not bytes: white space does not count.
    fn version_by_definition<'a>(
        &'a self,
        schema: &'a str,
        definition: &'a str,
    ) -> BoxFuture<'a, Result<Option<DefinedVersion>, ReadFailure>>;

    /// Versions of the schema, page by page; `None` if there is no such schema.
    fn versions<'a>(
        &'a self,
        schema: &'a str,
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SchemaVersionPage>, ReadFailure>>;
}

/// How far the registry is with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaVersionStatus {
    /// Judged and good: the only status that may be relied on.
    Available,
    /// Not judged yet.
    Pending,
    /// Judged and refused, for ever: it breaks the compatibility that the schema promises.
    Failure,
    /// On its way out.
    Deleting,
}

impl fmt::Display for SchemaVersionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SchemaVersionStatus::Available => "AVAILABLE",
            SchemaVersionStatus::Pending => "PENDING",
            SchemaVersionStatus::Failure => "FAILURE",
            SchemaVersionStatus::Deleting => "DELETING",
        })
    }
}

/// What each version of a schema must keep towards those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaCompatibility {
    /// Anything is taken.
    None,
    /// Nothing is taken after the first version.
    Disabled,
    /// The new version reads what the one before it wrote.
    Backward,
    /// The new version reads what any before it wrote.
    BackwardAll,
    /// The version before reads what the new one writes.
    Forward,
    ForwardAll,
    /// Both ways.
    Full,
    FullAll,
}

impl fmt::Display for SchemaCompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SchemaCompatibility::None => "NONE",
            SchemaCompatibility::Disabled => "DISABLED",
            SchemaCompatibility::Backward => "BACKWARD",
            SchemaCompatibility::BackwardAll => "BACKWARD_ALL",
            SchemaCompatibility::Forward => "FORWARD",
            SchemaCompatibility::ForwardAll => "FORWARD_ALL",
            SchemaCompatibility::Full => "FULL",
            SchemaCompatibility::FullAll => "FULL_ALL",
        })
    }
}

/// A schema that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDraft {
    pub schema: String,
    pub compatibility: SchemaCompatibility,
    /// JSON Schema, draft-04, 06 or 07.
    pub definition: String,
}

/// What a schema is, apart from its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaTraits {
    /// `JSON`, `AVRO` or `PROTOBUF`, in the registry's own words.
    pub data_format: String,
    /// `None` where the registry names a mode that is not known here.
    pub compatibility: Option<SchemaCompatibility>,
}

/// A version as registering and listing tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    pub id: String,
    /// Counted from 1 within its schema; a version that failed keeps its number.
    pub number: u64,
    pub status: SchemaVersionStatus,
}

/// A version as looking for its definition tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinedVersion {
    pub id: String,
    pub status: SchemaVersionStatus,
}

/// A version with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaVersionWithDefinition {
    pub version: SchemaVersion,
    pub definition: String,
}

/// Some versions of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaVersionPage {
    pub versions: Vec<SchemaVersion>,
    /// Names the next page, if there is one.
    pub next_page: Option<String>,
}

/// It was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it exists already")]
pub struct AlreadyThere;

/// What stood in the way of writing a schema or a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaRefused {
    #[error("a schema of this name exists already")]
    AlreadyThere,
    #[error("there is no such registry or schema")]
    NoSuchSchema,
}
