//! Model files that tell the truth: everything written is read back, byte for byte and value for value.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Cursor;

use candle_core::quantized::gguf_file::Value;
use frontdesk_engine::ErrorKind;
use frontdesk_engine::model_file::ModelFile;
use frontdesk_kernels::quant::TensorType;
use support::folders::model_file;
use support::gguf_maker::{
    GgufBuilder, pseudo_random, quantised, tiny_gemma3, tiny_llama, tiny_llama_builder,
};

fn open(bytes: Vec<u8>) -> ModelFile<Cursor<Vec<u8>>> {
    ModelFile::open(Cursor::new(bytes)).expect("the file is sound")
}

#[test]
fn tensors_of_every_type_are_read_back_byte_for_byte() {
    let shape = [3, 512];
    let weights = pseudo_random("weights", shape.iter().product());
    for (version, alignment) in [(2, 8), (2, 32), (3, 32), (3, 65_536)] {
        let mut builder = GgufBuilder::new().version(version).alignment(alignment);
        for tensor_type in TensorType::ALL {
            let name = format!("{tensor_type:?}");
            builder = builder.tensor(&name, tensor_type, &shape, &weights);
            // A neighbour whose length is not a multiple of any alignment.
            builder = builder.tensor(&format!("{name} odd"), TensorType::F16, &[3], &weights[..3]);
        }
        let mut file = open(builder.build());
        let mut bytes = vec![1; 100_000];
        for tensor_type in TensorType::ALL {
            let name = format!("{tensor_type:?}");
            let entry = file.tensor(&name).expect("the tensor was written").clone();
            assert_eq!((entry.tensor_type, &entry.shape[..]), (tensor_type, &shape[..]));
            assert_eq!(entry.offset % u64::from(alignment), 0);
            file.read_tensor(&name, &mut bytes).expect("the tensor can be read");
            assert_eq!(bytes.len(), entry.bytes);
            assert!(
                bytes == quantised(tensor_type, &shape, &weights),
                "{name} in version {version}"
            );
        }
    }
}

#[test]
fn tensors_come_in_the_order_of_the_file_with_shapes_outermost_first() {
    let bytes = GgufBuilder::new()
        .tensor("z", TensorType::F32, &[2, 3, 5, 7], &[0.0; 210])
        .tensor("y", TensorType::F32, &[4, 2], &[0.0; 8])
        .tensor("x", TensorType::F32, &[3], &[0.0; 3])
        .build();
    let file = open(bytes);
    let tensors: Vec<_> = file.tensors().map(|entry| (&entry.name[..], &entry.shape[..])).collect();
    assert_eq!(tensors, [("z", &[2, 3, 5, 7][..]), ("y", &[4, 2]), ("x", &[3])]);
    assert!(file.tensors().map(|entry| entry.offset).is_sorted());
}

#[test]
fn a_tensor_that_is_not_there_is_an_error() {
    let mut file = open(tiny_llama(TensorType::F32));
    assert_eq!(file.tensor("output.weight"), None);
    let error = file.read_tensor("output.weight", &mut Vec::new()).expect_err("it has none");
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(error.to_string(), "the file has no tensor 'output.weight'");
}

#[test]
fn a_file_without_tensors_is_sound() {
    let file = open(GgufBuilder::new().set("general.type", Value::String("vocab".into())).build());
    assert_eq!(file.tensors().count(), 0);
    assert_eq!(file.metadata().string("general.type").ok(), Some("vocab"));
}

fn with_metadata() -> ModelFile<Cursor<Vec<u8>>> {
    let integers = vec![Value::I64(-5), Value::I64(7)];
    open(
        GgufBuilder::new()
            .set("u8", Value::U8(200))
            .set("i8", Value::I8(-100))
            .set("u16", Value::U16(60_000))
            .set("i16", Value::I16(30_000))
            .set("u32", Value::U32(4_000_000_000))
            .set("i32", Value::I32(-1))
            .set("u64", Value::U64(1 << 40))
            .set("i64", Value::I64(12))
            .set("f32", Value::F32(0.5))
            .set("f64", Value::F64(0.25))
            .set("infinite", Value::F32(f32::INFINITY))
            .set("bool", Value::Bool(true))
            .set("string", Value::String("Grüße\n".into()))
            .set("strings", Value::Array(vec![Value::String("a".into()), Value::String("".into())]))
            .set("floats", Value::Array(vec![Value::F32(1.5), Value::F32(-1000.0)]))
            .set("integers", Value::Array(integers))
            .set("large", Value::Array(vec![Value::U32(1), Value::U32(u32::MAX)]))
            .set("empty", Value::Array(Vec::new()))
            .build(),
    )
}

#[test]
fn metadata_of_every_kind_is_read_back() {
    let file = with_metadata();
    let metadata = file.metadata();
    for (key, value) in
        [("u8", 200), ("u16", 60_000), ("i16", 30_000), ("u32", 4_000_000_000), ("i64", 12)]
    {
        assert_eq!(metadata.u32(key).ok(), Some(value), "{key}");
    }
    assert_eq!(metadata.u32_or("u8", 1).ok(), Some(200));
    assert_eq!(metadata.u32_or("absent", 1).ok(), Some(1));
    assert_eq!((metadata.f32("f32").ok(), metadata.f32("f64").ok()), (Some(0.5), Some(0.25)));
    assert_eq!(metadata.f32_or("absent", 2.0).ok(), Some(2.0));
    assert_eq!(metadata.bool_or("bool", false).ok(), Some(true));
    assert_eq!(metadata.bool_or("absent", true).ok(), Some(true));
    assert_eq!(metadata.string("string").ok(), Some("Grüße\n"));
    assert_eq!(metadata.string_opt("string").ok(), Some(Some("Grüße\n")));
    assert_eq!(metadata.string_opt("absent").ok(), Some(None));
    assert_eq!(metadata.strings("strings").ok(), Some(vec!["a", ""]));
    assert_eq!(metadata.f32s("floats").ok(), Some(vec![1.5, -1000.0]));
    assert_eq!(metadata.i32s("integers").ok(), Some(vec![-5, 7]));
    assert_eq!(metadata.strings("empty").ok(), Some(Vec::new()));
    assert!(metadata.contains("empty") && !metadata.contains("absent"));
    assert_eq!(metadata.keys().count(), 18);
}

