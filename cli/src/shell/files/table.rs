//! A table that the shell has opened.

use crate::concurrent_changes::list_again;
use crate::failure::{CommandError, Failure};
use crate::output::Warner;
use crate::regions::{OpenRegion, Regions};
use crate::target::Kind;
use hregion::{ErrorKind, Region, RegionOptions};
use std::path::Path;

/// The regions of a table, in row order.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) regions: Vec<Region>,
    pub(super) is_writable: bool,
}

impl Table {
    pub(super) fn open(
        dir: &Path,
        kind: Kind,
        options: &RegionOptions,
        warner: &Warner,
    ) -> Result<Self, Failure> {
        let regions = list_again(|| {
            let regions = Regions::find(dir, Some(kind), options.clone())?;
            let opened = regions.regions_and_holes(|_, _| true).into_iter().map(|place| place.open(warner));
            Ok(opened.collect::<hregion::Result<Vec<Region>>>()?)
        })?;
        Ok(Self { regions, is_writable: false })
    }

    /// Flushes the memory, except that of poisoned regions, which are closed without a flush.
    pub(super) fn flush_before_close(&self) -> hregion::Result<()> {
        // The memory of regions that are only read is also in logs.
        let in_memory = self.regions.iter().filter(|region| self.is_writable && region.memstore_size() > 0);
        in_memory.map(Region::flush).try_for_each(|flushed| match flushed {
            Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
            flushed => flushed,
        })
    }

    /// Closes all regions, and returns the first error.
    pub(super) fn close(&self) -> hregion::Result<()> {
        self.regions.iter().map(Region::close).fold(Ok(()), hregion::Result::and)
    }

    /// Returns the regions in row order, or reversed.
    pub(super) fn in_direction(&self, reversed: bool) -> impl Iterator<Item = hregion::Result<OpenRegion>> {
        let count = self.regions.len();
        let place = move |i: usize| if reversed { count - 1 - i } else { i };
        (0..count).map(move |i| Ok(OpenRegion::whole(self.regions[place(i)].clone())))
    }

    /// Returns the region that contains a row.
    pub(super) fn region_of(&self, row: &[u8]) -> Result<&Region, Failure> {
        let has = |region: &&Region| region.info().contains(row);
        match (self.regions.iter().find(has), self.regions.as_slice()) {
            // the region returns a specific error about the row
            (None, [only]) => Ok(only),
            (Some(region), _) => Ok(region),
            (None, _) => Err(CommandError::invalid("no region of the table has the row").into()),
        }
    }
}
