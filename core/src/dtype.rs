//! Element types, with the codes of `src/tensor/dtype.ts`.

/// Element type of a tensor or weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DType {
    F32 = 0,
    F16 = 1,
    BF16 = 2,
    I8 = 3,
    U8 = 4,
    I32 = 5,
    Q8_0 = 6,
    Q4_0 = 7,
    Q4_1 = 8,
    Q5_0 = 9,
    Q5_1 = 10,
}

impl DType {
    /// The dtype of a code, or `None` for a code that this version does not know.
    pub fn from_code(code: u32) -> Option<DType> {
        use DType::*;
        [F32, F16, BF16, I8, U8, I32, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1]
            .get(code as usize)
            .copied()
    }

    /// Elements of a block and bytes of a block.
    pub fn block(self) -> (usize, usize) {
        match self {
            DType::F32 | DType::I32 => (1, 4),
            DType::F16 | DType::BF16 => (1, 2),
            DType::I8 | DType::U8 => (1, 1),
            DType::Q8_0 => (32, 34),
            DType::Q4_0 => (32, 18),
            DType::Q4_1 => (32, 20),
            DType::Q5_0 => (32, 22),
            DType::Q5_1 => (32, 24),
        }
    }

    /// Bytes of a row of `columns` elements.
    pub fn row_bytes(self, columns: usize) -> usize {
        let (size, bytes) = self.block();
        columns / size * bytes
    }
}
