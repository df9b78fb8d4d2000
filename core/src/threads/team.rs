//! Threads that compute a step together.
//!
//! A step is a row of stages: a region whose units are cut into parts, one ticket a part. Whoever is free takes the next ticket;
//! whoever finishes the last part of a stage opens the next one, after running the regions in between that are too small to be
//! shared. So nobody waits for a thread, only for parts: one that the system has put aside, or that has not woken up yet, holds no
//! one up unless it has a ticket. Units are independent, so the bits of a result do not depend on who computes what.
//!
//! A step may have a follower: whoever ends the step begins it, and the host hears of the first while the second is computed.

use super::cut::Cut;
use super::Signal;
use crate::error::Error;
use crate::executor::Executor;
use crate::ops::{Step, SLOTS};
use crate::program::Counts;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// The most threads of a team.
pub const MAX_THREADS: usize = 64;

/// What is copied before a follower begins: to its record, and from what it will write over.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MemoryCopy {
    /// Address of the first byte.
    pub from: u64,
    /// Address that it goes to.
    pub to: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A step that begins when the running one has ended.
#[derive(Clone, Copy)]
struct Follower {
    executor: *const Executor,
    copies: *const [MemoryCopy],
}

/// Whether a step is running, and has a follower.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const FOLLOWED: u8 = 2;

/// What holders of a ticket work on.
struct Stage {
    executor: *const Executor,
    step: Step,
    /// Whether it opens the step of the follower.
    follows: bool,
    /// Where the step goes on when all parts are done.
    next: usize,
    /// Region and units that are cut into parts; none for the ticket that opens a step.
    shared: Option<(usize, usize)>,
    parts: usize,
}

/// What the threads of a team share.
pub struct Team {
    cut: Cut,
    /// Number of the stage (32 bits), its parts and the next part to take (16 bits each).
    tickets: AtomicU64,
    /// Counts the stages; never past the number of the last one that was opened.
    stages: Signal,
    /// Parts of the stage that are not done.
    pending: AtomicU32,
    /// Written by whoever opens a stage, when nobody has a ticket, and by who begins a follower with the only one; read by who has one.
    stage: UnsafeCell<Stage>,
    failure: Mutex<Option<Error>>,
    has_failed: AtomicBool,
    /// [`IDLE`], [`RUNNING`] or [`FOLLOWED`].
    state: AtomicU8,
    /// Written by the host while there is none; read by who ends a step that is [`FOLLOWED`], until the follower has begun.
    follower: UnsafeCell<Follower>,
    /// Counts the steps that have begun.
    begun: AtomicU32,
    /// Counts the steps that have ended.
    finished: Signal,
    closing: AtomicBool,
}

// SAFETY: access to the stage is ordered by the tickets, and to the follower by `state` and `begun`, as said there; all else is made for sharing. What the pointers in a
// stage lead to is only touched by holders of a ticket, and whoever starts a step vouches that it stays until the step has ended.
unsafe impl Sync for Team {}
// SAFETY: as above.
unsafe impl Send for Team {}

