//! The part of the C ABI that is about threads. A host starts a step, and knows from the count of steps that it has ended.

use super::{MemoryCopy, Team};
use crate::abi::fail;
use crate::executor::Executor;

/// A team as hosts hold it.
struct Crew {
    team: std::sync::Arc<Team>,
    #[cfg(not(target_arch = "wasm32"))]
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Makes a team, see [`Team::new`]; 0 where its threads cannot be started. In WebAssembly the host brings the threads: see [`team_work`].
pub fn team_create(threads: usize, part_work: u32) -> usize {
    let team = std::sync::Arc::new(Team::new(threads, part_work));
    let mut crew = Crew {
        team,
        #[cfg(not(target_arch = "wasm32"))]
        threads: Vec::new(),
    };
    if hire(&mut crew) {
        Box::into_raw(Box::new(crew)) as usize
    } else {
        dismiss(crew);
        0
    }
}

#[cfg(target_arch = "wasm32")]
fn hire(_crew: &mut Crew) -> bool {
    true
}

/// Starts the threads; false where the system has none to give.
#[cfg(not(target_arch = "wasm32"))]
fn hire(crew: &mut Crew) -> bool {
    for member in 0..crew.team.threads() {
        let team = crew.team.clone();
        let name = format!("llmforge-{member}");
        // SAFETY: each thread has a number of its own.
        let work = move || unsafe { team.work(member) };
        match std::thread::Builder::new().name(name).spawn(work) {
            Ok(thread) => crew.threads.push(thread),
            Err(_) => return false,
        }
    }
    true
}

/// In WebAssembly the team stays: the host ends the threads, and the memory goes with them.
#[cfg(target_arch = "wasm32")]
fn dismiss(crew: Crew) {
    crew.team.close();
    std::mem::forget(crew);
}

#[cfg(not(target_arch = "wasm32"))]
fn dismiss(crew: Crew) {
    crew.team.close();
    for thread in crew.threads {
        // A thread that has panicked has aborted the process.
        let _ = thread.join();
    }
}

/// # Safety
/// The handle must be a team's, and the team not be freed as long as the result is used.
unsafe fn team_of<'a>(team: usize) -> &'a Team {
    // SAFETY: the caller's.
    unsafe { &(*(team as *const Crew)).team }
}

/// Works as one of the team until it is freed; what a thread of the host calls, each with a number of its own, from 0 on.
///
/// # Safety
/// The handle must be a team's, and no other thread have the number.
pub unsafe fn team_work(team: usize, member: usize) {
    // SAFETY: the caller's.
    unsafe { team_of(team).work(member) }
}

/// Starts the step in a Program's record; gives a status.
///
/// # Safety
/// The handles must be those of a team and a Program that was made for as many threads. No step of the team may be running, and until
/// this one has ended nobody may touch the Program and what it is bound to.
pub unsafe fn team_start(team: usize, program: usize) -> u32 {
    // SAFETY: the caller's.
    let started = unsafe { team_of(team).start(&*(program as *const Executor)) };
    started.map_or_else(|error| fail(&error), |()| 0)
}

/// Has a step of a Program begin when the running one has ended, behind so many copies, each a [`MemoryCopy`]; 0 where none is running.
///
/// # Safety
/// As [`Team::follow`].
pub unsafe fn team_follow(team: usize, program: usize, copies: usize, count: usize) -> u32 {
    let copies = std::ptr::slice_from_raw_parts(copies as *const MemoryCopy, count);
    // SAFETY: the caller's.
    u32::from(unsafe { team_of(team).follow(program as *const Executor, copies) })
}

/// How many steps have begun; wraps.
///
/// # Safety
/// The handle must be a team's.
pub unsafe fn team_begun(team: usize) -> u32 {
    // SAFETY: the caller's.
    unsafe { team_of(team).begun() }
}

/// How many steps have ended; wraps.
///
/// # Safety
/// The handle must be a team's.
pub unsafe fn team_finished(team: usize) -> u32 {
    // SAFETY: the caller's.
    unsafe { team_of(team).finished().count() }
}

/// Address of that count: hosts that share memory can wait on it.
///
/// # Safety
/// The handle must be a team's.
pub unsafe fn team_signal(team: usize) -> usize {
    // SAFETY: the caller's.
    unsafe { team_of(team).finished().address() }
}

/// Waits until more steps than `seen` have ended.
///
/// # Safety
/// The handle must be a team's, which is not freed meanwhile.
pub unsafe fn team_wait(team: usize, seen: u32) {
    // SAFETY: the caller's.
    unsafe { team_of(team).finished().wait_past(seen) }
}

/// Status of the last step, which has ended.
///
/// # Safety
/// The handle must be a team's.
pub unsafe fn team_status(team: usize) -> u32 {
    // SAFETY: the caller's.
    let failure = unsafe { team_of(team).take_failure() };
    failure.map_or(0, |error| fail(&error))
}

/// Ends the threads and frees the team.
///
/// # Safety
/// The handle must be a team's, and no step of it be running.
pub unsafe fn team_free(team: usize) {
    // A thread of the host may only now come to work: in WebAssembly the crew stays, and goes with the memory.
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the caller's.
    unsafe {
        team_of(team).close()
    };
    #[cfg(not(target_arch = "wasm32"))]
    // SAFETY: the caller's.
    dismiss(*unsafe { Box::from_raw(team as *mut Crew) });
}
