//! Calls the observers, in order.

use super::{CompactionFilter, ObserverContext, RegionObserver, ScanOptions};
use crate::error::{Error, Result};
use crate::region::{Region, RegionCore};
use crate::schema::RegionInfo;
use crate::store::matcher::ScanInfo;
use std::fmt;
use std::sync::Arc;

/// The observers of a region, in the order they are called.
#[derive(Clone, Default)]
pub(in crate::region) struct Observers(Vec<(i32, Arc<dyn RegionObserver>)>);

impl Observers {
    pub(in crate::region) fn add(&mut self, priority: i32, observer: Arc<dyn RegionObserver>) {
        let at = self.0.partition_point(|(other, _)| *other <= priority);
        self.0.insert(at, (priority, observer));
    }

    /// Whether there are no observers; then hooks cost nothing.
    #[inline]
    pub(in crate::region) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls a hook of each observer, until one bypasses the rest. Returns whether one did.
    #[cold]
    pub(in crate::region) fn call(
        &self,
        info: &RegionInfo,
        region: Option<Region>,
        bypassable: bool,
        mut hook: impl FnMut(&dyn RegionObserver, &mut ObserverContext<'_>) -> Result<()>,
    ) -> Result<bool> {
        let mut context = ObserverContext { info, region, bypass: false };
        for (_, observer) in &self.0 {
            hook(&**observer, &mut context)?;
            if context.bypass {
                return if bypassable { Ok(true) } else { Err(not_bypassable()) };
            }
        }
        Ok(false)
    }
}

#[cold]
fn not_bypassable() -> Error {
    Error::invalid_argument("an observer bypassed a hook that cannot be bypassed")
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, observer)| observer)).finish()
    }
}

impl RegionCore {
    /// Calls a hook of each observer.
    #[inline]
    pub(in crate::region) fn observe(
        &self,
        hook: impl FnMut(&dyn RegionObserver, &mut ObserverContext<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.observers.is_empty() {
            return Ok(());
        }
        self.observers.call(&self.info, self.handle(), false, hook).map(drop)
    }

    /// Like [`observe`](Self::observe), for a hook that can be bypassed. Returns whether it was.
    #[inline]
    pub(in crate::region) fn observe_or_bypass(
        &self,
        hook: impl FnMut(&dyn RegionObserver, &mut ObserverContext<'_>) -> Result<()>,
    ) -> Result<bool> {
        if self.observers.is_empty() {
            return Ok(false);
        }
        self.observers.call(&self.info, self.handle(), true, hook)
    }

    fn handle(&self) -> Option<Region> {
        let handle = self.handle.get()?.upgrade()?;
        Some(Region::of(&handle))
    }

    /// Returns the retention settings of a family, as changed by the observers.
    #[inline]
    pub(in crate::region) fn observed_info<F>(
        &self,
        store: usize,
        mut info: ScanInfo,
        mut hook: F,
    ) -> Result<ScanInfo>
    where
        F: FnMut(&dyn RegionObserver, &mut ObserverContext<'_>, &[u8], &mut ScanOptions) -> Result<()>,
    {
        if self.observers.is_empty() {
            return Ok(info);
        }
        let family = &self.stores[store].family;
        let mut options = ScanOptions::new(&info, family.ttl_millis());
        self.observe(|observer, context| hook(observer, context, family.name(), &mut options))?;
        options.apply(&mut info);
        Ok(info)
    }

    /// Returns the observers' filters between the cells and a new file.
    pub(in crate::region) fn compaction_filters(
        &self,
        mut hook: impl FnMut(
            &dyn RegionObserver,
            &mut ObserverContext<'_>,
        ) -> Result<Option<Box<dyn CompactionFilter>>>,
    ) -> Result<Vec<Box<dyn CompactionFilter>>> {
        let mut filters = Vec::new();
        self.observe(|observer, context| {
            filters.extend(hook(observer, context)?);
            Ok(())
        })?;
        Ok(filters)
    }
}
