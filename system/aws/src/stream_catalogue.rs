//! [`StreamCatalogue`] on DynamoDB: a scan of the event table that keeps the first event of each stream.

use aws_sdk_dynamodb::Client;
use nexus_ports::{BoxFuture, Platform, ReadFailure, Rejected, StreamCatalogue, StreamName, StreamPage, Version};

use crate::{
    AwsConfig, TableNames, client, failures,
    items::{Item, number, text},
};

/// The streams of the event table, in the order of its partitions: by no name and no time.
///
/// A scan reads the whole table, one megabyte a page, and is paid for by what it reads: for rebuilding and repair.
#[derive(Clone, Debug)]
pub struct DynamoStreamCatalogue {
    client: Client,
    table: String,
}

impl DynamoStreamCatalogue {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { client: client::dynamodb(platform, config), table: tables.events.clone() }
    }

    /// One page, which may hold no stream although more follow: DynamoDB filters after it has read.
    async fn scan(&self, after: Option<&str>) -> Result<StreamPage, ReadFailure> {
        let mut call = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("sk = :first")
            .expression_attribute_values(":first", number(Version::START.next().0))
            .projection_expression("pk");
        if let Some(after) = after {
            let (stream, version) = decode(after)?;
            call = call.exclusive_start_key("pk", text(stream.as_str())).exclusive_start_key("sk", number(version.0));
        }
        let page = call.send().await.map_err(|error| failures::read_failure(&error))?;
        let mut streams = Vec::with_capacity(page.items().len());
        for item in page.items() {
            streams.push(Item { table: &self.table, get: |name: &str| item.get(name) }.parsed("pk")?);
        }
        let Some(last) = page.last_evaluated_key() else { return Ok((streams, None)) };
        let last = Item { table: &self.table, get: |name: &str| last.get(name) };
        Ok((streams, Some(encode(&last.parsed("pk")?, Version(last.number("sk")?)))))
    }
}

impl StreamCatalogue for DynamoStreamCatalogue {
    fn page(&self, after: Option<String>) -> BoxFuture<'_, Result<StreamPage, ReadFailure>> {
        Box::pin(async move { self.scan(after.as_deref()).await })
    }
}

/// The key of the last item that was read, as `<version>/<stream>`: a version holds no slash, a stream may.
fn encode(stream: &StreamName, version: Version) -> String {
    format!("{version}/{stream}")
}

fn decode(after: &str) -> Result<(StreamName, Version), ReadFailure> {
    let parts = after.split_once('/');
    let key = parts.and_then(|(version, stream)| Some((stream.parse().ok()?, Version(version.parse().ok()?))));
    key.ok_or_else(|| {
        let message = format!("`{after}` was not returned by a page of streams");
        ReadFailure::Rejected(Rejected { code: "InvalidPagePosition".to_owned(), message })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_as_they_were() {
        for (stream, version) in [("order-o-1", 1), ("a/b/c", 7), ("7/7", u64::MAX)] {
            let stream: StreamName = stream.parse().unwrap();
            assert_eq!(decode(&encode(&stream, Version(version))), Ok((stream, Version(version))));
        }
    }

    #[test]
    fn other_positions_are_rejected() {
        for text in ["", "order-o-1", "x/order-o-1", "1/", "-1/order-o-1"] {
            assert!(matches!(decode(text), Err(ReadFailure::Rejected(_))), "{text:?}");
        }
    }
}
