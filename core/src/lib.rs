//! The compute core of LLMForge: decodes a Program once and runs a step in one call.
//! It knows neither WASM nor FFI; the shims in `wasm/` and `native/` give it a C face.

// To sleep on a word of shared memory; the build with threads is made by a toolchain that allows it.
#![cfg_attr(
    all(target_arch = "wasm32", target_feature = "atomics"),
    feature(stdarch_wasm_atomic_wait)
)]
// So that LLVM leaves some operations where they are, see `Vector::pinned`.
#![cfg_attr(all(target_arch = "wasm32", feature = "relaxed"), feature(linkage))]

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
#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
pub mod threads;
