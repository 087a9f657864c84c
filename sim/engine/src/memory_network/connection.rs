//! One TCP connection as data: two ends, a lane of segments each way, and the handshake.

use std::{collections::VecDeque, io, task::Waker};

use crate::links::HostId;

/// Bytes that one direction may have sent and its receiver not yet read.
pub(super) const WINDOW_BYTES: usize = 256 * 1024;

const MS: u64 = 1_000_000;
/// Linux's shortest retransmission time-out; it doubles with each loss (RFC 6298).
pub(super) const RETRY_FIRST_NS: u64 = 200 * MS;
/// Below Linux's 120 s, so that a connection comes back soon after a repair.
pub(super) const RETRY_MAX_NS: u64 = 4_000 * MS;
/// A sender gives its connection up when this long nothing arrived.
pub(super) const RETRY_LIMIT_NS: u64 = 120_000 * MS;
/// Waits between two SYNs double from here (RFC 6298, section 2).
pub(super) const SYN_RETRY_FIRST_NS: u64 = 1_000 * MS;
/// Six retransmissions, as Linux makes, then the dial has timed out.
pub(super) const SYN_RETRY_LIMIT: u32 = 6;

/// The end that dialled and the end that accepted; also the numbers of the lanes that go out from them.
pub(super) const DIALER: usize = 0;
pub(super) const ACCEPTOR: usize = 1;

pub(super) struct Connection {
    pub(super) ends: [End; 2],
    pub(super) lanes: [Lane; 2],
    pub(super) port: u16,
    pub(super) handshake: Handshake,
    pub(super) syn_sent_count: u32,
    pub(super) dial_waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The dialer waits for an answer to its SYN.
    Pending,
    Established,
    Failed(io::ErrorKind),
}

/// One end, in the kernel of one life of a host.
pub(super) struct End {
    pub(super) host: HostId,
    pub(super) life: u32,
    /// False before the acceptor's kernel knows the connection, and again once the application dropped it or the host
    /// crashed: what arrives then is answered by a reset.
    pub(super) is_open: bool,
    pub(super) received: VecDeque<Received>,
    pub(super) received_bytes: usize,
    pub(super) peer_finished: bool,
    pub(super) failure: Option<io::ErrorKind>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// A segment that arrived, and how much of it was read.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) read: usize,
}

impl End {
    pub(super) fn new(host: HostId, life: u32, is_open: bool) -> Self {
        Self {
            host,
            life,
            is_open,
            received: VecDeque::new(),
            received_bytes: 0,
            peer_finished: false,
            failure: None,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn receive(&mut self, bytes: Vec<u8>) {
        self.received_bytes += bytes.len();
        self.received.push_back(Received { bytes, read: 0 });
    }

    /// Moves received bytes into `space` and tells how many.
    pub(super) fn read_into(&mut self, space: &mut tokio::io::ReadBuf<'_>) -> usize {
        let mut moved = 0;
        while space.remaining() > 0
            && let Some(first) = self.received.front_mut()
        {
            let unread = &first.bytes[first.read..];
            let count = unread.len().min(space.remaining());
            space.put_slice(&unread[..count]);
            first.read += count;
            moved += count;
            if first.read == first.bytes.len() {
                self.received.pop_front();
            }
        }
        self.received_bytes -= moved;
        moved
    }

    pub(super) fn forget_received(&mut self) {
        self.received.clear();
        self.received_bytes = 0;
    }

    pub(super) fn take_wakers(&mut self) -> impl Iterator<Item = Waker> {
        [self.reader.take(), self.writer.take()].into_iter().flatten()
    }
}

pub(super) enum Payload {
    Data(Vec<u8>),
    Fin,
}

impl Payload {
    fn length(&self) -> usize {
        match self {
            Payload::Data(bytes) => bytes.len(),
            Payload::Fin => 0,
        }
    }
}

pub(super) struct Segment {
    pub(super) due_ns: u64,
    pub(super) payload: Payload,
}

/// Segments under way in one direction, in order. One that is lost stays at the head until it gets through.
pub(super) struct Lane {
    pub(super) segments: VecDeque<Segment>,
    pub(super) bytes_under_way: usize,
    pub(super) fin_sent: bool,
    /// Whether an arrival event is scheduled for the head; there is never more than one.
    pub(super) is_scheduled: bool,
    pub(super) retry_wait_ns: u64,
    pub(super) lost_since_ns: Option<u64>,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            bytes_under_way: 0,
            fin_sent: false,
            is_scheduled: false,
            retry_wait_ns: RETRY_FIRST_NS,
            lost_since_ns: None,
        }
    }

    /// A segment that would overtake the one before it waits behind it: only the head of a lane arrives.
    pub(super) fn push(&mut self, due_ns: u64, payload: Payload) {
        self.bytes_under_way += payload.length();
        self.segments.push_back(Segment { due_ns, payload });
    }

    /// Takes the head, which got through.
    pub(super) fn pop(&mut self) -> Option<Payload> {
        let segment = self.segments.pop_front()?;
        self.bytes_under_way -= segment.payload.length();
        self.retry_wait_ns = RETRY_FIRST_NS;
        self.lost_since_ns = None;
        Some(segment.payload)
    }

    /// Sets the head's next try; false when it has been tried for too long.
    pub(super) fn retry(&mut self, now_ns: u64) -> bool {
        let lost_since_ns = *self.lost_since_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(lost_since_ns) > RETRY_LIMIT_NS {
            return false;
        }
        if let Some(head) = self.segments.front_mut() {
            head.due_ns = now_ns + self.retry_wait_ns;
        }
        self.retry_wait_ns = (self.retry_wait_ns * 2).min(RETRY_MAX_NS);
        true
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.bytes_under_way = 0;
    }
}

impl Connection {
    /// No application holds it and nothing is under way.
    pub(super) fn is_over(&self) -> bool {
        self.handshake != Handshake::Pending
            && self.ends.iter().all(|end| !end.is_open)
            && self.lanes.iter().all(|lane| lane.segments.is_empty())
    }
}
