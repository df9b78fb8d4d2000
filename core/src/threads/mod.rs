//! Threads: a team that computes the steps of Programs together, and the counters that it waits on.
//!
//! Only there where threads are: a build for WebAssembly without atomics computes on the calling thread.

pub mod abi;
mod cut;
mod signal;
mod team;
#[cfg(test)]
mod tests;

pub use signal::Signal;
pub use team::{MemoryCopy, Team, MAX_THREADS};
