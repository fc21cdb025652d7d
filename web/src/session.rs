//! One file, and the requests about it.

use crate::answer::{NoAnswer, fault};
use crate::request::Request;
use crate::{blocks, bloom, cells, report, text};
use hregion::{Error, FileReader, HFile};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// A file, open if possible. Damage is reported in answers; a file that cannot be opened can still be
/// verified.
pub struct Session {
    reader: Arc<dyn FileReader>,
    file: Result<HFile, Error>,
    progress: Box<dyn Fn(u64, u64)>,
}

impl Session {
    /// Opens a file. A verification calls `progress` with the number of checked bytes, and the total.
    #[must_use]
    pub fn open(reader: Arc<dyn FileReader>, progress: impl Fn(u64, u64) + 'static) -> Self {
        let file = HFile::options().open_reader(Arc::clone(&reader));
        Self { reader, file, progress: Box::new(progress) }
    }

    /// Answers a request (see the [crate](crate)). Both are JSON.
    #[must_use]
    pub fn answer(&self, request: &str) -> String {
        let answer = Request::parse(request).and_then(|request| self.answer_to(&request));
        let mut answer = answer.unwrap_or_else(|none| none.answer());
        text::make_exact(&mut answer);
        text::json(&answer)
    }

    fn answer_to(&self, request: &Request) -> Result<Value, NoAnswer> {
        let op = request.text("op")?;
        if op == "verify" {
            return self.verify();
        }
        let file = self.file.as_ref().map_err(|error| NoAnswer::File(error.clone()))?;
        match op {
            "summary" => Ok(report::summary(file)?),
            "blocks" => blocks::blocks(file, request),
            "index" => blocks::index(file, request),
            "cells" => cells::cells(file, request),
            "bloom" => bloom::bloom(file, request),
            _ => Err(NoAnswer::Request(format!("there is no request {op}"))),
        }
    }

    fn verify(&self) -> Result<Value, NoAnswer> {
        let (reader, progress) = (Arc::clone(&self.reader), &self.progress);
        let report = HFile::options().verify_reader_with(reader, progress)?;
        let faults: Vec<Value> = report.faults.iter().map(fault).collect();
        Ok(json!({ "blocks": report.blocks, "cells": report.cells, "faults": faults }))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("file", &self.file).finish_non_exhaustive()
    }
}
