//! The core stream.

use std::time::Duration;

use aws_sdk_kinesis::{
    Client,
    types::{StreamMode, StreamModeDetails, StreamStatus},
};
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{CallFailure, Platform};

use super::{BusDefinition, BusPart, BusProvisionError, ProvisionedPart, failed};
use crate::{attempts::attempted, entries::unsendable};

const POLL_PAUSE: Duration = Duration::from_millis(500);
/// Two minutes: a stream usually becomes active within half of one.
const POLLS_MAX: u32 = 240;

pub(super) async fn provide(
    platform: &Platform,
    config: &AwsConfig,
    definition: &BusDefinition,
) -> Result<ProvisionedPart, BusProvisionError> {
    let client = Client::from_conf(sdk_config!(aws_sdk_kinesis, ClientParts::new(platform, config)));
    let name = &definition.names.core_stream;
    let created = create(platform, &client, definition).await.map_err(failed(BusPart::Stream, name))?;
    wait_until_active(platform, &client, name).await?;
    Ok(ProvisionedPart { part: BusPart::Stream, name: name.clone(), created })
}

/// Says whether the stream was made now. After an attempt of unknown outcome a stream that is there is taken as made by
/// it.
async fn create(platform: &Platform, client: &Client, definition: &BusDefinition) -> Result<bool, CallFailure> {
    let name = &definition.names.core_stream;
    let mode = if definition.core_shards.is_some() { StreamMode::Provisioned } else { StreamMode::OnDemand };
    let mode = StreamModeDetails::builder().stream_mode(mode).build().map_err(unsendable)?;
    let shards = definition.core_shards.map(|shards| i32::try_from(shards).unwrap_or(i32::MAX));
    let mut may_have_been_made = false;
    attempted(platform, name, async || {
        let call = client.create_stream().stream_name(name).stream_mode_details(mode.clone()).set_shard_count(shards);
        match call.send().await.map_err(|error| call_failure(&error)) {
            Ok(_) => Ok(true),
            Err(CallFailure::Rejected(rejected)) if rejected.code == "ResourceInUseException" => Ok(may_have_been_made),
            Err(failure) => {
                may_have_been_made |= matches!(failure, CallFailure::Unknown(_));
                Err(failure)
            }
        }
    })
    .await
}

/// A stream whose shards are being split or merged is as good as an active one.
async fn wait_until_active(platform: &Platform, client: &Client, name: &str) -> Result<(), BusProvisionError> {
    for _ in 0..POLLS_MAX {
        let status = attempted(platform, name, async || {
            let answer = client.describe_stream_summary().stream_name(name).send().await;
            match answer.map_err(|error| call_failure(&error)) {
                Ok(answer) => Ok(answer.stream_description_summary.map(|summary| summary.stream_status)),
                // A stream just made may not be known everywhere yet.
                Err(CallFailure::Rejected(rejected)) if rejected.code == "ResourceNotFoundException" => Ok(None),
                Err(failure) => Err(failure),
            }
        });
        let status = status.await.map_err(failed(BusPart::Stream, name))?;
        if matches!(status, Some(StreamStatus::Active | StreamStatus::Updating)) {
            return Ok(());
        }
        platform.sleep(POLL_PAUSE).await;
    }
    Err(BusProvisionError::NotActive { stream: name.to_owned(), waited: POLL_PAUSE * POLLS_MAX })
}
