//! A temporary directory that is removed when the program ends, even by Ctrl-C.

use crate::failure::CommandError;
use crate::new_file::{make, random_name, release};
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that is removed on drop.
#[derive(Debug)]
pub(crate) struct ScratchDir(PathBuf);

impl ScratchDir {
    /// Creates a directory in the system's temporary directory.
    pub(crate) fn create() -> Result<Self, CommandError> {
        let path = path_in(&std::env::temp_dir());
        make(&path, || fs::create_dir(&path)).map_err(|error| CommandError::io("create", &path, &error))?;
        Ok(Self(path))
    }

    /// Creates a directory in another one, which is created if it is missing, and stays.
    pub(crate) fn create_in(dir: &Path) -> hregion::Result<Self> {
        let path = path_in(dir);
        make(&path, || fs::create_dir_all(&path))
            .map_err(|error| hregion::Error::io("create", &path, error))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // a failure cannot be reported here
        let _ = fs::remove_dir_all(&self.0);
        release(&self.0);
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join(format!("hregion-{}", random_name()))
}
