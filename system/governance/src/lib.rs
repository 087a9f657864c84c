//! Schema validation and policy enforcement on the write path.
//!
//! Before an event is appended, [`PolicyEnforcer`] asks whether this role may do this at all, and
//! [`SchemaValidator`] whether the payload has the shape that its schema version promises. Both are compiled
//! once and then only read, and the same input always gives the same answer. Policies can be replaced while they are
//! asked: each answer is wholly by the old or wholly by the new ones. [`SchemaGate`] puts the schema registry before the
//! validator, where there is one.
#![forbid(unsafe_code)]

mod canonical;
mod policy;
mod registry;
mod schema;

pub use canonical::canonical_json;
pub use policy::{
    CompiledPolicies, Decision, DecisionRecord, Denial, HashedPolicyBundle, InvalidPolicyBundle, PolicyBundle,
    PolicyEnforcer, PolicyInput, PolicyModule, PolicyPosition, PolicyQuestion, PolicyTestOutcome, QuestionKeys,
    ReloadRefused, Reloaded, TemporalQueryInput, bundled_policies, bundled_policy_tests, run_policy_tests,
};
pub use registry::{
    GateRefusal, NotAvailable, ProvisionedSchema, RegistryClient, RegistrySettings, RegistryUnreachable,
    SchemaDefinition, SchemaGate, SchemaNotUsable, SchemaObstacle, SchemaPending, SchemaProvisioning,
    provision_schemas, registered_schema_name,
};
pub use schema::{InvalidSchema, SchemaRejection, SchemaValidator, Violation};
