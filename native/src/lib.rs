//! The native shim: the ABI of `core` as C symbols for Deno's FFI.
//!
//! The safety of every call is the host's: it passes only addresses and handles that it got here.

use llmforge_core::abi;
use llmforge_core::threads::abi as threads;

#[no_mangle]
pub extern "C" fn llmforge_alloc(bytes: usize) -> usize {
    abi::alloc(bytes)
}

#[no_mangle]
pub extern "C" fn llmforge_free(address: usize, bytes: usize) {
    // SAFETY: the host's.
    unsafe { abi::free(address, bytes) }
}

#[no_mangle]
pub extern "C" fn llmforge_weight_bytes(dtype: u32, rows: usize, cols: usize) -> usize {
    abi::weight_bytes(dtype, rows, cols)
}

#[no_mangle]
pub extern "C" fn llmforge_weight_create(dtype: u32, rows: usize, cols: usize) -> usize {
    abi::weight_create(dtype, rows, cols)
}

#[no_mangle]
pub extern "C" fn llmforge_weight_write(
    weight: usize,
    first_row: usize,
    address: usize,
    bytes: usize,
) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::weight_write(weight, first_row, address, bytes) }
}

#[no_mangle]
pub extern "C" fn llmforge_weight_free(weight: usize) {
    // SAFETY: the host's.
    unsafe { abi::weight_free(weight) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_create(
    blob: usize,
    bytes: usize,
    bindings: usize,
    count: usize,
    threads: usize,
) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_create(blob, bytes, bindings, count, threads) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_step(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_step(program) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_bytes(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_bytes(program) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_run(program: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::program_run(program) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_regions(program: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_regions(program) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_region_op(program: usize, region: usize) -> usize {
    // SAFETY: the host's.
    unsafe { abi::program_region_op(program, region) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_run_region(program: usize, region: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { abi::program_run_region(program, region) }
}

#[no_mangle]
pub extern "C" fn llmforge_program_free(program: usize) {
    // SAFETY: the host's.
    unsafe { abi::program_free(program) }
}

#[no_mangle]
pub extern "C" fn llmforge_last_error() -> usize {
    abi::last_error()
}

#[no_mangle]
pub extern "C" fn llmforge_team_create(count: usize, part_work: u32) -> usize {
    threads::team_create(count, part_work)
}

#[no_mangle]
pub extern "C" fn llmforge_team_start(team: usize, program: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { threads::team_start(team, program) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_follow(
    team: usize,
    program: usize,
    copies: usize,
    count: usize,
) -> u32 {
    // SAFETY: the host's.
    unsafe { threads::team_follow(team, program, copies, count) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_begun(team: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { threads::team_begun(team) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_finished(team: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { threads::team_finished(team) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_wait(team: usize, seen: u32) {
    // SAFETY: the host's.
    unsafe { threads::team_wait(team, seen) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_status(team: usize) -> u32 {
    // SAFETY: the host's.
    unsafe { threads::team_status(team) }
}

#[no_mangle]
pub extern "C" fn llmforge_team_free(team: usize) {
    // SAFETY: the host's.
    unsafe { threads::team_free(team) }
}
