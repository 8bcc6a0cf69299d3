//! How long a cluster is without a leader.

use super::*;

/// Members tick at the same moments here, which is as bad as it gets: two that drew the same stand at once.
#[test]
fn a_new_leader_is_there_within_two_seconds_also_when_votes_split() {
    const DEATHS: usize = 300;
    let mut cluster = Cluster::of(3);
    let mut away = Vec::new();
    let mut terms = 0;
    for _ in 0..DEATHS {
        let dead = cluster.leader();
        let term = cluster.replicas[&dead].status().term;
        cluster.cut.insert(dead);
        let began = cluster.now;
        let others = |cluster: &Cluster| {
            let mut all = cluster.replicas.iter().filter(|(node, _)| **node != dead);
            all.find(|(_, replica)| replica.leads()).map(|(node, _)| *node)
        };
        let new = loop {
            cluster.ticks(1);
            if let Some(new) = others(&cluster) {
                break new;
            }
        };
        away.push(cluster.now - began);
        terms += cluster.replicas[&new].status().term - term - 1;
        cluster.cut.clear();
        // Until the one that was dead follows.
        cluster.ticks(20);
    }
    away.sort_unstable();
    let (median, p99) = (away[DEATHS / 2], away[DEATHS * 99 / 100]);
    println!("{DEATHS} leaders died: the next one after {median:?}, p99 {p99:?}, {terms} votes split");
    assert!(p99 <= std::time::Duration::from_secs(2), "{away:?}");
    assert!(terms > 0, "no vote was split: this shows nothing");
}

/// It may be asked where there is no leader yet, and where one is believed in that is dead.
#[test]
fn who_asked_in_vain_is_told_who_leads() {
    let mut cluster = Cluster::of(3);
    let dead = cluster.leader();
    cluster.cut.insert(dead);
    let asked = *cluster.replicas.keys().find(|node| **node != dead).unwrap();
    let mut client = Client::start(Config::new(NodeId(100), 1), vec![asked], 1, cluster.time());
    let request = RequestId::from_u128(1);
    client.propose(request, &create("c"), cluster.now + 100 * TICK, cluster.time());
    let (mut led, mut answered) = (None, None);
    while answered.is_none() {
        cluster.ticks(1);
        let now = cluster.time();
        client.tick(now);
        // All that is said until nobody has anything to say.
        let mut silent = false;
        while !silent {
            silent = true;
            while let Some(output) = client.poll() {
                match output {
                    Output::Send { to, bytes, .. } if to != dead => {
                        cluster.replicas.get_mut(&to).unwrap().receive(NodeId(100), &bytes, now).unwrap();
                        silent = false;
                    }
                    Output::Answer { proposal, .. } => answered = Some((cluster.now, proposal)),
                    _ => {}
                }
            }
            cluster.settle();
            for (node, bytes) in std::mem::take(&mut cluster.said) {
                client.receive(node, &bytes, now).unwrap();
                silent = false;
            }
        }
        let leads = |(node, replica): (&NodeId, &Replica)| *node != dead && replica.leads();
        if led.is_none() && cluster.replicas.iter().any(leads) {
            led = Some(cluster.now);
        }
    }
    let (led, (at, proposal)) = (led.unwrap(), answered.unwrap());
    assert_eq!(Some(proposal), applied(1, Outcome::Done));
    // Not only when it would have asked again.
    assert!(at <= led + TICK, "led since {led:?}, written at {at:?}");
}
