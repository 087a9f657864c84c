//! [`Quarantine`] on DynamoDB: a letter is kept once, and the first account of it stays.

use aws_sdk_dynamodb::types::AttributeValue;
use nexus_ports::{BoxFuture, CallFailure, Platform, Quarantine, QuarantinedLetter};

use crate::{
    AwsConfig, TableNames, client, failures,
    items::{Attributes, number, text},
};

/// Quarantined letters in a DynamoDB table by `pk` = letter id.
#[derive(Clone, Debug)]
pub struct DynamoQuarantine {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoQuarantine {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { client: client::dynamodb(platform, config), table: tables.quarantine.clone() }
    }
}

impl Quarantine for DynamoQuarantine {
    fn keep<'a>(&'a self, letter: &'a QuarantinedLetter) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(async move {
            let item = letter_item(letter).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
            match call.condition_expression("attribute_not_exists(pk)").send().await {
                Ok(_) => Ok(()),
                Err(error) if failures::is_failed_condition(&error) => Ok(()),
                Err(error) => Err(failures::call_failure(&error)),
            }
        })
    }
}

fn letter_item(letter: &QuarantinedLetter) -> Attributes {
    let attribute = |(name, value): &(String, String)| {
        let pair = [("name", text(name)), ("value", text(value))];
        AttributeValue::M(pair.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    vec![
        ("pk", text(&letter.letter_id)),
        ("source", text(&letter.source)),
        ("body", text(&letter.body)),
        ("attributes", AttributeValue::L(letter.attributes.iter().map(attribute).collect())),
        ("reason", text(&letter.reason)),
        ("receive_count", number(letter.receive_count.into())),
        ("quarantined_at_ms", number(letter.quarantined_at_ms)),
    ]
}
