//! What a backend makes of golden values: agreement, divergence and errors of the real models.

use crate::folders::{golden_file, model_file};
use frontdesk_engine::backend::Backend;
use frontdesk_engine::decoder::{Checkpoint, Decoder};
use frontdesk_engine::model_file::ModelFile;
use frontdesk_engine::state::{CHUNK, State};
use serde::Deserialize;
use std::fs::File;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    /// By step: `[token, logit]` of the ten largest, then `[-1, logsumexp]`.
    top10_logits_then_logsumexp: Vec<Vec<(i64, f32)>>,
    mean_hidden_first8: std::collections::BTreeMap<usize, [f32; 8]>,
}

/// What a path made of all steps of all cases.
#[derive(Default)]
pub struct Report {
    /// Steps of all cases.
    pub steps: usize,
    /// Steps whose most likely token is the golden one.
    pub agreements: usize,
    divergence: f64,
    /// Largest difference of a golden logit.
    pub largest_logit_error: f32,
    /// Largest relative difference of the mean residual stream.
    pub largest_hidden_error: f32,
}

impl Report {
    /// Share of agreements.
    pub fn top1(&self) -> f64 {
        self.agreements as f64 / self.steps as f64
    }

    /// Mean Kullback-Leibler divergence of a step.
    pub fn mean_divergence(&self) -> f64 {
        self.divergence / self.steps as f64
    }

    /// Compares one step's logits with the golden ones.
    fn add(&mut self, logits: &[f32], golden: &[(i64, f32)]) {
        let (top, log_sum) = golden.split_at(10);
        let log_sum = f64::from(log_sum[0].1);
        let own_log_sum = log_sum_exp(logits);
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        self.steps += 1;
        self.agreements += usize::from(best as i64 == top[0].0);
        // Kullback-Leibler divergence over the ten tokens and one bucket for the rest.
        let (mut rest, mut own_rest) = (1.0, 1.0);
        for &(token, logit) in top {
            let own = logits[token as usize];
            self.largest_logit_error = self.largest_logit_error.max((own - logit).abs());
            let expected = (f64::from(logit) - log_sum).exp();
            let actual = (f64::from(own) - own_log_sum).exp();
            self.divergence += expected * (expected / actual).ln();
            (rest, own_rest) = (rest - expected, own_rest - actual);
        }
        if rest > 1e-9 {
            self.divergence += rest * (rest / own_rest.max(1e-12)).ln();
        }
    }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().fold(f32::MIN, |a, &b| a.max(b)));
    largest + logits.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln()
}

/// Runs every case, teacher-forced; nothing where the model or the golden file is absent.
pub fn run<B: Backend>(
    (model, golden): (&str, &str),
    (name, backend): (&str, B),
) -> Option<Report> {
    let (golden, path) = (golden_file(golden)?, model_file(model)?);
    let golden: Golden = serde_json::from_reader(File::open(golden).unwrap()).unwrap();
    let mut decoder = load(&path, backend);
    let mut report = Report::default();
    for case in &golden.cases {
        run_case(&mut decoder, case, &mut report);
    }
    println!(
        "{model} {name}: {} steps, top-1 {:.2}%, mean KL {:.5}, largest logit error {:.5}, \
         largest hidden error {:.5}",
        report.steps,
        100.0 * report.top1(),
        report.mean_divergence(),
        report.largest_logit_error,
        report.largest_hidden_error,
    );
    assert!(report.steps >= 90, "only {} steps", report.steps);
    Some(report)
}

fn load<B: Backend>(path: &Path, backend: B) -> Decoder<B> {
    let mut file = ModelFile::open(File::open(path).unwrap()).unwrap();
    Decoder::load(&mut file, backend, &mut |_, _| {}).unwrap()
}

fn run_case<B: Backend>(decoder: &mut Decoder<B>, case: &Case, report: &mut Report) {
    let mut state = decoder.state(512).unwrap();
    let mut logits = Vec::new();
    let last = prefill(decoder, &mut state, case, report);
    pollster::block_on(decoder.logits(&mut state, &[last], &mut logits)).unwrap();
    for (step, golden) in case.top10_logits_then_logsumexp.iter().enumerate() {
        report.add(&logits, golden);
        if step + 1 < case.ids.len() {
            decoder.extend(&mut state, &case.ids[step..=step]).unwrap();
            pollster::block_on(decoder.logits(&mut state, &[0], &mut logits)).unwrap();
        }
    }
}

/// Appends the prompt, its first token alone as `LanguageModel::load` does, and compares the residual stream, averaged over its positions.
fn prefill<B: Backend>(
    decoder: &mut Decoder<B>,
    state: &mut State<B>,
    case: &Case,
    report: &mut Report,
) -> usize {
    let hidden = decoder.config().hidden;
    let mut sums = vec![[0.0f64; 8]; decoder.config().layers];
    let mut last = 0;
    let (first, others) = case.prompt_ids.split_at(1);
    for chunk in std::iter::once(first).chain(others.chunks(CHUNK)) {
        let mut values = vec![0.0; chunk.len() * hidden];
        decoder
            .extend_observed(state, chunk, &mut |checkpoint, backend, tensor| {
                if let Checkpoint::AfterLayer(layer) = checkpoint {
                    pollster::block_on(backend.read(tensor, &mut values)).unwrap();
                    for row in values.chunks_exact(hidden) {
                        for (sum, value) in sums[layer].iter_mut().zip(row) {
                            *sum += f64::from(*value);
                        }
                    }
                }
            })
            .unwrap();
        last = chunk.len() - 1;
    }
    for (layers, golden) in &case.mean_hidden_first8 {
        for (sum, golden) in sums[layers - 1].iter().zip(golden) {
            let mean = (*sum / case.prompt_ids.len() as f64) as f32;
            let error = (mean - golden).abs() / golden.abs().max(1.0);
            report.largest_hidden_error = report.largest_hidden_error.max(error);
        }
    }
    last
}
