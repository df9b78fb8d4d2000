//! The WASM shim: the ABI of `core` as exports that take and give numbers only, so that the module imports nothing.
//!
//! The safety of every call is the host's: it passes only addresses and handles that it got here.

use llmforge_core::abi;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn alloc(bytes: usize) -> usize {
    abi::alloc(bytes)
}

#[wasm_bindgen]
pub fn free(address: usize, bytes: usize) {
    // SAFETY: the host's.
    unsafe { abi::free(address, bytes) }
}

#[wasm_bindgen]
pub fn weight_bytes(dtype: u32, rows: usize, cols: usize) -> usize {
    abi::weight_bytes(dtype, rows, cols)
}

#[wasm_bindgen]
pub fn weight_create(dtype: u32, rows: usize, cols: usize) -> usize {
    abi::weight_create(dtype, rows, cols)
}

#[wasm_bindgen]
pub fn weight_write(weight: usize, first_row: usize, address: usize, bytes: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::weight_write(weight, first_row, address, bytes) }
}

#[wasm_bindgen]
pub fn weight_free(weight: usize) {
    // SAFETY: the host's.
    unsafe { abi::weight_free(weight) }
}

#[wasm_bindgen]
pub fn program_create(
    blob: usize,
    bytes: usize,
    bindings: usize,
    count: usize,
    threads: usize,
) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_create(blob, bytes, bindings, count, threads) }
}

#[wasm_bindgen]
pub fn program_step(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_step(program) }
}

#[wasm_bindgen]
pub fn program_bytes(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_bytes(program) }
}

#[wasm_bindgen]
pub fn program_run(program: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::program_run(program) }
}

#[wasm_bindgen]
pub fn program_regions(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_regions(program) }
}

#[wasm_bindgen]
pub fn program_region_op(program: usize, region: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_region_op(program, region) }
}

#[wasm_bindgen]
pub fn program_run_region(program: usize, region: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::program_run_region(program, region) }
}

#[wasm_bindgen]
pub fn program_free(program: usize) {
    // SAFETY: the host's.
    unsafe { abi::program_free(program) }
}

#[wasm_bindgen]
pub fn last_error() -> usize {
    abi::last_error()
}

/// What only builds with threads have.
#[cfg(target_feature = "atomics")]
mod threads {
    use super::wasm_bindgen;
    use llmforge_core::threads::abi;

    #[wasm_bindgen]
    pub fn team_create(threads: usize, part_work: u32) -> usize {
        abi::team_create(threads, part_work)
    }

    #[wasm_bindgen]
    pub fn team_work(team: usize, member: usize) {
        // SAFETY: the host's.
        unsafe { abi::team_work(team, member) }
    }

    #[wasm_bindgen]
    pub fn team_start(team: usize, program: usize) -> u32 {
        // SAFETY: the host's.
        unsafe { abi::team_start(team, program) }
    }

    #[wasm_bindgen]
    pub fn team_follow(team: usize, program: usize, copies: usize, count: usize) -> u32 {
        // SAFETY: the host's.
        unsafe { abi::team_follow(team, program, copies, count) }
    }

    #[wasm_bindgen]
    pub fn team_begun(team: usize) -> u32 {
        // SAFETY: the host's.
        unsafe { abi::team_begun(team) }
    }

    #[wasm_bindgen]
    pub fn team_finished(team: usize) -> u32 {
        // SAFETY: the host's.
        unsafe { abi::team_finished(team) }
    }

    #[wasm_bindgen]
    pub fn team_signal(team: usize) -> usize {
        // SAFETY: the host's.
        unsafe { abi::team_signal(team) }
    }

    #[wasm_bindgen]
    pub fn team_status(team: usize) -> u32 {
        // SAFETY: the host's.
        unsafe { abi::team_status(team) }
    }

    #[wasm_bindgen]
    pub fn team_free(team: usize) {
        // SAFETY: the host's.
        unsafe { abi::team_free(team) }
    }
}
