//! A known-answer test: one small layer on the GPU and on the CPU in single precision, before a model is trusted to it.

use crate::backend::Gpu;
use frontdesk_engine::backend::{
    Activation, AttentionSpec, Backend, Expansion, HeadTransform, LinearLayer, MatrixSource,
    RopeSpec, RowReader, Segment, TensorType,
};
use frontdesk_engine::cpu::{Cpu, Precision};
use frontdesk_engine::{Error, ErrorKind, Result};
use std::ops::Range;

/// Width of the residual stream, of the feed-forward part, of a head; token ids.
const HIDDEN: usize = 64;
const WIDE: usize = 96;
const HEAD: usize = 32;
const VOCABULARY: usize = 48;
/// Tokens of the first pass, in large and small tiles of all kernels; one more follows alone.
const TOKENS: usize = 73;
/// Largest difference of a logit, in single precision and with activations of 8 bits; logits are about 1.
const TOLERANCES: [f32; 2] = [1e-3, 1e-2];

/// Runs the layer on both.
///
/// # Errors
/// `Backend` where the GPU's numbers are not the CPU's, and whatever the device reports.
pub async fn self_test(gpu: &mut Gpu) -> Result<()> {
    let expected = probe(&mut Cpu::new(Precision::Float32)).await?;
    let actual = probe(gpu).await?;
    let worst = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    // A difference that is no number must not pass for a small one.
    let worst =
        worst.fold(0.0, |worst: f32, x| if x.is_nan() { f32::INFINITY } else { worst.max(x) });
    if worst < TOLERANCES[usize::from(gpu.is_alone)] {
        return Ok(());
    }
    let message = format!("the GPU computes wrongly: a logit is off by {worst}");
    Err(Error::new(ErrorKind::Backend, message))
}

/// Bytes that look random, and are the same everywhere.
struct Noise {
    row_bytes: usize,
    bytes: Vec<u8>,
    seed: u32,
}

impl RowReader for Noise {
    fn read(&mut self, rows: Range<usize>) -> Result<&[u8]> {
        let mut state = self.seed;
        self.bytes.clear();
        for _ in rows {
            // Blocks of Q4_1: a scale and a minimum of 1/32 and -1/4 in half precision, then nibbles.
            for _ in 0..self.row_bytes / 20 {
                self.bytes.extend([0x00, 0x28, 0x00, 0xb4]);
                self.bytes.extend(std::array::from_fn::<u8, 16, _>(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                }));
            }
        }
        Ok(&self.bytes)
    }
}

fn linear<B: Backend>(
    backend: &mut B,
    shape: [usize; 2],
    seed: u32,
) -> Result<LinearLayer<B::Matrix, B::Vector>> {
    let mut rows = Noise { row_bytes: shape[1] / 32 * 20, bytes: Vec::new(), seed };
    let matrix = backend.matrix(MatrixSource {
        tensor_type: TensorType::Q4_1,
        shape,
        source_row: &|row| row,
        // Noise is read from its start: all rows at once.
        unit: shape[0].next_multiple_of(8),
        rows: &mut rows,
    })?;
    Ok(LinearLayer { matrix, bias: None })
}

/// Logits after a pass of several tokens, and after one more token.
async fn probe<B: Backend>(backend: &mut B) -> Result<Vec<f32>> {
    let table = linear(backend, [VOCABULARY, HIDDEN], 1)?;
    let query = linear(backend, [2 * HEAD, HIDDEN], 2)?;
    let key = linear(backend, [HEAD, HIDDEN], 3)?;
    let value = linear(backend, [HEAD, HIDDEN], 4)?;
    let output = linear(backend, [HIDDEN, 2 * HEAD], 5)?;
    let gate = linear(backend, [WIDE, HIDDEN], 6)?;
    let up = linear(backend, [WIDE, HIDDEN], 7)?;
    let down = linear(backend, [HIDDEN, WIDE], 8)?;
    let weight: Vec<f32> = (0..HIDDEN).map(|index| 0.1 + index as f32 / 640.0).collect();
    let weight = backend.vector(&weight)?;
    let norm = Some((&weight, 1e-5));
    let mut cache = backend.cache(1, HEAD, 128)?;
    let rope = backend.rope_table(RopeSpec {
        positions: 128,
        dimensions: HEAD,
        base: 10_000.0,
        scale: 1.0,
    })?;
    let mut at = backend.cursor(TOKENS)?;
    let mut residual = backend.tensor(TOKENS, HIDDEN)?;
    let [mut queries, mut keys, mut values] = backend.tensors(TOKENS, [2 * HEAD, HEAD, HEAD])?;
    let mut attended = backend.tensor(TOKENS, 2 * HEAD)?;
    let mut wide = backend.tensor(TOKENS, WIDE)?;
    let mut logits = backend.tensor(1, VOCABULARY)?;
    let spec = AttentionSpec { heads: 2, scale: 0.2, window: None, causal: true };
    let mut answer = Vec::new();
    for (slot, count) in [(0, TOKENS), (TOKENS, 1)] {
        let ids: Vec<u32> =
            (0..count).map(|index| (5 * (slot + index) % VOCABULARY) as u32).collect();
        backend.seek(&mut at, &ids, slot, &[Segment { tokens: count, context: 0..slot }]);
        backend.embed(&at, &table.matrix, 1.0, &mut residual);
        let outputs = &mut [(&query, &mut queries), (&key, &mut keys), (&value, &mut values)];
        backend.project(&at, &mut residual, norm, outputs);
        let transform = || HeadTransform { norm: None, rope: Some(&rope) };
        backend.write_cache(&at, transform(), &mut keys, &values, &mut cache);
        backend.attention(&at, (spec, transform()), &mut queries, &cache, &mut attended);
        backend.add_product(&at, &attended, &output, norm, &mut residual);
        let expansion =
            Expansion { activation: Activation::Silu, gate: Some(&gate.matrix), up: &up };
        backend.expand(&at, &mut residual, norm, expansion, &mut wide);
        backend.add_product(&at, &wide, &down, None, &mut residual);
        let of = (&mut residual, &[count - 1][..]);
        backend.logits(&at, of, (&weight, 1e-5), &table.matrix, &mut logits);
        let mut numbers = [0.0; VOCABULARY];
        backend.read(&logits, &mut numbers).await?;
        answer.extend(numbers);
    }
    Ok(answer)
}
