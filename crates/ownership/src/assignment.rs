//! Who should have which shard. Every worker reckons it for itself, from what all of them read.

use std::collections::BTreeMap;

use contracts::Shard;

/// A worker that may be given shards: it lives and does not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) store: String,
    /// It reaches RabbitMQ.
    pub(crate) bus: bool,
}

/// A shard to be given to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: Shard,
    /// The store it is bound to; empty when any will do.
    pub(crate) store: String,
    /// The worker that the operator wants it on.
    pub(crate) pin: Option<String>,
}

/// The worker's name for each shard that any of them can have.
///
/// By rendezvous hashing, so that a worker that comes or goes moves few shards of others; at most
/// ⌈shards / workers⌉ each, as far as stores and pins allow. Of the workers on a store, those that
/// do not reach RabbitMQ have none while another one does.
pub(crate) fn assign(places: &[Place], members: &[Member]) -> BTreeMap<Shard, String> {
    let usable: Vec<&Member> = members
        .iter()
        .filter(|member| {
            let better = |other: &Member| other.bus && other.store == member.store;
            member.bus || !members.iter().any(better)
        })
        .collect();
    let mut shares = Shares { usable, loads: BTreeMap::new(), given: BTreeMap::new() };
    shares.give_pinned(places);
    let cap = places.len().div_ceil(shares.usable.len().max(1));
    for (store, bound) in by_store(places) {
        shares.give(&store, &bound, cap);
    }
    let free: Vec<Shard> =
        places.iter().filter(|place| place.store.is_empty()).map(|place| place.shard).collect();
    shares.give("", &free, cap);
    shares.given
}

/// The shards that are bound to a store, by store.
fn by_store(places: &[Place]) -> BTreeMap<String, Vec<Shard>> {
    let mut bound = BTreeMap::<String, Vec<Shard>>::new();
    for place in places.iter().filter(|place| !place.store.is_empty()) {
        bound.entry(place.store.clone()).or_default().push(place.shard);
    }
    bound
}

struct Shares<'a> {
    usable: Vec<&'a Member>,
    loads: BTreeMap<&'a str, usize>,
    given: BTreeMap<Shard, String>,
}

impl<'a> Shares<'a> {
    fn give_pinned(&mut self, places: &[Place]) {
        for place in places {
            let fits = |member: &&&Member| {
                Some(&member.name) == place.pin.as_ref()
                    && (place.store.is_empty() || member.store == place.store)
            };
            if let Some(&member) = self.usable.iter().find(fits) {
                self.give_one(place.shard, member);
            }
        }
    }

    /// Gives `shards` to workers on `store`, the best matches first.
    fn give(&mut self, store: &str, shards: &[Shard], cap: usize) {
        let candidates = self.candidates(store);
        let cap = cap.max(shards.len().div_ceil(candidates.len().max(1)));
        let mut pairs: Vec<(u64, &'a Member, Shard)> = candidates
            .iter()
            .flat_map(|&member| {
                shards.iter().map(move |&shard| (score(&member.name, shard), member, shard))
            })
            .collect();
        pairs.sort_unstable_by(|a, b| {
            b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)).then(a.2.cmp(&b.2))
        });
        // What finds no room within the cap, for pins, goes to its best match all the same.
        for cap in [cap, usize::MAX] {
            for &(_, member, shard) in &pairs {
                let load = self.loads.get(member.name.as_str()).copied().unwrap_or(0);
                if load < cap && !self.given.contains_key(&shard) {
                    self.give_one(shard, member);
                }
            }
        }
    }

    fn candidates(&self, store: &str) -> Vec<&'a Member> {
        if !store.is_empty() {
            return self.usable.iter().filter(|member| member.store == store).copied().collect();
        }
        let reaching: Vec<_> = self.usable.iter().filter(|member| member.bus).copied().collect();
        if reaching.is_empty() { self.usable.clone() } else { reaching }
    }

    fn give_one(&mut self, shard: Shard, member: &'a Member) {
        self.given.insert(shard, member.name.clone());
        *self.loads.entry(&member.name).or_default() += 1;
    }
}

