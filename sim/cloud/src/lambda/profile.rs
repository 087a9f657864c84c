//! What all parts of a mapping need to know of it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    LambdaConfig,
    desk::{Desk, MappingPurpose, Purpose},
    settings::Settings,
    source::Source,
};
use crate::{interface::Service, service::InternalAnswer};

#[derive(Clone, Debug)]
pub struct Profile {
    pub uuid: Arc<str>,
    /// `function/source`, the logical key of its invocations.
    pub key: String,
    pub function: String,
    pub source: Source,
    pub settings: Settings,
    /// Counts restarts.
    pub generation: u32,
    /// Nothing new begins: the mapping is about to change or to stop.
    pub is_paused: bool,
    pub config: LambdaConfig,
}

/// How an invocation ended, as a mapping sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The function answered.
    Answered { payload: String, request_id: String },
    /// The function failed, or its time was over.
    FunctionError { request_id: String },
    /// The function was not invoked: throttled, out of reach, or deleted.
    NotInvoked { reason: String },
    /// Nobody knows whether the function ran.
    Unknown,
}

impl Profile {
    pub fn purpose(&self, purpose: MappingPurpose) -> Purpose {
        Purpose::Mapping { uuid: self.uuid.clone(), generation: self.generation, purpose }
    }

    pub fn wake_after(&self, desk: &mut Desk<'_, '_>, delay: Duration, purpose: MappingPurpose) {
        desk.wake_after(delay, self.purpose(purpose));
    }

    pub fn ask(&self, desk: &mut Desk<'_, '_>, operation: &str, request: Value, purpose: MappingPurpose) {
        desk.ask(self.source.service(), operation, request, self.purpose(purpose));
    }

    /// Invokes the function. The call is one like every other: faults find it under the key `function/source`.
    pub fn invoke(
        &self,
        desk: &mut Desk<'_, '_>,
        payload: String,
        journal_key: &str,
        journal_note: String,
        purpose: MappingPurpose,
    ) {
        let request = json!({
            "FunctionName": self.function,
            "InvocationType": "RequestResponse",
            "Payload": payload,
            "Mapping": self.key,
            "SourceKey": journal_key,
            "SourceNote": journal_note,
            "ReportsItemFailures": self.settings.reports_failures,
        });
        desk.ask(Service::Lambda, "Invoke", request, self.purpose(purpose));
    }
}

/// Reads the answer to an invocation.
pub fn verdict(answer: InternalAnswer) -> Verdict {
    match answer {
        InternalAnswer::Success(mut answer) => {
            let mut text = |name: &str| match answer.get_mut(name).map(Value::take) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let request_id = text("RequestId").unwrap_or_default();
            match (text("FunctionError"), text("Payload")) {
                (Some(_), _) => Verdict::FunctionError { request_id },
                (None, payload) => Verdict::Answered { payload: payload.unwrap_or_default(), request_id },
            }
        }
        // After an internal error the function may have run; after a refusal it has not.
        InternalAnswer::Error { status, .. } if status >= 500 => Verdict::Unknown,
        InternalAnswer::Error { code, .. } => Verdict::NotInvoked { reason: code },
        InternalAnswer::NoAnswer => Verdict::Unknown,
    }
}
