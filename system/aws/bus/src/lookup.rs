//! Names of topics and queues as the addresses by which AWS wants them: a topic's ARN, a queue's URL.

use aws_sdk_sns::Client as SnsClient;
use aws_sdk_sqs::Client as SqsClient;
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{CallFailure, Platform};

use crate::{attempts::attempted, entries::unusable_answer};

/// What SQS calls a queue that is not there: in its older codes, which clients ask for, and in its newer ones.
const NO_SUCH_QUEUE: [&str; 2] = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];

/// The ARN of the caller's topic of this name in the config's region; `None` if there is no such topic.
///
/// # Errors
/// What remained after five attempts, or was rejected.
pub async fn find_topic(platform: &Platform, config: &AwsConfig, name: &str) -> Result<Option<String>, CallFailure> {
    let client = SnsClient::from_conf(sdk_config!(aws_sdk_sns, ClientParts::new(platform, config)));
    topic_arn(platform, &client, name).await
}

/// The URL of the caller's queue of this name in the config's region; `None` if there is no such queue.
///
/// # Errors
/// What remained after five attempts, or was rejected.
pub async fn find_queue(platform: &Platform, config: &AwsConfig, name: &str) -> Result<Option<String>, CallFailure> {
    let client = SqsClient::from_conf(sdk_config!(aws_sdk_sqs, ClientParts::new(platform, config)));
    queue_url(platform, &client, name).await
}

/// SNS has no call that takes a name and makes nothing, so that the list is gone through.
pub(crate) async fn topic_arn(
    platform: &Platform,
    client: &SnsClient,
    name: &str,
) -> Result<Option<String>, CallFailure> {
    let mut next_token: Option<String> = None;
    loop {
        let page = attempted(platform, name, async || {
            let call = client.list_topics().set_next_token(next_token.clone());
            call.send().await.map_err(|error| call_failure(&error))
        })
        .await?;
        let arns = page.topics().iter().filter_map(|topic| topic.topic_arn());
        if let Some(arn) = arns.into_iter().find(|arn| arn.rsplit(':').next() == Some(name)) {
            return Ok(Some(arn.to_owned()));
        }
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(None);
        }
    }
}

pub(crate) async fn queue_url(
    platform: &Platform,
    client: &SqsClient,
    name: &str,
) -> Result<Option<String>, CallFailure> {
    attempted(platform, name, async || match client.get_queue_url().queue_name(name).send().await {
        Ok(answer) => {
            answer.queue_url.map(Some).ok_or_else(|| unusable_answer("an answer without the URL of the queue"))
        }
        Err(error) => match call_failure(&error) {
            failure if is_no_such_queue(&failure) => Ok(None),
            failure => Err(failure),
        },
    })
    .await
}

pub(crate) fn is_no_such_queue(failure: &CallFailure) -> bool {
    matches!(failure, CallFailure::Rejected(rejected) if NO_SUCH_QUEUE.contains(&rejected.code.as_str()))
}
