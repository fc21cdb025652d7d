//! Rows and cells as Python objects.

use crate::arguments::{Bytes, Column};
use crate::error::Result;
use hregion::cell::StringBinary;
use hregion::{CellRef, Row as HRow};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// A row: a mapping of `b"family:qualifier"` to the newest value, and all cells that were read. Delete
/// markers, which a raw scan reads, are only among the cells: the mapping then also has values that they
/// delete.
#[pyclass(frozen, eq, module = "hregion", name = "Row")]
#[derive(PartialEq)]
pub(crate) struct Row(pub(crate) HRow);

/// A cell.
#[pyclass(frozen, get_all, eq, hash, module = "hregion", name = "Cell")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    row: Vec<u8>,
    family: Vec<u8>,
    qualifier: Vec<u8>,
    /// Milliseconds since 1970.
    timestamp: i64,
    /// `Put`, or the type of a delete marker.
    r#type: &'static str,
    value: Vec<u8>,
}

impl Cell {
    fn new(cell: &CellRef<'_>) -> Self {
        Self {
            row: cell.row().to_vec(),
            family: cell.family().to_vec(),
            qualifier: cell.qualifier().to_vec(),
            timestamp: cell.timestamp(),
            r#type: cell.cell_type().name(),
            value: cell.value().to_vec(),
        }
    }
}

#[pymethods]
impl Cell {
    fn __repr__(&self) -> String {
        format!(
            "Cell({}, {}:{}, {}, {}, {})",
            StringBinary(&self.row),
            StringBinary(&self.family),
            StringBinary(&self.qualifier),
            self.timestamp,
            self.r#type,
            StringBinary(&self.value)
        )
    }
}

impl Row {
    fn find(&self, column: Bytes) -> Result<Option<CellRef<'_>>> {
        let (family, qualifier) = Column::from(column).both()?;
        Ok(self.puts().find(|cell| cell.qualifier() == qualifier && cell.family() == family))
    }

    /// The cells that are not delete markers.
    fn puts(&self) -> impl Iterator<Item = CellRef<'_>> {
        self.0.cells().filter(|cell| !cell.cell_type().is_delete())
    }

    /// The newest value of each column, in order.
    fn newest(&self) -> Vec<CellRef<'_>> {
        let mut newest: Vec<CellRef<'_>> = Vec::with_capacity(self.0.len());
        for cell in self.puts() {
            let is_same =
                |last: &CellRef<'_>| (last.family(), last.qualifier()) == (cell.family(), cell.qualifier());
            if !newest.last().is_some_and(is_same) {
                newest.push(cell);
            }
        }
        newest
    }
}

fn name(cell: &CellRef<'_>) -> Vec<u8> {
    [cell.family(), b":", cell.qualifier()].concat()
}

#[pymethods]
impl Row {
    /// The row key.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.key())
    }

    /// All cells that were read, by column and from the newest to the oldest, with delete markers.
    #[getter]
    fn cells(&self) -> Vec<Cell> {
        self.0.cells().map(|cell| Cell::new(&cell)).collect()
    }

    /// The columns, as `b"family:qualifier"`.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.newest().iter().map(|cell| PyBytes::new(py, &name(cell))))
    }

    /// The newest value of each column.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.newest().iter().map(|cell| PyBytes::new(py, cell.value())))
    }

    /// The columns with their newest values.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pair = |cell: &CellRef<'_>| (PyBytes::new(py, &name(cell)), PyBytes::new(py, cell.value()));
        let pairs: Vec<_> = self.newest().iter().map(pair).collect();
        PyList::new(py, pairs)
    }

    /// The newest value of each column, as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for cell in self.newest() {
            dict.set_item(PyBytes::new(py, &name(&cell)), PyBytes::new(py, cell.value()))?;
        }
        Ok(dict)
    }

    /// The newest value of a column, or `default`.
    #[pyo3(signature = (column, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        column: Bytes,
        default: Option<Bound<'py, PyAny>>,
    ) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(match self.find(column)? {
            Some(cell) => Some(PyBytes::new(py, cell.value()).into_any()),
            None => default,
        })
    }

    fn __getitem__<'py>(&self, py: Python<'py>, column: Bytes) -> Result<Bound<'py, PyBytes>> {
        let named = StringBinary(&column.0).to_string();
        match self.find(column)? {
            Some(cell) => Ok(PyBytes::new(py, cell.value())),
            None => Err(PyKeyError::new_err(named).into()),
        }
    }

    fn __contains__(&self, column: Bytes) -> Result<bool> {
        Ok(self.find(column)?.is_some())
    }

    fn __len__(&self) -> usize {
        self.newest().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys(py)?.try_iter()?.into_any())
    }

    fn __repr__(&self) -> String {
        format!("Row({}, {} cells)", StringBinary(self.0.key()), self.0.len())
    }
}
