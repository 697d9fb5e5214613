//! Which worker should have which shard. Every worker computes the same assignment from the same
//! records.

use std::collections::BTreeMap;

use contracts::Shard;

/// A worker that may be given shards: it is alive and not leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EligibleWorker {
    pub(crate) name: String,
    pub(crate) store: String,
    /// It can reach RabbitMQ.
    pub(crate) bus: bool,
}

/// A shard to be given to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignableShard {
    pub(crate) shard: Shard,
    /// Id of the store it is bound to; empty if any store will do.
    pub(crate) store: String,
    /// The worker that the operator pinned it to.
    pub(crate) pin: Option<String>,
}

/// The worker's name for each shard that any worker can have.
///
/// Uses rendezvous hashing, so that a worker that joins or leaves moves few shards of the others.
/// Each worker gets at most ⌈shards / workers⌉, as far as stores and pins allow. A worker that
/// cannot reach RabbitMQ gets nothing as long as another worker on its store can.
pub(crate) fn assign_shards(
    shards: &[AssignableShard],
    workers: &[EligibleWorker],
) -> BTreeMap<Shard, String> {
    let usable: Vec<&EligibleWorker> = workers
        .iter()
        .filter(|worker| {
            let better = |other: &EligibleWorker| other.bus && other.store == worker.store;
            worker.bus || !workers.iter().any(better)
        })
        .collect();
    let mut builder =
        AssignmentBuilder { usable, loads: BTreeMap::new(), assigned: BTreeMap::new() };
    builder.assign_pinned(shards);
    let cap = shards.len().div_ceil(builder.usable.len().max(1));
    for (store, bound) in shards_by_store(shards) {
        builder.assign_on_store(&store, &bound, cap);
    }
    let unbound: Vec<Shard> =
        shards.iter().filter(|shard| shard.store.is_empty()).map(|shard| shard.shard).collect();
    builder.assign_on_store("", &unbound, cap);
    builder.assigned
}

/// The shards that are bound to a store, by store.
fn shards_by_store(shards: &[AssignableShard]) -> BTreeMap<String, Vec<Shard>> {
    let mut bound = BTreeMap::<String, Vec<Shard>>::new();
    for shard in shards.iter().filter(|shard| !shard.store.is_empty()) {
        bound.entry(shard.store.clone()).or_default().push(shard.shard);
    }
    bound
}

struct AssignmentBuilder<'a> {
    usable: Vec<&'a EligibleWorker>,
    loads: BTreeMap<&'a str, usize>,
    assigned: BTreeMap<Shard, String>,
}

impl<'a> AssignmentBuilder<'a> {
    fn assign_pinned(&mut self, shards: &[AssignableShard]) {
        for shard in shards {
            let fits = |worker: &&&EligibleWorker| {
                Some(&worker.name) == shard.pin.as_ref()
                    && (shard.store.is_empty() || worker.store == shard.store)
            };
            if let Some(&worker) = self.usable.iter().find(fits) {
                self.assign_one(shard.shard, worker);
            }
        }
    }

    /// Assigns `shards` to workers on `store`, or on any store if that is empty: the highest scores
    /// first.
    fn assign_on_store(&mut self, store: &str, shards: &[Shard], cap: usize) {
        let candidates = self.candidates(store);
        let cap = cap.max(shards.len().div_ceil(candidates.len().max(1)));
        let mut pairs: Vec<(u64, &'a EligibleWorker, Shard)> = candidates
            .iter()
            .flat_map(|&worker| {
                shards.iter().map(move |&shard| (score(&worker.name, shard), worker, shard))
            })
            .collect();
        pairs.sort_unstable_by(|a, b| {
            b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)).then(a.2.cmp(&b.2))
        });
        // Pins may leave too little room under the cap. What does not fit then goes to its best
        // match regardless.
        for cap in [cap, usize::MAX] {
            for &(_, worker, shard) in &pairs {
                let load = self.loads.get(worker.name.as_str()).copied().unwrap_or(0);
                if load < cap && !self.assigned.contains_key(&shard) {
                    self.assign_one(shard, worker);
                }
            }
        }
    }

    fn candidates(&self, store: &str) -> Vec<&'a EligibleWorker> {
        if !store.is_empty() {
            return self.usable.iter().filter(|worker| worker.store == store).copied().collect();
        }
        let reaching: Vec<_> = self.usable.iter().filter(|worker| worker.bus).copied().collect();
        if reaching.is_empty() { self.usable.clone() } else { reaching }
    }

    fn assign_one(&mut self, shard: Shard, worker: &'a EligibleWorker) {
        self.assigned.insert(shard, worker.name.clone());
        *self.loads.entry(&worker.name).or_default() += 1;
    }
}

