//! Converts errors to DataFusion's.

use datafusion::error::DataFusionError;

/// Converts an error of the reader, which stays its source.
pub(crate) fn of_reader(error: hregion::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Converts an error of a mapping or a value.
pub(crate) fn of_batches(error: hregion_arrow::Error) -> DataFusionError {
    match error {
        hregion_arrow::Error::Read(error) => of_reader(error),
        other => DataFusionError::External(Box::new(other)),
    }
}
