//! Micro-benchmarks of the kernels: the page times these functions and divides by their work.

mod profile;
mod teacher;
#[path = "../../src/wasm/threads.rs"]
mod threads;
mod timed;

pub use profile::Profile;
pub use teacher::Teacher;
pub use threads::{fail_threads, serve_threads, start_threads};

use frontdesk_kernels::matmul::Workspace;
use frontdesk_kernels::matrix::{Matrix, Precision};
use frontdesk_kernels::pool::Pool;
use frontdesk_kernels::quant::TensorType;
use wasm_bindgen::prelude::wasm_bindgen;

/// Products of one shape, over as many matrices as a model has layers.
#[wasm_bindgen]
pub struct Product {
    matrices: Vec<Matrix>,
    x: Vec<f32>,
    tokens: usize,
    workspace: Workspace,
    out: Vec<f32>,
}

#[wasm_bindgen]
impl Product {
    /// `tensor_type` is a name of the GGUF specification, as "Q4_1".
    #[wasm_bindgen]
    pub fn create(
        tensor_type: &str,
        tokens: usize,
        rows: usize,
        columns: usize,
        count: usize,
    ) -> Option<Product> {
        let tensor_type =
            TensorType::ALL.into_iter().find(|known| format!("{known:?}") == tensor_type)?;
        // Bytes whose half-precision scales are small.
        let raw = vec![0x11; tensor_type.bytes_of(rows * columns)?];
        let pool = Pool::serial();
        let matrices = (0..count)
            .map(|_| Matrix::pack(&pool, tensor_type, &raw, [rows, columns], Precision::Int8))
            .collect::<Result<_, _>>()
            .ok()?;
        let x = (0..tokens * columns).map(|index| (index % 17) as f32 - 8.0).collect();
        Some(Self {
            matrices,
            x,
            tokens,
            workspace: Workspace::default(),
            out: vec![0.0; tokens * rows],
        })
    }

    /// One product with each matrix.
    pub fn run(&mut self) -> f32 {
        let pool = threads::pool();
        for matrix in &self.matrices {
            let x = (&self.x[..], self.tokens);
            self.workspace.products(&pool, x, &mut [(matrix, &mut self.out)]);
        }
        self.out[0]
    }

    /// Bytes of all matrices.
    pub fn bytes(&self) -> usize {
        self.matrices.iter().map(Matrix::bytes).sum()
    }
}

/// Dot products without memory traffic: `16 * 12 * turns` multiply-adds in independent sums.
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
#[wasm_bindgen(js_name = dotPeak)]
pub fn dot_peak(turns: u32, a: i32, b: i32) -> i32 {
    use std::arch::wasm32::*;
    let (a, b) = (i32x4_splat(a), i32x4_splat(b));
    let mut sums: [v128; 12] = std::array::from_fn(|index| i32x4_splat(index as i32));
    for _ in 0..turns {
        sums = sums.map(|sum| i32x4_relaxed_dot_i8x16_i7x16_add(a, b, sum));
    }
    i32x4_extract_lane::<0>(sums.into_iter().fold(i32x4_splat(0), |a, b| i32x4_add(a, b)))
}

/// Reads `bytes` as a product would, in four streams, and nothing else.
#[wasm_bindgen]
pub struct Reading {
    streams: Vec<u64>,
}

#[wasm_bindgen]
impl Reading {
    /// Makes `bytes` to read.
    pub fn create(bytes: usize) -> Reading {
        Self { streams: (0..bytes as u64 / 8).collect() }
    }

    /// Reads all of it once.
    pub fn run(&self) -> u64 {
        let mut quarters = self.streams.chunks_exact(self.streams.len() / 4);
        let mut next = || quarters.next().unwrap_or_default().iter();
        let sums = next().zip(next()).zip(next()).zip(next());
        sums.fold(0, |sum, (((a, b), c), d)| sum ^ a ^ b ^ c ^ d)
    }
}
