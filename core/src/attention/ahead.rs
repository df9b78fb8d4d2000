//! Reading what comes next, a byte now and then: at such a pace the hardware fetches a stream in time, while products by themselves ask
//! for all lines of a tile at once and wait for them.

/// Streams of what comes next, which are read in turns.
pub(super) struct Ahead<const N: usize> {
    at: [*const u8; N],
    seen: u8,
}

impl<const N: usize> Ahead<N> {
    /// Streams that begin there.
    pub(super) fn new(at: [*const u8; N]) -> Ahead<N> {
        Ahead { at, seen: 0 }
    }

    /// Reads a byte of the stream whose turn it is; its next one lies so many bytes behind.
    /// # Safety
    /// It must be readable.
    #[inline(always)]
    pub(super) unsafe fn read(&mut self, step: usize) {
        // SAFETY: the caller's.
        self.seen |= unsafe { self.at[0].read() };
        self.at[0] = self.at[0].wrapping_add(step);
        self.at.rotate_left(1);
    }
}

impl<const N: usize> Drop for Ahead<N> {
    #[inline(always)]
    fn drop(&mut self) {
        std::hint::black_box(self.seen);
    }
}
