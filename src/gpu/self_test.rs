//! A known-answer test: a model of one small layer on the GPU and on the CPU in single precision, before one is trusted to it.

use crate::backend::Gpu;
use frontdesk_engine::backend::{
    Activation, AttentionSpec, Backend, Expansion, HeadTransform, Linear, LinearLayer,
    MatrixSource, Pooling, RopeSpec, RowReader, Segment, TensorType,
};
use frontdesk_engine::cpu::{Cpu, Precision};
use frontdesk_engine::{Error, ErrorKind, Result};
use std::ops::Range;

/// Width of the residual stream and of the feed-forward part, whole tiles of rows as in real models; token ids.
const HIDDEN: usize = 64;
const WIDE: usize = 128;
const VOCABULARY: usize = 48;
/// Tokens of the first pass, in large and small tiles of all kernels; where texts are continued one more follows alone.
const TOKENS: usize = 73;
const EPSILON: f32 = 1e-5;
/// Largest difference of a number in parts of their root mean square, in single precision and with activations of 8 bits.
const TOLERANCES: [f32; 2] = [1e-3, 0.1];

/// What a GPU is to be trusted with: each has operations of its own, and matrices of a usual type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To continue texts.
    Decoder,
    /// To turn texts into vectors.
    Encoder,
}

/// How bytes become weights that look random.
struct Blocks {
    tensor_type: TensorType,
    /// Weights of a block.
    weights: usize,
    beginning: &'static [u8],
    /// Random bytes.
    codes: usize,
    end: &'static [u8],
}

/// A scale of 1/32 and a minimum of -1/4 in half precision, then codes of 4 bits.
const NIBBLES: Blocks = Blocks {
    tensor_type: TensorType::Q4_1,
    weights: 32,
    beginning: &[0x00, 0x28, 0x00, 0xb4],
    codes: 16,
    end: &[],
};

/// A scale of 1/512 in half precision, then codes of 8 bits.
const BYTES: Blocks = Blocks {
    tensor_type: TensorType::Q8_0,
    weights: 32,
    beginning: &[0x00, 0x18],
    codes: 32,
    end: &[],
};

/// Single precision between 1/8 and 1/2.
const SINGLES: Blocks =
    Blocks { tensor_type: TensorType::F32, weights: 1, beginning: &[], codes: 3, end: &[0x3e] };

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
    let squares: f32 = expected.iter().map(|x| x * x).sum();
    let part = worst / (squares / expected.len() as f32).sqrt();
    let has_8_bits = gpu.is_alone && purpose == Purpose::Decoder;
    if part < TOLERANCES[usize::from(has_8_bits)] {
        return Ok(());
    }
    let message =
        format!("the GPU computes wrongly: a number is off by {part} of their root mean square");
    Err(Error::new(ErrorKind::Backend, message))
}

/// Bytes that look random, and are the same everywhere.
struct Noise<'a> {
    blocks: &'a Blocks,
    blocks_of_row: usize,
    bytes: Vec<u8>,
    seed: u32,
}

impl RowReader for Noise<'_> {
    fn read(&mut self, rows: Range<usize>) -> Result<&[u8]> {
        let mut state = self.seed;
        self.bytes.clear();
        for _ in 0..rows.len() * self.blocks_of_row {
            self.bytes.extend(self.blocks.beginning);
            self.bytes.extend((0..self.blocks.codes).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
            self.bytes.extend(self.blocks.end);
        }
        Ok(&self.bytes)
    }
}

fn linear<B: Backend>(
    backend: &mut B,
    blocks: &Blocks,
    (shape, seed): ([usize; 2], u32),
) -> Result<Linear<B>> {
    let blocks_of_row = shape[1] / blocks.weights;
    let mut rows = Noise { blocks, blocks_of_row, bytes: Vec::new(), seed };
    let matrix = backend.matrix(MatrixSource {
        tensor_type: blocks.tensor_type,
        shape,
        source_row: &|row| row,
        // Noise is read from its start: all rows at once.
        unit: shape[0].next_multiple_of(8),
        rows: &mut rows,
    })?;
    let bias: Vec<f32> = (0..shape[0]).map(|row| (row % 8) as f32 / 16.0 - 0.2).collect();
    Ok(LinearLayer { matrix, bias: Some(backend.vector(&bias)?) })
}

/// Logits after a pass of several tokens and after one more token, or the vectors of two texts.
async fn probe<B: Backend>(backend: &mut B, purpose: Purpose) -> Result<Vec<f32>> {
    let is_decoder = purpose == Purpose::Decoder;
    let (blocks, head) = if is_decoder { (&NIBBLES, 64) } else { (&BYTES, 32) };
    let passes: &[&[usize]] = if is_decoder { &[&[TOKENS], &[1]] } else { &[&[TOKENS - 3, 3]] };
    let table = linear(backend, blocks, ([VOCABULARY, HIDDEN], 1))?;
    let query = linear(backend, blocks, ([2 * head, HIDDEN], 2))?;
    let key = linear(backend, blocks, ([head, HIDDEN], 3))?;
    let value = linear(backend, blocks, ([head, HIDDEN], 4))?;
    let output = linear(backend, blocks, ([HIDDEN, 2 * head], 5))?;
    let gate = linear(backend, blocks, ([WIDE, HIDDEN], 6))?;
    let up = linear(backend, blocks, ([WIDE, HIDDEN], 7))?;
    let down = linear(backend, blocks, ([HIDDEN, WIDE], 8))?;
    let positions = linear(backend, &SINGLES, ([TOKENS, HIDDEN], 9))?;
    let weight: Vec<f32> = (0..HIDDEN).map(|index| 0.5 + index as f32 / 64.0).collect();
    let bias: Vec<f32> = weight.iter().map(|weight| 1.0 - weight).collect();
    let [weight, bias] = [backend.vector(&weight)?, backend.vector(&bias)?];
    let norm = is_decoder.then_some((&weight, EPSILON));
    let mut cache = backend.cache(1, head, 128)?;
    let spec = RopeSpec { positions: 128, dimensions: head, base: 10_000.0, scale: 1.0 };
    let rope = backend.rope_table(spec)?;
    let transform = || HeadTransform { norm: None, rope: is_decoder.then_some(&rope) };
    let mut at = backend.cursor(TOKENS)?;
    let mut residual = backend.tensor(TOKENS, HIDDEN)?;
    let [mut queries, mut keys, mut values] = backend.tensors(TOKENS, [2 * head, head, head])?;
    let mut attended = backend.tensor(TOKENS, 2 * head)?;
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
