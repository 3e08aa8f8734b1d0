//! Feature vectors of many texts; computed once for each model and file, then kept.

use super::rows::Row;
use anyhow::{Context, Result, ensure};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::EmbeddingModel;
use frontdesk_tasks::text_features::{TEXT_FEATURES, importance, taps, words};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The encoder, and where vectors are kept.
pub(crate) struct Vectoriser {
    model: EmbeddingModel<Cpu>,
    /// Tells models apart.
    name: String,
    kept: Option<PathBuf>,
}

/// Feature vectors, `[rows, width]`.
#[derive(Clone)]
pub(crate) struct Vectors {
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
}

impl Vectors {
    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// The rows of these indices.
    pub(crate) fn select(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|row| self.row(*row)).copied().collect()
    }
}

impl Vectoriser {
    /// Loads the encoder; vectors go to the folder `kept`, where one is given.
    pub(crate) fn load(path: &Path, kept: Option<PathBuf>) -> Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
        let size = file.metadata()?.len();
        let model = EmbeddingModel::load(file, Cpu::default(), &mut |_, _| {})
            .with_context(|| format!("cannot load {shown}"))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self { model, name: format!("{stem}-{size}"), kept })
    }

    /// How much of a vector's length each element counts.
    pub(crate) fn importance(&self) -> Vec<f32> {
        importance(&self.model)
    }

    /// Vectors of the names of labels.
    pub(crate) fn of_names(&mut self, names: &[String]) -> Result<Vectors> {
        let names: Vec<String> = names.iter().map(|name| words(name)).collect();
        self.of_texts(&names)
    }

    /// Vectors of the rows' texts.
    pub(crate) fn of_rows(&mut self, rows: &[Row]) -> Result<Vectors> {
        let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
        self.of_texts(&texts)
    }

    fn of_texts(&mut self, texts: &[String]) -> Result<Vectors> {
        let taps = taps(&self.model);
        let width = taps.len() * self.model.encoder().config().hidden;
        let kept = self.kept.as_ref().map(|folder| folder.join(self.key(texts)));
        if let Some(bytes) = kept.as_ref().and_then(|path| fs::read(path).ok()) {
            let values: Vec<f32> = bytes
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            ensure!(values.len() == texts.len() * width, "a file of kept vectors is damaged");
            return Ok(Vectors { width, values });
        }
        let started = Instant::now();
        let mut running = self.model.features(texts, taps)?;
        while pollster::block_on(running.step(&mut self.model))? {}
        let values: Vec<f32> =
            running.into_embeddings().into_iter().flat_map(|text| text.vector).collect();
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{} texts in {seconds:.1} s", texts.len());
        if let Some(path) = kept {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(path, bytes)?;
        }
        Ok(Vectors { width, values })
    }

    fn key(&self, texts: &[String]) -> String {
        let mut hash = Sha256::new();
        for part in [&self.name, TEXT_FEATURES].into_iter().chain(texts.iter().map(String::as_str))
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{digits}.f32")
    }
}
