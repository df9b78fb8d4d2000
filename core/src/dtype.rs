//! Element types, with the codes of `src/tensor/dtype.ts`; what is missing here is transcoded before it comes.

/// Element type of a tensor or weight.
#[allow(non_camel_case_types)]
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
    Q2_K = 15,
    Q3_K = 16,
    Q4_K = 17,
    Q5_K = 18,
    Q6_K = 19,
    /// Only for KV caches: an F32 scale and 64 i16.
    Q16 = 33,
}

impl DType {
    /// The dtype of a code, or `None` for a code that this version does not know.
    pub fn from_code(code: u32) -> Option<DType> {
        use DType::*;
        [
            F32, F16, BF16, I8, U8, I32, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K,
            Q6_K, Q16,
        ]
        .into_iter()
        .find(|dtype| *dtype as u32 == code)
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
            DType::Q2_K => (256, 84),
            DType::Q3_K => (256, 110),
            DType::Q4_K => (256, 144),
            DType::Q5_K => (256, 176),
            DType::Q6_K => (256, 210),
            DType::Q16 => (64, 132),
        }
    }

    /// Bytes of a row of `columns` elements.
    pub fn row_bytes(self, columns: usize) -> usize {
        let (size, bytes) = self.block();
        columns / size * bytes
    }
}
