//! Large buffers, used again.
//!
//! A step of training makes and drops the same sizes in the same order, and each new buffer of an
//! allocator that has given its memory back costs the kernel a page fault and a cleared page for
//! every 4 KiB: tens of milliseconds a step at 32 MiB an activation. So long buffers are places of an
//! [arena](crate::arena) that keeps its memory. They are always initialised, with whatever numbers stood there.

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

use crate::arena::{Arena, Place};

/// Shorter buffers are the allocator's own business.
const LEAST: usize = 1 << 14;

static ARENA: Mutex<Arena> = Mutex::new(Arena::new());

fn arena() -> MutexGuard<'static, Arena> {
    ARENA.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[derive(Debug)]
enum Memory {
    Own(Vec<f32>),
    Lent(Place),
}

/// A buffer of `f32` that goes back to the arena when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Memory,
    /// Numbers of `memory` that are in use.
    length: usize,
}

impl Buffer {
    /// One of `length` numbers, in which any may stand.
    pub(crate) fn take(length: usize) -> Self {
        let lent = (length >= LEAST).then(|| arena().take(length)).flatten();
        let memory = lent.map_or_else(|| Memory::Own(vec![0.0; length]), Memory::Lent);
        Self { memory, length }
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
        if let Memory::Lent(place) = std::mem::replace(&mut self.memory, Memory::Own(Vec::new())) {
            arena().give(place);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.memory {
            Memory::Own(numbers) => numbers,
            Memory::Lent(place) => &place.numbers()[..self.length],
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.memory {
            Memory::Own(numbers) => numbers,
            Memory::Lent(place) => &mut place.numbers_mut()[..self.length],
        }
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
        Ok(unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), length) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let length = size_of_val(&**self);
        // SAFETY: as above, to be read.
        Ok(unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), length) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ones_stand_in_the_arena_and_short_ones_do_not() {
        let lent = |length| matches!(Buffer::take(length).memory, Memory::Lent(_));
        assert_eq!([LEAST - 1, LEAST, 3 * LEAST].map(lent), [false, true, true]);
    }

    #[test]
    fn what_is_dropped_goes_back() {
        for _ in 0..60 {
            // 64 MiB: if none came back, they would fill three segments and more.
            let buffer = Buffer::take(1 << 24);
            let Memory::Lent(place) = &buffer.memory else { panic!("it is long") };
            assert!(place.segment() < 3 || !cfg!(target_os = "linux"));
            drop(buffer.into_bytes());
        }
    }

    #[test]
    fn a_tensor_holds_its_memory_until_it_is_dropped() {
        let mut buffer = Buffer::take(LEAST + 7);
        buffer.fill(7.0);
        let bytes = buffer.into_bytes();
        let mut others = [(); 3].map(|()| Buffer::take(LEAST + 7));
        others.iter_mut().for_each(|other| other.fill(0.0));
        assert_eq!(bytes.len(), 4 * (LEAST + 7));
        assert!(bytes.chunks(4).all(|number| number == 7.0f32.to_ne_bytes()));
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
