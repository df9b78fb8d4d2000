//! A weight in memory: 16 rows a group, interleaved so that a vector holds the same columns of four rows.
//!
//! A group of float rows is `[column][16 rows]`. A group of quantized rows is a sequence of blocks of 32 columns:
//! 16 F16 scales, 16 F16 minima where the kind has them, then vectors of 4 rows x 4 consecutive columns:
//! - nibbles: 4 steps of 64 bytes; step j has columns 4j.. in the low nibbles and 16 + 4j.. in the high ones, as GGUF does;
//! - bytes: 8 steps of 64 bytes; step j has columns 4j.., each plus 128.

use super::{float, k, pair, ActivationKind};
use crate::dtype::DType;
use crate::memory::Block;
use crate::simd::{bf16_to_f32, byte_dot, f16_to_f32};

/// Rows of a group.
pub const GROUP: usize = 16;

/// Columns of a quantization block.
pub(super) const BLOCK: usize = 32;

/// How the rows of a group lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// F32, F16 or BF16 as in the file.
    Float,
    /// Unsigned nibbles; without a minimum they stand for -8..=7.
    Nibble { min: bool },
    /// Bytes, unsigned, that stand for -128..=127.
    Byte { min: bool },
    /// Super-blocks, as [`k`] tells.
    K(k::Shape),
}

impl Layout {
    fn of(dtype: DType) -> Option<Layout> {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Some(Layout::Float),
            DType::Q4_0 => Some(Layout::Nibble { min: false }),
            DType::Q4_1 => Some(Layout::Nibble { min: true }),
            DType::Q8_0 | DType::Q5_0 => Some(Layout::Byte { min: false }),
            DType::Q5_1 => Some(Layout::Byte { min: true }),
            dtype => k::Shape::of(dtype).map(Layout::K),
        }
    }

    fn min(self) -> bool {
        matches!(
            self,
            Layout::Nibble { min: true } | Layout::Byte { min: true }
        )
    }

    /// Steps of 64 bytes in a block.
    fn steps(self) -> usize {
        match self {
            Layout::Float | Layout::K(_) => 0,
            Layout::Nibble { .. } => 4,
            Layout::Byte { .. } => 8,
        }
    }

    /// Bytes of the scales and minima of a block of 16 rows.
    fn header(self) -> usize {
        GROUP * 2 * (1 + usize::from(self.min()))
    }

    /// Bytes of a block of 16 rows.
    pub(super) fn block_bytes(self) -> usize {
        self.header() + self.steps() * GROUP * 4
    }
}

/// A matrix of `rows` output features by `cols` input features, ready for [`super::linear`].
pub struct PackedWeight {
    dtype: DType,
    layout: Layout,
    rows: usize,
    cols: usize,
    block: Block,
}

impl PackedWeight {
    /// Takes the memory, about the bytes of the file; `None` where it cannot be had, or not in that dtype and size.
    pub fn new(dtype: DType, rows: usize, cols: usize) -> Option<PackedWeight> {
        let layout = Layout::of(dtype)?;
        let (block, bytes) = dtype.block();
        if rows == 0 || cols == 0 || !cols.is_multiple_of(block) {
            return None;
        }
        let group_bytes = match layout {
            Layout::Float => cols.checked_mul(GROUP * bytes)?,
            Layout::K(shape) => (cols / k::SUPER).checked_mul(shape.super_bytes())?,
            _ => (cols / BLOCK).checked_mul(layout.block_bytes())?,
        };
        let total = rows.div_ceil(GROUP).checked_mul(group_bytes)?;
        Some(PackedWeight {
            dtype,
            layout,
            rows,
            cols,
            block: Block::new(total, !rows.is_multiple_of(GROUP))?,
        })
    }

    /// Packs whole rows of the file's layout from `first_row` on; false where `src` is not whole rows or passes the end.
    pub fn write_rows(&mut self, first_row: usize, src: &[u8]) -> bool {
        let row_bytes = self.dtype.row_bytes(self.cols);
        let count = src.len() / row_bytes;
        if !src.len().is_multiple_of(row_bytes)
            || first_row
                .checked_add(count)
                .is_none_or(|end| end > self.rows)
        {
            return false;
        }
        let mut rest = src;
        let mut row = first_row;
        while !rest.is_empty() {
            let (group, lane) = (row / GROUP, row % GROUP);
            let size = self.group_bytes();
            // SAFETY: the group lies within the block, which is borrowed mutably.
            let packed =
                unsafe { std::slice::from_raw_parts_mut(self.group(group).cast_mut(), size) };
            let whole = GROUP * row_bytes;
            let mut taken = row_bytes;
            match self.layout {
                Layout::Float if lane == 0 && rest.len() >= whole => {
                    taken = whole;
                    float::pack_group(packed, &rest[..whole], self.dtype.block().1);
                }
                Layout::Float => float::pack(packed, lane, &rest[..taken], self.dtype.block().1),
                Layout::K(shape) => k::pack(self.dtype, shape, packed, lane, &rest[..taken]),
                _ => self.pack_blocks(packed, lane, &rest[..taken]),
            }
            rest = &rest[taken..];
            row += taken / row_bytes;
        }
        true
    }

