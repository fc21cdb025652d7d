//! A directory that comes into being as a whole or not at all.

use crate::failure::Fault;
use crate::new_file::{directory, make, release};
use hregion::Storage as _;
use hregion::io::LocalStorage;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is being filled, beside the place where it is to be.
#[derive(Debug)]
pub(crate) struct NewDir {
    path: PathBuf,
    aside: PathBuf,
    kept: bool,
}

impl NewDir {
    /// Begins a directory.
    pub(crate) fn create(path: &Path) -> Result<Self, Fault> {
        let aside = beside(path, ".tmp")?;
        make(&aside, || fs::create_dir(&aside)).map_err(|error| Fault::io("create", &aside, &error))?;
        Ok(Self { path: path.to_owned(), aside, kept: false })
    }

    /// Where it is for the time being.
    pub(crate) fn aside(&self) -> &Path {
        &self.aside
    }

    /// Where something in it is going to be.
    pub(crate) fn path_of(&self, inner: &Path) -> PathBuf {
        self.path.join(inner)
    }

    /// Makes a directory in it.
    pub(crate) fn make_dir(&self, inner: &Path) -> Result<(), Fault> {
        let path = self.aside.join(inner);
        // whatever is in it is removed with all of it
        make(&path, || fs::create_dir(&path)).map_err(|error| Fault::io("create", &path, &error))?;
        release(&path);
        Ok(())
    }

    /// Sees the directory onto the disk and gives it its name, in place of the one that has it.
    pub(crate) fn keep(mut self) -> Result<(), Fault> {
        let sync = |dir: &Path| LocalStorage.sync_dir(dir).map_err(|error| Fault::io("sync", dir, &error));
        sync(&self.aside)?;
        let old = self.path.symlink_metadata().is_ok().then(|| beside(&self.path, ".old")).transpose()?;
        let rename =
            |from: &Path, to: &Path| fs::rename(from, to).map_err(|error| Fault::io("rename to", to, &error));
        if let Some(old) = &old {
            rename(&self.path, old)?;
        }
        if let Err(fault) = rename(&self.aside, &self.path) {
            if let Some(old) = &old {
                rename(old, &self.path)?;
            }
            return Err(fault);
        }
        release(&self.aside);
        self.kept = true;
        if let Some(old) = &old {
            fs::remove_dir_all(old).map_err(|error| Fault::io("remove", old, &error))?;
        }
        sync(directory(&self.path))
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if !self.kept {
            // nobody is left to tell if it fails
            let _ = fs::remove_dir_all(&self.aside);
            release(&self.aside);
        }
    }
}

/// A name beside a path that nothing has.
fn beside(path: &Path, extension: &str) -> Result<PathBuf, Fault> {
    let Some(name) = path.file_name() else {
        return Err(Fault::invalid_file(path, "not the name of a directory"));
    };
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}{extension}", random_name().split_at(8).0));
    Ok(path.with_file_name(beside))
}

/// 32 hexadecimal digits that nobody had before, as HBase names its files.
pub(crate) fn random_name() -> String {
    // each state is seeded by the system
    let half = |salt: u32| RandomState::new().hash_one((salt, std::process::id()));
    format!("{:016x}{:016x}", half(0), half(1))
}

/// Whether a directory holds nothing but folders of files named as HBase names them: it can be made again.
pub(crate) fn is_of_bulk_load(dir: &Path) -> io::Result<bool> {
    let is_name = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit)
    };
    for folder in fs::read_dir(dir)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            return Ok(false);
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            if !file.file_type()?.is_file() || !is_name(&file.file_name()) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
