//! Writes small sound GGUF files into `fuzz/seeds/model_file`, for the fuzzer to start from.

use std::fs;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use frontdesk_kernels::quant::TensorType;
use support::gguf_maker::{GgufBuilder, pseudo_random, tiny_gemma3_builder, tiny_llama_builder};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/model_file");
    fs::create_dir_all(&folder)?;
    for (name, file) in seeds() {
        fs::write(folder.join(name), file.build())?;
    }
    println!("seeds written to {}", folder.display());
    Ok(())
}

fn seeds() -> Vec<(String, GgufBuilder)> {
    let mut seeds = vec![
        ("empty_version_2".to_owned(), GgufBuilder::new().version(2)),
        ("empty_version_3".to_owned(), GgufBuilder::new()),
        ("every_value".to_owned(), every_value()),
        // Vocabularies without the weights, which would only slow the fuzzer down.
        ("llama_vocabulary".to_owned(), without_weights(tiny_llama_builder(TensorType::F32))),
        ("gemma3_vocabulary".to_owned(), without_weights(tiny_gemma3_builder(TensorType::F32))),
    ];
    for tensor_type in TensorType::ALL {
        let columns = tensor_type.block_len();
        let weights = pseudo_random("seed", 2 * columns);
        let builder = GgufBuilder::new()
            .alignment(8)
            .tensor("norm.weight", TensorType::F32, &[1], &[1.0])
            .tensor("matrix.weight", tensor_type, &[2, columns], &weights);
        seeds.push((format!("tensor_{tensor_type:?}"), builder));
    }
    seeds
}

fn every_value() -> GgufBuilder {
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::F32(0.5),
        Value::Bool(true),
        Value::String("text".to_owned()),
        Value::U64(4),
        Value::I64(-4),
        Value::F64(0.25),
    ];
    values.into_iter().enumerate().fold(GgufBuilder::new(), |builder, (index, value)| {
        let list = Value::Array(vec![value.clone(), value.clone()]);
        builder.set(format!("one.{index}"), value).set(format!("list.{index}"), list)
    })
}

fn without_weights(builder: GgufBuilder) -> GgufBuilder {
    let layout = builder.build_with_layout();
    layout.tensors.iter().fold(builder, |builder, tensor| builder.without_tensor(&tensor.name))
}
