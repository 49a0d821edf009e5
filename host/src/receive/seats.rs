//! Bounds the connections of a listener: all of them, and those of one client address. When none is free, the connection
//! that has kept the host waiting for longest gives its place to the one that waits. Called by `server`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::pulse::Pulse;

/// How long a client may keep the host waiting before its connection has to give way to another.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between looks for a connection that may give way.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Of one address, so many connections may wait for a place; more are closed.
const MAX_WAITING_OF_A_PEER: usize = 32;

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    max_of_a_peer: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: HashMap<u64, Taken>,
    peers: HashMap<IpAddr, OfPeer>,
    next: u64,
}

/// What one address has.
#[derive(Clone, Copy, Debug, Default)]
struct OfPeer {
    taken: usize,
    waiting: usize,
}

#[derive(Debug)]
struct Taken {
    peer: IpAddr,
    pulse: Arc<Pulse>,
    leave: CancellationToken,
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    /// How its connection stands.
    pub(super) pulse: Arc<Pulse>,
    /// Cancelled when the connection is to give way.
    pub(super) leave: CancellationToken,
}

impl Seats {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let max = limits.max_connections.max(1);
        Arc::new(Self {
            max,
            max_of_a_peer: limits.max_connections_per_peer.clamp(1, max),
            state: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place for a connection of this address; waits for one. `None` when too many of the address wait already.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let peer = peer(address);
        if let Some(seat) = self.try_take(peer) {
            return Some(seat);
        }
        let _waiting = Waiting::begin(self, peer)?;
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(seat) = self.try_take(peer) {
                return Some(seat);
            }
            // A place that is freed ends the wait; so does time, which makes patience run out.
            let _ = timeout(LOOK_INTERVAL, freed).await;
        }
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let mut state = self.lock();
        let of_peer = state.peers.get(&peer).copied().unwrap_or_default();
        let is_peer_full = of_peer.taken >= self.max_of_a_peer;
        if is_peer_full || state.taken.len() >= self.max {
            state.make_room(is_peer_full.then_some(peer));
            return None;
        }
        let number = state.next;
        state.next += 1;
        let (pulse, leave) = (Arc::<Pulse>::default(), CancellationToken::new());
        let taken = Taken {
            peer,
            pulse: Arc::clone(&pulse),
            leave: leave.clone(),
        };
        state.taken.insert(number, taken);
        state.peers.entry(peer).or_default().taken += 1;
        Some(Seat {
            seats: Arc::clone(self),
            number,
            pulse,
            leave,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the connection to leave that has kept the host waiting for longest, and for long enough: any, or one of this
    /// address. One at a time.
    fn make_room(&self, peer: Option<IpAddr>) {
        let is_meant = |taken: &&Taken| peer.is_none_or(|peer| taken.peer == peer);
        let mut candidates = self.taken.values().filter(is_meant);
        if candidates.clone().any(|taken| taken.leave.is_cancelled()) {
            return;
        }
        let now = Instant::now();
        let first = candidates.next();
        let slowest = candidates.fold(first, |slowest, taken| {
            let waits = |it: &Taken| it.pulse.waits_for(now);
            match slowest {
                Some(slowest) if waits(slowest) >= waits(taken) => Some(slowest),
                _ => Some(taken),
            }
        });
        if let Some(slowest) = slowest.filter(|it| it.pulse.waits_for(now) >= PATIENCE) {
            slowest.leave.cancel();
        }
    }

    fn change(&mut self, peer: IpAddr, change: impl FnOnce(&mut OfPeer)) {
        let of_peer = self.peers.entry(peer).or_default();
        change(of_peer);
        if of_peer.taken == 0 && of_peer.waiting == 0 {
            self.peers.remove(&peer);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        if let Some(taken) = state.taken.remove(&self.number) {
            state.change(taken.peer, |of_peer| of_peer.taken -= 1);
        }
        drop(state);
        self.seats.freed.notify_waiters();
    }
}

/// A connection that waits for a place.
struct Waiting<'s> {
    seats: &'s Seats,
    peer: IpAddr,
}

impl<'s> Waiting<'s> {
    fn begin(seats: &'s Seats, peer: IpAddr) -> Option<Self> {
        let mut state = seats.lock();
        let of_peer = state.peers.entry(peer).or_default();
        if of_peer.waiting >= MAX_WAITING_OF_A_PEER {
            return None;
        }
        of_peer.waiting += 1;
        Some(Self { seats, peer })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        state.change(self.peer, |of_peer| of_peer.waiting -= 1);
    }
}

/// Who counts as one client: an address, or a network of IPv6, which one machine has all of.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(max: usize, of_a_peer: usize) -> Arc<Seats> {
        Seats::new(&Limits {
            max_connections: max,
            max_connections_per_peer: of_a_peer,
            ..Limits::default()
        })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_hold_all_places() {
        let seats = seats(8, 4);
        let mut held = Vec::new();
        for _ in 0..4 {
            let seat = seats.take(address(1)).await.unwrap();
            let working = seat.pulse.work();
            held.push((seat, working));
        }
        assert!(seats.try_take(address(1)).is_none());
        for last in 2..6 {
            let seat = seats.try_take(address(last)).unwrap();
            let working = seat.pulse.work();
            held.push((seat, working));
        }
        assert!(seats.try_take(address(9)).is_none());
        held.remove(0);
        assert!(seats.take(address(1)).await.is_some());
        drop(held);
        assert!(seats.lock().taken.is_empty() && seats.lock().peers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_that_keeps_the_host_waiting_for_longest_gives_way() {
        let seats = seats(3, 3);
        let slow = seats.take(address(1)).await.unwrap();
        tokio::time::advance(PATIENCE).await;
        let fresh = seats.take(address(1)).await.unwrap();
        let busy = seats.take(address(1)).await.unwrap();
        let _working = busy.pulse.work();
        assert!(seats.try_take(address(2)).is_none());
        assert!(slow.leave.is_cancelled());
        // One at a time: the place is not free yet.
        tokio::time::advance(10 * PATIENCE).await;
        assert!(seats.try_take(address(2)).is_none());
        assert!(!fresh.leave.is_cancelled() && !busy.leave.is_cancelled());
        drop(slow);
        assert!(seats.take(address(2)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_when_patience_has_run_out() {
        let seats = seats(1, 1);
        let held = seats.take(address(1)).await.unwrap();
        let began = Instant::now();
        let gives_way = async {
            held.leave.cancelled().await;
            drop(held);
        };
        let (seat, ()) = tokio::join!(seats.take(address(1)), gives_way);
        assert!(seat.is_some());
        assert!((PATIENCE..2 * PATIENCE).contains(&began.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_fill_the_waiting_room() {
        let seats = seats(1, 1);
        let _held = seats.take(address(1)).await.unwrap();
        let waiting: Vec<_> = (0..MAX_WAITING_OF_A_PEER)
            .map(|_| Waiting::begin(&seats, address(1)).unwrap())
            .collect();
        assert!(seats.take(address(1)).await.is_none());
        assert!(Waiting::begin(&seats, address(2)).is_some());
        drop(waiting);
        assert!(Waiting::begin(&seats, address(1)).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| peer(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
