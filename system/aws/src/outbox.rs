//! [`Outbox`] on DynamoDB: the record under the event's id is the notification, and it is written once.

use nexus_ports::{AlreadyRecorded, BoxFuture, Notification, Outbox, Platform, WriteFailure};

use crate::{
    AwsConfig, TableNames,
    items::{Attributes, number, text},
    record_table::{Condition, RecordTable},
};

/// Notifications in a DynamoDB table by `pk` = event id.
#[derive(Clone, Debug)]
pub struct DynamoOutbox {
    table: RecordTable,
}

impl DynamoOutbox {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { table: RecordTable::new(platform, config, &tables.outbox) }
    }
}

impl Outbox for DynamoOutbox {
    fn record<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), WriteFailure<AlreadyRecorded>>> {
        Box::pin(self.table.put(Condition::Absent, notification_item(notification), || AlreadyRecorded))
    }
}

fn notification_item(notification: &Notification) -> Attributes {
    vec![
        ("pk", text(&notification.event_id)),
        ("stream", text(notification.stream.as_str())),
        ("version", number(notification.version.0)),
        ("template", text(&notification.template)),
        ("recipient", text(&notification.recipient)),
        ("data", text(&notification.data)),
        ("correlation_id", text(&notification.correlation_id)),
        ("recorded_at_ms", number(notification.recorded_at_ms)),
    ]
}
