//! A known-answer test: a model of one small layer on the GPU and on the CPU in single precision, before one is trusted to it.

use crate::backend::Gpu;
use frontdesk_engine::backend::{
    Activation, AttentionSpec, Backend, Expansion, HeadTransform, Linear, LinearLayer,
    MatrixSource, Pooling, RopeSpec, RowReader, Segment, TensorType,
};
use frontdesk_engine::cpu::{Cpu, Precision};
use frontdesk_engine::{Error, ErrorKind, Result};
use std::ops::Range;

/// Width of the residual stream, of the feed-forward part, of a head, whole tiles of rows as in real models; token ids.
const HIDDEN: usize = 64;
const WIDE: usize = 128;
const HEAD: usize = 64;
const VOCABULARY: usize = 48;
/// Tokens of the first pass, in large and small tiles of all kernels; where texts are continued one more follows alone.
const TOKENS: usize = 73;
const EPSILON: f32 = 1e-5;
/// Largest difference of a number, in single precision and with activations of 8 bits; numbers are about 1.
const TOLERANCES: [f32; 2] = [1e-3, 1e-2];

/// What a GPU is to be trusted with: each has operations of its own, and matrices of a usual type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To continue texts.
    Decoder,
    /// To turn texts into vectors.
    Encoder,
}

impl Purpose {
    /// A type, how each of its blocks of 32 weights begins, and how many bytes of codes follow. Weights are within 1/4.
    fn blocks(self) -> (TensorType, &'static [u8], usize) {
        match self {
            // A scale of 1/32 and a minimum of -1/4 in half precision.
            Purpose::Decoder => (TensorType::Q4_1, &[0x00, 0x28, 0x00, 0xb4], 16),
            // A scale of 1/512.
            Purpose::Encoder => (TensorType::Q8_0, &[0x00, 0x18], 32),
        }
    }
}

/// Runs the model on both.
///
/// # Errors
/// `Backend` where the GPU's numbers are not the CPU's, and whatever the device reports.
pub async fn self_test(gpu: &mut Gpu, purpose: Purpose) -> Result<()> {
    let expected = probe(&mut Cpu::new(Precision::Float32), purpose).await?;
    let actual = probe(gpu, purpose).await?;
    let worst = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    // A difference that is no number must not pass for a small one.
    let worst =
        worst.fold(0.0, |worst: f32, x| if x.is_nan() { f32::INFINITY } else { worst.max(x) });
    if worst < TOLERANCES[usize::from(gpu.is_alone)] {
        return Ok(());
    }
    let message = format!("the GPU computes wrongly: a number is off by {worst}");
    Err(Error::new(ErrorKind::Backend, message))
}

/// Bytes that look random, and are the same everywhere.
struct Noise {
    blocks_of_row: usize,
    beginning: &'static [u8],
    codes: usize,
    bytes: Vec<u8>,
    seed: u32,
}

