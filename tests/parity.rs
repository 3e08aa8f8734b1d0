//! Two ways to the same numbers: our decoding and candle's, chunks and single tokens, 8-bit and exact.

use candle_core::Device;
use candle_core::quantized::QTensor;
use frontdesk_engine::backend::{Backend, Segment};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::decoder::{Checkpoint, Decoder, Pass};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::model_file::ModelFile;
use frontdesk_engine::state::{CHUNK, LOGIT_ROWS};
use frontdesk_engine::{ErrorKind, config::Config};
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::{TensorType, dequantise};
use std::io::Cursor;
use support::comparing::{TINY_MODELS, difference, ids};
use support::gguf_maker::{candle_type, pseudo_random, quantised, tiny_gemma3, tiny_llama};

fn decoder(bytes: Vec<u8>, precision: Precision) -> Decoder<Cpu> {
    let mut file = ModelFile::open(Cursor::new(bytes)).unwrap();
    Decoder::load(&mut file, Cpu::new(precision), &mut |_, _| {}).unwrap()
}

/// Logits after the last of `ids`, appended `step` at a time, and the residual stream after
/// every layer of the last append.
fn run(decoder: &mut Decoder<Cpu>, ids: &[u32], step: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
    let hidden = decoder.config().hidden;
    let mut state = decoder.state(64).unwrap();
    let (mut checkpoints, mut last) = (Vec::new(), 0);
    for chunk in ids.chunks(step) {
        checkpoints.clear();
        let mut observe = |checkpoint, backend: &mut Cpu, tensor: &_| {
            if let Checkpoint::AfterLayer(_) = checkpoint {
                let mut values = vec![0.0; chunk.len() * hidden];
                pollster::block_on(backend.read(tensor, &mut values)).unwrap();
                checkpoints.push(values[values.len() - hidden..].to_vec());
            }
        };
        decoder.extend_observed(&mut state, chunk, &mut observe).unwrap();
        last = chunk.len() - 1;
    }
    let mut logits = Vec::new();
    pollster::block_on(decoder.logits(&mut state, &[last], &mut logits)).unwrap();
    (logits, checkpoints)
}

#[test]
fn every_type_decodes_as_candle_decodes_it() {
    let columns = 512;
    let weights = pseudo_random("parity", 4 * columns);
    for tensor_type in TensorType::ALL {
        let raw = quantised(tensor_type, &[4, columns], &weights);
        let storage = candle_core::quantized::QStorage::from_data(
            raw.clone().into(),
            &Device::Cpu,
            candle_type(tensor_type),
        )
        .unwrap();
        let tensor = QTensor::new(storage, (4, columns)).unwrap();
        let expected = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
        let expected: Vec<f32> = expected.to_vec1().unwrap();
        let mut actual = vec![0.0; expected.len()];
        dequantise(tensor_type, &raw, &mut actual);
        let worst = difference(&actual, &expected);
        assert!(worst <= 1e-6, "{tensor_type:?} differs by {worst}");
        // And both are near what was stored, so that neither decodes nonsense.
        let stored = difference(&actual, &weights);
        assert!(stored < 0.5, "{tensor_type:?} is {stored} from the stored weights");
    }
}

#[test]
fn the_8_bit_path_stays_near_the_exact_one() {
    for (name, make) in TINY_MODELS {
        for tensor_type in TensorType::ALL {
            let mut exact = decoder(make(tensor_type), Precision::Float32);
            let mut fast = decoder(make(tensor_type), Precision::Int8);
            let ids = ids(23);
            let (expected, expected_layers) = run(&mut exact, &ids, 64);
            let (actual, actual_layers) = run(&mut fast, &ids, 64);
            assert_eq!(actual_layers.len(), exact.config().layers);
            for (layer, (actual, expected)) in
                actual_layers.iter().zip(&expected_layers).enumerate()
            {
                let worst = difference(actual, expected);
                assert!(worst < 0.2, "{name} {tensor_type:?} layer {layer}: {worst}");
            }
            let worst = difference(&actual, &expected);
            assert!(worst < 0.2, "{name} {tensor_type:?} logits: {worst}");
        }
    }
}

#[test]
fn chunks_and_single_tokens_agree() {
    for (name, make) in TINY_MODELS {
        let mut decoder = decoder(make(TensorType::Q4_0), Precision::Float32);
        // More tokens than the sliding window of the tiny gemma3.
        let ids = ids(41);
        let (expected, _) = run(&mut decoder, &ids, 64);
        for step in [1, 3, 4, 16, 40] {
            let (actual, _) = run(&mut decoder, &ids, step);
            let worst = difference(&actual, &expected);
            assert!(worst < 1e-4, "{name} in steps of {step}: {worst}");
        }
    }
}

