//! A model of the world around [`State`]: it does what the actions say, and checks each of them against what it
//! has seen itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::StartFailureKind;

const SECOND: Time = Time::from_secs(1);

#[derive(Debug, Clone)]
enum Op {
    Arrive(WaiterKind),
    Leave(usize),
    Release(usize, Outcome),
    Ready(usize, u32),
    Fail(usize),
    Exit(usize),
    Stopped(usize),
    Restore(u8),
    Prepare(u8),
    Switch(u8),
    Discard(u8),
    Pass(u64),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![9 => Just(WaiterKind::Request), 1 => Just(WaiterKind::Probe)];
    let outcome = prop_oneof![
        8 => Just(Outcome::Answered), 2 => Just(Outcome::Broken), 1 => Just(Outcome::Unreachable)
    ];
    prop_oneof![
        40 => kind.prop_map(Op::Arrive),
        5 => any::<usize>().prop_map(Op::Leave),
        25 => (any::<usize>(), outcome).prop_map(|(n, outcome)| Op::Release(n, outcome)),
        15 => (any::<usize>(), 0..4u32).prop_map(|(n, slots)| Op::Ready(n, slots)),
        3 => any::<usize>().prop_map(Op::Fail),
        3 => any::<usize>().prop_map(Op::Exit),
        8 => any::<usize>().prop_map(Op::Stopped),
        2 => (0..4u8).prop_map(Op::Restore),
        5 => (0..4u8).prop_map(Op::Prepare),
        5 => (0..4u8).prop_map(Op::Switch),
        2 => (0..4u8).prop_map(Op::Discard),
        12 => (1..20_000u64).prop_map(Op::Pass),
        1 => Just(Op::Close),
    ]
}

fn revision(number: u8) -> Arc<Revision> {
    Arc::new(Revision {
        id: format!("r{number}"),
        function_id: "f".into(),
        version: number.into(),
        program: crate::Program::Function,
        image_digest: String::new(),
        public: true,
        timeout: 5 * SECOND,
        memory_mb: 128,
        min_scale: u32::from(number == 3),
        max_scale: 2,
        max_concurrency: (number == 2).then_some(2),
    })
}

struct World {
    state: State,
    config: Arc<GatewayConfig>,
    now: Time,
    waiters: u64,
    /// Those without a verdict, in the order of arrival.
    waiting: Vec<(WaiterId, WaiterKind, Time)>,
    granted: Vec<(InstanceId, WaiterKind)>,
    instances: BTreeMap<InstanceId, Seen>,
    stops: Vec<InstanceId>,
    live: Option<String>,
    closed: bool,
}

struct Seen {
    revision: String,
    starting: bool,
    slots: u32,
    stopped: bool,
    /// Given no slots any more, though not stopped yet.
    retired: bool,
}

impl World {
    fn new(instances: u32) -> Self {
        let config =
            Arc::new(GatewayConfig { instances, queue_bound: 12, idle: 30 * SECOND, ..Default::default() });
        Self {
            state: State::new(Arc::clone(&config)),
            config,
            now: Time::ZERO,
            waiters: 0,
            waiting: vec![],
            granted: vec![],
            instances: BTreeMap::new(),
            stops: vec![],
            live: None,
            closed: false,
        }
    }

    fn in_flight(&self, id: InstanceId) -> u32 {
        self.granted.iter().filter(|granted| **granted == (id, WaiterKind::Request)).count() as u32
    }

    /// Slots that are free now, and those that starts in flight will bring at least.
    fn free(&self) -> u32 {
        let usable =
            |seen: &&Seen| Some(&seen.revision) == self.live.as_ref() && !seen.stopped && !seen.retired;
        let ready = self.instances.iter().filter(|(_, seen)| usable(seen) && !seen.starting);
        ready.map(|(id, seen)| seen.slots - self.in_flight(*id)).sum()
    }

    fn live_instances(&self) -> usize {
        let counts =
            |seen: &&Seen| Some(&seen.revision) == self.live.as_ref() && !seen.stopped && !seen.retired;
        self.instances.values().filter(counts).count()
    }

