//! Opens arbitrary bytes as a model file, reads every tensor and asks for every metadata key in every way.
#![no_main]

use std::io::Cursor;

use frontdesk_engine::Result;
use frontdesk_engine::metadata::Metadata;
use frontdesk_engine::model_file::ModelFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Any error will do; a panic, an overflow or an unbounded allocation is the finding.
    let _ = read_everything(data);
});

fn read_everything(data: &[u8]) -> Result<()> {
    let mut model = ModelFile::open(Cursor::new(data))?;
    for key in model.metadata().keys() {
        ask_in_every_way(model.metadata(), key);
    }
    let tensors: Vec<_> = model.tensors().cloned().collect();
    let mut bytes = Vec::new();
    let mut previous_end = 0;
    for tensor in tensors {
        assert_eq!(model.tensor(&tensor.name), Some(&tensor));
        // A sound header promises this, so that the reading cannot fail.
        model.read_tensor(&tensor.name, &mut bytes).expect("an accepted tensor can be read");
        assert_eq!(bytes.len(), tensor.bytes);
        assert!(tensor.offset >= previous_end, "tensors overlap");
        previous_end = tensor.offset + tensor.bytes as u64;
        assert!(previous_end <= data.len() as u64, "a tensor lies past the end");
        let blocks = tensor.shape.iter().product::<usize>() / tensor.tensor_type.block_len();
        assert_eq!(blocks * tensor.tensor_type.block_bytes(), tensor.bytes);
    }
    Ok(())
}

fn ask_in_every_way(metadata: &Metadata, key: &str) {
    let errors = [
        metadata.u32(key).err(),
        metadata.f32(key).err(),
        metadata.bool_or(key, false).err(),
        metadata.string(key).err(),
        metadata.strings(key).err(),
        metadata.f32s(key).err(),
        metadata.i32s(key).err(),
    ];
    // No value is of two kinds at once, except an empty array.
    assert!(errors.iter().flatten().count() >= 4, "{key} answers too often");
    for error in errors.into_iter().flatten() {
        let text = error.to_string();
        assert!(text.len() <= 800 && !text.contains(char::is_control), "{text:?}");
    }
}