#[test]
fn a_shared_prefix_is_computed_once_and_changes_nothing() {
    let load = || {
        let reader = Cursor::new(tiny_llama(TensorType::Q8_0));
        // With 8-bit activations a token computed alone would round more finely than among others.
        let backend = Cpu::new(Precision::Float32);
        LanguageModel::load(reader, backend, 100, &mut |_, _| {}).unwrap()
    };
    let prompt = |model: &mut LanguageModel<Cpu>, ids: &[u32]| {
        let mut prefill = model.begin(ids.to_vec(), 0).unwrap();
        while !model.prefill(&mut prefill).unwrap() {}
        let mut logits = Vec::new();
        pollster::block_on(model.logits(&[0], &mut logits)).unwrap();
        (prefill.cached(), logits)
    };
    let shared = ids(70);
    let (first, second) = ([&shared[..], &[5]].concat(), [&shared[..], &[6, 7]].concat());
    let mut reusing = load();
    assert_eq!(prompt(&mut reusing, &first).0, 0);
    let (cached, actual) = prompt(&mut reusing, &second);
    assert_eq!(cached, 70);
    let (_, expected) = prompt(&mut load(), &second);
    assert!(difference(&actual, &expected) < 1e-3);
    // The same prompt again: only its last token is computed.
    let (cached, again) = prompt(&mut reusing, &second);
    assert_eq!(cached, second.len() - 1);
    assert!(difference(&again, &expected) < 1e-3);
}

