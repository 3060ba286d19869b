//! Memory that is kept and lent in places of any length.
//!
//! A step of training takes much in its forward pass and gives it back in its backward pass, last in first
//! out for the most part. A place is therefore the first gap, from the lowest address on, that is long enough,
//! and gaps beside each other become one: a step then needs little more than what it holds at its fullest.
//! A segment that nobody wants for a while goes back to the system; on Linux so do the pages above what is wanted.

use std::collections::BTreeMap;
use std::ptr::NonNull;

use memmap2::MmapMut;

/// Numbers of a segment, or of the one place that is longer: on Linux, where only what is written to takes memory,
/// 1 GiB.
const SEGMENT: usize = if cfg!(target_os = "linux") { 1 << 28 } else { 1 << 24 };
/// Places begin and end at multiples of so many numbers (4 KiB).
const ROUND: usize = 1 << 10;
/// Places lent after which what none of them reached goes back; more than a step of the deepest network
/// here takes.
const PATIENCE: u64 = 2048;
/// Bytes of the largest page that Linux has (64-bit Arm).
#[cfg(target_os = "linux")]
const PAGE: usize = 1 << 16;

/// A place of a segment. Its numbers are initialised; any may stand there. It goes back to the arena that lent it,
/// which lives at least as long.
#[must_use = "the place is lost to the arena unless it is given back"]
#[derive(Debug)]
pub(crate) struct Place {
    segment: usize,
    start: usize,
    length: usize,
    numbers: NonNull<f32>,
}

// SAFETY: it is the only one with access to its numbers, as a `Vec` is.
unsafe impl Send for Place {}
// SAFETY: as above; by a shared place they can only be read.
unsafe impl Sync for Place {}

impl Place {
    pub(crate) fn numbers(&self) -> &[f32] {
        // SAFETY: within a segment, which stays as long as a place of it is out, initialised, and lent to this
        // place alone.
        unsafe { std::slice::from_raw_parts(self.numbers.as_ptr(), self.length) }
    }

    /// Which segment it is of, from 0.
    #[cfg(test)]
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.numbers.as_ptr(), self.length) }
    }
}

#[derive(Debug)]
struct Segment {
    memory: MmapMut,
    /// Length by start; no two touch.
    gaps: BTreeMap<usize, usize>,
    /// Where the highest place ends that was lent since `tidy`, or before it and is still out.
    high: usize,
    /// Where the highest place ended that may have been written to, since pages went back.
    written: usize,
}

impl Segment {
    /// `None` if the system has no such range of addresses left.
    fn new(length: usize) -> Option<Self> {
        let memory = MmapMut::map_anon(length.checked_mul(size_of::<f32>())?).ok()?;
        // An advice, which makes things faster where it is taken. Miri does not know it.
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Some(Self { memory, gaps: BTreeMap::from([(0, length)]), high: 0, written: 0 })
    }

    /// Where a place of `length` begins, if there is a gap for it.
    fn take(&mut self, length: usize) -> Option<usize> {
        let (&start, &gap) = self.gaps.iter().find(|(_, gap)| **gap >= length)?;
        self.gaps.remove(&start);
        if gap > length {
            self.gaps.insert(start + length, gap - length);
        }
        self.high = self.high.max(start + length);
        self.written = self.written.max(start + length);
        Some(start)
    }

    fn give(&mut self, start: usize, length: usize) {
        let (mut start, mut end) = (start, start + length);
        if let Some(after) = self.gaps.remove(&end) {
            end += after;
        }
        if let Some((&before, &gap)) = self.gaps.range(..start).next_back()
            && before + gap == start
        {
            start = before;
        }
        self.gaps.insert(start, end - start);
    }

    /// Whether no place of it is out.
    fn is_free(&self) -> bool {
        let length = self.memory.len() / size_of::<f32>();
        self.gaps.get(&0) == Some(&length)
    }

    /// Gives back the pages above the highest place of late; whether there was such a place.
    fn tidy(&mut self) -> bool {
        if self.high == 0 {
            return false;
        }
        #[cfg(target_os = "linux")]
        if let Some((from, to)) = pages_between(self.high, self.written)
            && !cfg!(miri)
        {
            // SAFETY: no place that is out reaches into these pages. Linux puts zeros where such pages stood, so that
            // they are initialised still; where it refuses, what stood there stays.
            let _ = unsafe {
                let advice = memmap2::UncheckedAdvice::DontNeed;
                self.memory.unchecked_advise_range(advice, from, to - from)
            };
        }
        self.written = self.high;
        let length = self.memory.len() / size_of::<f32>();
        let last = self.gaps.last_key_value().filter(|(start, gap)| *start + *gap == length);
        self.high = last.map_or(length, |(start, _)| *start);
        true
    }
}

/// Where the whole pages between two places of a segment begin and end, in bytes, if there are any: the one that
/// begins below `high` has numbers of a place on it.
#[cfg(target_os = "linux")]
fn pages_between(high: usize, written: usize) -> Option<(usize, usize)> {
    let [from, to] = [high, written].map(|end| end * size_of::<f32>());
    let from = from.next_multiple_of(PAGE);
    (from < to).then_some((from, to))
}