impl RowReader for Noise {
    fn read(&mut self, rows: Range<usize>) -> Result<&[u8]> {
        let mut state = self.seed;
        self.bytes.clear();
        for _ in 0..rows.len() * self.blocks_of_row {
            self.bytes.extend(self.beginning);
            self.bytes.extend((0..self.codes).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
        }
        Ok(&self.bytes)
    }
}

fn linear<B: Backend>(
    backend: &mut B,
    purpose: Purpose,
    (shape, seed): ([usize; 2], u32),
) -> Result<Linear<B>> {
    let (tensor_type, beginning, codes) = purpose.blocks();
    let blocks_of_row = shape[1] / 32;
    let mut rows = Noise { blocks_of_row, beginning, codes, bytes: Vec::new(), seed };
    let matrix = backend.matrix(MatrixSource {
        tensor_type,
        shape,
        source_row: &|row| row,
        // Noise is read from its start: all rows at once.
        unit: shape[0].next_multiple_of(8),
        rows: &mut rows,
    })?;
    Ok(LinearLayer { matrix, bias: None })
}

/// Logits after a pass of several tokens and after one more token, or the vectors of two texts.
async fn probe<B: Backend>(backend: &mut B, purpose: Purpose) -> Result<Vec<f32>> {
    let is_decoder = purpose == Purpose::Decoder;
    let passes: &[&[usize]] = if is_decoder { &[&[TOKENS], &[1]] } else { &[&[41, TOKENS - 41]] };
    let table = linear(backend, purpose, ([VOCABULARY, HIDDEN], 1))?;
    let query = linear(backend, purpose, ([2 * HEAD, HIDDEN], 2))?;
    let key = linear(backend, purpose, ([HEAD, HIDDEN], 3))?;
    let value = linear(backend, purpose, ([HEAD, HIDDEN], 4))?;
    let output = linear(backend, purpose, ([HIDDEN, 2 * HEAD], 5))?;
    let gate = linear(backend, purpose, ([WIDE, HIDDEN], 6))?;
    let up = linear(backend, purpose, ([WIDE, HIDDEN], 7))?;
    let down = linear(backend, purpose, ([HIDDEN, WIDE], 8))?;
    let positions = linear(backend, purpose, ([TOKENS, HIDDEN], 9))?;
    let weight: Vec<f32> = (0..HIDDEN).map(|index| 0.1 + index as f32 / 640.0).collect();
    let bias: Vec<f32> = weight.iter().map(|weight| 0.15 - weight).collect();
    let [weight, bias] = [backend.vector(&weight)?, backend.vector(&bias)?];
    let norm = is_decoder.then_some((&weight, EPSILON));
    let mut cache = backend.cache(1, HEAD, 128)?;
    let spec = RopeSpec { positions: 128, dimensions: HEAD, base: 10_000.0, scale: 1.0 };
    let rope = backend.rope_table(spec)?;
    let transform = || HeadTransform { norm: None, rope: is_decoder.then_some(&rope) };
    let mut at = backend.cursor(TOKENS)?;
    let mut residual = backend.tensor(TOKENS, HIDDEN)?;
    let [mut queries, mut keys, mut values] = backend.tensors(TOKENS, [2 * HEAD, HEAD, HEAD])?;
    let mut attended = backend.tensor(TOKENS, 2 * HEAD)?;
    let mut wide = backend.tensor(TOKENS, WIDE)?;
    let mut logits = backend.tensor(1, VOCABULARY)?;
    let mut vectors = backend.tensor(2, HIDDEN)?;
    let mut answer = Vec::new();
    let mut slot = 0;
    for texts in passes {
        let segments: Vec<Segment> =
            texts.iter().map(|&tokens| Segment { tokens, context: 0..slot }).collect();
        let count: usize = texts.iter().sum();
        let ids: Vec<u32> =
            (slot..slot + count).map(|index| (5 * index % VOCABULARY) as u32).collect();
        backend.seek(&mut at, &ids, slot, &segments);
        backend.embed(&at, &table.matrix, 1.0, &mut residual);
        if !is_decoder {
            backend.add_positions(&at, &positions.matrix, &weight, &mut residual);
            backend.layer_norm_in_place(&at, &mut residual, (&weight, &bias), EPSILON);
        }
        let outputs = &mut [(&query, &mut queries), (&key, &mut keys), (&value, &mut values)];
        backend.project(&at, &mut residual, norm, outputs);
        backend.write_cache(&at, transform(), &mut keys, &values, &mut cache);
        let spec = AttentionSpec { heads: 2, scale: 0.2, window: None, causal: is_decoder };
        backend.attention(&at, (spec, transform()), &mut queries, &cache, &mut attended);
        backend.add_product(&at, &attended, &output, norm, &mut residual);
        let gate = is_decoder.then_some(&gate.matrix);
        let activation = if is_decoder { Activation::Silu } else { Activation::GeluErf };
        let expansion = Expansion { activation, gate, up: &up };
        backend.expand(&at, &mut residual, norm, expansion, &mut wide);
        backend.add_product(&at, &wide, &down, None, &mut residual);
        let (out, width) = if is_decoder {
            let of = (&mut residual, &[count - 1][..]);
            backend.logits(&at, of, (&weight, EPSILON), &table.matrix, &mut logits);
            (&logits, VOCABULARY)
        } else {
            backend.pool(&at, Pooling::Mean, &mut residual, &[0, 1], &mut vectors);
            (&vectors, 2 * HIDDEN)
        };
        let mut numbers = vec![0.0; width];
        backend.read(out, &mut numbers).await?;
        answer.extend(numbers);
        slot += count;
    }
    Ok(answer)
}
