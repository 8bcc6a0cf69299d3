use super::*;

const FRESH: ClusterId = ClusterId(7);

/// Nodes with disks, that may be looked at late.
struct World {
    stand: BTreeMap<NodeId, Standing>,
    up: BTreeSet<NodeId>,
    drawn: u128,
}

fn voters(count: u64) -> BTreeSet<NodeId> {
    (1..=count).map(NodeId).collect()
}

fn empty(count: u64) -> Standing {
    Standing { phase: Phase::Empty, cluster: None, voters: voters(count) }
}

impl World {
    fn of(count: u64) -> Self {
        let stand = voters(count).into_iter().map(|node| (node, empty(count))).collect();
        Self { stand, up: BTreeSet::new(), drawn: 0 }
    }

    /// What a node sees of the others.
    fn seen_by(&self, node: NodeId) -> BTreeMap<NodeId, Option<Standing>> {
        let others = self.stand.iter().filter(|(other, _)| **other != node);
        others.map(|(other, stand)| (*other, self.up.contains(other).then(|| stand.clone()))).collect()
    }

    fn act(&mut self, node: NodeId, seen: &BTreeMap<NodeId, Option<Standing>>) -> Option<Step> {
        let own = self.stand.get_mut(&node).unwrap();
        if own.phase == Phase::Begun {
            return None;
        }
        self.drawn += 1;
        let step = next_step(node, own, seen, Some(ClusterId(self.drawn)));
        match step {
            Step::Prepare(cluster) => (own.phase, own.cluster) = (Phase::Prepared, Some(cluster)),
            Step::Begin(cluster) => (own.phase, own.cluster) = (Phase::Begun, Some(cluster)),
            Step::Wait(_) | Step::Wiped(_) => {}
        }
        Some(step)
    }

    fn begun(&self) -> Vec<ClusterId> {
        let begun = self.stand.values().filter(|stand| stand.phase == Phase::Begun);
        begun.filter_map(|stand| stand.cluster).collect()
    }
}

/// A small generator: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn in_whatever_order_they_start_and_restart_they_become_one_cluster() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let count = 1 + random.below(5) as u64;
        let mut world = World::of(count);
        // Looks that are taken before and acted on later.
        let mut looks: Vec<(NodeId, BTreeMap<NodeId, Option<Standing>>)> = Vec::new();
        for _ in 0..200 {
            let node = NodeId(1 + random.below(count as usize) as u64);
            match random.below(8) {
                0 | 1 => {
                    world.up.insert(node);
                }
                2 => {
                    // It restarts, and forgets what it had seen.
                    world.up.remove(&node);
                    looks.retain(|(looker, _)| *looker != node);
                }
                3 | 4 if world.up.contains(&node) => looks.push((node, world.seen_by(node))),
                _ if !looks.is_empty() => {
                    let (node, seen) = looks.swap_remove(random.below(looks.len()));
                    assert!(!matches!(world.act(node, &seen), Some(Step::Wiped(_))), "seed {seed}");
                }
                _ => {}
            }
            let begun = world.begun();
            assert!(begun.iter().all(|cluster| *cluster == begun[0]), "seed {seed}: two clusters");
        }
        // All are there from now on.
        world.up = voters(count);
        for _ in 0..4 {
            for node in voters(count) {
                let seen = world.seen_by(node);
                world.act(node, &seen);
            }
        }
        assert_eq!(world.begun().len() as u64, count, "seed {seed}: {:?}", world.stand);
    }
}

#[test]
fn one_that_was_wiped_is_told_so_and_never_votes_again_under_its_number() {
    for wiped in 1..=3 {
        let mut world = World::of(3);
        world.up = voters(3);
        while world.begun().len() < 3 {
            for node in voters(3) {
                let seen = world.seen_by(node);
                world.act(node, &seen);
            }
        }
        let cluster = world.begun()[0];
        world.stand.insert(NodeId(wiped), empty(3));
        let seen = world.seen_by(NodeId(wiped));
        assert_eq!(world.act(NodeId(wiped), &seen), Some(Step::Wiped(cluster)));
        // Alone with another one that was wiped it waits: the first does not go on without all of them.
        world.stand.insert(NodeId(wiped % 3 + 1), empty(3));
        world.up.remove(&NodeId((wiped + 1) % 3 + 1));
        let seen = world.seen_by(NodeId(wiped));
        let step = world.act(NodeId(wiped), &seen);
        assert!(matches!(step, Some(Step::Wait(_))), "{step:?}");
    }
}

#[test]
fn nothing_begins_until_somebody_says_that_they_are_new() {
    let mut world = World::of(3);
    world.up = voters(3);
    for node in voters(3) {
        let step = next_step(node, &empty(3), &world.seen_by(node), None);
        assert_eq!(step, Step::Wait(Waiting::Word));
    }
    // Said to the first, it goes for all.
    let seen = world.seen_by(NodeId(1));
    world.act(NodeId(1), &seen);
    let Standing { cluster, .. } = world.stand[&NodeId(1)].clone();
    for node in [NodeId(2), NodeId(3)] {
        assert_eq!(next_step(node, &empty(3), &world.seen_by(node), None), Step::Prepare(cluster.unwrap()));
    }
    // What is missing is named before it.
    world.up.remove(&NodeId(2));
    let away = Step::Wait(Waiting::Unreachable([NodeId(2)].into()));
    assert_eq!(next_step(NodeId(1), &empty(3), &world.seen_by(NodeId(1)), None), away);
}

#[test]
fn nobody_goes_on_with_who_is_of_another_mind() {
    let own = empty(3);
    let said = |standing: Standing| Some(standing);
    let two = Standing { voters: voters(2), ..empty(3) };
    let others = [(NodeId(2), said(two)), (NodeId(3), said(empty(3)))].into();
    assert_eq!(next_step(NodeId(1), &own, &others, Some(FRESH)), Step::Wait(Waiting::OtherVoters(NodeId(2))));
    let joining = Standing { phase: Phase::Joining, ..empty(3) };
    let others = [(NodeId(2), said(empty(3))), (NodeId(3), said(joining))].into();
    assert_eq!(next_step(NodeId(1), &own, &others, Some(FRESH)), Step::Wait(Waiting::Joining(NodeId(3))));
    let others = [(NodeId(2), None), (NodeId(3), said(empty(3)))].into();
    let away = Waiting::Unreachable([NodeId(2)].into());
    assert_eq!(next_step(NodeId(1), &own, &others, Some(FRESH)), Step::Wait(away));
}
