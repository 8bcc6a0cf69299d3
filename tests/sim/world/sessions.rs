//! Sessions and what becomes of their operations.

use cluster_core::{Fnv, NodeId, ReadId};
use cluster_model::{Proposal, ReadFailed, Reading, RequestId};

use super::{CALM_FROM, Event, World};
use crate::oracle::{self, Key, Told, Violation};
use crate::work::{Running, SECOND, Wish, is_void, operation, told};

impl World {
    pub(super) fn think(&mut self, session: usize) -> Result<(), Violation> {
        let now = self.now;
        if self
            .sessions
            .get(session)
            .is_none_or(|session| session.running.is_some() || now < session.think_at)
        {
            return Ok(());
        }
        let Some(node) = self.any_node_up() else {
            self.think_after(session, SECOND);
            return Ok(());
        };
        let request = (u128::from(self.rng.number()) << 64) | u128::from(self.rng.number());
        let read = self.read_id();
        let told = self.newest_told();
        let Some(thinking) = self.sessions.get_mut(session) else { return Ok(()) };
        let wall = self.nodes.get(&node).map(|process| process.now(now).wall).unwrap_or_default();
        let (key, asked, wish) = thinking.think(&mut self.rng, &mut self.shared, now, wall);
        self.operations += 1;
        if let Wish::Change(command) = &wish {
            self.kinds.insert(RequestId::from_u128(request), command.name());
        }
        // What was made before a restore has a history that no order explains.
        let old = matches!(&key, Key::Token(generation, _) if *generation != self.shared.generation);
        let place = if old { None } else { self.oracle.histories.begins(&key, asked, now) };
        let retries = self.rng.below(4);
        let request = RequestId::from_u128(request);
        let running = Running { on: (node, 0), wish, request, read, key, asked, place, told, retries };
        self.ask(session, running, node)
    }

    fn any_node_up(&mut self) -> Option<NodeId> {
        let up: Vec<_> = self
            .nodes
            .values()
            .filter(|process| process.core.is_some())
            .map(|process| process.node)
            .collect();
        self.rng.pick(&up).copied()
    }

    fn ask(&mut self, session: usize, mut running: Running, node: NodeId) -> Result<(), Violation> {
        let now = self.now;
        let within = self.rng.between(2 * SECOND, 5 * SECOND);
        let Some(process) = self.nodes.get_mut(&node) else { return Ok(()) };
        if let (Some(operation), Some((_, authority))) = (operation(&running.wish), process.authority(now)) {
            self.oracle.carried_out(operation, authority);
        }
        running.on = (node, process.life);
        match &running.wish {
            Wish::Change(command) => {
                let hash = command.encode().map_or(0, |bytes| Fnv::of(&bytes));
                self.oracle.proposed(now, running.request, hash)?;
                process.propose(running.request, command, within, now);
            }
            Wish::Know(query) => {
                self.oracle.asks(running.read, query);
                process.read(running.read, query.clone(), within, now);
            }
        }
        if let Some(asking) = self.sessions.get_mut(session) {
            asking.running = Some(running);
        }
        self.drain(node)
    }

    fn session_of(&self, wanted: impl Fn(&Running) -> bool) -> Option<usize> {
        self.sessions.iter().position(|session| session.running.as_ref().is_some_and(&wanted))
    }

    pub(super) fn answered(
        &mut self,
        node: NodeId,
        request: RequestId,
        proposal: &Proposal,
    ) -> Result<(), Violation> {
        self.oracle.answered(self.now, request, proposal)?;
        let Some(session) = self.session_of(|running| running.request == request && running.on.0 == node)
        else {
            return Ok(());
        };
        match proposal {
            Proposal::Applied { outcome, .. } => {
                self.counts.add("answer: applied");
                self.ends(session, Some(Told::Outcome(*outcome)))
            }
            Proposal::NotApplied(_) => {
                self.counts.add("answer: not applied");
                self.again(session)
            }
            Proposal::Unknown => {
                self.counts.add("answer: unknown");
                self.again(session)
            }
        }
    }

    pub(super) fn read(
        &mut self,
        node: NodeId,
        id: ReadId,
        result: Result<Reading, ReadFailed>,
    ) -> Result<(), Violation> {
        let wanted = |running: &Running| {
            running.read == id && running.on.0 == node && matches!(running.wish, Wish::Know(_))
        };
        let Some(session) = self.session_of(wanted) else { return Ok(()) };
        match result {
            Ok(reading) => {
                self.counts.add("answer: read");
                let running = self.sessions.get(session).and_then(|session| session.running.clone());
                if let Some(running) = running {
                    self.oracle.reads(id, running.told, &reading)?;
                }
                self.ends(session, Some(told(&reading.answer)))
            }
            Err(_) => {
                self.counts.add("answer: not read");
                self.again(session)
            }
        }
    }

    /// Asks once more, on any node, or gives up.
    fn again(&mut self, session: usize) -> Result<(), Violation> {
        let retry = match self.sessions.get_mut(session).and_then(|session| session.running.as_mut()) {
            Some(running) if running.retries > 0 => {
                running.retries -= 1;
                Some(running.clone())
            }
            _ => None,
        };
        if let Some(running) = retry
            && let Some(node) = self.any_node_up()
        {
            self.counts.add("event: operation asked again");
            return self.ask(session, running, node);
        }
        let began_calm = self.now >= CALM_FROM + 8 * SECOND;
        if began_calm {
            let running = self.sessions.get(session).and_then(|session| session.running.clone());
            let members: Vec<_> = self
                .nodes
                .values()
                .filter_map(|process| Some((process.node, process.life, process.replica()?.status())))
                .collect();
            return oracle::broken(
                "without faults everything is answered",
                format!("at {} {running:?}, members: {members:?}", self.now),
            );
        }
        self.ends(session, None)
    }

    fn ends(&mut self, session: usize, told: Option<Told>) -> Result<(), Violation> {
        let now = self.now;
        if let Some(ending) = self.sessions.get_mut(session)
            && let Some(running) = ending.running.take()
            && let Some(told) = told
        {
            ending.learn(&running, told);
            if is_void(&told) {
                self.counts.add("answer: token of before a restore");
            }
            self.oracle.ends(&running.key, running.asked, running.place, told, now)?;
        }
        self.note("ends", &[session as u64]);
        let next = self.rng.around(4 * SECOND);
        self.think_after(session, next);
        Ok(())
    }

    /// `session` thinks of something after so many microseconds, and not before unless there is a race.
    pub fn think_after(&mut self, session: usize, after: u64) {
        if let Some(idle) = self.sessions.get_mut(session) {
            idle.think_at = self.now + after;
            self.at(after, Event::Think(session));
        }
    }

    /// The node went down: nobody will answer what was asked there.
    pub(super) fn lose_operations_of(&mut self, node: NodeId) {
        for session in 0..self.sessions.len() {
            let lost = self
                .sessions
                .get_mut(session)
                .and_then(|session| session.running.take_if(|running| running.on.0 == node));
            if let Some(running) = lost {
                if matches!(running.wish, Wish::Change(_)) {
                    // Cannot fail: an unknown outcome contradicts nothing.
                    let _ = self.oracle.answered(self.now, running.request, &Proposal::Unknown);
                }
                self.counts.add("answer: node went down");
                let next = self.rng.around(SECOND);
                self.think_after(session, next);
            }
        }
    }
}
