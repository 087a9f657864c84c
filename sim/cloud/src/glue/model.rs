//! What the schema registry holds: registries, schemas, versions.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{compatibility::Mode, definition::DataFormat};
use crate::{
    interface::{SchemaVersionStatus, UnixNanos},
    wire::iso_8601_ms,
};

/// Of a registry or a schema. Each is there at once; deleting takes a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Available,
    /// Until the alarm with this number.
    Deleting(u64),
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Available => "AVAILABLE",
            Status::Deleting(_) => "DELETING",
        }
    }

    pub fn is_deleting(self) -> bool {
        matches!(self, Status::Deleting(_))
    }
}

#[derive(Debug)]
pub struct Registry {
    pub name: String,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub status: Status,
    pub created_at: UnixNanos,
    pub updated_at: UnixNanos,
    pub schemas: BTreeMap<String, Schema>,
}

#[derive(Debug)]
pub struct Schema {
    pub name: String,
    pub format: DataFormat,
    pub mode: Mode,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub status: Status,
    pub created_at: UnixNanos,
    pub updated_at: UnixNanos,
    /// Number of the version at which the mode was last set.
    pub checkpoint: u64,
    /// By number.
    pub versions: BTreeMap<u64, Version>,
    /// Numbers are given once, to failed versions too.
    pub numbers_given: u64,
    /// Versions are judged in the order of their numbers: none before this time.
    pub judged_until: UnixNanos,
}

#[derive(Debug)]
pub struct Version {
    pub id: String,
    pub number: u64,
    pub definition: Arc<str>,
    /// Of the definition's canonical form.
    pub hash: [u8; 32],
    pub status: SchemaVersionStatus,
    pub created_at: UnixNanos,
    /// Ends in FAILURE whatever is found.
    pub is_doomed: bool,
    /// Why it failed.
    pub failure: String,
    /// In the order in which they were put.
    pub metadata: Vec<Metadata>,
}

#[derive(Debug)]
pub struct Metadata {
    pub key: String,
    pub value: String,
    pub created_at: UnixNanos,
}

impl Schema {
    /// The version that LatestVersion means: the newest that is AVAILABLE. That a failed version leaves the latest and the
    /// next number as they were is reported by users of Terraform; without an available version it is the newest of all.
    pub fn latest(&self) -> Option<&Version> {
        let newest_with = |wanted: fn(&Version) -> bool| self.versions.values().rev().find(|version| wanted(version));
        newest_with(|version| version.status == SchemaVersionStatus::Available)
            .or_else(|| newest_with(|version| version.status != SchemaVersionStatus::Deleting))
    }

    /// 0 if there is none.
    pub fn latest_number(&self) -> u64 {
        self.latest().map_or(0, |version| version.number)
    }

    pub fn with_hash(&self, hash: [u8; 32]) -> Option<&Version> {
        let is_it = |version: &&Version| version.hash == hash && version.status != SchemaVersionStatus::Deleting;
        self.versions.values().find(is_it)
    }

    /// Versions of number below `before` that data may have been written under, newest first; all of them from the
    /// checkpoint on, or the newest only.
    pub fn earlier(&self, before: u64, all: bool) -> impl Iterator<Item = &Version> {
        let available = self
            .versions
            .range(..before)
            .rev()
            .map(|(_, version)| version)
            .filter(|version| version.status == SchemaVersionStatus::Available);
        let checkpoint = self.checkpoint;
        available.take_while(move |version| !all || version.number >= checkpoint).take(if all { usize::MAX } else { 1 })
    }

    pub fn inspect(&self) -> Value {
        let versions: Vec<Value> = self.versions.values().map(Version::inspect).collect();
        json!({
            "data_format": self.format.name(),
            "compatibility": self.mode.name(),
            "checkpoint": self.checkpoint,
            "status": self.status.name(),
            "versions": versions,
        })
    }
}

impl Version {
    fn inspect(&self) -> Value {
        json!({
            "id": self.id,
            "number": self.number,
            "status": self.status.name(),
            "failure": self.failure,
            "created_at_ms": self.created_at.as_millis(),
            "definition": *self.definition,
        })
    }
}

/// How the service writes times.
pub fn time_text(at: UnixNanos) -> String {
    format!("{}Z", iso_8601_ms(at))
}
