//! Collects rows in record batches.

use crate::error::{Error, Result, shown};
use crate::field_builder::FieldBuilder;
use crate::layout::{Layout, Source};
use crate::mapping::{Invalid, KeyPart, Mapping, RowKey};
use crate::value::{Value, decode};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use hregion::cell::StringBinary;
use hregion::{CellRef, CellType, RowRef};
use std::collections::VecDeque;
use std::sync::Arc;

/// The size at which a batch is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    rows: usize,
    bytes: usize,
}

/// The fields of a mapped column.
#[derive(Clone, Debug, Default)]
struct ColumnFields {
    values: Vec<usize>,
    timestamps: Vec<usize>,
    /// The number of cells of the current row.
    cells: usize,
}

/// The maximum number of bytes in a batch: Arrow's offsets have 31 bits.
const MAX_BYTES: usize = 1 << 30;
/// The bytes that are counted for a value, or a null, in addition to its own.
const VALUE_OVERHEAD: usize = 8;

impl BatchLimits {
    /// Limits a batch to `rows` rows and about `bytes` bytes. Whatever the limits are, a batch has at least
    /// one row, and at most 1 GiB.
    #[must_use]
    pub fn new(rows: usize, bytes: usize) -> Self {
        Self { rows: rows.max(1), bytes: bytes.clamp(1, MAX_BYTES) }
    }
}

impl Default for BatchLimits {
    /// 8,192 rows, 16 MiB.
    fn default() -> Self {
        Self::new(8192, 16 << 20)
    }
}

/// Collects rows in record batches, which are bounded in rows and bytes.
#[derive(Debug)]
pub struct BatchBuilder {
    layout: Layout,
    schema: SchemaRef,
    sources: Vec<Source>,
    fields: Vec<FieldBuilder>,
    /// The places of the mapped columns in the mapping, sorted by family and qualifier.
    sorted: Vec<usize>,
    /// The fields with the values or timestamps of each mapped column, and its cells in the current row.
    columns: Vec<ColumnFields>,
    /// The parts of the row key.
    parts: Vec<KeyPart>,
    limits: BatchLimits,
    rows: usize,
    bytes: usize,
    invalid: u64,
    ready: VecDeque<RecordBatch>,
}

impl BatchBuilder {
    /// Creates a builder of batches with all columns of a layout, or those at `projection` in its schema.
    ///
    /// # Errors
    ///
    /// If the projection has a column that does not exist.
    pub fn new(layout: Layout, projection: Option<&[usize]>, limits: BatchLimits) -> Result<Self> {
        let mut chosen = layout.fields();
        if let Some(projection) = projection {
            let field = |at: &usize| {
                let missing = || Error::mapping(format!("column {at} of a schema of {}", chosen.len()));
                chosen.get(*at).cloned().ok_or_else(missing)
            };
            chosen = projection.iter().map(field).collect::<Result<_>>()?;
        }
        let fields = chosen.iter().map(|(field, _)| FieldBuilder::new(field)).collect::<Result<_, _>>()?;
        let sources: Vec<_> = chosen.iter().map(|(_, source)| *source).collect();
        let schema = Arc::new(Schema::new(chosen.into_iter().map(|(field, _)| field).collect::<Vec<_>>()));
        let (mut sorted, mut columns, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        if let Layout::Columns(mapping) = &layout {
            parts.extend(mapping.row.parts().into_iter().cloned());
            columns.resize(mapping.columns.len(), ColumnFields::default());
            for (field, source) in sources.iter().enumerate() {
                match *source {
                    Source::Column(at) => {
                        columns.get_mut(at).into_iter().for_each(|column| column.values.push(field));
                    }
                    Source::ColumnTimestamp(at) => {
                        columns.get_mut(at).into_iter().for_each(|column| column.timestamps.push(field));
                    }
                    _ => {}
                }
            }
            sorted.extend(0..mapping.columns.len());
            sorted
                .sort_by_key(|at| mapping.columns.get(*at).map(|column| (&column.family, &column.qualifier)));
        }
        let ready = VecDeque::new();
        let (rows, bytes, invalid) = (0, 0, 0);
        Ok(Self {
            layout,
            schema,
            sources,
            fields,
            sorted,
            columns,
            parts,
            limits,
            rows,
            bytes,
            invalid,
            ready,
        })
    }

    /// Returns the schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Returns the number of values that were not of their type, and are null.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        self.invalid
    }

    /// Adds a row. [`next_batch`](Self::next_batch) then returns the batches that became complete.
    ///
    /// # Errors
    ///
    /// If a value does not have its type, and such values are not null; if the row key has other parts; if
    /// the row has delete markers; if a value, or a mapped row, has more than 1 GiB. The builder cannot be
    /// used after an error.
    pub fn push(&mut self, row: RowRef<'_>) -> Result<()> {
        if row.is_empty() {
            return Ok(());
        }
        if let Layout::Cells = self.layout {
            return row.cells().try_for_each(|cell| self.push_cell(&cell));
        }
        // a null also takes memory: a row may have few of many columns
        let values = row.len().max(self.fields.len().saturating_sub(self.parts.len()));
        let bytes = row.key().len() + row.cells().map(|cell| cell.value().len()).sum::<usize>();
        self.make_room(bytes + values * VALUE_OVERHEAD, row.key())?;
        let layout = std::mem::take(&mut self.layout);
        let Layout::Columns(mapping) = &layout else { return Ok(()) };
        let pushed = self.push_mapped(mapping, row);
        self.layout = layout;
        pushed?;
        self.end_row()
    }