    fn pack_blocks(&self, packed: &mut [u8], lane: usize, bytes: &[u8]) {
        let layout = self.layout;
        let blocks = packed.chunks_exact_mut(layout.block_bytes());
        for (to, from) in blocks.zip(bytes.chunks_exact(self.dtype.block().1)) {
            let (header, body) = to.split_at_mut(layout.header());
            header[lane * 2..][..2].copy_from_slice(&from[..2]);
            let mut quants = &from[2..];
            if layout.min() {
                header[(GROUP + lane) * 2..][..2].copy_from_slice(&quants[..2]);
                quants = &quants[2..];
            }
            let steps = body.chunks_exact_mut(GROUP * 4);
            let places = steps.map(|step| &mut step[lane * 4..][..4]);
            if matches!(self.dtype, DType::Q5_0 | DType::Q5_1) {
                // What makes the bytes unsigned; Q5_0 stands for 16 less.
                let offset = 0x0101_0101 * if layout.min() { 0x80 } else { 0x70 };
                for (step, to) in places.enumerate() {
                    let quartet = quartet_of_q5(quants, step) + offset;
                    to.copy_from_slice(&quartet.to_le_bytes());
                }
            } else {
                let flip = if layout == (Layout::Byte { min: false }) {
                    0x8080_8080
                } else {
                    0
                };
                for (to, quartet) in places.zip(quants.chunks_exact(4)) {
                    to.copy_from_slice(&(word(quartet, 0) ^ flip).to_le_bytes());
                }
            }
        }
    }

    /// Dequantizes a row, each value as the file's format defines it, into the first `cols` of `out`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() >= self.cols);
        let (group, lane) = (row / GROUP, row % GROUP);
        // SAFETY: the group lies within the block.
        let packed = unsafe { std::slice::from_raw_parts(self.group(group), self.group_bytes()) };
        let u16_at = |at: usize| u16::from_le_bytes([packed[at], packed[at + 1]]);
        match self.layout {
            Layout::Float => {
                for (k, out) in out[..self.cols].iter_mut().enumerate() {
                    let at = k * GROUP + lane;
                    *out = match self.dtype {
                        DType::F16 => f16_to_f32(u16_at(at * 2)),
                        DType::BF16 => bf16_to_f32(u16_at(at * 2)),
                        _ => f32::from_le_bytes([0, 1, 2, 3].map(|i| packed[at * 4 + i])),
                    };
                }
            }
            Layout::K(shape) => k::row(shape, packed, lane, &mut out[..self.cols]),
            layout => {
                for (b, out) in out[..self.cols].chunks_exact_mut(BLOCK).enumerate() {
                    let at = b * layout.block_bytes();
                    let scale = f16_to_f32(u16_at(at + lane * 2));
                    let min = if layout.min() {
                        f16_to_f32(u16_at(at + (GROUP + lane) * 2))
                    } else {
                        0.0
                    };
                    let quants = &packed[at + layout.header()..];
                    for (k, out) in out.iter_mut().enumerate() {
                        let value = match layout {
                            Layout::Byte { .. } => {
                                f32::from(quants[k / 4 * GROUP * 4 + lane * 4 + k % 4]) - 128.0
                            }
                            _ => {
                                let byte = quants[k % 16 / 4 * GROUP * 4 + lane * 4 + k % 4];
                                let nibble = f32::from(if k < 16 { byte & 15 } else { byte >> 4 });
                                nibble - if layout.min() { 0.0 } else { 8.0 }
                            }
                        };
                        *out = if layout.min() {
                            value * scale + min
                        } else {
                            value * scale
                        };
                    }
                }
            }
        }
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Element type of the file.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.block.len()
    }

    /// Groups of [`GROUP`] rows, the unit in which threads share a weight.
    pub fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    /// What its activations must be prepared as.
    pub fn activation_kind(&self) -> ActivationKind {
        match self.layout {
            Layout::Float => ActivationKind::F32,
            Layout::Nibble { .. } | Layout::K(_) => ActivationKind::of_nibbles(),
            Layout::Byte { .. } => ActivationKind::of_bytes(),
        }
    }

    /// Bytes of scratch that [`super::linear`] needs for `m` rows.
    pub fn scratch_bytes(&self, m: usize) -> usize {
        if self.layout == Layout::Float {
            return super::float::scratch_bytes(self.dtype, m, self.cols);
        }
        if m == super::singles(m) {
            return 0;
        }
        let kind = self.activation_kind();
        let groups = 1 + usize::from(pair::applies(self, kind, byte_dot(), m));
        match self.layout {
            Layout::K(shape) => groups * self.cols / BLOCK * k::tile_block_bytes(shape, kind),
            _ => {
                let block = super::tile::tile_block_bytes(kind, self.layout.min());
                groups * self.cols / BLOCK * block
            }
        }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn group_bytes(&self) -> usize {
        self.block.len() / self.groups()
    }

    /// Start of a group.
    pub(super) fn group(&self, group: usize) -> *const u8 {
        debug_assert!(group < self.groups());
        // SAFETY: the group lies within the block.
        unsafe { self.block.ptr().add(group * self.group_bytes()) }
    }
}

impl ActivationKind {
    /// What the activations of a weight of that dtype must be prepared as; `None` for a dtype that no weight has.
    pub fn of(dtype: DType) -> Option<ActivationKind> {
        Some(match Layout::of(dtype)? {
            Layout::Float => ActivationKind::F32,
            Layout::Nibble { .. } | Layout::K(_) => ActivationKind::of_nibbles(),
            Layout::Byte { .. } => ActivationKind::of_bytes(),
        })
    }
}

/// Four bytes as a word, the `i`-th.
#[inline(always)]
pub(super) fn word(bytes: &[u8], i: usize) -> u32 {
    let at = 4 * i;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Four columns of GGUF Q5, which is 4 bytes of high bits and 16 of nibbles.
fn quartet_of_q5(quants: &[u8], step: usize) -> u32 {
    let nibbles = word(quants, 1 + step % 4) >> (step / 4 * 4) & 0x0f0f_0f0f;
    let high = word(quants, 0) >> (4 * step) & 0xf;
    // Bit `i` goes to the lowest one of byte `i`.
    nibbles | ((high * 0x0020_4081) & 0x0101_0101) << 4
}