#[test]
fn overflowing_the_context_is_a_typed_error_and_harmless() {
    let mut decoder = decoder(tiny_llama(TensorType::Q8_0), Precision::Int8);
    let mut state = decoder.state(8).unwrap();
    decoder.extend(&mut state, &ids(6)).unwrap();
    let error = decoder.extend(&mut state, &ids(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextOverflow);
    decoder.extend(&mut state, &ids(2)).unwrap();
    assert_eq!(state.tokens().len(), 8);
    let unknown = decoder.vocabulary() as u32;
    let mut state = decoder.state(8).unwrap();
    for bad in [&[][..], &[unknown], &ids(CHUNK as u32 + 1)] {
        let error = decoder.extend(&mut state, bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for capacity in [0, decoder.config().context_length + 1] {
        assert_eq!(decoder.state(capacity).err().unwrap().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn gemma3_layers_alternate_between_windows_and_none() {
    let file = ModelFile::open(Cursor::new(tiny_gemma3(TensorType::Q8_0))).unwrap();
    let config = Config::from_metadata(file.metadata()).unwrap();
    for layer in 0..12 {
        let is_global = layer % 6 == 5;
        assert_eq!(config.layer(layer).window.is_none(), is_global, "layer {layer}");
        let base = if is_global { config.global.rope_base } else { 10_000.0 };
        assert_eq!(config.layer(layer).rope_base, base);
    }
}

#[test]
fn branches_of_a_prompt_are_as_if_each_stood_alone() {
    let prompt = ids(29);
    let branches = [&[5_u32][..], &[9, 4, 3], &[7, 7], &[5, 8, 11, 12, 13, 14, 15], &[6]];
    for (name, make) in TINY_MODELS {
        for precision in [Precision::Float32, Precision::Int8] {
            let mut decoder = decoder(make(TensorType::Q8_0), precision);
            let mut state = decoder.state(64).unwrap();
            decoder.extend(&mut state, &prompt).unwrap();
            let context = 0..prompt.len();
            let segments =
                branches.map(|ids| Segment { tokens: ids.len(), context: context.clone() });
            let (ids, slot) = (branches.concat(), prompt.len());
            let layers = decoder.config().layers;
            let pass = Pass { ids: &ids, slot, segments: &segments, layers, first_wanted: 0 };
            let mut together = Vec::new();
            decoder.forward(&mut state, pass, &mut |_, _, _| {}).unwrap();
            for indices in (0..ids.len()).collect::<Vec<_>>().chunks(LOGIT_ROWS) {
                let mut logits = Vec::new();
                pollster::block_on(decoder.logits(&mut state, indices, &mut logits)).unwrap();
                together.extend(logits);
            }
            assert_eq!(state.tokens(), prompt, "branches leave no trace");
            let mut together = together.chunks_exact(decoder.vocabulary());
            for branch in branches {
                decoder.extend(&mut state, branch).unwrap();
                for index in 0..branch.len() {
                    let mut alone = Vec::new();
                    // A token computed alone has finer activations than among others, so two are wanted.
                    let wanted = if branch.len() == 1 { &[0][..] } else { &[index, 0] };
                    pollster::block_on(decoder.logits(&mut state, wanted, &mut alone)).unwrap();
                    let alone = &alone[..decoder.vocabulary()];
                    let worst = difference(together.next().unwrap(), alone);
                    let is_finer = precision == Precision::Int8 && branch.len() == 1;
                    let most = if is_finer { 0.1 } else { 1e-4 };
                    assert!(worst < most, "{name} {precision:?} {branch:?} {index}: {worst}");
                }
                state.truncate(prompt.len());
            }
        }
    }
}

#[test]
fn a_prompt_read_for_its_last_token_ends_as_one_read_for_all() {
    let (prompt, branches) = (ids(29), [&[9_u32, 4, 3][..], &[7, 7], &[5, 8, 11, 12]]);
    for (name, make) in TINY_MODELS {
        let load = || {
            let backend = Cpu::new(Precision::Float32);
            let reader = Cursor::new(make(TensorType::Q8_0));
            LanguageModel::load(reader, backend, 64, &mut |_, _| {}).unwrap()
        };
        let logits = |model: &mut LanguageModel<Cpu>, index| {
            let mut logits = Vec::new();
            pollster::block_on(model.logits(&[index], &mut logits)).unwrap();
            logits
        };
        let mut whole = load();
        whole.begin(prompt.clone(), 0).unwrap();
        whole.extend(&prompt).unwrap();
        let mut expected = vec![logits(&mut whole, prompt.len() - 1)];
        whole.branch(&branches).unwrap();
        expected.extend((0..branches.concat().len()).map(|index| logits(&mut whole, index)));

        let mut model = load();
        let mut prefill = model.begin(prompt.clone(), 0).unwrap();
        assert!(model.prefill(&mut prefill).unwrap());
        assert!(difference(&logits(&mut model, 0), &expected[0]) < 1e-4, "{name}");
        // What it remembers is the same, too.
        model.branch(&branches).unwrap();
        assert!(difference(&logits(&mut model, 0), &expected[1]) < 1e-4, "{name}");

        let mut model = load();
        let prefill = model.begin(prompt.clone(), 0).unwrap();
        assert_eq!(model.left(&prefill), prompt.len());
        model.prefill_and_branch(&prefill, &branches).unwrap();
        assert_eq!(model.left(&prefill), 0);
        for (index, expected) in expected.iter().enumerate() {
            let worst = difference(&logits(&mut model, index), expected);
            assert!(worst < 1e-4, "{name} {index}: {worst}");
        }
    }
}

#[test]
fn a_pass_that_cannot_be_is_refused() {
    let mut decoder = decoder(tiny_llama(TensorType::Q8_0), Precision::Int8);
    let mut state = decoder.state(16).unwrap();
    let segment = |tokens, context| [Segment { tokens, context }];
    for (slot, segments, layers, expected) in [
        (0, segment(2, 0..0), 2, ErrorKind::InvalidInput),
        (0, segment(4, 0..0), 2, ErrorKind::InvalidInput),
        (0, segment(usize::MAX, 0..0), 2, ErrorKind::InvalidInput),
        (4, segment(3, 0..5), 2, ErrorKind::InvalidInput),
        (4, segment(3, 0..4), 0, ErrorKind::InvalidInput),
        (4, segment(3, 0..4), 3, ErrorKind::InvalidInput),
        (14, segment(3, 0..0), 2, ErrorKind::ContextOverflow),
        (usize::MAX, segment(3, 0..0), 2, ErrorKind::ContextOverflow),
    ] {
        let pass = Pass { ids: &[3, 4, 5], slot, segments: &segments, layers, first_wanted: 0 };
        let error = decoder.forward(&mut state, pass, &mut |_, _, _| {}).unwrap_err();
        assert_eq!(error.kind(), expected, "{pass:?}");
    }
    // Nothing is wanted, or the context of what is cut ends elsewhere.
    for (first_wanted, context) in [(3, 0..4), (1, 0..3)] {
        let segments = segment(3, context);
        let pass = Pass { ids: &[3, 4, 5], slot: 4, segments: &segments, layers: 2, first_wanted };
        let error = decoder.forward(&mut state, pass, &mut |_, _, _| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for indices in [&[][..], &[CHUNK][..], &[0; LOGIT_ROWS + 1][..]] {
        let refused = pollster::block_on(decoder.logits(&mut state, indices, &mut Vec::new()));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
