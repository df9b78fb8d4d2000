//! A counter that threads wait on: a bounded number of looks first, then they sleep.

use std::sync::atomic::{AtomicU32, Ordering};

/// Looks at a counter before a thread sleeps: some two hundred microseconds, about what a host takes from a step to the next one. Threads
/// that are woken together are often put on one processor and stay there until the system notices: two of them decode 5 to 10 % slower so.
#[cfg(target_arch = "wasm32")]
const LOOKS: u32 = 300_000;
/// The same for native code: some ten microseconds, about what it takes to be woken.
#[cfg(not(target_arch = "wasm32"))]
const LOOKS: u32 = 1_000;

/// A counter that only goes up, and wraps.
#[derive(Default)]
pub struct Signal {
    count: AtomicU32,
    sleepers: AtomicU32,
    bed: bed::Bed,
}

/// Whether a count comes after another.
fn is_after(count: u32, other: u32) -> bool {
    count.wrapping_sub(other) as i32 > 0
}

impl Signal {
    /// The count. What was written before it was raised can be read.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Where the count lies, for a host that waits on it itself.
    pub fn address(&self) -> usize {
        self.count.as_ptr() as usize
    }

    /// Raises the count by one and wakes those who wait. Only one thread may do so at a time.
    pub fn raise(&self) {
        // Sequential consistency here and in `wait_past`: either the raiser sees the sleeper, or the sleeper the count.
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.bed.wake(&self.count);
        }
    }

    /// Wakes whoever the host has waiting on [`Signal::address`], too.
    pub fn raise_for_host(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.bed.wake(&self.count);
    }

    /// Waits until the count comes after `seen`.
    pub fn wait_past(&self, seen: u32) {
        for _ in 0..LOOKS {
            if is_after(self.count(), seen) {
                return;
            }
            std::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        loop {
            let count = self.count.load(Ordering::SeqCst);
            if is_after(count, seen) {
                break;
            }
            self.bed.sleep(&self.count, count);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(target_arch = "wasm32")]
mod bed {
    use core::arch::wasm32::{memory_atomic_notify, memory_atomic_wait32};
    use std::sync::atomic::AtomicU32;

    /// The engine keeps the sleepers of an address.
    #[derive(Default)]
    pub struct Bed;

    impl Bed {
        /// Sleeps as long as the word has that value and nobody wakes it.
        pub fn sleep(&self, word: &AtomicU32, value: u32) {
            // SAFETY: the address is that of a word.
            unsafe { memory_atomic_wait32(word.as_ptr().cast(), value as i32, -1) };
        }

        pub fn wake(&self, word: &AtomicU32) {
            // SAFETY: as above.
            unsafe { memory_atomic_notify(word.as_ptr().cast(), u32::MAX) };
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod bed {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};

    #[derive(Default)]
    pub struct Bed {
        lock: Mutex<()>,
        bell: Condvar,
    }

    impl Bed {
        /// Sleeps as long as the word has that value and nobody wakes it.
        pub fn sleep(&self, word: &AtomicU32, value: u32) {
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            if word.load(Ordering::SeqCst) == value {
                drop(self.bell.wait(guard));
            }
        }

        pub fn wake(&self, _word: &AtomicU32) {
            // Whoever has seen the old word is asleep once the lock can be had.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn nobody_sleeps_through_a_raise() {
        let (ping, pong) = (Arc::new(Signal::default()), Arc::new(Signal::default()));
        let other = {
            let (ping, pong) = (ping.clone(), pong.clone());
            std::thread::spawn(move || {
                for round in 0..2000 {
                    ping.wait_past(round);
                    pong.raise();
                }
            })
        };
        for round in 0..2000 {
            ping.raise();
            if round % 100 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            pong.wait_past(round);
        }
        other.join().unwrap();
    }

    #[test]
    fn counts_wrap() {
        assert!(is_after(0, u32::MAX) && is_after(1, 0));
        assert!(!is_after(0, 0) && !is_after(u32::MAX, 0));
    }
}
