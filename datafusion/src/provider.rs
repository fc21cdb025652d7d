//! An SQL table over a table, a snapshot or a region.

use crate::columns::{Field, fields_of, mapping_of};
use crate::error::of_reader;
use crate::exec::{HregionExec, projected};
use crate::key::sorted_parts;
use crate::partition::{Partition, divide};
use crate::predicate::{Condition, Translator, any_of};
use crate::presence::Presence;
use crate::ranges::RangeSet;
use crate::scan::{Reading, Selected};
use crate::source::{OriginView, Part, Source};
use crate::target::Origin;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use hregion::filter::Filter;
use hregion::{Comparator, HFileOptions, Region, Table};
use hregion_arrow::Layout;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An SQL table: the rows of a table, a snapshot or a region, with the columns of a [`Layout`].
///
/// With [mapped columns](Layout::Columns), a row is included if it has at least one of the mapped columns;
/// missing columns are null. A column has its newest version, unless it is mapped to a list of all versions.
/// With [cells](Layout::Cells), an SQL row is the newest version of a column of a row.
#[derive(Clone, Debug)]
pub struct HregionTable {
    pub(crate) origin: Origin,
    pub(crate) layout: Layout,
    translator: Arc<Translator>,
    files: HFileOptions,
    pub(crate) sorts_as_bytes: bool,
    pub(crate) pushes_down: bool,
    pub(crate) min_partition_bytes: u64,
    /// Whether a scan is planned for other machines.
    #[cfg(feature = "codec")]
    is_sent: bool,
}

/// The maximum number of regions whose files are examined before they are read.
const MAX_EXAMINED: usize = 64;

impl HregionTable {
    /// Creates an SQL table with the rows of a table, or of [a snapshot](Table::open_snapshot).
    #[must_use]
    pub fn new(table: Table, layout: Layout) -> Self {
        Self::of(Source::Table(table), layout)
    }

    /// Creates an SQL table with the rows of a region, or of files that were opened
    /// [without one](hregion::RegionOptions::open_files).
    #[must_use]
    pub fn of_region(region: Region, layout: Layout) -> Self {
        Self::of(Source::Region(region), layout)
    }

    fn of(source: Source, layout: Layout) -> Self {
        let sorts_as_bytes = source.sorts_as_bytes();
        Self::with(Origin::of_source(source), layout, sorts_as_bytes)
    }

    pub(crate) fn of_origin(origin: Origin, layout: Layout) -> hregion::Result<Self> {
        let sorts_as_bytes = origin.source()?.sorts_as_bytes();
        Ok(Self::with(origin, layout, sorts_as_bytes))
    }

    /// Creates an SQL table without opening anything: `sorts_as_bytes` is whether row keys sort as bytes.
    pub(crate) fn with(origin: Origin, layout: Layout, sorts_as_bytes: bool) -> Self {
        Self {
            translator: Arc::new(Translator::new(layout.clone(), sorts_as_bytes)),
            files: origin.files(),
            origin,
            layout,
            sorts_as_bytes,
            pushes_down: true,
            min_partition_bytes: 1 << 20,
            #[cfg(feature = "codec")]
            is_sent: false,
        }
    }

    /// Sets how files are opened to read their trailers and indexes, for statistics and partitions: the
    /// storage, the master key. A file that cannot be opened with these options is omitted from both; its
    /// rows are read nevertheless.
    #[must_use]
    pub fn files(mut self, options: HFileOptions) -> Self {
        self.files = options;
        self
    }

    /// Sets whether the reader applies predicates (default: yes). The answers are the same.
    #[must_use]
    pub fn pushdown(mut self, pushes_down: bool) -> Self {
        self.pushes_down = pushes_down;
        self
    }

    /// Sets the minimum number of bytes of files for which a region is divided into partitions (default: 1
    /// MiB).
    #[must_use]
    pub fn min_partition_bytes(mut self, bytes: u64) -> Self {
        self.min_partition_bytes = bytes;
        self
    }

    /// Plans scans for other machines.
    #[cfg(feature = "codec")]
    pub(crate) fn sent(self) -> Self {
        Self { is_sent: true, ..self }
    }