    fn step(&mut self, event: Event) {
        let preparing = matches!(event, Event::Prepare { .. });
        let least = self.live.as_ref().is_some_and(|live| live == "r3");
        for action in self.state.step(self.now, event) {
            match action {
                Action::Start { instance, revision } => {
                    if !preparing {
                        let requests = self.waiting.iter().filter(|w| w.1 == WaiterKind::Request).count();
                        let starting = self.instances.values().filter(|seen| {
                            seen.starting && !seen.stopped && Some(&seen.revision) == self.live.as_ref()
                        });
                        assert!(
                            self.free() as usize + starting.count() < requests
                                || self.live_instances() == 0 && (least || !self.waiting.is_empty()),
                            "a start without need"
                        );
                        assert!(self.live_instances() < self.config.instances as usize, "too many instances");
                        assert_eq!(Some(&revision.id), self.live.as_ref(), "a start of an old revision");
                    }
                    let seen = Seen {
                        revision: revision.id.clone(),
                        starting: true,
                        slots: 0,
                        stopped: false,
                        retired: false,
                    };
                    assert!(self.instances.insert(instance, seen).is_none());
                }
                Action::Stop { instance, .. } => {
                    self.instances.get_mut(&instance).expect("stop of a known instance").stopped = true;
                    self.stops.push(instance);
                }
                Action::Grant { waiter, instance, kind, cold: _ } => {
                    let first = self.waiting.iter().position(|waiting| waiting.1 == kind).expect("a waiter");
                    assert_eq!(self.waiting.remove(first).0, waiter, "not first come, first served");
                    let seen = &self.instances[&instance];
                    assert!(!seen.stopped && !seen.starting && !seen.retired, "a slot in {:?}", instance);
                    assert_eq!(Some(&seen.revision), self.live.as_ref(), "a slot in an old revision");
                    self.granted.push((instance, kind));
                    assert!(
                        self.in_flight(instance) <= self.instances[&instance].slots,
                        "too many in one instance"
                    );
                }
                Action::Refuse { waiter, .. } => {
                    let at = self.waiting.iter().position(|waiting| waiting.0 == waiter);
                    self.waiting.remove(at.expect("refused once, and only who waits"));
                }
                Action::Prepared { .. } => {}
            }
        }
        self.check();
    }

    fn check(&self) {
        let requests = self.waiting.iter().filter(|waiting| waiting.1 == WaiterKind::Request).count();
        assert!(requests == 0 || self.free() == 0, "{requests} wait and {} slots are free", self.free());
        assert!(self.waiting.len() <= 2 * self.config.queue_bound);
        assert_eq!(self.waiting.len(), self.state.waiting());
        let longest = self.config.queue_deadline.max(self.config.start_limit);
        assert!(self.waiting.iter().all(|waiting| waiting.2 + longest >= self.now), "someone waits for ever");
        for instance in self.state.instances() {
            assert_eq!(instance.in_flight, self.in_flight(instance.id));
        }
    }

