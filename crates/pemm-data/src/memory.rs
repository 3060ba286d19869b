//! A bound on memory that holds for the whole process, however many threads decode at once.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be in use together. Who wants more than is free waits until others give back.
///
/// Who wants more than there is at all gets it when nobody else holds any, so that one large image
/// is decoded alone instead of never.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    used: Mutex<u64>,
    given_back: Condvar,
}

impl Budget {
    /// A budget of `total` bytes.
    pub(crate) const fn new(total: u64) -> Self {
        Self { total, used: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits until `bytes` are free and takes them until the answer is dropped.
    ///
    /// Whoever holds some must not take more of the same budget, or two could wait for each other.
    pub(crate) fn take(&self, bytes: u64) -> Taken<'_> {
        let bytes = bytes.min(self.total);
        // A panic elsewhere gives its bytes back while it unwinds, so the count stays right.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while self.total - *used < bytes {
            used = self.given_back.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        Taken { budget: self, bytes }
    }
}

/// Bytes of a [`Budget`] in use; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.budget.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn many_threads_never_hold_more_than_there_is() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = 1 + (thread * 37 + round * 11) % 100;
                        let _taken = budget.take(bytes);
                        let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        held.fetch_sub(bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=100).contains(&most.into_inner()));
        assert_eq!(*budget.used.lock().unwrap(), 0);
    }

    #[test]
    fn what_is_too_large_gets_everything() {
        let budget = Budget::new(10);
        drop(budget.take(1_000_000));
        let all = budget.take(u64::MAX);
        assert_eq!(all.bytes, 10);
    }
}
