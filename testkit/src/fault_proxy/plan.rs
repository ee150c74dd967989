//! What happens to which connection, and when.

use std::ops::Range;
use std::time::Duration;

/// Something that happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// From here on every piece is passed on this much later. A piece is what arrived together, at most 16 KiB, and the next
    /// one is not read before. [`Duration::ZERO`] ends it.
    Delay(Duration),
    /// From here on so many bytes a second pass, at least one. [`u64::MAX`] ends it.
    Throttle(u64),
    /// The next byte arrives inverted.
    Corrupt,
    /// Both ends are told that this was all (FIN). What they still send is thrown away, until they close.
    Cut,
    /// Both ends are reset (RST), and may lose what they had received and not yet read.
    Reset,
    /// Nothing passes any more, either way, and nobody is told: the connection stays open until it is struck by a
    /// [`Cut`](Self::Cut) or a [`Reset`](Self::Reset), or the proxy is dropped.
    BlackHole,
}

/// What happens to one connection, and after how many bytes. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    pub(super) up: Vec<Step>,
    pub(super) down: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: u64,
    pub(super) fault: Fault,
}

impl Script {
    /// Lets this happen when so many bytes have passed from the client to the upstream; 0 is at once.
    ///
    /// A delay, a limit or a corrupt byte is in this direction only; the other faults end both.
    pub fn up(mut self, after: u64, fault: Fault) -> Self {
        insert(&mut self.up, Step { after, fault });
        self
    }

    /// As [`up`](Self::up), for what passes from the upstream to the client.
    pub fn down(mut self, after: u64, fault: Fault) -> Self {
        insert(&mut self.down, Step { after, fault });
        self
    }
}

/// Behind those that are due no later.
fn insert(steps: &mut Vec<Step>, step: Step) {
    let place = steps.partition_point(|other| other.after <= step.after);
    steps.insert(place, step);
}

/// What happens to the connections, in the order in which they are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Sequence(Vec<Script>),
    Always(Script),
    Random { seed: u64, within: Range<u64>, faults: Vec<Fault> },
}

impl Plan {
    /// Nothing happens.
    pub fn transparent() -> Self {
        Self::always(Script::default())
    }

    /// The same happens to every connection.
    pub fn always(script: Script) -> Self {
        Self(Kind::Always(script))
    }

    /// A script for each connection; nothing happens to those after the last.
    pub fn sequence(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self(Kind::Sequence(scripts.into_iter().collect()))
    }

    /// To every connection happens one of the `faults`, in one direction, after a number of bytes `within` the range, all
    /// three drawn evenly. The same seed gives the same scripts, in every version. A connection that ends earlier escapes.
    pub fn random(seed: u64, within: Range<u64>, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self(Kind::Random { seed, within, faults: faults.into_iter().collect() })
    }

    /// What happens to a connection of this number, the first being 0.
    pub fn script(&self, number: u64) -> Script {
        match &self.0 {
            Kind::Always(script) => script.clone(),
            Kind::Sequence(scripts) => {
                usize::try_from(number).ok().and_then(|number| scripts.get(number)).cloned().unwrap_or_default()
            }
            Kind::Random { seed, within, faults } => {
                let mut random = SplitMix64::new(*seed, number);
                let fault = usize::try_from(random.below(faults.len() as u64)).ok().and_then(|index| faults.get(index));
                let after = within.start + random.below(within.end.saturating_sub(within.start));
                match (fault, random.below(2)) {
                    (None, _) => Script::default(),
                    (Some(fault), 0) => Script::default().up(after, *fault),
                    (Some(fault), _) => Script::default().down(after, *fault),
                }
            }
        }
    }
}

impl From<Script> for Plan {
    fn from(script: Script) -> Self {
        Self::always(script)
    }
}

/// G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators" (2014). Not a generator of a crate,
/// whose next version may draw other numbers: seeds are written down in bug reports.
struct SplitMix64(u64);

impl SplitMix64 {
    /// Another sequence for each number.
    fn new(seed: u64, number: u64) -> Self {
        Self(Self(seed).next() ^ Self(!number).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 below 0. The bias of the remainder is of no interest here.
    fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        let drawn = [random.next(), random.next(), random.next()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