    /// Time passes as the function's clock lets it: every wake is taken, none is repeated.
    fn pass(&mut self, by: Time) {
        let end = self.now + by;
        while let Some(wake) = self.state.next_wake(self.now).filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.step(Event::Tick);
            let next = self.state.next_wake(self.now);
            assert!(next.is_none_or(|next| next > self.now), "the clock spins");
        }
        self.now = end;
    }

    fn apply(&mut self, op: Op) {
        let pick = |n: usize, len: usize| (len > 0).then(|| n % len);
        let chosen = |ids: Vec<InstanceId>, n: usize| pick(n, ids.len()).map(|at| ids[at]);
        match op {
            Op::Arrive(kind) => {
                self.waiters += 1;
                let waiter = WaiterId(self.waiters);
                self.waiting.push((waiter, kind, self.now));
                self.step(Event::Arrive { waiter, kind });
            }
            Op::Leave(n) => {
                if let Some(at) = pick(n, self.waiting.len()) {
                    let waiter = self.waiting.remove(at).0;
                    self.step(Event::Leave { waiter });
                }
            }
            Op::Release(n, outcome) => {
                if let Some(at) = pick(n, self.granted.len()) {
                    let (instance, kind) = self.granted.remove(at);
                    let lost = outcome == Outcome::Unreachable;
                    if let Some(seen) = self.instances.get_mut(&instance).filter(|_| lost) {
                        seen.retired = true;
                    }
                    self.step(Event::Released { instance, kind, outcome });
                }
            }
            Op::Ready(n, slots) => {
                if let Some(instance) = chosen(self.starting(), n) {
                    let seen = self.instances.get_mut(&instance).expect("chosen");
                    let said = if seen.revision == "r2" { 2 } else { 1 };
                    (seen.starting, seen.slots) = (false, if slots == 0 { said } else { slots });
                    self.step(Event::Started { instance, max_concurrency: slots });
                }
            }
            Op::Fail(n) => {
                if let Some(instance) = chosen(self.starting(), n) {
                    let seen = self.instances.get_mut(&instance).expect("chosen");
                    (seen.starting, seen.retired) = (false, true);
                    let failure = StartFailure { message: "no".into(), kind: StartFailureKind::Function };
                    self.step(Event::StartFailed { instance, failure });
                }
            }
            Op::Exit(n) => {
                let ready = self.instances.iter().filter(|(_, seen)| !seen.starting).map(|(id, _)| *id);
                if let Some(instance) = chosen(ready.collect(), n) {
                    self.instances.get_mut(&instance).expect("chosen").retired = true;
                    self.step(Event::Exited { instance });
                }
            }
            Op::Stopped(n) => {
                if let Some(at) = pick(n, self.stops.len()) {
                    let instance = self.stops.remove(at);
                    self.step(Event::Stopped { instance });
                }
            }
            Op::Restore(number) => {
                self.goes_live(number, true);
                self.step(Event::Restore { revision: revision(number) });
            }
            Op::Prepare(number) => self.step(Event::Prepare { revision: revision(number) }),
            Op::Switch(number) => {
                self.goes_live(number, self.state.knows(&revision(number).id));
                self.step(Event::Switch { revision_id: revision(number).id.clone() });
            }
            Op::Discard(number) => {
                let revision_id = revision(number).id.clone();
                if self.live.as_ref() != Some(&revision_id) {
                    self.retire(&revision_id);
                }
                self.step(Event::Discard { revision_id });
            }
            Op::Pass(ms) => self.pass(Time::from_millis(ms)),
            Op::Close => {
                self.closed = true;
                self.live = None;
                self.step(Event::Close);
                assert!(self.waiting.is_empty());
            }
        }
    }

    fn goes_live(&mut self, number: u8, known: bool) {
        let id = revision(number).id.clone();
        let changes = known && !self.closed && self.live.as_ref() != Some(&id);
        if changes && let Some(old) = self.live.replace(id) {
            self.retire(&old);
        }
    }

    fn retire(&mut self, revision_id: &str) {
        self.instances.values_mut().filter(|s| s.revision == revision_id).for_each(|s| s.retired = true);
    }

    fn starting(&self) -> Vec<InstanceId> {
        self.instances.iter().filter(|(_, seen)| seen.starting).map(|(id, _)| *id).collect()
    }

    /// Everything that goes on comes to its end; then nothing may be left.
    fn end(mut self) {
        self.apply(Op::Close);
        while !self.starting().is_empty() {
            self.apply(Op::Ready(0, 1));
        }
        while !self.granted.is_empty() {
            self.apply(Op::Release(0, Outcome::Answered));
        }
        while !self.stops.is_empty() {
            self.apply(Op::Stopped(0));
        }
        assert!(self.state.is_gone(), "left: {:?}", self.state.instances());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_invariants_hold_whatever_happens(
        instances in 1..4u32,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(instances);
        world.apply(Op::Restore(0));
        for op in ops {
            world.apply(op);
        }
        world.end();
    }
}

/// Every sequence of six events out of the ones that matter most, each followed to its end.
#[test]
fn the_invariants_hold_for_every_short_sequence() {
    let ops = [
        Op::Arrive(WaiterKind::Request),
        Op::Leave(0),
        Op::Release(0, Outcome::Answered),
        Op::Ready(0, 1),
        Op::Fail(0),
        Op::Exit(0),
        Op::Prepare(1),
        Op::Switch(1),
        Op::Pass(11_000),
    ];
    for number in 0..ops.len().pow(5) {
        let mut world = World::new(1);
        world.apply(Op::Restore(0));
        world.apply(Op::Arrive(WaiterKind::Request));
        (0..5).for_each(|digit| world.apply(ops[number / ops.len().pow(digit) % ops.len()].clone()));
        world.end();
    }
}

