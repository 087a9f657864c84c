//! What the routing asks its driver to do, and what it is told of it.

use nexus_governance::GateRefusal;
use nexus_ports::{
    CallFailure, EntryFailure, EventPage, ParkedAggregate, ParkingMoved, ReadFailure, StreamEntry, StreamName,
    TopicMessage, Version, WriteFailure,
};

use crate::{Destination, shapes::Shape};

/// One call to a port; each is to be made once, under a time-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Put {
        /// Key of the aggregate and version of each entry, in the batch's order.
        carried: Vec<Carried>,
        batch: Batch,
    },
    ListParked,
    Park(Box<ParkedAggregate>),
    /// Replaces the entry of a parked aggregate by this one, which knows of more waiting events.
    Raise {
        expected_counter: u64,
        raised: Box<ParkedAggregate>,
    },
    ReadParked {
        key: String,
    },
    ReadEvents {
        stream: StreamName,
        after: Version,
    },
    /// Ask the schema gate, which owns the attempts and the time that they take.
    AskSchema(Shape),
}

/// Which event an entry of a batch carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub key: String,
    pub version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    Stream(Vec<StreamEntry>),
    Topic(Vec<TopicMessage>),
}

impl Batch {
    pub fn destination(&self) -> Destination {
        match self {
            Batch::Stream(_) => Destination::Core,
            Batch::Topic(_) => Destination::Background,
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Put {
        destination: Destination,
        carried: Vec<Carried>,
        outcome: Result<Vec<Result<(), EntryFailure>>, CallFailure>,
    },
    ParkedList(Result<Vec<ParkedAggregate>, ReadFailure>),
    /// Of [`Call::Park`] and [`Call::Raise`].
    ParkingWritten {
        written: Box<ParkedAggregate>,
        outcome: Result<(), WriteFailure<ParkingMoved>>,
    },
    ParkedRead {
        key: String,
        outcome: Result<Option<ParkedAggregate>, ReadFailure>,
    },
    Events {
        stream: StreamName,
        outcome: Result<EventPage, ReadFailure>,
    },
    Schema {
        shape: Shape,
        outcome: Result<(), GateRefusal>,
    },
}
