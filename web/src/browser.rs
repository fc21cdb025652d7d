//! The session of a worker in a browser. The worker must define the functions `hregion_read`,
//! `hregion_progress` and `hregion_panicked`.

#![allow(unreachable_pub, reason = "exported to JavaScript")]

use crate::Session;
use hregion::FileReader;
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Fills the bytes from an offset on; returns how many the file has there.
    #[wasm_bindgen(catch)]
    fn hregion_read(offset: f64, into: &mut [u8]) -> Result<f64, JsValue>;
    /// Shows the progress of a verification.
    fn hregion_progress(done: f64, all: f64);
    /// Shows a panic, after which the program cannot continue.
    fn hregion_panicked(message: &str);
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// The file that was dropped on the page.
#[derive(Debug)]
struct DroppedFile {
    path: PathBuf,
    len: u64,
}

impl FileReader for DroppedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let expected = number(buf.len() as u64);
        match hregion_read(number(offset), buf) {
            Ok(read) if read == expected => Ok(()),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(thrown) => {
                let message = thrown.as_string().unwrap_or_else(|| "the browser cannot read it".into());
                Err(io::Error::other(message))
            }
        }
    }
}

/// Returns a number of JavaScript, which are exact up to 2^53: no file of a browser can have more bytes.
#[allow(clippy::cast_precision_loss, reason = "lengths and offsets of a file")]
fn number(number: u64) -> f64 {
    number as f64
}

/// Opens a file, to which all further requests refer.
#[wasm_bindgen]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the length of a file")]
pub fn open(name: &str, len: f64) {
    std::panic::set_hook(Box::new(|panic| hregion_panicked(&panic.to_string())));
    let reader = Arc::new(DroppedFile { path: name.into(), len: len as u64 });
    let session = Session::open(reader, |done, all| hregion_progress(number(done), number(all)));
    SESSION.set(Some(session));
}

/// Answers a request; both are JSON.
#[wasm_bindgen]
#[must_use]
pub fn answer(request: &str) -> String {
    SESSION.with_borrow(|session| match session {
        Some(session) => session.answer(request),
        None => r#"{"error":{"kind":"request","message":"there is no file"}}"#.into(),
    })
}