#[test]
fn failed_starts_pause_longer_and_longer_and_an_answer_ends_that() {
    let mut world = World::new(1);
    world.apply(Op::Restore(0));
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        world.apply(Op::Arrive(WaiterKind::Request));
        world.apply(Op::Fail(0));
        assert!(world.waiting.is_empty(), "a failed start refuses who waits for it");
        world.pass(SECOND * pause - Time::from_millis(1));
        world.apply(Op::Arrive(WaiterKind::Request));
        assert!(world.waiting.is_empty() && world.starting().is_empty(), "paused for {pause} s");
        world.pass(Time::from_millis(1));
    }
    world.apply(Op::Arrive(WaiterKind::Request));
    world.apply(Op::Ready(0, 1));
    world.apply(Op::Release(0, Outcome::Answered));
    world.apply(Op::Exit(world.instances.len() - 1));
    world.apply(Op::Arrive(WaiterKind::Request));
    assert_eq!(world.waiting.len(), 1, "after one crash a request waits for the next start");
    world.pass(SECOND);
    assert_eq!(world.starting().len(), 1);
    world.end();
}

#[test]
fn the_first_start_is_waited_for_and_later_ones_as_long_as_they_are_known_to_take() {
    let mut world = World::new(1);
    world.apply(Op::Restore(0));
    world.apply(Op::Arrive(WaiterKind::Request));
    world.pass(59 * SECOND);
    world.apply(Op::Arrive(WaiterKind::Request));
    assert_eq!(world.waiting.len(), 2, "layers may have to be unpacked");
    world.apply(Op::Fail(0));
    assert!(world.waiting.is_empty(), "both are told by its end");

    world.pass(2 * SECOND);
    world.apply(Op::Arrive(WaiterKind::Request));
    world.pass(SECOND);
    world.apply(Op::Ready(0, 1));
    world.apply(Op::Exit(world.instances.len() - 1));
    world.apply(Op::Release(0, Outcome::Broken));
    world.pass(SECOND);
    world.apply(Op::Arrive(WaiterKind::Request));
    world.pass(9 * SECOND);
    assert_eq!(world.waiting.len(), 1);
    world.pass(SECOND);
    assert!(world.waiting.is_empty(), "the slowest start took a second");
    world.end();
}

#[test]
fn a_probe_needs_no_slot() {
    let mut world = World::new(1);
    world.apply(Op::Restore(0));
    world.apply(Op::Arrive(WaiterKind::Request));
    world.apply(Op::Ready(0, 1));
    world.apply(Op::Arrive(WaiterKind::Request));
    world.apply(Op::Arrive(WaiterKind::Probe));
    assert_eq!(world.waiting.len(), 1);
    assert_eq!(world.waiting[0].1, WaiterKind::Request);
    world.end();
}

#[test]
fn the_idle_are_stopped_but_for_min_scale_and_what_was_prepared() {
    for (live, left) in [(0, 0), (3, 1)] {
        let mut world = World::new(1);
        world.apply(Op::Restore(live));
        world.apply(Op::Arrive(WaiterKind::Request));
        world.apply(Op::Ready(0, 1));
        world.apply(Op::Release(0, Outcome::Answered));
        world.pass(29 * SECOND);
        assert_eq!(world.stops.len(), 0);
        world.pass(100 * SECOND);
        assert_eq!(world.live_instances(), left, "revision {live}");
        world.apply(Op::Prepare(1));
        world.apply(Op::Ready(0, 1));
        let stops = world.stops.len();
        world.pass(1000 * SECOND);
        assert_eq!(world.stops.len(), stops, "the prepared one is kept");
        world.end();
    }
}

#[test]
fn a_retired_revision_is_stopped_at_its_timeout_at_the_latest() {
    let mut world = World::new(1);
    world.apply(Op::Restore(0));
    world.apply(Op::Arrive(WaiterKind::Request));
    world.apply(Op::Ready(0, 1));
    world.apply(Op::Prepare(1));
    world.apply(Op::Ready(0, 1));
    world.apply(Op::Switch(1));
    world.pass(6 * SECOND - Time::from_millis(1));
    assert!(world.stops.is_empty(), "it may finish");
    world.pass(Time::from_millis(1));
    assert_eq!(world.stops.len(), 1);
    world.end();
}
