//! hregion for Python.

mod arguments;
mod columns;
mod error;
mod exclusive;
mod fork;
mod held;
mod location;
mod open;
mod options;
mod root;
mod row;
mod scan;
mod signals;
mod stream;
mod table;

use pyo3::prelude::*;

/// The module `hregion._hregion`; `hregion` has its names.
#[pymodule]
fn _hregion(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", py.get_type::<error::Error>())?;
    module.add("CorruptError", py.get_type::<error::CorruptError>())?;
    module.add("UnsupportedError", py.get_type::<error::UnsupportedError>())?;
    module.add("NotFoundError", py.get_type::<error::NotFoundError>())?;
    module.add("ClosedError", py.get_type::<error::ClosedError>())?;
    module.add("ValueMismatchError", py.get_type::<error::ValueMismatchError>())?;
    module.add_class::<table::Table>()?;
    module.add_class::<scan::Scan>()?;
    module.add_class::<scan::RowIterator>()?;
    module.add_class::<row::Row>()?;
    module.add_class::<row::Cell>()?;
    module.add_function(wrap_pyfunction!(open::open, module)?)?;
    module.add_function(wrap_pyfunction!(open::create, module)?)?;
    module.add_function(wrap_pyfunction!(fork::before, module)?)?;
    module.add_function(wrap_pyfunction!(fork::after, module)?)?;
    module.add_class::<root::Recovery>()?;
    module.add_class::<root::RegionRecovery>()?;
    module.add_function(wrap_pyfunction!(root::clone_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(root::delete_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(root::recover, module)?)?;
    module.add_function(wrap_pyfunction!(root::snapshots, module)?)
}