    /// Plans a scan. Opens regions, and reads the trailers and indexes of their files.
    fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
        target: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = self.origin.source().map_err(of_reader)?;
        let schema = self.layout.schema();
        let output = projection.map_or_else(|| (0..schema.fields().len()).collect(), <[usize]>::to_vec);
        let condition = match self.pushes_down {
            true => self.translator.condition(filters),
            false => self.translator.all(),
        };
        let ranges = self.translator.ranges(&condition).0.intersect(&source.rows());
        let output_schema = projected(&schema, &output)?;
        let selection = self.select(&source, &output, &condition).map_err(of_reader)?;
        let Some(mut selection) = selection.filter(|_| !ranges.is_empty()) else {
            return Ok(Arc::new(EmptyExec::new(output_schema)));
        };
        let parts = self.examine(&source, &ranges, selection.examined.as_deref());
        if parts.is_empty() || parts.iter().any(|part| part.may_have_latest) {
            selection.include_latest(&condition.qualifiers).map_err(of_reader)?;
        }
        let target = if self.sorts_as_bytes { target } else { 1 };
        let mut partitions = divide(&ranges, &parts, target, self.min_partition_bytes);
        if partitions.is_empty() {
            // the read reports that there is no region
            partitions.push(Partition { ranges, cells: 0, bytes: 0 });
        }
        let mut decoded = output.clone();
        decoded.extend(condition.decoded.iter().filter(|at| !output.contains(at)));
        let view = OriginView::new(self.origin.clone());
        view.get().map_err(of_reader)?;
        let sorted = self.sorted(&output);
        let reading = Reading {
            view: Arc::new(view),
            scan: selection.selected.scan(),
            selected: selection.selected,
            filter: selection.filter,
            presence: selection.presence.filter(|_| decoded.is_empty()),
            layout: self.layout.clone(),
            decoded,
            schema: output_schema,
            limit,
        };
        let exec = HregionExec::new(reading, partitions, selection.cells_of_row, output, sorted);
        #[cfg(feature = "codec")]
        if self.is_sent {
            return crate::groups::grouped(exec);
        }
        Ok(Arc::new(exec))
    }

    /// Returns the parts of each row to be read; `None` if no row is in the answer.
    fn select(
        &self,
        source: &Source,
        output: &[usize],
        condition: &Condition,
    ) -> hregion::Result<Option<Selection>> {
        let mut filters = condition.filters.clone();
        let Some(mapping) = mapping_of(&self.layout) else {
            return self.select_cells(source, condition);
        };
        let fields = fields_of(&self.layout);
        let mut columns: BTreeSet<usize> = (0..mapping.columns().len()).collect();
        let mut presence = None;
        // A row needs at least one of the columns, so all must be read. But a row without the columns of a
        // filter or a timestamp is not in the answer.
        if !filters.is_empty() || !condition.since.is_empty() {
            let of_field = |at: &usize| match fields.get(*at) {
                Some(Field::Column(column) | Field::ColumnTimestamp(column)) => Some(*column),
                _ => None,
            };
            columns = output.iter().chain(&condition.decoded).filter_map(of_field).collect();
            columns.extend(&condition.columns);
            columns.extend(condition.since.keys());
        } else {
            presence = Presence::of(mapping);
        }
        let (mut selected, mut has_versions) = (Selected::default(), false);
        let mut since: BTreeMap<Vec<u8>, Option<i64>> = BTreeMap::new();
        for (at, column) in mapping.columns().iter().enumerate().filter(|(at, _)| columns.contains(at)) {
            let qualifiers = selected.families.entry(column.family().to_vec()).or_default();
            qualifiers.insert(column.qualifier().to_vec());
            has_versions |= column.has_versions();
            // older cells of a family can be omitted if no column of it needs them
            let own = condition.since.get(&at).copied().filter(|since| *since > 0);
            let least = since.entry(column.family().to_vec()).or_insert(own);
            *least = own.zip(*least).map(|(own, least)| own.min(least));
        }
        selected.max_versions = Some(if has_versions { u32::MAX } else { 1 });
        let filter = match filters.len() {
            0 | 1 => filters.pop(),
            _ => Some(Filter::all(filters)?),
        };
        selected.on_demand = filter.is_some();
        let examined = Some(since.keys().cloned().collect());
        selected.since =
            since.into_iter().filter_map(|(family, least)| Some((Some(family), least?))).collect();
        Ok(Some(Selection {
            selected,
            filter,
            examined,
            cells_of_row: u64::try_from(columns.len()).unwrap_or(1).max(1),
            presence,
        }))
    }

    /// Returns the parts of each row to be read, for a table of cells.
    fn select_cells(&self, source: &Source, condition: &Condition) -> hregion::Result<Option<Selection>> {
        let (families, qualifiers) = (&condition.families, &condition.qualifiers);
        if families.is_empty() || qualifiers.is_empty() {
            return Ok(None);
        }
        let (mut selected, mut examined, mut filters) = (Selected::default(), None, Vec::new());
        let names = qualifiers.points();
        let known = match names.is_some() || !families.is_all() {
            true => source.families()?,
            false => None,
        };
        let is_by_name = known.is_some() && names.is_some();
        if let Some(mut all) = known {
            all.retain(|family| families.contains(family));
            if all.is_empty() {
                return Ok(None);
            }
            let names: BTreeSet<Vec<u8>> = names.into_iter().flatten().map(<[u8]>::to_vec).collect();
            selected.families = all.iter().map(|family| (family.clone(), names.clone())).collect();
            examined = Some(all);
        } else if !families.is_all() {
            filters.push(family_filter(families)?);
        }
        if !is_by_name && !qualifiers.is_all() {
            filters.push(qualifier_filter(qualifiers)?);
        }
        let filter = match filters.len() {
            0 | 1 => filters.pop(),
            _ => Some(Filter::all(filters)?),
        };
        let since = condition.since.get(&0).filter(|since| **since > 0);
        selected.since = since.map(|since| (None, *since)).into_iter().collect();
        Ok(Some(Selection { selected, filter, examined, cells_of_row: 1, presence: None }))
    }

    /// Examines the regions with rows in the ranges, unless there are too many.
    fn examine(&self, source: &Source, ranges: &RangeSet, families: Option<&[Vec<u8>]>) -> Vec<Part> {
        let mut bounds = source.bounds();
        bounds.retain(|(start, end)| ranges.overlaps(start, end.as_deref()));
        let is_examined = bounds.len() <= MAX_EXAMINED;
        let part = |(start, end): (Vec<u8>, Option<Vec<u8>>)| match is_examined {
            true => source.examine((start, end), families, &self.files),
            false => Part { start, end, blocks: Vec::new(), cells: 0, may_have_latest: true },
        };
        bounds.into_iter().map(part).collect()
    }

    /// Returns the columns of the output by which it is sorted.
    fn sorted(&self, output: &[usize]) -> Vec<usize> {
        if !self.sorts_as_bytes {
            return Vec::new();
        }
        let count = mapping_of(&self.layout).map_or(1, |mapping| sorted_parts(mapping.row()));
        // the parts of the row key are the first columns
        (0..count).map_while(|part| output.iter().position(|at| *at == part)).collect()
    }
}

