//! One wish to be woken for the task that reads and the task that writes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// Wakes both sides of a stream. What the keeper waits for concerns both, and a timer or a socket remembers one wish only,
/// the last.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Sides>);

#[derive(Debug, Default)]
struct Sides {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wakers {
    pub(super) fn reader(&self, waker: &Waker) {
        keep(&mut self.lock().reader, waker);
    }

    pub(super) fn writer(&self, waker: &Waker) {
        keep(&mut self.lock().writer, waker);
    }

    pub(super) fn wake_writer(&self) {
        let writer = self.lock().writer.take();
        writer.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Sides> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Not under the lock: a waker is foreign code.
        let Sides { reader, writer } = std::mem::take(&mut *self.lock());
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
