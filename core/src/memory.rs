//! Aligned memory that fails with a value instead of a trap.

use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};
use std::ptr::NonNull;

/// Alignment of every allocation: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// An owned block of bytes, 64-byte aligned.
pub struct Block {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: a Block is plain memory; whoever shares it across threads synchronises access to its contents.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Takes `len` bytes, `None` where they cannot be had. Zeroed memory costs nothing until it is touched.
    pub fn new(len: usize, zeroed: bool) -> Option<Block> {
        let ptr = if large::wants(len) {
            large::take(len, zeroed)
        } else {
            small(len, zeroed)
        };
        Some(Block {
            ptr: NonNull::new(ptr?)?,
            len,
        })
    }

    /// Gives the block away as an address; [`Block::from_address`] takes it back.
    pub fn into_address(self) -> usize {
        std::mem::ManuallyDrop::new(self).ptr() as usize
    }

    /// Takes back a block that was given away; `None` for address 0.
    ///
    /// # Safety
    /// The address must come from [`Block::into_address`] of a block of this very length, and be used once.
    pub unsafe fn from_address(address: usize, len: usize) -> Option<Block> {
        NonNull::new(address as *mut u8).map(|ptr| Block { ptr, len })
    }

    /// Start of the block.
    pub fn ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the block has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if large::wants(self.len) {
            large::give(self.ptr.as_ptr(), self.len);
            return;
        }
        // SAFETY: the pointer came from `small` with this very layout.
        unsafe {
            dealloc(
                self.ptr.as_ptr(),
                Layout::from_size_align_unchecked(self.len.max(ALIGN), ALIGN),
            )
        }
    }
}

/// A block from the ordinary allocator.
fn small(len: usize, zeroed: bool) -> Option<*mut u8> {
    let layout = Layout::from_size_align(len.max(ALIGN), ALIGN).ok()?;
    // SAFETY: the layout's size is not zero.
    Some(unsafe {
        if zeroed {
            alloc_zeroed(layout)
        } else {
            alloc(layout)
        }
    })
}

/// Elsewhere large blocks are asked for at the system's own alignment: beyond it std writes the zeros itself, and so
/// touches every page.
#[cfg(not(target_arch = "wasm32"))]
mod large {
    use super::ALIGN;
    use std::alloc::{alloc, alloc_zeroed, dealloc, Layout};

    const SYSTEM_ALIGN: usize = 16;
    const SMALLEST: usize = 1 << 18;

    fn layout(len: usize) -> Option<Layout> {
        Layout::from_size_align(len.checked_add(ALIGN)?, SYSTEM_ALIGN).ok()
    }

    pub fn wants(len: usize) -> bool {
        len >= SMALLEST
    }

    pub fn take(len: usize, zeroed: bool) -> Option<*mut u8> {
        let layout = layout(len)?;
        // SAFETY: the layout's size is not zero.
        let start = unsafe {
            if zeroed {
                alloc_zeroed(layout)
            } else {
                alloc(layout)
            }
        };
        if start.is_null() {
            return None;
        }
        let shift = ALIGN - start as usize % ALIGN;
        // SAFETY: the shift is at most ALIGN, which the allocation has beyond `len`, and never 0, so that the byte
        // before the block is there to tell how to get back.
        unsafe {
            let block = start.add(shift);
            block.sub(1).write(shift as u8);
            Some(block)
        }
    }

    pub fn give(block: *mut u8, len: usize) {
        let Some(layout) = layout(len) else { return };
        // SAFETY: the block came from `take` with this very length.
        unsafe {
            let shift = usize::from(block.sub(1).read());
            dealloc(block.sub(shift), layout);
        }
    }
}

/// Large blocks of WebAssembly memory come straight from `memory.grow`: such pages are zero and take no room until they
/// are touched, while the ordinary allocator would write every zero.
#[cfg(target_arch = "wasm32")]
mod large {
    use core::arch::wasm32::memory_grow;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    const PAGE: usize = 65536;
    const SMALLEST: usize = 4 * PAGE;

    /// Freed ranges as start and length in bytes, in order, never adjacent.
    static FREE: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

    fn free_ranges() -> MutexGuard<'static, Vec<(usize, usize)>> {
        FREE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole_pages(len: usize) -> usize {
        len.div_ceil(PAGE) * PAGE
    }

    pub fn wants(len: usize) -> bool {
        len >= SMALLEST
    }

    pub fn take(len: usize, zeroed: bool) -> Option<*mut u8> {
        let size = len.checked_add(PAGE - 1)? / PAGE * PAGE;
        let mut free = free_ranges();
        if let Some(at) = free.iter().position(|&(_, length)| length >= size) {
            let (start, length) = free[at];
            if length == size {
                free.remove(at);
            } else {
                free[at] = (start + size, length - size);
            }
            let ptr = start as *mut u8;
            if zeroed {
                // SAFETY: the range was given back, so nobody else has it.
                unsafe { ptr.write_bytes(0, len) };
            }
            return Some(ptr);
        }
        let first = memory_grow(0, size / PAGE);
        (first != usize::MAX).then(|| (first * PAGE) as *mut u8)
    }

    pub fn give(ptr: *mut u8, len: usize) {
        let (start, size) = (ptr as usize, whole_pages(len));
        let mut free = free_ranges();
        let at = free.partition_point(|&(other, _)| other < start);
        free.insert(at, (start, size));
        if at + 1 < free.len() && start + size == free[at + 1].0 {
            free[at].1 += free.remove(at + 1).1;
        }
        if at > 0 && free[at - 1].0 + free[at - 1].1 == start {
            free[at - 1].1 += free.remove(at).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zero() {
        for len in [0, 1, 64, 1000, 1 << 18, 1_000_001] {
            let block = Block::new(len, true).unwrap();
            assert_eq!(block.ptr() as usize % ALIGN, 0);
            // SAFETY: the block has that length.
            let bytes = unsafe { std::slice::from_raw_parts(block.ptr(), len) };
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
        assert!(Block::new(usize::MAX, true).is_none());
    }
}