/// The parts of each row to be read.
struct Selection {
    selected: Selected,
    filter: Option<Filter>,
    /// The families that are read; `None` for all.
    examined: Option<Vec<Vec<u8>>>,
    cells_of_row: u64,
    /// The columns at least one of which a row must have, if nothing else of it is needed.
    presence: Option<Presence>,
}

impl Selection {
    /// Also reads cells with the timestamp `i64::MAX`: no range of times includes them, and a read of columns
    /// by name skips them, as in HBase, while a read of all columns returns them. `qualifiers` are the
    /// selected ones of a table of cells. Mapped columns are always read by name.
    fn include_latest(&mut self, qualifiers: &RangeSet) -> hregion::Result<()> {
        self.selected.since.clear();
        let is_by_name = self.selected.families.values().any(|names| !names.is_empty());
        if is_by_name && !qualifiers.is_all() {
            self.selected.families.values_mut().for_each(BTreeSet::clear);
            self.filter = Some(qualifier_filter(qualifiers)?);
        }
        Ok(())
    }
}

/// Returns a filter that passes the cells whose families are in a set.
fn family_filter(families: &RangeSet) -> hregion::Result<Filter> {
    any_of(families, |compare, bytes| Filter::family(compare, Comparator::binary(bytes.to_vec())))
}

/// Returns a filter that passes the cells whose qualifiers are in a set.
fn qualifier_filter(qualifiers: &RangeSet) -> hregion::Result<Filter> {
    any_of(qualifiers, |compare, bytes| Filter::qualifier(compare, Comparator::binary(bytes.to_vec())))
}

#[async_trait]
impl TableProvider for HregionTable {
    fn schema(&self) -> SchemaRef {
        self.layout.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (table, projection, filters) = (self.clone(), projection.cloned(), filters.to_vec());
        let target = state.config().target_partitions();
        let plan = move || table.plan(projection.as_deref(), &filters, limit, target);
        // regions are opened
        let planned = tokio::task::spawn_blocking(plan).await;
        planned.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let of = |filter: &&Expr| match self.pushes_down {
            true => self.translator.pushdown(filter),
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(of).collect())
    }
}
