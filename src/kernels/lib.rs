//! Arithmetic kernels on slices: quantised matrix products, attention, norms and activations.

pub mod quant;
