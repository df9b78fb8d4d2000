//! The C ABI behind both shims: numbers in, numbers out. Addresses and handles are `usize`, 0 stands for failure, and
//! [`last_error`] says what it was.
//!
//! Callers vouch for the addresses and handles that they pass; everything else is checked.

use crate::dtype::DType;
use crate::error::{invalid, Error};
use crate::executor::Executor;
use crate::linear::{ActivationKind, PackedWeight, GROUP};
use crate::memory::Block;
use std::cell::RefCell;

thread_local! {
    /// Code, length and text of the last error of this thread.
    static LAST_ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn fail(error: &Error) -> u32 {
    let text = error.to_string();
    LAST_ERROR.with_borrow_mut(|last| {
        last.clear();
        last.extend(error.code().to_le_bytes());
        last.extend((text.len() as u32).to_le_bytes());
        last.extend(text.as_bytes());
    });
    error.code()
}

/// The value, or 0 with the error kept.
fn or_zero(result: Result<usize, Error>) -> usize {
    result.unwrap_or_else(|error| {
        fail(&error);
        0
    })
}

/// Address of the last error: its code and the length of its text, each a `u32`, then the text. Valid until the next
/// call; only there after a call has failed.
pub fn last_error() -> usize {
    LAST_ERROR.with_borrow(|last| last.as_ptr() as usize)
}

/// Takes zeroed memory, 64-byte aligned; 0 where it cannot be had.
pub fn alloc(bytes: usize) -> usize {
    Block::new(bytes, true).map_or(0, Block::into_address)
}

/// Frees memory.
///
/// # Safety
/// It must come from [`alloc`] with this very length, and nobody may use it any more.
pub unsafe fn free(address: usize, bytes: usize) {
    // SAFETY: the caller's.
    drop(unsafe { Block::from_address(address, bytes) });
}

/// Bytes that a packed weight will take; 0 for one that cannot be.
pub fn weight_bytes(dtype: u32, rows: usize, cols: usize) -> usize {
    match packable(dtype, rows, cols) {
        Ok(dtype) => {
            // Q5 is unpacked to bytes; all other kinds keep their size.
            let (size, bytes) = match dtype {
                DType::Q5_0 => DType::Q8_0.block(),
                DType::Q5_1 => (32, 36),
                // Scales of six bits in bytes.
                DType::Q3_K => (256, 114),
                DType::Q4_K => (256, 148),
                DType::Q5_K => (256, 180),
                other => other.block(),
            };
            let row = (cols / size).checked_mul(bytes);
            row.and_then(|row| row.checked_mul(rows.div_ceil(GROUP) * GROUP))
                .unwrap_or(0)
        }
        Err(_) => 0,
    }
}

fn packable(dtype: u32, rows: usize, cols: usize) -> Result<DType, Error> {
    match DType::from_code(dtype) {
        Some(dtype) if ActivationKind::of(dtype).is_some() => {
            if rows == 0 || cols == 0 || !cols.is_multiple_of(dtype.block().0) {
                return invalid(format!(
                    "a weight of {rows} x {cols} is no whole number of blocks"
                ));
            }
            Ok(dtype)
        }
        _ => invalid(format!("there are no weights of dtype {dtype}")),
    }
}

/// Takes the memory of a packed weight.
pub fn weight_create(dtype: u32, rows: usize, cols: usize) -> usize {
    or_zero(packable(dtype, rows, cols).and_then(|code| {
        let weight = PackedWeight::new(code, rows, cols);
        let weight = weight.ok_or_else(|| Error::Memory(weight_bytes(dtype, rows, cols)))?;
        Ok(Box::into_raw(Box::new(weight)) as usize)
    }))
}

/// Packs whole rows from `first_row` on; gives a status.
///
/// # Safety
/// The handle must be a weight's, and `bytes` bytes must be readable at the address.
pub unsafe fn weight_write(weight: usize, first_row: usize, address: usize, bytes: usize) -> u32 {
    // SAFETY: the caller's.
    let (weight, rows) = unsafe {
        (
            &mut *(weight as *mut PackedWeight),
            std::slice::from_raw_parts(address as *const u8, bytes),
        )
    };
    if weight.write_rows(first_row, rows) {
        0
    } else {
        fail(&Error::Program(format!(
            "{bytes} bytes at row {first_row} are not rows of this weight"
        )))
    }
}

/// Frees a weight.
///
/// # Safety
/// The handle must be a weight's, and no Program may run with it any more.
pub unsafe fn weight_free(weight: usize) {
    // SAFETY: the caller's.
    drop(unsafe { Box::from_raw(weight as *mut PackedWeight) });
}

/// Compiles a Program for so many threads. `bindings` is the address of a `u64` for each value: see [`Executor::new`].
///
/// # Safety
/// The blob and the bindings must be readable, and the bindings what the Program says, as long as it lives.
pub unsafe fn program_create(
    blob: usize,
    bytes: usize,
    bindings: usize,
    count: usize,
    threads: usize,
) -> usize {
    // SAFETY: the caller's.
    let executor = unsafe {
        let blob = std::slice::from_raw_parts(blob as *const u8, bytes);
        Executor::new(
            blob,
            std::slice::from_raw_parts(bindings as *const u64, count),
            threads,
        )
    };
    or_zero(executor.map(|executor| Box::into_raw(Box::new(executor)) as usize))
}

/// Address of the step record, which the caller fills before each run.
///
/// # Safety
/// The handle must be a Program's.
pub unsafe fn program_step(program: usize) -> usize {
    // SAFETY: the caller's.
    unsafe { (*(program as *const Executor)).record() as usize }
}

/// Bytes that a Program holds.
///
/// # Safety
/// The handle must be a Program's.
pub unsafe fn program_bytes(program: usize) -> usize {
    // SAFETY: the caller's.
    unsafe { (*(program as *const Executor)).bytes() }
}

/// Runs a step on the calling thread; gives a status.
///
/// # Safety
/// The handle must be a Program's, and what it is bound to must be there.
pub unsafe fn program_run(program: usize) -> u32 {
    // SAFETY: the caller's.
    match unsafe { (*(program as *mut Executor)).run() } {
        Ok(()) => 0,
        Err(error) => fail(&error),
    }
}

/// Regions of a Program: the pieces of a step whose time can be taken.
///
/// # Safety
/// The handle must be a Program's.
pub unsafe fn program_regions(program: usize) -> usize {
    // SAFETY: the caller's.
    unsafe { (*(program as *const Executor)).origins().len() }
}

/// Position of the op that a region is part of; 0 for a region that there is not.
///
/// # Safety
/// The handle must be a Program's.
pub unsafe fn program_region_op(program: usize, region: usize) -> usize {
    // SAFETY: the caller's.
    let origins = unsafe { (*(program as *const Executor)).origins() };
    origins.get(region).copied().unwrap_or(0)
}

/// Runs one region of a step, on the calling thread; gives a status.
///
/// # Safety
/// As [`program_run`]; all regions before must have run for this step.
pub unsafe fn program_run_region(program: usize, region: usize) -> u32 {
    // SAFETY: the caller's.
    match unsafe { (*(program as *mut Executor)).run_only(region) } {
        Ok(()) => 0,
        Err(error) => fail(&error),
    }
}

/// Frees a Program.
///
/// # Safety
/// The handle must be a Program's.
pub unsafe fn program_free(program: usize) {
    // SAFETY: the caller's.
    drop(unsafe { Box::from_raw(program as *mut Executor) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_bytes_are_what_a_weight_takes() {
        for dtype in [
            DType::F32,
            DType::F16,
            DType::BF16,
            DType::Q8_0,
            DType::Q4_0,
            DType::Q4_1,
            DType::Q5_0,
            DType::Q5_1,
        ] {
            let weight = PackedWeight::new(dtype, 19, 64).unwrap();
            assert_eq!(
                weight_bytes(dtype as u32, 19, 64),
                weight.bytes(),
                "{dtype:?}"
            );
        }
        for dtype in [
            DType::Q2_K,
            DType::Q3_K,
            DType::Q4_K,
            DType::Q5_K,
            DType::Q6_K,
        ] {
            let weight = PackedWeight::new(dtype, 19, 512).unwrap();
            assert_eq!(
                weight_bytes(dtype as u32, 19, 512),
                weight.bytes(),
                "{dtype:?}"
            );
            assert_eq!(weight_bytes(dtype as u32, 19, 128), 0);
        }
        assert_eq!(weight_bytes(DType::Q8_0 as u32, 16, 33), 0);
        assert_eq!(weight_bytes(DType::I8 as u32, 16, 32), 0);
        assert_eq!(weight_bytes(99, 16, 32), 0);
    }

    #[test]
    fn failures_are_told() {
        assert_eq!(alloc(usize::MAX), 0);
        assert_eq!(weight_create(99, 16, 32), 0);
        // SAFETY: the error is there until the next call.
        let [code, length] = unsafe { *(last_error() as *const [u32; 2]) };
        // SAFETY: as above.
        let text =
            unsafe { std::slice::from_raw_parts((last_error() + 8) as *const u8, length as usize) };
        assert_eq!(
            (code, std::str::from_utf8(text)),
            (1, Ok("there are no weights of dtype 99"))
        );
    }
}