    /// Returns the next complete batch.
    pub fn next_batch(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// Completes a batch of the remaining rows, if any, for [`next_batch`](Self::next_batch).
    ///
    /// # Errors
    ///
    /// If the batch cannot be built.
    pub fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = self.fields.iter_mut().map(FieldBuilder::finish).collect::<Result<_, _>>()?;
        // a batch without columns still has a number of rows
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.ready.push_back(batch);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Completes the batch if it cannot hold `bytes` more, and adds them.
    fn make_room(&mut self, bytes: usize, row: &[u8]) -> Result<()> {
        if bytes > MAX_BYTES {
            let row = StringBinary(row);
            return Err(Error::Value(format!("row {row}: {bytes} bytes are too many for a batch of 1 GiB")));
        }
        if self.rows > 0 && self.bytes + bytes > self.limits.bytes {
            self.flush()?;
        }
        self.bytes += bytes;
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        if self.rows >= self.limits.rows || self.bytes >= self.limits.bytes { self.flush() } else { Ok(()) }
    }

    fn push_cell(&mut self, cell: &CellRef<'_>) -> Result<()> {
        let key = cell.row().len() + cell.family().len() + cell.qualifier().len();
        self.make_room(key + cell.value().len() + VALUE_OVERHEAD, cell.row())?;
        for (field, source) in self.fields.iter_mut().zip(&self.sources) {
            field.append(match source {
                Source::Row => Value::Bytes(cell.row().into()),
                Source::Family => Value::Bytes(cell.family().into()),
                Source::Qualifier => Value::Bytes(cell.qualifier().into()),
                Source::Timestamp => Value::Int64(cell.timestamp()),
                Source::Type => Value::Text(cell.cell_type().name().into()),
                Source::Value => Value::Bytes(cell.value().into()),
                Source::Part(_) | Source::Column(_) | Source::ColumnTimestamp(_) => Value::Null,
            })?;
            field.end_row(1);
        }
        self.end_row()
    }

    fn push_mapped(&mut self, mapping: &Mapping, row: RowRef<'_>) -> Result<()> {
        self.push_key(mapping, row.key())?;
        let mut expected = 0;
        for cell in row.cells() {
            if cell.cell_type() != CellType::Put {
                return Err(Error::mapping(format!(
                    "row {}: mapped columns cannot hold a delete marker ({}); raw rows are read as cells",
                    StringBinary(cell.row()),
                    cell.cell_type().name(),
                )));
            }
            let Some(at) = self.find(mapping, &cell, &mut expected) else { continue };
            self.push_value(mapping, at, &cell)?;
        }
        for column in &mut self.columns {
            let cells = std::mem::take(&mut column.cells);
            for field in column.values.iter().chain(&column.timestamps) {
                if let Some(field) = self.fields.get_mut(*field) {
                    field.end_row(cells);
                }
            }
        }
        Ok(())
    }

    /// Appends the parts of a row key.
    fn push_key(&mut self, mapping: &Mapping, key: &[u8]) -> Result<()> {
        let whole = [key];
        let cut = match mapping.row {
            RowKey::Whole(_) => None,
            _ => Some(mapping.row.cut(key)?),
        };
        let parts = cut.as_deref().unwrap_or(&whole);
        for (field, source) in self.fields.iter_mut().zip(&self.sources) {
            let Source::Part(at) = *source else { continue };
            let (Some(bytes), Some(part)) = (parts.get(at), self.parts.get(at)) else { continue };
            let wrong = || {
                let (row, bytes) = (shown(key), shown(bytes));
                Error::Value(format!("row {row}: {bytes} is not of type {} ({})", part.ty, part.name))
            };
            field.append(decode(part.ty, bytes).ok_or_else(wrong)?)?;
            field.end_row(1);
        }
        Ok(())
    }

    /// Returns the mapped column of a cell. Tries the last column and the next one first: the cells of a row
    /// are sorted.
    fn find(&self, mapping: &Mapping, cell: &CellRef<'_>, expected: &mut usize) -> Option<usize> {
        let name = |at: &usize| {
            mapping.columns.get(*at).map(|column| (column.family.as_slice(), column.qualifier.as_slice()))
        };
        let wanted = Some((cell.family(), cell.qualifier()));
        let is_at = |at: usize| self.sorted.get(at).is_some_and(|at| name(at) == wanted);
        if !is_at(*expected) {
            *expected = match is_at(*expected + 1) {
                true => *expected + 1,
                false => self.sorted.binary_search_by(|at| name(at).cmp(&wanted)).ok()?,
            };
        }
        self.sorted.get(*expected).copied()
    }

    /// Appends a cell of a mapped column, unless only the newest one was requested and it exists.
    fn push_value(&mut self, mapping: &Mapping, at: usize, cell: &CellRef<'_>) -> Result<()> {
        let (Some(column), Some(fields)) = (mapping.columns.get(at), self.columns.get_mut(at)) else {
            return Ok(());
        };
        if fields.cells > 0 && !column.versions {
            return Ok(());
        }
        fields.cells += 1;
        for field in &fields.values {
            let value = match decode(column.ty, cell.value()) {
                Some(value) => value,
                None if mapping.invalid == Invalid::Null => {
                    self.invalid += 1;
                    Value::Null
                }
                None => {
                    let (family, qualifier) = (shown(cell.family()), shown(cell.qualifier()));
                    return Err(Error::Value(format!(
                        "row {}, column {family}:{qualifier}: the {} bytes {} are not of type {}",
                        shown(cell.row()),
                        cell.value().len(),
                        shown(cell.value()),
                        column.ty,
                    )));
                }
            };
            if let Some(field) = self.fields.get_mut(*field) {
                field.append(value)?;
            }
        }
        for field in &fields.timestamps {
            if let Some(field) = self.fields.get_mut(*field) {
                field.append(Value::Int64(cell.timestamp()))?;
            }
        }
        Ok(())
    }
}
