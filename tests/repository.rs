//! Where the repository is and which files belong to it, for the tests that read its own sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold no sources of ours; only looked at where git cannot be asked.
const NOT_OURS: [&str; 6] = [".git", "target", "node_modules", "dist", "corpus", "test-results"];

/// The folder that holds the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Every file that git tracks or would track, relative to `root`; without git, every file.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = tracked(root).unwrap_or_else(|| walked(root, Path::new("")));
    found.retain(|path| root.join(path).is_file());
    found.sort();
    found
}

fn tracked(root: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    let found: Vec<PathBuf> = names.split_terminator('\0').map(PathBuf::from).collect();
    (output.status.success() && !found.is_empty()).then_some(found)
}

fn walked(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return found;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let path = folder.join(&name);
        if !entry.path().is_dir() {
            found.push(path);
        } else if !NOT_OURS.iter().any(|skipped| name == *skipped) {
            found.extend(walked(root, &path));
        }
    }
    found
}
