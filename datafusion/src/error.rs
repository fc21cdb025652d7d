//! Errors as DataFusion's.

use datafusion::error::DataFusionError;

/// An error of the reader, with its source.
pub(crate) fn of_reader(error: hregion::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of a mapping or a value.
pub(crate) fn of_batches(error: hregion_arrow::Error) -> DataFusionError {
    match error {
        hregion_arrow::Error::Read(error) => of_reader(error),
        other => DataFusionError::External(Box::new(other)),
    }
}
