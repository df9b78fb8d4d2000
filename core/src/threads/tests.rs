//! A team gives what one thread gives, to the bit, and ends every step.

use super::Team;
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
