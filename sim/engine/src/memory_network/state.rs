//! The network's state machine: what happens to SYNs, segments and resets. It knows no runtime: time is handed in,
//! what is to be woken or scheduled is handed out.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    task::Waker,
    time::Duration,
};

use rand_chacha::{ChaCha12Rng, rand_core::Rng};

use super::connection::{
    ACCEPTOR, Connection, DIALER, End, Handshake, Lane, Payload, SYN_RETRY_FIRST_NS, SYN_RETRY_LIMIT,
};
use crate::{
    EngineConfig,
    entropy::generator,
    handles::elapsed_ns,
    links::{HostId, Links},
};

pub(super) type ConnectionId = u64;

/// Connections that may wait to be accepted; a SYN beyond them is lost, as Linux does.
const BACKLOG: usize = 4_096;
/// From a host to itself.
const LOOPBACK_LATENCY_NS: u64 = 10_000;
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Syn(ConnectionId),
    SynAck(ConnectionId),
    Refusal(ConnectionId),
    /// The head of the lane that goes out from this end is due.
    Arrival(ConnectionId, usize),
    /// A reset reaches this end.
    Reset(ConnectionId, usize),
}

/// What a step of the state machine asks its surroundings to do.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) wake: Vec<Waker>,
    pub(super) schedule: Vec<(u64, Event)>,
}

pub(super) struct PortListener {
    pub(super) queue: VecDeque<ConnectionId>,
    pub(super) wakers: Vec<Waker>,
}

#[derive(Default)]
pub(super) struct HostSockets {
    pub(super) life: u32,
    pub(super) listeners: BTreeMap<u16, PortListener>,
}

pub(super) struct NetworkState {
    pub(super) links: Links,
    pub(super) hosts: Vec<HostSockets>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) effects: Effects,
    connections_made: ConnectionId,
    random: ChaCha12Rng,
}

impl NetworkState {
    pub(super) fn new(config: &EngineConfig) -> Self {
        Self {
            links: Links::new(config),
            hosts: Vec::new(),
            connections: BTreeMap::new(),
            effects: Effects::default(),
            connections_made: 0,
            random: generator(config.seed, &["memory network"], 0),
        }
    }

    fn latency_ns(&mut self, first: HostId, second: HostId) -> u64 {
        if first == second {
            return LOOPBACK_LATENCY_NS;
        }
        let latency = self.links.latency(first, second);
        let nanoseconds = |duration: Duration| elapsed_ns(duration);
        let span = nanoseconds(latency.max) - nanoseconds(latency.min) + 1;
        // The high half of the product is uniform below `span`.
        let drawn = (u128::from(self.random.next_u64()) * u128::from(span)) >> 64;
        nanoseconds(latency.min) + drawn as u64
    }

    /// Whether a packet that reaches the end of this way now is lost.
    fn is_lost(&self, from: HostId, to: HostId) -> bool {
        self.links.is_down(to) || self.links.is_blocked(from, to)
    }

    fn schedule(&mut self, at_ns: u64, event: Event) {
        self.effects.schedule.push((at_ns, event));
    }

    /// Schedules an event for when a packet sent now has passed the link.
    fn send(&mut self, now_ns: u64, from: HostId, to: HostId, event: Event) {
        let arrival_ns = now_ns + self.latency_ns(from, to);
        self.schedule(arrival_ns, event);
    }

    // ---- Ports -------------------------------------------------------------------------------------------------------

