//! Answers of any types as comma-separated values.

use crate::text::{AllFloats, check_column};
use datafusion::arrow::array::{Array as _, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use hregion_arrow::csv::{put_header, put_text};
use std::io::Write;
use std::sync::Arc;

/// Writes record batches as CSV, quoted as by `hregion export`: a null is an empty field, and an empty text
/// is quoted. Lists and structures are JSON. The first line has the names of the columns.
#[derive(Debug)]
pub struct CsvWriter<W> {
    out: W,
    schema: SchemaRef,
    has_header: bool,
    /// The lines of a batch.
    lines: Vec<u8>,
}

/// The values of a column.
enum Values<'a> {
    Text(ArrayFormatter<'a>, Option<NullBuffer>),
    /// Lists and structures: Arrow's text of them does not show where a text ends, or that it is null.
    Json(NullableEncoder<'a>),
}

impl<W: Write> CsvWriter<W> {
    /// Creates a writer of batches with the columns of a schema.
    #[must_use]
    pub fn new(out: W, schema: SchemaRef) -> Self {
        Self { out, schema, has_header: false, lines: Vec::new() }
    }

    /// Writes a line for each row.
    ///
    /// # Errors
    ///
    /// If a value has no text, such as a timestamp outside any calendar, or writing fails.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let schema = batch.schema();
        self.put_header(&schema);
        let options = FormatOptions::default();
        let json_options = EncoderOptions::default().with_encoder_factory(Arc::new(AllFloats));
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            columns.push(if column.data_type().is_nested() {
                check_column(field, column)?;
                Values::Json(make_encoder(field, column, &json_options)?)
            } else {
                // a value may be logically null, such as one in a dictionary
                Values::Text(ArrayFormatter::try_new(column, &options)?, column.logical_nulls())
            });
        }
        let (mut text, mut json) = (String::new(), Vec::new());
        for row in 0..batch.num_rows() {
            for (at, values) in columns.iter_mut().enumerate() {
                if at > 0 {
                    self.lines.push(b',');
                }
                match values {
                    Values::Text(values, nulls) => {
                        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                            text.clear();
                            values.value(row).write(&mut text)?;
                            put_text(&mut self.lines, &text);
                        }
                    }
                    Values::Json(values) => {
                        if !values.is_null(row) {
                            json.clear();
                            values.encode(row, &mut json);
                            put_text(&mut self.lines, &String::from_utf8_lossy(&json));
                        }
                    }
                }
            }
            self.lines.push(b'\n');
        }
        self.write_lines()
    }

    /// Writes the names of the columns if there were no batches, and flushes.
    ///
    /// # Errors
    ///
    /// If writing fails.
    pub fn finish(mut self) -> Result<(), ArrowError> {
        let schema = SchemaRef::clone(&self.schema);
        self.put_header(&schema);
        self.write_lines()?;
        Ok(self.out.flush()?)
    }

    fn put_header(&mut self, schema: &Schema) {
        self.lines.clear();
        if !self.has_header {
            put_header(&mut self.lines, schema);
            self.has_header = true;
        }
    }

    fn write_lines(&mut self) -> Result<(), ArrowError> {
        Ok(self.out.write_all(&self.lines)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, StringArray};

    #[test]
    fn nulls_are_not_empty_texts_and_names_come_once() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some(""), Some("a,b")]));
        let batch = RecordBatch::try_from_iter([("v", texts)]).unwrap();
        for (count, expected) in
            [(0, "v\n"), (1, "v\n\n\"\"\n\"a,b\"\n"), (2, "v\n\n\"\"\n\"a,b\"\n\n\"\"\n\"a,b\"\n")]
        {
            let mut written = Vec::new();
            let mut csv = CsvWriter::new(&mut written, batch.schema());
            for _ in 0..count {
                csv.write(&batch).unwrap();
            }
            csv.finish().unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
