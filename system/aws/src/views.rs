//! [`ReadModel`] on DynamoDB: one view per aggregate, written only over the version that was read.

use nexus_ports::{
    BoxFuture, Platform, ReadFailure, ReadModel, StoredView, StreamName, UnreadableRecord, Version, ViewMoved,
    WriteFailure,
};

use crate::{
    AwsConfig, TableNames,
    items::{Attributes, number, text},
    record_table::{Condition, Fields, RecordTable},
};

/// Views in a DynamoDB table by `pk` = stream, read strongly: who writes a view decides on what was read.
#[derive(Clone, Debug)]
pub struct DynamoReadModel {
    table: RecordTable,
}

impl DynamoReadModel {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { table: RecordTable::new(platform, config, &tables.views) }
    }
}

impl ReadModel for DynamoReadModel {
    fn read<'a>(&'a self, stream: &'a StreamName) -> BoxFuture<'a, Result<Option<StoredView>, ReadFailure>> {
        Box::pin(self.table.get(vec![("pk", text(stream.as_str()))], view))
    }

    fn write<'a>(
        &'a self,
        expected: Version,
        view: &'a StoredView,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ViewMoved>>> {
        let condition = match expected {
            Version::START => Condition::Absent,
            Version(expected) => Condition::NumberIs { attribute: "version", expected },
        };
        Box::pin(self.table.put(condition, view_item(view), || ViewMoved { stream: view.stream.clone() }))
    }
}

fn view_item(view: &StoredView) -> Attributes {
    vec![
        ("pk", text(view.stream.as_str())),
        ("version", number(view.version.0)),
        ("body", text(&view.body)),
        ("written_at_ms", number(view.written_at_ms)),
    ]
}

fn view(item: &dyn Fields) -> Result<StoredView, UnreadableRecord> {
    Ok(StoredView {
        stream: item.text("pk")?.parse().map_err(|_| item.unreadable("pk"))?,
        version: Version(item.number("version")?),
        body: item.text("body")?,
        written_at_ms: item.number("written_at_ms")?,
    })
}