/// Segments by number, lowest first.
#[derive(Debug)]
pub(crate) struct Arena {
    segments: BTreeMap<usize, Segment>,
    lent: u64,
}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self { segments: BTreeMap::new(), lent: 0 }
    }

    /// A place of at least `length` numbers, or `None` if the system has no more memory.
    pub(crate) fn take(&mut self, length: usize) -> Option<Place> {
        self.lent += 1;
        if self.lent.is_multiple_of(PATIENCE) {
            self.segments.retain(|_, segment| segment.tidy());
        }
        let length = length.max(1).checked_next_multiple_of(ROUND)?;
        let fits = |(&number, segment): (&usize, &mut Segment)| {
            segment.take(length).map(|start| (number, start))
        };
        let found = self.segments.iter_mut().find_map(fits);
        let (segment, start) = found.or_else(|| self.grow(length))?;
        let memory = &mut self.segments.get_mut(&segment)?.memory;
        // SAFETY: a place ends within its segment, which begins at a page.
        let numbers = unsafe { memory.as_mut_ptr().cast::<f32>().add(start) };
        Some(Place { segment, start, length, numbers: NonNull::new(numbers)? })
    }

    /// A place in a new segment.
    fn grow(&mut self, length: usize) -> Option<(usize, usize)> {
        // What is free is too short, and would only lie beside the new one.
        self.segments.retain(|_, segment| !segment.is_free());
        // A system that counts addresses as memory may refuse what is not needed yet.
        let new = Segment::new(length.max(SEGMENT)).or_else(|| Segment::new(length));
        let mut new = new?;
        let start = new.take(length)?;
        let number = (0..).find(|number| !self.segments.contains_key(number))?;
        self.segments.insert(number, new);
        Some((number, start))
    }

    /// Takes back a place that [`take`](Self::take) lent.
    pub(crate) fn give(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.give(place.start, place.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &Place) -> (usize, usize) {
        (place.segment, place.start / ROUND)
    }

    #[test]
    fn the_first_gap_that_is_long_enough_is_taken_and_gaps_grow_together() {
        let mut arena = Arena::new();
        let places: Vec<Place> = (1..=4).map(|n| arena.take(n * ROUND).unwrap()).collect();
        assert_eq!(places.iter().map(at).collect::<Vec<_>>(), [(0, 0), (0, 1), (0, 3), (0, 6)]);
        let [first, second, third, fourth] = places.try_into().unwrap();
        arena.give(second);
        assert_eq!(at(&arena.take(3 * ROUND).unwrap()), (0, 10), "two pages are too few");
        arena.give(first);
        arena.give(third);
        let joined = arena.take(6 * ROUND).unwrap();
        assert_eq!(at(&joined), (0, 0));
        arena.give(fourth);
        arena.give(joined);
        let inside = arena.take(2 * ROUND - 5).unwrap();
        assert_eq!((at(&inside), inside.numbers().len()), ((0, 0), 2 * ROUND));
        assert_eq!(at(&arena.take(1).unwrap()), (0, 2));
    }

    #[test]
    fn places_do_not_share_a_number() {
        let mut arena = Arena::new();
        let mut places: Vec<Place> = Vec::new();
        for n in 0..200 {
            if n % 3 == 2 {
                let place = places.swap_remove((7 * n) % places.len());
                arena.give(place);
            }
            let mut place = arena.take((n * 577) % 9000 + 1).unwrap();
            place.numbers_mut().fill(n as f32);
            places.push(place);
        }
        for place in &places {
            let first = place.numbers()[0];
            assert!(place.numbers().iter().all(|number| *number == first));
        }
    }

    #[test]
    fn what_nobody_wants_for_a_while_goes_back() {
        let mut arena = Arena::new();
        let mut low = arena.take(4 * ROUND).unwrap();
        low.numbers_mut().fill(5.0);
        let mut high = arena.take(1000 * ROUND).unwrap();
        high.numbers_mut().fill(7.0);
        arena.give(high);
        let large = arena.take(SEGMENT).unwrap();
        assert_eq!(at(&large), (1, 0), "it has a segment of its own");
        arena.give(large);
        let larger = arena.take(SEGMENT + ROUND).unwrap();
        assert_eq!(
            (at(&larger), arena.segments.len()),
            ((1, 0), 2),
            "in the place of the free one"
        );
        arena.give(larger);
        for _ in 0..2 * PATIENCE {
            let place = arena.take(ROUND).unwrap();
            arena.give(place);
        }
        assert_eq!(arena.segments.keys().collect::<Vec<_>>(), [&0]);
        assert_eq!(arena.segments[&0].written, 5 * ROUND);
        let again = arena.take(1000 * ROUND).unwrap();
        assert_eq!(at(&again), (0, 4));
        assert!(low.numbers().iter().all(|number| *number == 5.0));
        if cfg!(target_os = "linux") {
            assert_eq!(again.numbers()[16 * ROUND..], [0.0; 984 * ROUND], "fresh pages");
        }
        arena.give(low);
        arena.give(again);
        for _ in 0..2 {
            arena.segments.retain(|_, segment| segment.tidy());
        }
        assert!(arena.segments.is_empty(), "and the whole of it where nothing is out");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_page_on_which_a_place_ends_stays() {
        assert_eq!(pages_between(5 * ROUND, 40 * ROUND), Some((PAGE, 40 * 4096)));
        assert_eq!(pages_between(16 * ROUND, 17 * ROUND), Some((PAGE, 17 * 4096)));
        assert_eq!(pages_between(17 * ROUND, 32 * ROUND), None);
        assert_eq!(pages_between(8 * ROUND, 8 * ROUND), None);
    }
}