    pub(super) fn bind(&mut self, host: HostId, port: u16) -> io::Result<u16> {
        let listeners = &mut self.hosts[host].listeners;
        let port = if port == 0 {
            (EPHEMERAL_PORT_FIRST..=u16::MAX)
                .find(|port| !listeners.contains_key(port))
                .ok_or(io::ErrorKind::AddrNotAvailable)?
        } else {
            port
        };
        if listeners.contains_key(&port) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {port} is bound already")));
        }
        listeners.insert(port, PortListener { queue: VecDeque::new(), wakers: Vec::new() });
        Ok(port)
    }

    /// Connections that nobody accepted are reset.
    pub(super) fn unbind(&mut self, now_ns: u64, host: HostId, life: u32, port: u16) {
        if self.hosts[host].life != life {
            return;
        }
        if let Some(listener) = self.hosts[host].listeners.remove(&port) {
            for id in listener.queue {
                self.abort(now_ns, id, ACCEPTOR);
            }
        }
    }

    // ---- Handshake ---------------------------------------------------------------------------------------------------

    pub(super) fn dial(&mut self, now_ns: u64, from: HostId, to: HostId, port: u16) -> ConnectionId {
        let id = self.connections_made;
        self.connections_made += 1;
        let connection = Connection {
            ends: [End::new(from, self.hosts[from].life, true), End::new(to, 0, false)],
            lanes: [Lane::new(), Lane::new()],
            port,
            handshake: Handshake::Pending,
            syn_sent_count: 1,
            dial_waker: None,
        };
        self.connections.insert(id, connection);
        self.send(now_ns, from, to, Event::Syn(id));
        id
    }

    pub(super) fn handle(&mut self, now_ns: u64, event: Event) {
        match event {
            Event::Syn(id) => self.syn_arrived(now_ns, id),
            Event::SynAck(id) => self.syn_ack_arrived(now_ns, id),
            Event::Refusal(id) => self.refusal_arrived(now_ns, id),
            Event::Arrival(id, lane) => self.segments_due(now_ns, id, lane),
            Event::Reset(id, end) => self.reset_arrived(id, end),
        }
    }

    fn hosts_of(&self, id: ConnectionId) -> Option<(HostId, HostId)> {
        let connection = self.connections.get(&id)?;
        Some((connection.ends[DIALER].host, connection.ends[ACCEPTOR].host))
    }

    fn is_pending(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.handshake == Handshake::Pending)
    }

    fn syn_arrived(&mut self, now_ns: u64, id: ConnectionId) {
        let Some((from, to)) = self.hosts_of(id) else { return };
        if !self.is_pending(id) {
            return;
        }
        if self.is_lost(from, to) {
            return self.send_syn_again(now_ns, id);
        }
        let known = &self.connections[&id].ends[ACCEPTOR];
        if known.is_open && known.life == self.hosts[to].life {
            return self.send(now_ns, to, from, Event::SynAck(id));
        }
        let port = self.connections[&id].port;
        match self.hosts[to].listeners.get_mut(&port) {
            None => self.send(now_ns, to, from, Event::Refusal(id)),
            Some(listener) if listener.queue.len() >= BACKLOG => self.send_syn_again(now_ns, id),
            Some(listener) => {
                listener.queue.push_back(id);
                self.effects.wake.append(&mut listener.wakers);
                let life = self.hosts[to].life;
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.ends[ACCEPTOR] = End::new(to, life, true);
                }
                self.send(now_ns, to, from, Event::SynAck(id));
            }
        }
    }

    /// The dialer noticed that no answer came. If its application gave up meanwhile, or its host crashed, nothing is sent.
    fn send_syn_again(&mut self, now_ns: u64, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.ends[DIALER].is_open {
            return self.dial_failed(id, io::ErrorKind::NotConnected);
        }
        if connection.syn_sent_count > SYN_RETRY_LIMIT {
            return self.dial_failed(id, io::ErrorKind::TimedOut);
        }
        let wait_ns = SYN_RETRY_FIRST_NS << (connection.syn_sent_count - 1);
        connection.syn_sent_count += 1;
        self.schedule(now_ns + wait_ns, Event::Syn(id));
    }

    fn dial_failed(&mut self, id: ConnectionId, kind: io::ErrorKind) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.handshake = Handshake::Failed(kind);
        self.effects.wake.extend(connection.dial_waker.take());
        self.collect(id);
    }

    fn syn_ack_arrived(&mut self, now_ns: u64, id: ConnectionId) {
        let Some((from, to)) = self.hosts_of(id) else { return };
        if !self.is_pending(id) {
            return;
        }
        if self.is_lost(to, from) {
            return self.send_syn_again(now_ns, id);
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.ends[DIALER].is_open {
            // Nobody there knows of this dial any more.
            self.dial_failed(id, io::ErrorKind::NotConnected);
            return self.send(now_ns, from, to, Event::Reset(id, ACCEPTOR));
        }
        connection.handshake = Handshake::Established;
        self.effects.wake.extend(connection.dial_waker.take());
    }

    fn refusal_arrived(&mut self, now_ns: u64, id: ConnectionId) {
        let Some((from, to)) = self.hosts_of(id) else { return };
        if !self.is_pending(id) {
            return;
        }
        if self.is_lost(to, from) {
            return self.send_syn_again(now_ns, id);
        }
        self.dial_failed(id, io::ErrorKind::ConnectionRefused);
    }

    // ---- Established connections -------------------------------------------------------------------------------------

    /// Puts a segment on its way. The caller has checked that this end may send.
    pub(super) fn push_segment(&mut self, now_ns: u64, id: ConnectionId, end: usize, payload: Payload) {
        let Some((dialer, acceptor)) = self.hosts_of(id) else { return };
        let arrival_ns = now_ns + self.latency_ns(dialer, acceptor);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.lanes[end].push(arrival_ns, payload);
        self.schedule_head(id, end);
    }

    fn schedule_head(&mut self, id: ConnectionId, lane_number: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let lane = &mut connection.lanes[lane_number];
        if let Some(head) = lane.segments.front()
            && !lane.is_scheduled
        {
            lane.is_scheduled = true;
            let due_ns = head.due_ns;
            self.schedule(due_ns, Event::Arrival(id, lane_number));
        }
    }

    fn segments_due(&mut self, now_ns: u64, id: ConnectionId, lane: usize) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.lanes[lane].is_scheduled = false;
        }
        while self.head_is_due(now_ns, id, lane) {
            if !self.head_arrives(now_ns, id, lane) {
                break;
            }
        }
        self.schedule_head(id, lane);
        self.collect(id);
    }

    fn head_is_due(&self, now_ns: u64, id: ConnectionId, lane: usize) -> bool {
        let head = self.connections.get(&id).and_then(|connection| connection.lanes[lane].segments.front());
        head.is_some_and(|head| head.due_ns <= now_ns)
    }

    /// False when the head did not get through.
    fn head_arrives(&mut self, now_ns: u64, id: ConnectionId, sender: usize) -> bool {
        let receiver = 1 - sender;
        let Some(connection) = self.connections.get(&id) else { return false };
        let (from, to) = (connection.ends[sender].host, connection.ends[receiver].host);
        if self.is_lost(from, to) {
            self.head_is_lost(now_ns, id, sender);
            return false;
        }
        let same_life = connection.ends[receiver].life == self.hosts[to].life;
        let is_failed = connection.ends[receiver].failure.is_some();
        let is_open = same_life && connection.ends[receiver].is_open;
        let is_fin = matches!(connection.lanes[sender].segments.front().map(|head| &head.payload), Some(Payload::Fin));
        let is_late_goodbye = same_life && is_fin;
        if !is_open && !is_late_goodbye {
            // No socket there: the kernel answers with a reset, and the segment is tried again should that be lost.
            self.send(now_ns, to, from, Event::Reset(id, sender));
            self.head_is_lost(now_ns, id, sender);
            return false;
        }
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let payload = connection.lanes[sender].pop();
        if is_open && !is_failed {
            let end = &mut connection.ends[receiver];
            match payload {
                Some(Payload::Data(bytes)) => end.receive(bytes),
                Some(Payload::Fin) => end.peer_finished = true,
                None => {}
            }
            self.effects.wake.extend(end.reader.take());
        }
        true
    }

    fn head_is_lost(&mut self, now_ns: u64, id: ConnectionId, sender: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let end = &connection.ends[sender];
        let sender_lives = end.life == self.hosts[end.host].life && !self.links.is_down(end.host);
        if !sender_lives {
            // Nobody is left to send it again.
            connection.lanes[sender].clear();
        } else if !connection.lanes[sender].retry(now_ns) {
            self.fail(id, sender, io::ErrorKind::TimedOut);
        }
    }

    fn reset_arrived(&mut self, id: ConnectionId, end: usize) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (to, from) = (connection.ends[end].host, connection.ends[1 - end].host);
        if self.is_lost(from, to) || connection.ends[end].life != self.hosts[to].life {
            return;
        }
        self.fail(id, end, io::ErrorKind::ConnectionReset);
        self.collect(id);
    }

    /// This end's connection is dead: what it received and did not read is gone too.
    fn fail(&mut self, id: ConnectionId, end_number: usize, kind: io::ErrorKind) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.lanes[end_number].clear();
        let end = &mut connection.ends[end_number];
        end.failure.get_or_insert(kind);
        end.forget_received();
        self.effects.wake.extend(end.take_wakers());
    }

    /// The application dropped its end: unread bytes make it a reset (RFC 9293, section 3.10.4), else it is a goodbye.
    pub(super) fn close(&mut self, now_ns: u64, id: ConnectionId, end: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let this = &connection.ends[end];
        if this.life != self.hosts[this.host].life || self.links.is_down(this.host) {
            return;
        }
        if this.received_bytes > 0 {
            return self.abort(now_ns, id, end);
        }
        let is_failed = this.failure.is_some();
        connection.ends[end].is_open = false;
        self.effects.wake.extend(connection.ends[1 - end].writer.take());
        let says_goodbye = connection.handshake == Handshake::Established || end == ACCEPTOR;
        if says_goodbye && !is_failed && !connection.lanes[end].fin_sent {
            connection.lanes[end].fin_sent = true;
            self.push_segment(now_ns, id, end, Payload::Fin);
        }
        self.collect(id);
    }

    /// Ends the connection from this side with a reset.
    fn abort(&mut self, now_ns: u64, id: ConnectionId, end: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.ends[end].is_open = false;
        connection.ends[end].forget_received();
        connection.lanes[end].clear();
        let (from, to) = (connection.ends[end].host, connection.ends[1 - end].host);
        self.send(now_ns, from, to, Event::Reset(id, 1 - end));
        self.collect(id);
    }

    fn collect(&mut self, id: ConnectionId) {
        if self.connections.get(&id).is_some_and(Connection::is_over) {
            self.connections.remove(&id);
        }
    }

    // ---- Hosts -------------------------------------------------------------------------------------------------------

    /// The host's kernel forgets everything; what it had sent is still under way.
    pub(super) fn crash(&mut self, host: HostId) {
        self.hosts[host].listeners.clear();
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            if let Some(connection) = self.connections.get_mut(&id) {
                for end in connection.ends.iter_mut().filter(|end| end.host == host) {
                    end.is_open = false;
                    end.forget_received();
                    end.take_wakers().for_each(drop);
                }
            }
            self.collect(id);
        }
    }

    pub(super) fn restart(&mut self, host: HostId) {
        self.hosts[host].life += 1;
    }
}
