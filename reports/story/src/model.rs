//! What happened in one run, as data. Times are microseconds of the run's true clock since its start.

use serde::{Deserialize, Serialize};

/// The version of the story's format; it grows with every change of a field.
pub const STORY_FORMAT_VERSION: u32 = 1;

/// One run, step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    pub story_format_version: u32,
    pub facts: Facts,
    pub ended_us: u64,
    pub phases: Vec<Phase>,
    /// Lanes, from top to bottom; everything else names a host by its position here.
    pub hosts: Vec<Host>,
    /// Ascending by number, which is also the order in which they happened.
    pub steps: Vec<Step>,
    pub messages: Vec<Message>,
    pub faults: Vec<Fault>,
    /// In the order of the steps that made them.
    pub changes: Vec<Change>,
    pub violations: Vec<Violation>,
    /// The steps that lead to the first violation, ascending, each with what it follows from.
    pub chain: Vec<Link>,
    /// Steps that belong to the chain and are not in it, because it would be too long to read.
    pub chain_left_out: u32,
    /// Steps of the run that are not among `steps`, because there were too many.
    pub steps_left_out: u32,
}

/// Which run this is the story of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub scenario: String,
    pub seed: u64,
    pub engine: String,
    pub revision: String,
    pub profile: String,
    pub trace_hash: String,
    /// `held`, `broken` or `inconclusive`.
    pub verdict: String,
    /// The first check that broke and what it said; empty if none did.
    pub reason: String,
    pub operations: u64,
    pub planned_faults: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted_bug: Option<String>,
    /// Doubtful facts about AWS that the verdict leans on, as `name=value`.
    pub assumptions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub from_us: u64,
    pub until_us: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub name: String,
    /// Whether it is an endpoint of the simulated AWS, and not a host that calls it.
    pub is_endpoint: bool,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// A customer sent a request, or got its answer, or gave up on it.
    Customer,
    /// A call of AWS.
    Call,
    /// A call of AWS that only asked for work.
    Poll,
    /// An item changed in storage.
    Write,
    /// A record became readable in a table's stream.
    Record,
    /// Something happened to a message.
    Message,
    /// A fault acted.
    Fault,
    /// A host crashed or came back.
    Host,
}

impl StepKind {
    pub const ALL: [StepKind; 8] = [
        StepKind::Customer,
        StepKind::Call,
        StepKind::Poll,
        StepKind::Write,
        StepKind::Record,
        StepKind::Message,
        StepKind::Fault,
        StepKind::Host,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Customer => "customer",
            StepKind::Call => "call",
            StepKind::Poll => "poll",
            StepKind::Write => "write",
            StepKind::Record => "record",
            StepKind::Message => "message",
            StepKind::Fault => "fault",
            StepKind::Host => "host",
        }
    }
}

/// One thing that happened at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// 1, 2, 3 … in order of time; steps that were left out keep their numbers.
    pub number: u32,
    pub at_us: u64,
    /// When it was over, if it took time: a call takes from its arrival at AWS to its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
    pub host: usize,
    pub kind: StepKind,
    /// The endpoint concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The aggregate concerned, if it is one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
    /// The customer's operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// The call's number in the journal of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    pub text: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageOutcome {
    /// It arrived and said that all is well.
    Delivered,
    /// It arrived and was an error or a refusal.
    Refused,
    /// It never arrived.
    Lost,
}

impl MessageOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            MessageOutcome::Delivered => "delivered",
            MessageOutcome::Refused => "refused",
            MessageOutcome::Lost => "lost",
        }
    }
}

/// Something went from one host to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The step that it belongs to.
    pub step: u32,
    pub from: usize,
    pub to: usize,
    /// `None` where nobody recorded it: of a call of AWS only the arrival there is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_us: Option<u64>,
    /// `None` where nobody recorded it, or it never arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived_us: Option<u64>,
    pub outcome: MessageOutcome,
    /// Whether it answers another.
    pub is_answer: bool,
    pub label: String,
}

/// A planned fault: a band in time, and the points at which it acted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub id: u32,
    pub kind: String,
    /// `masked`, `detected` or `excused`.
    pub contract: String,
    pub address: String,
    pub from_us: u64,
    pub until_us: u64,
    /// The hosts that it is about; empty if about any.
    pub hosts: Vec<usize>,
    /// Empty if it never fired.
    pub points: Vec<FaultPoint>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPoint {
    pub at_us: u64,
    pub step: u32,
    /// The call that it acted on; none for faults of hosts and links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_step: Option<u32>,
}

/// A piece of state that a step changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub step: u32,
    /// `host`, `aggregate`, `view`, `lease`, `queue`, … : what the name is a name of.
    pub of: String,
    pub name: String,
    /// `None` if there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// `None` if there is nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One way in which the run broke a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    pub checker: String,
    pub what: String,
    pub evidence: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// The steps that the evidence is about.
    pub steps: Vec<u32>,
}

/// One step of the causal chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub step: u32,
    /// Whether the violation itself names it.
    pub is_evidence: bool,
    pub because: Vec<Because>,
}

/// One earlier step that a step follows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    pub step: u32,
    /// How the data says so, as in "same call" or "the event in its body".
    pub why: String,
}

impl Story {
    /// The step of this number, unless it was left out.
    pub fn step(&self, number: u32) -> Option<&Step> {
        let position = self.steps.binary_search_by_key(&number, |step| step.number).ok()?;
        self.steps.get(position)
    }

    pub fn host_name(&self, host: usize) -> &str {
        self.hosts.get(host).map_or("?", |host| host.name.as_str())
    }

    /// The last step that happened before `at_us`.
    pub fn last_step_before(&self, at_us: u64) -> Option<&Step> {
        let position = self.steps.partition_point(|step| step.at_us < at_us);
        self.steps.get(position.checked_sub(1)?)
    }
}
