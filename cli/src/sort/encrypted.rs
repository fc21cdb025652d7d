//! Temporary files with cells of an encrypted output: they are encrypted, too, with keys that are never
//! stored.

use std::io::{self, Read, Write};

pub(super) use imp::RunKey;

/// A file, and the key stream that encrypts it from its start, if it is encrypted.
#[derive(Debug)]
pub(super) struct EncryptedFile<F> {
    file: F,
    stream: Option<imp::KeyStream>,
    /// Buffer for encrypted bytes to be written.
    buffer: Vec<u8>,
}

impl<F> EncryptedFile<F> {
    /// Wraps a file positioned at its start.
    pub(super) fn new(file: F, key: Option<&RunKey>) -> Self {
        Self { file, stream: key.map(RunKey::stream), buffer: Vec::new() }
    }

    pub(super) fn into_inner(self) -> F {
        self.file
    }
}

impl<F: Write> Write for EncryptedFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return self.file.write(bytes) };
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        stream.apply(&mut self.buffer);
        // writes everything, because the key stream has advanced past these bytes
        self.file.write_all(&self.buffer)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Read> Read for EncryptedFile<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        if let Some(stream) = &mut self.stream {
            stream.apply(&mut bytes[..read]);
        }
        Ok(read)
    }
}

#[cfg(feature = "crypto")]
mod imp {
    use crate::failure::CommandError;
    use ctr::cipher::{KeyIvInit, StreamCipher};
    use std::fmt;
    use std::path::Path;

    /// A random AES key for one run, kept in memory only, as long as the run.
    pub(in crate::sort) struct RunKey([u8; 16]);

    impl RunKey {
        /// Generates the key of a new run in a directory.
        pub(in crate::sort) fn new(dir: &Path) -> Result<Self, CommandError> {
            let mut key = [0; 16];
            getrandom::fill(&mut key).map_err(|error| {
                CommandError::io("get random bytes for a temporary file in", dir, &error.into())
            })?;
            Ok(Self(key))
        }

        /// Returns the key stream from the start of the run. No other run uses the key, so the counter can
        /// begin with 0.
        pub(super) fn stream(&self) -> KeyStream {
            KeyStream(ctr::Ctr128BE::new(&self.0.into(), &[0; 16].into()))
        }
    }

    pub(super) struct KeyStream(ctr::Ctr128BE<aes::Aes128>);

    impl KeyStream {
        /// Encrypts or decrypts the next bytes.
        pub(super) fn apply(&mut self, bytes: &mut [u8]) {
            self.0.apply_keystream(bytes);
        }
    }

    impl fmt::Debug for RunKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("RunKey") // without its bytes
        }
    }

    impl fmt::Debug for KeyStream {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("KeyStream")
        }
    }
}

#[cfg(not(feature = "crypto"))]
mod imp {
    use crate::failure::CommandError;
    use std::path::Path;

    /// Uninhabited in a build without the feature.
    #[derive(Debug)]
    pub(in crate::sort) enum RunKey {}

    impl RunKey {
        pub(in crate::sort) fn new(_: &Path) -> Result<Self, CommandError> {
            Err(CommandError::lacking("temporary files cannot be encrypted: build with the feature `crypto`"))
        }

        pub(super) fn stream(&self) -> KeyStream {
            match *self {}
        }
    }

    #[derive(Debug)]
    pub(super) enum KeyStream {}

    impl KeyStream {
        pub(super) fn apply(&mut self, _: &mut [u8]) {
            match *self {}
        }
    }
}
