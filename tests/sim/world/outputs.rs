//! What a node wants done is done.

use cluster_core::{Halt, NodeId, Output, Persist, ReadId};

use super::{Event, World};
use crate::oracle::{self, Violation};
use crate::report::Fault;

impl World {
    /// Does all that `node` wants done.
    pub fn drain(&mut self, node: NodeId) -> Result<(), Violation> {
        while let Some(output) = self.nodes.get_mut(&node).and_then(crate::process::Process::poll) {
            match output {
                Output::Send { to, class: _, bytes } => self.send(node, to, bytes),
                Output::Persist(persist) => self.persist(node, *persist)?,
                Output::Answer { request, proposal } => self.answered(node, request, &proposal)?,
                Output::Read { id, result } => self.read(node, id, result)?,
                Output::Applied(entry) => {
                    let is_member = self.nodes.get(&node).is_some_and(|process| process.is_member);
                    if is_member {
                        let real_ms = self.real_ms();
                        let is_new = self.oracle.applies(node, &entry, (self.now, real_ms))?;
                        let kind = entry.request.and_then(|request| self.kinds.get(&request).copied());
                        if let Some(kind) = kind
                            && is_new
                            && !entry.repeated
                        {
                            *self.applied.entry(kind).or_default() += 1;
                        }
                    } else {
                        self.oracle.told(node, &entry)?;
                    }
                }
                Output::Relist { revision } => {
                    let is_member = self.nodes.get(&node).is_some_and(|process| process.is_member);
                    self.counts.add(if is_member {
                        "event: watchers list again"
                    } else {
                        "event: copy is whole"
                    });
                    self.oracle.relists(node, revision);
                }
                Output::Leader { leader, term } if leader == Some(node) => {
                    self.counts.add("event: election");
                    self.note("leads", &[node.0, term]);
                    self.oracle.leads(node, term)?;
                }
                Output::Leader { .. } => {}
                Output::Halted(Halt::Removed) => {
                    self.counts.add("event: removed member stops");
                    self.take_down(node);
                    self.nodes.remove(&node);
                    return Ok(());
                }
                Output::Halted(why) => {
                    return oracle::broken("no member halts", format!("node {node}: {why}"));
                }
            }
        }
        if let Some(replica) = self.nodes.get(&node).and_then(crate::process::Process::replica) {
            self.oracle.has(node, replica.state())?;
        }
        if let Some(process) = self.nodes.get(&node)
            && let Some(state) = process.mirror()
        {
            self.oracle.mirrors((node, process.life), state)?;
        }
        Ok(())
    }

    fn send(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        let [first, second] = self.net.carry(from, to, &mut self.rng);
        if let Some(after) = second {
            self.counts.strikes(Fault::MessageTwice);
            self.at(after, Event::Deliver { from, to, bytes: bytes.clone() });
        }
        match first {
            Some(after) => self.at(after, Event::Deliver { from, to, bytes }),
            None => self.counts.strikes(Fault::MessageLost),
        }
    }

    fn persist(&mut self, node: NodeId, persist: Persist) -> Result<(), Violation> {
        self.oracle.writes(node, &persist.entries)?;
        if persist.snapshot.is_some() {
            self.counts.add("event: snapshot installed");
        }
        let n = persist.n;
        self.note("persist", &[node.0, n]);
        let Some(process) = self.nodes.get_mut(&node) else { return Ok(()) };
        let fsync = self.rng.around(process.fsync);
        let begun = process.disk.write(persist, fsync);
        self.writes(node, begun);
        Ok(())
    }

    /// `node` is writing: up to which one, and how long it takes.
    pub fn writes(&mut self, node: NodeId, begun: Option<(u64, u64)>) {
        let life = self.nodes.get(&node).map_or(0, |process| process.life);
        if let Some((n, after)) = begun {
            self.at(after, Event::Written { node, life, n });
        }
    }

    pub(super) fn read_id(&mut self) -> ReadId {
        self.next_read += 1;
        ReadId(self.next_read)
    }
}