/// The rendezvous hash of worker and shard: the same in every version, on every machine. FNV-1a,
/// followed by the final steps of `MurmurHash3`, because FNV alone hardly mixes inputs that differ
/// only in their last byte.
fn score(name: &str, shard: Shard) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain([0]).chain(shard.0.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn worker(name: &str, store: &str) -> EligibleWorker {
        EligibleWorker { name: name.to_owned(), store: store.to_owned(), bus: true }
    }

    fn shards(count: u16, store: &str) -> Vec<AssignableShard> {
        (0..count)
            .map(|n| AssignableShard { shard: Shard(n), store: store.to_owned(), pin: None })
            .collect()
    }

    fn loads(assigned: &BTreeMap<Shard, String>) -> BTreeMap<String, usize> {
        let mut loads = BTreeMap::new();
        for name in assigned.values() {
            *loads.entry(name.clone()).or_default() += 1;
        }
        loads
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(score("worker-1", Shard(7)), 0x5022_9072_5cec_3c2c);
    }

    #[test]
    fn a_leaving_worker_moves_few_shards_of_the_others() {
        let three = [worker("a", "s"), worker("b", "s"), worker("c", "s")];
        let shards = shards(64, "s");
        let (before, after) = (assign_shards(&shards, &three), assign_shards(&shards, &three[..2]));
        let moved = shards
            .iter()
            .filter(|shard| {
                let old = &before[&shard.shard];
                old != "c" && &after[&shard.shard] != old
            })
            .count();
        assert!(moved <= 6, "{moved} shards moved between the remaining workers");
    }

    #[test]
    fn a_worker_without_rabbitmq_gets_nothing_while_another_on_its_store_has_it() {
        let mut workers = [worker("a", "s"), worker("b", "s"), worker("c", "t")];
        workers[0].bus = false;
        let assigned = assign_shards(&shards(8, "s"), &workers);
        assert_eq!(loads(&assigned), [("b".to_owned(), 8)].into());
        let assigned = assign_shards(&shards(8, ""), &workers);
        assert!(assigned.values().all(|name| name != "a"));
        for worker in &mut workers {
            worker.bus = false;
        }
        assert_eq!(loads(&assign_shards(&shards(8, "s"), &workers)).len(), 2);
    }

    #[test]
    fn a_pin_is_honoured_where_possible() {
        let workers = [worker("a", "s"), worker("b", "s"), worker("c", "t")];
        let mut shards = shards(6, "s");
        for shard in &mut shards[..4] {
            shard.pin = Some("a".to_owned());
        }
        shards[4].pin = Some("c".to_owned());
        shards[5].pin = Some("unknown".to_owned());
        let assigned = assign_shards(&shards, &workers);
        assert!(shards[..4].iter().all(|shard| assigned[&shard.shard] == "a"));
        assert_eq!(assigned[&Shard(4)], "b", "c is not on the shard's store");
        assert_eq!(assigned[&Shard(5)], "b", "a is full");
    }

    #[test]
    fn a_shard_on_an_unknown_store_is_not_assigned() {
        assert!(assign_shards(&shards(4, "elsewhere"), &[worker("a", "s")]).is_empty());
        assert!(assign_shards(&shards(4, ""), &[]).is_empty());
    }

    fn any_shards() -> impl Strategy<Value = Vec<AssignableShard>> {
        let store = prop_oneof![Just(""), Just("s"), Just("t")];
        prop::collection::vec(store, 1..80).prop_map(|stores| {
            let shard = |(n, store): (usize, &str)| AssignableShard {
                shard: Shard(u16::try_from(n).unwrap()),
                store: store.to_owned(),
                pin: None,
            };
            stores.into_iter().enumerate().map(shard).collect()
        })
    }

    fn any_workers() -> impl Strategy<Value = Vec<EligibleWorker>> {
        let one = (prop_oneof![Just("s"), Just("t")], any::<bool>());
        prop::collection::vec(one, 1..9).prop_map(|workers| {
            let worker = |(n, (store, bus)): (usize, (&str, bool))| EligibleWorker {
                name: format!("w{n}"),
                store: store.to_owned(),
                bus,
            };
            workers.into_iter().enumerate().map(worker).collect()
        })
    }

    proptest! {
        #[test]
        fn every_shard_goes_to_a_worker_that_can_have_it(
            shards in any_shards(), workers in any_workers(),
        ) {
            let assigned = assign_shards(&shards, &workers);
            for shard in &shards {
                let on_store = |worker: &&EligibleWorker| {
                    shard.store.is_empty() || worker.store == shard.store
                };
                let can: Vec<_> = workers.iter().filter(on_store).collect();
                let Some(name) = assigned.get(&shard.shard) else {
                    prop_assert!(can.is_empty());
                    continue;
                };
                let owner = can.iter().find(|worker| &worker.name == name);
                let owner = owner.expect("on its store");
                prop_assert!(owner.bus || !can.iter().any(|worker| worker.bus));
            }
        }

        #[test]
        fn on_one_store_no_worker_gets_more_than_its_share(
            count in 1..200_u16, worker_count in 1..12_usize,
        ) {
            let workers: Vec<_> = (0..worker_count).map(|n| worker(&format!("w{n}"), "s")).collect();
            let assigned = assign_shards(&shards(count, "s"), &workers);
            prop_assert_eq!(assigned.len(), usize::from(count));
            let cap = usize::from(count).div_ceil(worker_count);
            prop_assert!(loads(&assigned).values().all(|&load| load <= cap));
        }

        #[test]
        fn the_order_of_workers_does_not_matter(
            shards in any_shards(), workers in any_workers(),
        ) {
            let mut reversed = workers.clone();
            reversed.reverse();
            prop_assert_eq!(assign_shards(&shards, &workers), assign_shards(&shards, &reversed));
        }
    }
}
