//! A team gives what one thread gives, to the bit, and ends every step.

use super::{MemoryCopy, Team};
use crate::error::Error;
use crate::executor::tests::{bindings, example, write_record, Memory};
use crate::executor::Executor;
use std::sync::Arc;

/// Runs `body` with a team at work.
fn with_team(threads: usize, body: impl FnOnce(&Team)) {
    let team = Arc::new(Team::new(threads, 0));
    let handles: Vec<_> = (0..threads)
        .map(|member| {
            let team = team.clone();
            // SAFETY: each thread has a number of its own.
            std::thread::spawn(move || unsafe { team.work(member) })
        })
        .collect();
    body(&team);
    team.close();
    handles
        .into_iter()
        .for_each(|handle| handle.join().unwrap());
}

/// Runs a step and waits for its end.
fn run(team: &Team, executor: &Executor) -> Result<(), Error> {
    let seen = team.finished().count();
    // SAFETY: the bindings are what the example says, and nobody else touches them.
    unsafe { team.start(executor)? };
    team.finished().wait_past(seen);
    team.take_failure().map_or(Ok(()), Err)
}

#[test]
fn a_team_gives_what_one_thread_gives() {
    for threads in [1, 2, 3, 5] {
        with_team(threads, |team| {
            let mut memory: Memory = ([1.0, 0.0, 0.0, -1.0], [9.0; 6], [9; 2]);
            let bound = bindings(&mut memory);
            // SAFETY: the bindings are what the example says.
            let executor = unsafe { Executor::new(&example(), &bound, threads) }.unwrap();
            for _ in 0..500 {
                (memory.1, memory.2) = ([9.0; 6], [9; 2]);
                write_record(&executor, &[2, 0, 0, 0, 2, 0]);
                run(team, &executor).unwrap();
                assert_eq!(memory.2, [2, 2]);
                assert!(!memory.1.contains(&9.0));
            }
        });
    }
}

#[test]
fn an_error_ends_the_step_and_not_the_team() {
    with_team(3, |team| {
        let mut memory = Memory::default();
        let bound = bindings(&mut memory);
        // SAFETY: the bindings are what the example says.
        let executor = unsafe { Executor::new(&example(), &bound, 3) }.unwrap();
        for _ in 0..100 {
            for record in [[1, 0, 0, 0, 3, 0], [1, 0, 0, 0, -1, 0], [3, 0, 0, 0, 0, 0]] {
                write_record(&executor, &record);
                let error = run(team, &executor).unwrap_err();
                assert!(matches!(error, Error::Index { .. }), "{record:?}: {error}");
            }
            write_record(&executor, &[1, 0, 0, 0, 2, 0]);
            assert_eq!(run(team, &executor), Ok(()));
        }
    });
}

/// Bytes from one place to another.
fn copy<T>(from: *const T, to: *mut T, count: usize) -> MemoryCopy {
    MemoryCopy {
        from: from as u64,
        to: to as u64,
        bytes: (count * size_of::<T>()) as u64,
    }
}

#[test]
fn a_follower_reads_what_the_step_before_has_left_and_leaves_it_to_the_host() {
    const STEPS: usize = 2000;
    for threads in [1, 2, 3, 5] {
        with_team(threads, |team| {
            // A row of id 0 gives 0, and one of id 2 gives 2.
            let mut memory: Memory = ([-4.0; 4], [9.0; 6], [9; 2]);
            let bound = bindings(&mut memory);
            let z = bound[7] as *mut i32;
            // SAFETY: the bindings are what the example says.
            let executor = unsafe { Executor::new(&example(), &bound, threads) }.unwrap();
            let record = executor.record().cast::<i32>();
            let mut next = [2, 0, 0, 0, 9, 9];
            let mut kept = [9; 2];
            let kept: *mut i32 = kept.as_mut_ptr();
            // Each row goes on with what the other one gave.
            let copies = [
                copy(z, kept, 2),
                copy(next.as_mut_ptr(), record, 6),
                copy(z.wrapping_add(1), record.wrapping_add(4), 1),
                copy(z, record.wrapping_add(5), 1),
            ];
            let mut seen = team.finished().count();
            let begun = team.begun();
            let mut ids = [0, 2];
            let mut running = false;
            let mut followers = 0;
            for at in 0..STEPS {
                if !running {
                    write_record(&executor, &[2, 0, 0, 0, ids[0], ids[1]]);
                    // SAFETY: no step is running.
                    unsafe { team.start(&executor).unwrap() };
                }
                if at % 7 == 0 {
                    std::thread::yield_now();
                }
                // SAFETY: the last follower has begun; what the copies name stays, and the executor is in use by this team only.
                running = at + 1 < STEPS && unsafe { team.follow(&executor, &copies) };
                followers += usize::from(running);
                team.finished().wait_past(seen);
                seen = seen.wrapping_add(1);
                // SAFETY: the step has ended; its follower writes to `z`, so that what it left is in `kept`.
                let got = unsafe { if running { kept } else { z }.cast::<[i32; 2]>().read() };
                assert_eq!(got, ids, "step {at}");
                ids.swap(0, 1);
            }
            assert_eq!(team.begun().wrapping_sub(begun) as usize, STEPS);
            assert!(
                followers > STEPS / 100,
                "{followers} steps followed one that was running"
            );
            assert_eq!(team.take_failure(), None);
            // SAFETY: as above.
            let idle = unsafe { !team.follow(&executor, &copies) };
            assert!(idle, "no step is running");
        });
    }
}

#[test]
fn nothing_follows_a_step_that_fails() {
    with_team(2, |team| {
        let mut memory = Memory::default();
        let bound = bindings(&mut memory);
        // SAFETY: the bindings are what the example says.
        let executor = unsafe { Executor::new(&example(), &bound, 2) }.unwrap();
        let record = executor.record().cast::<i32>();
        let (mut good, mut bad) = ([1, 0, 0, 0, 2, 0], [1, 0, 0, 0, 3, 0]);
        let follow = |words: &mut [i32; 6]| {
            let copies = [copy(words.as_mut_ptr(), record, 6)];
            let (seen, begun) = (team.finished().count(), team.begun());
            // SAFETY: no step is running, and nobody else uses the executor; the copies stay until all has ended.
            unsafe {
                team.start(&executor).unwrap();
                let followed = team.follow(&executor, &copies);
                team.finished().wait_past(seen);
                let follows = team.begun().wrapping_sub(begun) == 2;
                if follows {
                    team.finished().wait_past(seen.wrapping_add(1));
                }
                (followed, follows, team.take_failure())
            }
        };
        let (mut followed, mut failed) = (0, 0);
        for _ in 0..200 {
            write_record(&executor, &bad);
            let (accepted, follows, failure) = follow(&mut good);
            assert!(!follows && failure.is_some());
            followed += usize::from(accepted);
            write_record(&executor, &good);
            let (accepted, follows, failure) = follow(&mut bad);
            assert!(follows == accepted && failure.is_some() == accepted);
            failed += usize::from(accepted);
            write_record(&executor, &good);
            assert_eq!(run(team, &executor), Ok(()));
        }
        assert!(
            followed > 0 && failed > 0,
            "{followed} and {failed} in time"
        );
    });
}