impl Team {
    /// A team whose threads have not come yet: each calls [`Team::work`]. Parts of a region have `part_work` nanoseconds of work
    /// at least; with 0 everything that can be is shared, which tests want.
    pub fn new(threads: usize, part_work: u32) -> Team {
        let stage = Stage {
            executor: std::ptr::null(),
            step: Step {
                counts: Counts::default(),
                slots: [std::ptr::null_mut(); SLOTS],
                totals: std::ptr::null_mut(),
            },
            follows: false,
            next: 0,
            shared: None,
            parts: 0,
        };
        let follower = Follower {
            executor: std::ptr::null(),
            copies: &[],
        };
        Team {
            cut: Cut::new(threads.clamp(1, MAX_THREADS), part_work),
            tickets: AtomicU64::new(0),
            stages: Signal::default(),
            pending: AtomicU32::new(0),
            stage: UnsafeCell::new(stage),
            failure: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            state: AtomicU8::new(IDLE),
            follower: UnsafeCell::new(follower),
            begun: AtomicU32::new(0),
            finished: Signal::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// How many threads there are to be.
    pub fn threads(&self) -> usize {
        self.cut.threads()
    }

    /// How many steps have begun; wraps. A follower counts before the end of the step that it follows is told.
    pub fn begun(&self) -> u32 {
        self.begun.load(Ordering::Acquire)
    }

    /// Raised at the end of each step.
    pub fn finished(&self) -> &Signal {
        &self.finished
    }

    /// Starts the step that stands in an executor's record.
    ///
    /// # Safety
    /// No step of this team may be running. Until it has ended the executor and what it is bound to must stay, and nobody else may
    /// touch them. The executor must have been made for [`Team::threads`] or more.
    pub unsafe fn start(&self, executor: &Executor) -> Result<(), Error> {
        // SAFETY: the caller's.
        let step = unsafe { executor.step()? };
        self.has_failed.store(false, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.state.store(RUNNING, Ordering::Release);
        // SAFETY: the last step has ended, so nobody has a ticket.
        unsafe { self.open_step(executor, step, false) };
        Ok(())
    }

    /// Has a step begin when the running one has ended: first the copies are made, in their order, then what stands in the record of
    /// the executor is run. It does not begin where the running step fails. False, and nothing will happen, where none is running.
    ///
    /// # Safety
    /// As [`Team::start`], but for the running step. There must be no other follower that has not begun. The copies must stay until
    /// this one has, and what they name must be valid, and not overlap.
    pub unsafe fn follow(&self, executor: *const Executor, copies: *const [MemoryCopy]) -> bool {
        // SAFETY: nobody reads it, as the running step has no follower.
        unsafe { *self.follower.get() = Follower { executor, copies } };
        let followed =
            self.state
                .compare_exchange(RUNNING, FOLLOWED, Ordering::AcqRel, Ordering::Relaxed);
        followed.is_ok()
    }

    /// What the last step failed with, once.
    pub fn take_failure(&self) -> Option<Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    /// Ends [`Team::work`] of all threads. No step may be running.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.stages.raise();
    }

    /// What a thread does until the team is closed. `member` is its number, from 0 on, no two the same.
    ///
    /// # Safety
    /// No two threads may have the same number at once.
    pub unsafe fn work(&self, member: usize) {
        loop {
            let (number, parts, part) = split(self.tickets.fetch_add(1, Ordering::AcqRel));
            if part < parts {
                // SAFETY: the ticket is ours, and the member's scratch is.
                unsafe { self.part(part, member) };
            } else {
                self.stages.wait_past(number);
                if self.closing.load(Ordering::SeqCst) {
                    return;
                }
            }
        }
    }

    /// Opens the stage of one ticket that a step begins with.
    ///
    /// # Safety
    /// Nobody may have a ticket.
    unsafe fn open_step(&self, executor: *const Executor, step: Step, follows: bool) {
        let stage = Stage {
            executor,
            step,
            follows,
            next: 0,
            shared: None,
            parts: 1,
        };
        // SAFETY: the caller's.
        unsafe { self.open(stage) };
    }

    /// Opens a stage and wakes those who wait for one.
    ///
    /// # Safety
    /// Nobody may have a ticket.
    unsafe fn open(&self, stage: Stage) {
        // SAFETY: the caller's.
        unsafe { self.hand_out(stage) };
        self.stages.raise();
    }

    /// Hands out the tickets of a stage.
    ///
    /// # Safety
    /// Nobody may have a ticket.
    unsafe fn hand_out(&self, stage: Stage) {
        let parts = stage.parts as u32;
        // SAFETY: the caller's.
        unsafe { *self.stage.get() = stage };
        self.pending.store(parts, Ordering::Relaxed);
        // Not from the count of `stages`, which lags where whoever opened the last stage was put aside before it could raise it.
        // Were two stages to have one number, the count would end up past it, and nobody would sleep any more: whoever looks for
        // work would take tickets beyond the last until they wrap around and stand for parts of a step that has long ended.
        let (last, ..) = split(self.tickets.load(Ordering::Relaxed));
        let number = last.wrapping_add(1);
        let tickets = u64::from(number) << 32 | u64::from(parts) << 16;
        self.tickets.store(tickets, Ordering::SeqCst);
    }

    /// As [`Team::run_part`]. When memory has grown, V8 tells a WebAssembly thread at the entry of its next function, and a function keeps the
    /// size that it began with: so this one hears of it, and the next one may touch what lies in the new memory.
    ///
    /// # Safety
    /// As [`Team::run_part`].
    #[inline(never)]
    unsafe fn part(&self, part: usize, member: usize) {
        // SAFETY: the caller's.
        unsafe { self.run_part(std::hint::black_box(part), member) };
    }

    /// Runs a part of the stage; after the last one, goes on with the step.
    ///
    /// # Safety
    /// The caller must have the ticket of that part, and the member's scratch to itself.
    #[inline(never)]
    unsafe fn run_part(&self, part: usize, member: usize) {
        // SAFETY: nobody writes to it while there is a ticket that is not done, but who has the only one.
        unsafe {
            if (*self.stage.get()).follows {
                self.begin();
            }
        }
        // SAFETY: as above.
        let stage = unsafe { &*self.stage.get() };
        if let Some((region, units)) = stage.shared {
            if !self.has_failed.load(Ordering::Relaxed) {
                let range = self.cut.range(units, part, stage.parts);
                // SAFETY: the executor stays while there is a ticket; the parts of a stage do not overlap.
                let result =
                    unsafe { (*stage.executor).run_region(region, &stage.step, range, member) };
                self.keep(result);
            }
        }
        // What the others wrote for their parts is there for who does the last one.
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: all tickets are done.
            unsafe { self.go_on(member) };
        }
    }

    /// Runs what is too small to be shared, and opens the next stage or ends the step.
    ///
    /// # Safety
    /// The caller must be the one who did the last part, and have the member's scratch to itself.
    unsafe fn go_on(&self, member: usize) {
        // SAFETY: nobody has a ticket now.
        let &Stage {
            executor,
            step,
            next,
            ..
        } = unsafe { &*self.stage.get() };
        // SAFETY: the step has not ended, so it stays.
        let regions = unsafe { (*executor).regions() };
        for (region, at) in regions.iter().zip(0..).skip(next) {
            if self.has_failed.load(Ordering::Relaxed) {
                break;
            }
            let units = region.units(&step.counts);
            let parts = self.cut.parts(units, region.unit_work(&step.counts));
            if parts > 1 {
                let shared = Some((at, units));
                let stage = Stage {
                    executor,
                    step,
                    follows: false,
                    next: at + 1,
                    shared,
                    parts,
                };
                // SAFETY: nobody has a ticket.
                return unsafe { self.open(stage) };
            }
            if units > 0 {
                // SAFETY: the executor stays, and nobody else runs any of it.
                self.keep(unsafe { (*executor).run_region(at, &step, 0..units, member) });
            }
        }
        // SAFETY: the step has ended, and nobody has a ticket.
        unsafe { self.end(step) };
    }

    /// Ends the step: tells the host, or opens the step that follows.
    ///
    /// # Safety
    /// All of the step must be done.
    unsafe fn end(&self, step: Step) {
        let followed = self.state.swap(IDLE, Ordering::AcqRel) == FOLLOWED;
        if !followed || self.has_failed.load(Ordering::Relaxed) {
            return self.finished.raise_for_host();
        }
        // A stage of its own, for what `part` says: the record may lie in new memory.
        // SAFETY: the host has written it before it said so.
        let Follower { executor, .. } = unsafe { *self.follower.get() };
        // SAFETY: nobody has a ticket.
        unsafe { self.open_step(executor, step, true) };
    }

    /// Makes the copies of the follower, reads its record, and tells the host that the step before has ended.
    ///
    /// # Safety
    /// The caller must have the only ticket, of the stage that opens the follower.
    unsafe fn begin(&self) {
        // SAFETY: the host leaves it until the follower has begun.
        let Follower { executor, copies } = unsafe { *self.follower.get() };
        // SAFETY: who set it vouches for the copies and for the executor; nobody else looks at the stage.
        unsafe {
            for copy in &*copies {
                let (from, to) = (copy.from as usize as *const u8, copy.to as usize as *mut u8);
                to.copy_from_nonoverlapping(from, copy.bytes as usize);
            }
            match (*executor).step() {
                Ok(step) => (*self.stage.get()).step = step,
                Err(error) => self.keep(Err(error)),
            }
        }
        self.state.store(RUNNING, Ordering::Release);
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.finished.raise_for_host();
    }

    fn keep(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Number of the stage, its parts, and the part of a ticket; more than the parts where there is none.
fn split(ticket: u64) -> (u32, usize, usize) {
    (
        (ticket >> 32) as u32,
        (ticket >> 16 & 0xffff) as usize,
        (ticket & 0xffff) as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::tests::{bindings, example, write_record, Memory};

    #[test]
    fn a_stage_that_ends_before_it_was_announced_keeps_its_number() {
        let team = Team::new(2, 0);
        let mut memory = Memory::default();
        let bound = bindings(&mut memory);
        // SAFETY: the bindings are what the example says.
        let executor = unsafe { Executor::new(&example(), &bound, 2) }.unwrap();
        write_record(&executor, &[2, 0, 0, 0, 2, 0]);
        let opening = Stage {
            executor: &executor,
            // SAFETY: nobody else touches the record.
            step: unsafe { executor.step() }.unwrap(),
            follows: false,
            next: 0,
            shared: None,
            parts: 1,
        };
        // SAFETY: no step is running. Whoever starts this one is put aside before it wakes anyone ...
        unsafe { team.hand_out(opening) };
        // ... and a thread that was awake computes the whole step meanwhile.
        let mut opened = 0;
        while team.finished.count() == 0 {
            let (number, parts, part) = split(team.tickets.fetch_add(1, Ordering::AcqRel));
            assert!(part < parts);
            opened = number;
            // SAFETY: the ticket is ours, and there is no other thread.
            unsafe { team.part(part, 0) };
        }
        team.stages.raise();
        assert!(opened > 1, "the step must have several stages");
        // So a thread that finds no part of the last stage sleeps.
        assert_eq!(team.stages.count(), opened);
    }
}
