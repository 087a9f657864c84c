//! Steps before they have numbers, with what the chain needs to know of them.

use nexus_reports_story::{MessageOutcome, StepKind};

/// A message of a step, by the names of its hosts.
#[derive(Clone, Debug)]
pub struct DraftMessage {
    pub from: String,
    pub to: String,
    pub sent_us: Option<u64>,
    pub arrived_us: Option<u64>,
    pub outcome: MessageOutcome,
    pub is_answer: bool,
    pub label: String,
}

/// What a step is, beyond its kind, and by which data it is tied to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    /// A customer sends attempt `attempt` of an operation to `service`.
    Request {
        attempt: u32,
        service: String,
    },
    /// The customer learns what became of it.
    Answer {
        attempt: u32,
        service: String,
    },
    Call {
        client_token: Option<String>,
        invocation_id: Option<String>,
        service_operation: String,
        is_write: bool,
    },
    Write {
        key: String,
        was_there: bool,
        event_id: Option<String>,
    },
    Record {
        key: String,
        event_id: Option<String>,
    },
    Message {
        message_id: String,
        event_id: Option<String>,
        step: MessageNature,
    },
    Firing,
    Crash,
    Restart,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageNature {
    Accepted,
    Received,
    Other,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Draft {
    pub at_us: u64,
    pub until_us: Option<u64>,
    pub host: String,
    pub kind: StepKind,
    pub service: Option<String>,
    pub aggregate: Option<String>,
    pub operation: Option<u32>,
    pub call: Option<u64>,
    pub text: String,
    pub messages: Vec<DraftMessage>,
    /// What it is a change of, the name, and what is there now.
    pub changes: Vec<(String, String, Option<String>)>,
    /// Everything by which others may name it: keys, ids, `stream/version`.
    pub tokens: Vec<String>,
    pub nature: Nature,
    /// The fault that acts in this step.
    pub fault: Option<u32>,
    /// The call that it acts on.
    pub fault_call: Option<u64>,
    /// The hosts that this fault is about, while it lasts.
    pub fault_hosts: Vec<String>,
}

impl Draft {
    pub fn new(at_us: u64, host: impl Into<String>, kind: StepKind, text: String) -> Self {
        Self {
            at_us,
            until_us: None,
            host: host.into(),
            kind,
            service: None,
            aggregate: None,
            operation: None,
            call: None,
            text,
            messages: Vec::new(),
            changes: Vec::new(),
            tokens: Vec::new(),
            nature: Nature::Other,
            fault: None,
            fault_call: None,
            fault_hosts: Vec::new(),
        }
    }

    pub fn is_call(&self) -> bool {
        matches!(self.nature, Nature::Call { .. })
    }

    /// Among steps of one moment, causes go before effects.
    fn rank(&self) -> u8 {
        match self.nature {
            Nature::Request { .. } => 0,
            Nature::Firing => 1,
            Nature::Crash => 2,
            Nature::Restart => 3,
            Nature::Call { .. } => 4,
            Nature::Write { .. } => 5,
            Nature::Record { .. } => 6,
            Nature::Message { .. } => 7,
            Nature::Other => 8,
            Nature::Answer { .. } => 9,
        }
    }
}

/// All steps, in whatever order they were found.
#[derive(Debug, Default)]
pub struct Drafts {
    drafts: Vec<Draft>,
}

impl Drafts {
    pub fn push(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// In order of time. Steps that are equal in everything keep the order in which the journal has them.
    pub fn in_order(mut self) -> Vec<Draft> {
        self.drafts.sort_by_key(|draft| (draft.at_us, draft.rank()));
        self.drafts
    }

    pub fn iter(&self) -> impl Iterator<Item = &Draft> {
        self.drafts.iter()
    }
}
