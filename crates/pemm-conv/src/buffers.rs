//! Large buffers, used again.
//!
//! A step of training makes and drops the same sizes in the same order, and each new buffer of an
//! allocator that has given its memory back costs the kernel a page fault and a cleared page for
//! every 4 KiB: tens of milliseconds a step at 32 MiB an activation. So buffers that are dropped
//! wait here for the next of their size. They are always initialised memory, with whatever numbers
//! stood in them, and those that are not wanted for a while are freed. The long ones come from the system
//! itself, so that freeing them does give their memory back.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use memmap2::MmapMut;

/// Shorter buffers are the allocator's own business.
const LEAST: usize = 1 << 14;
/// Buffers from this length on (512 KiB) may stand in a waiting one of up to twice their length: in the
/// forward pass the large buffers of the backward pass lie idle.
const SHARED: usize = 1 << 17;
/// Buffers handed out, of any size, after which one that waits is freed; more than a step of the
/// deepest network here takes.
const PATIENCE: u64 = 2048;

/// Numbers, zero at first.
#[derive(Debug)]
enum Memory {
    Short(Vec<f32>),
    /// From the system and back to it: an allocator would keep what is dropped to make way.
    Long(MmapMut),
}

impl Memory {
    fn new(length: usize) -> Self {
        let long = (length >= SHARED).then(|| MmapMut::map_anon(size_of::<f32>() * length));
        match long {
            Some(Ok(long)) => {
                #[cfg(target_os = "linux")]
                // An advice, which makes things faster where it is taken.
                let _ = long.advise(memmap2::Advice::HugePage);
                Self::Long(long)
            }
            Some(Err(_)) | None => Self::Short(vec![0.0; length]),
        }
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Short(numbers) => numbers,
            // SAFETY: whole pages, aligned for any number, whose bytes are initialised; any four are an f32.
            Self::Long(map) => unsafe {
                std::slice::from_raw_parts(map.as_ptr().cast(), map.len() / size_of::<f32>())
            },
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Short(numbers) => numbers,
            // SAFETY: as above, and it is lent alone.
            Self::Long(map) => unsafe {
                let length = map.len() / size_of::<f32>();
                std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), length)
            },
        }
    }
}

struct Waiting {
    /// By length; each with the time it came, oldest first.
    by_length: BTreeMap<usize, Vec<(u64, Memory)>>,
    time: u64,
}

impl Waiting {
    /// One that `length` numbers stand in, if there is one, and those that need not wait any longer.
    fn take(&mut self, length: usize) -> (Option<Memory>, Vec<(u64, Memory)>) {
        let mut dropped = Vec::new();
        self.time += 1;
        let time = self.time;
        if time.is_multiple_of(64) {
            for kept in self.by_length.values_mut() {
                let stale = kept.iter().take_while(|(came, _)| came + PATIENCE < time).count();
                dropped.extend(kept.drain(..stale));
            }
            self.by_length.retain(|_, kept| !kept.is_empty());
        }
        let longest = if length < SHARED { length } else { 2 * length };
        let kept = self.by_length.range_mut(length..=longest).find_map(|(_, kept)| kept.pop());
        if kept.is_none() && length > SHARED {
            self.make_way(length, &mut dropped);
        }
        (kept.map(|(_, kept)| kept), dropped)
    }

    /// Drops shorter ones, the longest first, in exchange for a new one of `length` numbers. In the next
    /// step what stood in them finds place in it while it lies idle, so that this ends after a few steps:
    /// of the longest there are enough then, and they are never dropped for others.
    fn make_way(&mut self, length: usize, dropped: &mut Vec<(u64, Memory)>) {
        let mut freed = 0;
        for (each, kept) in self.by_length.range_mut(SHARED..length).rev() {
            while freed < length
                && let Some(one) = kept.pop()
            {
                freed += each;
                dropped.push(one);
            }
        }
    }
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { by_length: BTreeMap::new(), time: 0 });

/// A buffer of `f32` that goes back to wait when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Memory,
    /// Numbers of `memory` that are in use.
    length: usize,
}