/// How well worker and shard match: the same in every version, on every machine. FNV-1a, and the
/// last steps of `MurmurHash3` because FNV alone hardly mixes what differs in its last byte.
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

    fn member(name: &str, store: &str) -> Member {
        Member { name: name.to_owned(), store: store.to_owned(), bus: true }
    }

    fn places(count: u16, store: &str) -> Vec<Place> {
        (0..count).map(|n| Place { shard: Shard(n), store: store.to_owned(), pin: None }).collect()
    }

    fn loads(given: &BTreeMap<Shard, String>) -> BTreeMap<String, usize> {
        let mut loads = BTreeMap::new();
        for name in given.values() {
            *loads.entry(name.clone()).or_default() += 1;
        }
        loads
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(score("worker-1", Shard(7)), 0x5022_9072_5cec_3c2c);
    }

    #[test]
    fn a_worker_that_goes_leaves_most_shards_of_the_others_alone() {
        let three = [member("a", "s"), member("b", "s"), member("c", "s")];
        let places = places(64, "s");
        let (before, after) = (assign(&places, &three), assign(&places, &three[..2]));
        let moved = places
            .iter()
            .filter(|place| {
                let old = &before[&place.shard];
                old != "c" && &after[&place.shard] != old
            })
            .count();
        assert!(moved <= 6, "{moved} shards moved between workers that stay");
    }

    #[test]
    fn a_worker_without_rabbitmq_has_nothing_while_another_on_the_store_can() {
        let mut members = [member("a", "s"), member("b", "s"), member("c", "t")];
        members[0].bus = false;
        let given = assign(&places(8, "s"), &members);
        assert_eq!(loads(&given), [("b".to_owned(), 8)].into());
        let given = assign(&places(8, ""), &members);
        assert!(given.values().all(|name| name != "a"));
        for member in &mut members {
            member.bus = false;
        }
        assert_eq!(loads(&assign(&places(8, "s"), &members)).len(), 2);
    }

    #[test]
    fn a_pin_is_honoured_where_it_can_be() {
        let members = [member("a", "s"), member("b", "s"), member("c", "t")];
        let mut places = places(6, "s");
        for place in &mut places[..4] {
            place.pin = Some("a".to_owned());
        }
        places[4].pin = Some("c".to_owned());
        places[5].pin = Some("gone".to_owned());
        let given = assign(&places, &members);
        assert!(places[..4].iter().all(|place| given[&place.shard] == "a"));
        assert_eq!(given[&Shard(4)], "b", "c is not on the shard's store");
        assert_eq!(given[&Shard(5)], "b", "a is full");
    }

    #[test]
    fn a_shard_whose_store_nobody_has_is_nobodys() {
        assert!(assign(&places(4, "elsewhere"), &[member("a", "s")]).is_empty());
        assert!(assign(&places(4, ""), &[]).is_empty());
    }

    fn any_places() -> impl Strategy<Value = Vec<Place>> {
        let store = prop_oneof![Just(""), Just("s"), Just("t")];
        prop::collection::vec(store, 1..80).prop_map(|stores| {
            let place = |(n, store): (usize, &str)| Place {
                shard: Shard(u16::try_from(n).unwrap()),
                store: store.to_owned(),
                pin: None,
            };
            stores.into_iter().enumerate().map(place).collect()
        })
    }

    fn any_members() -> impl Strategy<Value = Vec<Member>> {
        let one = (prop_oneof![Just("s"), Just("t")], any::<bool>());
        prop::collection::vec(one, 1..9).prop_map(|members| {
            let member = |(n, (store, bus)): (usize, (&str, bool))| Member {
                name: format!("w{n}"),
                store: store.to_owned(),
                bus,
            };
            members.into_iter().enumerate().map(member).collect()
        })
    }

    proptest! {
        #[test]
        fn every_shard_goes_to_one_that_can_have_it(
            places in any_places(), members in any_members(),
        ) {
            let given = assign(&places, &members);
            for place in &places {
                let on_store = |member: &&Member| {
                    place.store.is_empty() || member.store == place.store
                };
                let can: Vec<_> = members.iter().filter(on_store).collect();
                let Some(name) = given.get(&place.shard) else {
                    prop_assert!(can.is_empty());
                    continue;
                };
                let owner = can.iter().find(|member| &member.name == name);
                let owner = owner.expect("on its store");
                prop_assert!(owner.bus || !can.iter().any(|member| member.bus));
            }
        }

        #[test]
        fn on_one_store_nobody_has_more_than_its_share(
            count in 1..200_u16, workers in 1..12_usize,
        ) {
            let members: Vec<_> = (0..workers).map(|n| member(&format!("w{n}"), "s")).collect();
            let given = assign(&places(count, "s"), &members);
            prop_assert_eq!(given.len(), usize::from(count));
            let cap = usize::from(count).div_ceil(workers);
            prop_assert!(loads(&given).values().all(|&load| load <= cap));
        }

        #[test]
        fn the_order_of_workers_does_not_matter(
            places in any_places(), members in any_members(),
        ) {
            let mut turned = members.clone();
            turned.reverse();
            prop_assert_eq!(assign(&places, &members), assign(&places, &turned));
        }
    }
}