#[test]
fn metadata_of_another_kind_is_an_error_that_names_key_value_and_expectation() {
    let file = with_metadata();
    let metadata = file.metadata();
    let errors = [
        (metadata.u32("absent").err(), "the metadata has no key 'absent'"),
        (
            metadata.u32("i32").err(),
            "the key 'i32' holds the integer -1; expected an integer from 0 to 4294967295",
        ),
        (
            metadata.u32_or("u64", 3).err(),
            "the key 'u64' holds the integer 1099511627776; expected an integer from 0 to 4294967295",
        ),
        (
            metadata.u32("string").err(),
            r"the key 'string' holds the string 'Grüße\n'; expected an integer from 0 to 4294967295",
        ),
        (
            metadata.f32("infinite").err(),
            "the key 'infinite' holds the number inf; expected a finite floating-point number",
        ),
        (
            metadata.f32_or("bool", 1.0).err(),
            "the key 'bool' holds the bool true; expected a finite floating-point number",
        ),
        (metadata.bool_or("u8", true).err(), "the key 'u8' holds the integer 200; expected a bool"),
        (
            metadata.string_opt("floats").err(),
            "the key 'floats' holds an array of 2 elements; expected a string",
        ),
        (
            metadata.strings("string").err(),
            r"the key 'string' holds the string 'Grüße\n'; expected an array of strings",
        ),
        (
            metadata.strings("floats").err(),
            "the key 'floats' holds the number 1.5e0; expected only strings in the array",
        ),
        (
            metadata.i32s("large").err(),
            "the key 'large' holds the integer 4294967295; expected only integers from -2147483648 to 2147483647 in the array",
        ),
    ];
    for (error, text) in errors {
        let error = error.expect(text);
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::InvalidModel));
    }
}

#[test]
fn tiny_models_open_in_every_type_and_are_always_the_same() {
    for tensor_type in TensorType::ALL {
        for (architecture, make, tensors) in
            [("llama", tiny_llama as fn(_) -> _, 2 + 2 * 9), ("gemma3", tiny_gemma3, 2 + 6 * 13)]
        {
            let bytes = make(tensor_type);
            assert!(bytes == make(tensor_type), "{architecture} of {tensor_type:?} differs");
            let file = open(bytes);
            assert_eq!(file.metadata().string("general.architecture").ok(), Some(architecture));
            assert_eq!(file.tensors().count(), tensors);
            let types: BTreeSet<_> =
                file.tensors().map(|entry| format!("{:?}", entry.tensor_type)).collect();
            let expected =
                BTreeSet::from([TensorType::F32, tensor_type].map(|kind| format!("{kind:?}")));
            assert_eq!(types, expected);
            let vocabulary =
                file.metadata().strings("tokenizer.ggml.tokens").map_or(0, |v| v.len());
            let rows = file.tensor("token_embd.weight").map(|entry| entry.shape[0]);
            assert_eq!(rows, Some(vocabulary));
        }
    }
}

#[test]
fn a_tiny_model_can_be_changed_before_it_is_written() {
    let builder = tiny_llama_builder(TensorType::Q8_0)
        .set("llama.block_count", Value::U32(9))
        .without("llama.context_length")
        .without_tensor("blk.1.attn_q.weight");
    let file = open(builder.build());
    assert_eq!(file.metadata().u32("llama.block_count").ok(), Some(9));
    assert!(!file.metadata().contains("llama.context_length"));
    assert_eq!(file.tensor("blk.1.attn_q.weight"), None);
    assert!(file.tensor("blk.0.attn_q.weight").is_some());
}

#[test]
fn real_model_files_open() {
    let models = [
        ("smollm2-135m-instruct", "llama", 272, 49_152, [49_152, 576]),
        ("gemma3-270m", "gemma3", 236, 262_144, [262_144, 640]),
    ];
    for (id, architecture, tensors, tokens, embedding) in models {
        let Some(path) = model_file(id) else { continue };
        // Not buffered, as a browser's file handle is not.
        let file = File::open(path).expect("the file is there");
        let mut model = ModelFile::open(file).expect("the file is sound");
        assert_eq!(model.metadata().string("general.architecture").ok(), Some(architecture));
        let vocabulary = model.metadata().strings("tokenizer.ggml.tokens");
        assert_eq!(vocabulary.map(|found| found.len()).ok(), Some(tokens));
        assert_eq!(model.tensors().count(), tensors);
        let entry = model.tensor("token_embd.weight").expect("every model has it").clone();
        assert_eq!(entry.shape, embedding);
        let mut bytes = Vec::new();
        model.read_tensor("token_embd.weight", &mut bytes).expect("the tensor can be read");
        assert_eq!(bytes.len(), entry.bytes);
    }
}