impl Buffer {
    /// One of `length` numbers, in which any may stand.
    pub(crate) fn take(length: usize) -> Self {
        if length < LEAST {
            return Self { memory: Memory::Short(vec![0.0; length]), length };
        }
        let (kept, dropped) =
            WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take(length);
        // Before a new one is made: that is what they are dropped for.
        drop(dropped);
        Self { memory: kept.unwrap_or_else(|| Memory::new(length)), length }
    }

    /// The memory of a tensor; it comes back here when the tensor is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        let length = size_of_val(&*self);
        // SAFETY: the controller holds exactly `length` bytes, all initialised.
        unsafe { Bytes::from_controller(Box::new(self), length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.memory.len() >= LEAST {
            let mut waiting = WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let memory = std::mem::replace(&mut self.memory, Memory::Short(Vec::new()));
            let (time, buffer) = (waiting.time, memory);
            waiting.by_length.entry(buffer.len()).or_default().push((time, buffer));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.length]
    }
}

impl AllocationController for Buffer {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _policy: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let length = size_of_val(&**self);
        // SAFETY: the bytes of the numbers, lent for as long as they live; the caller
        // promises to write initialised bytes only, and any four are an f32.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), length) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let length = size_of_val(&**self);
        // SAFETY: as above, to be read.
        Ok(unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), length) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_tensor_lends_its_memory_to_the_next_of_its_size() {
        // A length that no other test of this crate uses.
        let length = LEAST + 4321;
        let mut buffer = Buffer::take(length);
        buffer[length - 1] = 7.0;
        let address = buffer.as_ptr();
        drop(buffer.into_bytes());
        let again = Buffer::take(length);
        assert_eq!((again.as_ptr(), again[length - 1]), (address, 7.0));
        let other = Buffer::take(length);
        assert_ne!(other.as_ptr(), address);
    }

    #[test]
    fn a_large_buffer_stands_in_one_up_to_twice_its_length_and_leaves_it_whole() {
        // Lengths that no other test of this crate comes near.
        let length = 8 * SHARED;
        let large = Buffer::take(2 * length);
        let address = large.as_ptr();
        drop(large);
        let small = Buffer::take(length + 1);
        assert_eq!((small.as_ptr(), small.len()), (address, length + 1));
        assert_eq!(small.into_bytes().len(), 4 * (length + 1));
        let again = Buffer::take(2 * length);
        assert_eq!((again.as_ptr(), again.len()), (address, 2 * length));
        drop(again);
        assert_eq!(Buffer::take(length - 1).len(), length - 1);
        assert_ne!(Buffer::take(length - 1).as_ptr(), address);
    }

    #[test]
    fn shorter_ones_make_way_for_a_new_one_and_longer_ones_never_do() {
        let mut waiting = Waiting { by_length: BTreeMap::new(), time: 0 };
        let lengths = [SHARED, 2 * SHARED, 2 * SHARED, 5 * SHARED, LEAST];
        for length in lengths {
            waiting.by_length.entry(length).or_default().push((0, Memory::new(length)));
        }
        let (kept, dropped) = waiting.take(4 * SHARED + 1);
        assert!(kept.is_some() && dropped.is_empty(), "5 stands in");
        let (kept, dropped) = waiting.take(3 * SHARED);
        let dropped: Vec<usize> = dropped.iter().map(|(_, kept)| kept.len()).collect();
        assert!(kept.is_none() && dropped == [2 * SHARED; 2], "{dropped:?}");
        let left = waiting.by_length.iter().filter(|(_, kept)| !kept.is_empty());
        assert_eq!(left.map(|(length, _)| *length).collect::<Vec<_>>(), [LEAST, SHARED]);
        waiting.by_length.entry(9 * SHARED).or_default().push((0, Memory::new(9 * SHARED)));
        let (kept, dropped) = waiting.take(2 * SHARED);
        assert!(kept.is_none() && dropped.len() == 1 && dropped[0].1.len() == SHARED);
        assert_eq!(waiting.by_length[&(9 * SHARED)].len(), 1);
    }

    #[test]
    fn bytes_are_the_numbers() {
        let mut buffer = Buffer::take(3);
        buffer.copy_from_slice(&[1.0, -2.0, 0.5]);
        let mut bytes = buffer.into_bytes();
        assert_eq!(bytes[4..8], (-2.0f32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&3.0f32.to_ne_bytes());
        assert_eq!(bytes.clone()[4..8], 3.0f32.to_ne_bytes());
    }
}
