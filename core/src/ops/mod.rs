//! The ops: each file checks the operands of its ops at compile and makes regions out of them.

mod activation;
mod attention;
mod check_pages;
mod elementwise;
mod experts;
mod gather;
mod lanes;
mod layout;
mod linear;
mod matmul;
mod norm;
mod operands;
mod paged;
mod paged_plain;
mod reduce;
mod region;
mod rope;
mod rope_shift;
mod routes;
mod softmax;
mod top_k;
mod write_kv;

pub use operands::{Attrs, Operands, Tensor, Weight};
pub use region::{slot_of, Extent, Region, Step, SLOTS};
pub use routes::{PrepareRouted, Route, Routes};

use crate::error::Error;
use crate::executor::Compiler;

/// One row of the op table, as far as compiling needs it.
pub struct OpRow {
    /// Number in encoded Programs.
    pub code: u32,
    /// Name in the op table.
    pub name: &'static str,
    /// How many inputs there are, absent ones included.
    pub inputs: usize,
    /// How many of them must be present, counted from the first.
    pub required: usize,
    /// The least and most outputs.
    pub outputs: (usize, usize),
    /// Inputs that may be packed weights.
    pub packed: &'static [usize],
    /// Inputs that the op writes to.
    pub mutates: &'static [usize],
    /// Checks the operands and adds the op's regions.
    pub compile: fn(&mut Compiler, Operands) -> Result<(), Error>,
}

const fn op(
    code: u32,
    name: &'static str,
    inputs: usize,
    required: usize,
    compile: fn(&mut Compiler, Operands) -> Result<(), Error>,
) -> OpRow {
    OpRow {
        code,
        name,
        inputs,
        required,
        outputs: (1, 1),
        packed: &[],
        mutates: &[],
        compile,
    }
}

/// The op table; codes and operands are those of `src/program/ops.ts`.
pub static OPS: &[OpRow] = &[
    op(1, "add", 2, 2, elementwise::compile::<elementwise::Add>),
    op(2, "sub", 2, 2, elementwise::compile::<elementwise::Sub>),
    op(3, "mul", 2, 2, elementwise::compile::<elementwise::Mul>),
    op(4, "div", 2, 2, elementwise::compile::<elementwise::Div>),
    op(10, "activation", 1, 1, activation::compile),
    op(11, "gatedActivation", 2, 2, activation::compile_gated),
    op(20, "reduce", 1, 1, reduce::compile),
    op(21, "argmax", 1, 1, reduce::compile_argmax),
    op(22, "softmax", 1, 1, softmax::compile),
    OpRow {
        outputs: (2, 2),
        ..op(23, "topK", 1, 1, top_k::compile)
    },
    op(30, "layerNorm", 3, 1, norm::compile_layer_norm),
    op(31, "rmsNorm", 2, 1, norm::compile_rms_norm),
    OpRow {
        outputs: (2, 2),
        ..op(32, "addRmsNorm", 3, 2, norm::compile_add_rms_norm)
    },
    op(40, "matmul", 2, 2, matmul::compile),
    OpRow {
        packed: &[1],
        ..op(41, "linear", 3, 2, linear::compile)
    },
    OpRow {
        packed: &[1, 2, 3],
        outputs: (2, 3),
        ..op(42, "linearGroup", 7, 3, linear::compile_group)
    },
    OpRow {
        packed: &[1],
        ..op(43, "matmulExperts", 3, 3, experts::compile)
    },
    OpRow {
        packed: &[1],
        ..op(50, "embed", 2, 2, gather::compile_embed)
    },
    op(51, "gatherRows", 2, 2, gather::compile_gather_rows),
    op(52, "copy", 1, 1, layout::compile_copy),
    op(53, "concat", 2, 2, layout::compile_concat),
    op(60, "ropeTable", 1, 1, rope::compile_table),
    op(61, "rope", 2, 2, rope::compile),
    OpRow {
        outputs: (0, 0),
        mutates: &[3, 4],
        ..op(62, "writeKv", 5, 5, write_kv::compile)
    },
    op(63, "pagedAttention", 9, 6, paged::compile),
    op(64, "attention", 6, 3, attention::compile),
    OpRow {
        outputs: (0, 0),
        mutates: &[2],
        ..op(65, "ropeShift", 3, 3, rope_shift::compile)
    },
];

/// The row of a code.
pub fn row_of(code: u32) -> Option<&'static OpRow> {
    OPS.iter().find(|row| row.code == code)
}
