//! The compute core of LLMForge: decodes a Program once and runs a step in one call.
//! It knows neither WASM nor FFI; the shims in `wasm/` and `native/` give it a C face.

pub mod abi;
pub mod attention;
pub mod dtype;
pub mod error;
pub mod executor;
pub mod linear;
pub mod memory;
pub mod ops;
pub mod program;
pub mod simd;
