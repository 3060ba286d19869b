//! Runs an iterator on a thread of its own, a few items ahead of its reader.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Finished items that may wait for the reader. One more is being made and one is in the reader's
/// hand, so memory holds at most four.
const LOOK_AHEAD: usize = 2;

/// How long the reader waits before it looks whether it shall stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// The reader was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// The items of an iterator, in its order. When this is dropped early, the thread ends after the
/// item that it is making; nobody waits for it.
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    receiver: Receiver<T>,
    producer: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts to make `items`. Fails if the system gives no thread.
    pub(crate) fn of(items: impl Iterator<Item = T> + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(LOOK_AHEAD);
        let produce = move || {
            for item in items {
                if sender.send(item).is_err() {
                    break;
                }
            }
        };
        let producer = Builder::new().name("pemm-loader".into()).spawn(produce)?;
        Ok(Self { receiver, producer: Some(producer) })
    }
}

impl<T> Ahead<T> {
    /// The next item, or `Err` once `stop` is set while it is not ready.
    pub(crate) fn next_until(&mut self, stop: &AtomicBool) -> Result<Option<T>, Stopped> {
        loop {
            match self.receiver.recv_timeout(PATIENCE) {
                Ok(item) => return Ok(Some(item)),
                Err(RecvTimeoutError::Disconnected) => return Ok(self.next()),
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                    return Err(Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Ok(item) = self.receiver.recv() {
            return Some(item);
        }
        // A thread that panicked must not look like the end of the items.
        if let Some(Err(panic)) = self.producer.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    use super::*;

    #[test]
    fn keeps_the_order_and_ends() {
        let mut items = Ahead::of(0..100).unwrap();
        assert!(items.by_ref().eq(0..100));
        assert_eq!(items.next(), None);
    }

    #[test]
    fn is_bounded_and_stops_when_dropped() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let mut items = Ahead::of((0..1_000_000).inspect(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }))
        .unwrap();
        assert_eq!(items.next(), Some(0));
        drop(items);
        // The thread owns the second handle of `made` and gives it up when it ends.
        let start = Instant::now();
        while Arc::strong_count(&made) > 1 {
            assert!(start.elapsed() < Duration::from_secs(20), "the thread does not end");
            std::thread::yield_now();
        }
        assert!(made.load(Ordering::SeqCst) <= LOOK_AHEAD + 2);
    }

    #[test]
    #[should_panic(expected = "item 2")]
    fn a_panic_reaches_the_reader() {
        let items = (0..5).inspect(|&item| assert!(item < 2, "item {item}"));
        assert_eq!(Ahead::of(items).unwrap().count(), 5);
    }

    #[test]
    fn a_reader_that_waits_can_be_stopped() {
        let slow = (0..3).inspect(|&item| {
            std::thread::sleep(Duration::from_secs(if item == 1 { 60 } else { 0 }));
        });
        let mut items = Ahead::of(slow).unwrap();
        let stop = AtomicBool::new(false);
        assert_eq!(items.next_until(&stop), Ok(Some(0)));
        stop.store(true, Ordering::Relaxed);
        let start = Instant::now();
        assert_eq!(items.next_until(&stop), Err(Stopped));
        assert!(start.elapsed() < Duration::from_secs(10));
        let mut few = Ahead::of(0..2).unwrap();
        let never = AtomicBool::new(false);
        assert_eq!(few.next_until(&never), Ok(Some(0)));
        assert_eq!(few.next_until(&never), Ok(Some(1)));
        assert_eq!(few.next_until(&never), Ok(None));
    }
}
