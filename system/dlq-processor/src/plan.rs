//! What to do with each letter of a batch, decided before anything is done.

use std::time::Duration;

use nexus_ports::{QuarantinedLetter, QueueDraft, QueueMessage};

use crate::{
    Classification, Classifier, DeadLetter, DlqSettings,
    marks::{draft, event_id_of, event_of, redrives_of},
};

/// The letters of one batch, by what is to become of them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Letters of one stream in the order of their versions.
    pub(crate) redrives: Vec<Redrive>,
    pub(crate) quarantines: Vec<Doomed>,
    pub(crate) waiting: Vec<Waiting>,
}

#[derive(Debug)]
pub(crate) struct Redrive {
    pub(crate) message: QueueMessage,
    pub(crate) draft: QueueDraft,
    /// Stream and version, where the body tells.
    place: Option<(String, u64)>,
}

impl Redrive {
    /// As SQS counts a message: body, and names and values of attributes.
    pub(crate) fn size_bytes(&self) -> usize {
        let attributes: usize = self.draft.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.draft.body.len() + attributes
    }
}

#[derive(Debug)]
pub(crate) struct Doomed {
    pub(crate) message: QueueMessage,
    pub(crate) reason: String,
}

/// Too soon after its last redrive.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: QueueMessage,
    pub(crate) time_left: Duration,
}

pub(crate) fn plan(
    classifier: &dyn Classifier,
    settings: &DlqSettings,
    now_ms: u64,
    messages: Vec<QueueMessage>,
) -> Plan {
    let mut plan = Plan::default();
    for message in messages {
        let redrives_before = redrives_of(&message.attributes);
        let letter = DeadLetter {
            body: &message.body,
            attributes: &message.attributes,
            receive_count: message.receive_count,
            redrives_before,
        };
        match classifier.classify(&letter) {
            Classification::Poison { reason } => plan.quarantines.push(Doomed { message, reason }),
            Classification::Transient if redrives_before < settings.redrives_max => {
                plan.redrive_or_wait(message, settings, now_ms);
            }
            Classification::Transient | Classification::Exhausted => {
                let reason = format!("redriven {redrives_before} times in vain");
                plan.quarantines.push(Doomed { message, reason });
            }
        }
    }
    // Letters whose place is unknown come first, in the order of their arrival: the sort is stable.
    plan.redrives.sort_by(|one, other| one.place.cmp(&other.place));
    plan
}

impl Plan {
    fn redrive_or_wait(&mut self, message: QueueMessage, settings: &DlqSettings, now_ms: u64) {
        let pause = settings.pause_before_redrive(redrives_of(&message.attributes));
        let age = Duration::from_millis(now_ms.saturating_sub(message.sent_at_ms));
        let time_left = pause.saturating_sub(age);
        if !time_left.is_zero() && !settings.is_near_its_end(message.sent_at_ms, now_ms) {
            self.waiting.push(Waiting { message, time_left });
            return;
        }
        let event = event_of(&message.body).ok();
        match draft(&message, event.as_ref(), now_ms) {
            Some(draft) => {
                let place = event.map(|event| (event.stream.to_string(), event.version.0));
                self.redrives.push(Redrive { message, draft, place });
            }
            None => {
                let reason = "it has no room for the attributes that count its redrives".to_owned();
                self.quarantines.push(Doomed { message, reason });
            }
        }
    }
}

/// The letter as the quarantine keeps it.
pub(crate) fn quarantined(source: &str, message: &QueueMessage, reason: &str, now_ms: u64) -> QuarantinedLetter {
    let event = event_of(&message.body).ok();
    QuarantinedLetter {
        letter_id: event_id_of(&message.attributes, event.as_ref()).unwrap_or_else(|| message.message_id.clone()),
        source: source.to_owned(),
        body: message.body.clone(),
        attributes: message.attributes.clone(),
        reason: reason.to_owned(),
        receive_count: message.receive_count,
        quarantined_at_ms: now_ms,
    }
}
