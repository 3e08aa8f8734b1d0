//! Where golden files and real models lie; each look-up that finds nothing says "skipped" by name.
use std::env;
use std::path::PathBuf;

/// The golden file `name` (for example `smollm2.json`) in `FRONTDESK_GOLDEN`, by default
/// `../shared/golden` beside the workspace.
pub fn golden_file(name: &str) -> Option<PathBuf> {
    let folder = match env::var_os("FRONTDESK_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden"),
    };
    existing(name, folder.join(name))
}

/// The model file with this manifest `id` in `FRONTDESK_CACHE/models`, by default
/// `~/.cache/frontdesk/models`.
pub fn model_file(id: &str) -> Option<PathBuf> {
    let cache = env::var_os("FRONTDESK_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/frontdesk")));
    let Some(cache) = cache else {
        println!("skipped: {id}");
        return None;
    };
    existing(id, cache.join("models").join(format!("{id}.gguf")))
}

fn existing(name: &str, path: PathBuf) -> Option<PathBuf> {
    if path.is_file() {
        Some(path)
    } else {
        println!("skipped: {name}");
        None
    }
}
