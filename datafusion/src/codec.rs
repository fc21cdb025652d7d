//! Tables and plan nodes as bytes, for other machines.

use crate::exec::{HregionExec, projected};
use crate::groups::ungrouped;
use crate::partition::Partition;
use crate::presence::Presence;
use crate::provider::HregionTable;
use crate::ranges::{Range, RangeSet};
use crate::scan::{Reading, Selected};
use crate::source::OriginView;
use crate::target::{Origin, TargetOptions};
use crate::wire::{Damaged, Reader, Writer};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{TableReference, plan_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, Extension, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::{DefaultLogicalExtensionCodec, LogicalExtensionCodec};
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, PhysicalExtensionCodec, PhysicalProtoConverterExtension,
};
use hregion::Filter;
use hregion_arrow::{Layout, Mapping};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TABLE: u8 = 1;
const EXEC: u8 = 2;

/// Encodes tables that were opened by their path ([`Target`](crate::Target)), and plan nodes that read them.
/// A decoded table opens the same path when it is first read: the path must lead to the same files on all
/// machines. Other codecs handle tables and nodes of other crates.
///
/// The bytes have a version and a checksum: another version and damaged bytes are errors. Options, such as a
/// master key, belong to the decoding codec, and are never in the bytes.
///
/// A decoded table plans its scans as files, one for each partition, in a
/// [`DataSourceExec`](datafusion::datasource::source::DataSourceExec): schedulers such as Ballista's divide
/// only leaves of known kinds among tasks. The codec encodes such a scan as a node that reads the files that
/// the scheduler has selected.
#[derive(Debug)]
pub struct HregionCodec {
    options: TargetOptions,
    logical: Arc<dyn LogicalExtensionCodec>,
    physical: Arc<dyn PhysicalExtensionCodec>,
}

impl Default for HregionCodec {
    fn default() -> Self {
        Self::new(TargetOptions::default())
    }
}

impl HregionCodec {
    /// Creates a codec that opens decoded tables with these options.
    #[must_use]
    pub fn new(options: TargetOptions) -> Self {
        let physical = Arc::new(DefaultPhysicalExtensionCodec {});
        Self { options, logical: Arc::new(DefaultLogicalExtensionCodec {}), physical }
    }

    /// Sets the codecs for tables and nodes of other crates.
    #[must_use]
    pub fn over(
        mut self,
        logical: Arc<dyn LogicalExtensionCodec>,
        physical: Arc<dyn PhysicalExtensionCodec>,
    ) -> Self {
        (self.logical, self.physical) = (logical, physical);
        self
    }

    fn origin(&self, reader: &mut Reader<'_>) -> Result<Origin> {
        Ok(Origin::of_target(reader.text()?, self.options.clone()))
    }

    fn decode_table(&self, bytes: &[u8]) -> Result<HregionTable> {
        let mut reader = Reader::new(bytes)?;
        if reader.byte()? != TABLE {
            return plan_err!("not a table of hregion");
        }
        let (origin, layout) = (self.origin(&mut reader)?, read_layout(&mut reader)?);
        let sorts_as_bytes = reader.flag()?;
        let table = HregionTable::with(origin, layout, sorts_as_bytes);
        let table = table.pushdown(reader.flag()?).min_partition_bytes(reader.number()?);
        reader.end()?;
        Ok(table.sent())
    }

    fn decode_exec(&self, bytes: &[u8]) -> Result<HregionExec> {
        let mut reader = Reader::new(bytes)?;
        if reader.byte()? != EXEC {
            return plan_err!("not a plan node of hregion");
        }
        let (origin, layout) = (self.origin(&mut reader)?, read_layout(&mut reader)?);
        let fields = layout.schema().fields().len();
        let (output, decoded) = (reader.places(fields)?, reader.places(fields)?);
        if !decoded.starts_with(&output) {
            return plan_err!("columns that are not decoded");
        }
        let sorted = reader.places(output.len())?;
        let selected = read_selected(&mut reader)?;
        let filter = reader.option(Reader::owned)?.map(Filter::from_proto_bytes);
        let filter = filter.transpose().map_err(crate::error::of_reader)?;
        let presence = match (reader.flag()?, &layout) {
            (true, Layout::Columns(mapping)) => Presence::of(mapping),
            (true, _) => return plan_err!("cells without columns"),
            (false, _) => None,
        };
        let limit = reader.option(Reader::size)?;
        let cells_of_row = reader.number()?;
        let partitions = reader.list(read_partition)?;
        reader.end()?;
        let reading = Reading {
            view: Arc::new(OriginView::new(origin)),
            scan: selected.scan(),
            selected,
            filter,
            presence,
            schema: projected(&layout.schema(), &output)?,
            layout,
            decoded,
            limit,
        };
        Ok(HregionExec::new(reading, partitions, cells_of_row, output, sorted))
    }
}

fn write_target(writer: &mut Writer, origin: &Origin) -> Result<()> {
    let Some(target) = origin.target() else {
        return plan_err!("a table that was not opened by its path cannot be sent");
    };
    writer.bytes(target.as_bytes());
    Ok(())
}

fn write_layout(writer: &mut Writer, layout: &Layout) -> Result<()> {
    match layout {
        Layout::Columns(mapping) => {
            let json = mapping.to_json();
            if Mapping::from_json(&json).map_err(crate::error::of_batches)? != *mapping {
                return plan_err!("a mapping that JSON does not have cannot be sent");
            }
            writer.byte(1);
            writer.bytes(json.as_bytes());
        }
        Layout::Cells => writer.byte(0),
        other => return plan_err!("the layout {other:?} cannot be sent"),
    }
    Ok(())
}

fn read_layout(reader: &mut Reader<'_>) -> Result<Layout> {
    match reader.byte()? {
        0 => Ok(Layout::Cells),
        1 => {
            let mapping = Mapping::from_json(&reader.text()?).map_err(crate::error::of_batches)?;
            Ok(Layout::Columns(mapping))
        }
        other => plan_err!("a layout of kind {other}"),
    }
}

fn write_selected(writer: &mut Writer, selected: &Selected) {
    writer.list(&selected.families, |writer, (family, qualifiers)| {
        writer.bytes(family);
        writer.list(qualifiers, |writer, qualifier| writer.bytes(qualifier));
    });
    writer.list(&selected.since, |writer, (family, since)| {
        writer.option(family.as_ref(), |writer, family| writer.bytes(family));
        writer.number(since.cast_unsigned());
    });
    writer.option(selected.max_versions, |writer, versions| writer.number(versions.into()));
    writer.flag(selected.on_demand);
}

fn read_selected(reader: &mut Reader<'_>) -> Result<Selected> {
    let families: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = reader
        .list(|reader| {
            let family = reader.owned()?;
            Ok((family, reader.list(Reader::owned)?.into_iter().collect()))
        })?
        .into_iter()
        .collect();
    let since = reader.list(|reader| {
        let family = reader.option(Reader::owned)?;
        Ok((family, reader.number()?.cast_signed()))
    })?;
    if since.iter().any(|(_, since)| *since < 0) {
        return plan_err!("a least timestamp that is negative");
    }
    let max_versions = reader.option(Reader::number)?;
    let Ok(max_versions) = max_versions.map(u32::try_from).transpose() else {
        return plan_err!("a number of versions that is too large");
    };
    if max_versions == Some(0) {
        return plan_err!("no versions");
    }
    Ok(Selected { families, since, max_versions, on_demand: reader.flag()? })
}

fn write_partition(writer: &mut Writer, partition: &Partition) {
    writer.list(partition.ranges.ranges(), |writer, range| {
        writer.bytes(&range.start);
        writer.option(range.end.as_ref(), |writer, end| writer.bytes(end));
    });
    writer.number(partition.cells);
    writer.number(partition.bytes);
}

fn read_partition(reader: &mut Reader<'_>) -> Result<Partition, Damaged> {
    let ranges =
        reader.list(|reader| Ok(Range { start: reader.owned()?, end: reader.option(Reader::owned)? }))?;
    Ok(Partition { ranges: RangeSet::of(ranges), cells: reader.number()?, bytes: reader.number()? })
}

fn encode_table(table: &HregionTable) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    writer.byte(TABLE);
    write_target(&mut writer, &table.origin)?;
    write_layout(&mut writer, &table.layout)?;
    writer.flag(table.sorts_as_bytes);
    writer.flag(table.pushes_down);
    writer.number(table.min_partition_bytes);
    Ok(writer.finish())
}

fn encode_exec(exec: &HregionExec) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    writer.byte(EXEC);
    let reading = &exec.reading;
    write_target(&mut writer, reading.view.origin())?;
    write_layout(&mut writer, &reading.layout)?;
    for places in [&exec.output, &reading.decoded, &exec.sorted] {
        writer.list(places, |writer, place| writer.size(*place));
    }
    write_selected(&mut writer, &reading.selected);
    let filter = reading.filter.as_ref().map(Filter::to_proto_bytes);
    let filter = filter.transpose().map_err(crate::error::of_reader)?;
    writer.option(filter, |writer, filter| writer.bytes(&filter));
    writer.flag(reading.presence.is_some());
    writer.option(reading.limit, Writer::size);
    writer.number(exec.cells_of_row);
    writer.list(&exec.partitions, write_partition);
    Ok(writer.finish())
}

impl PhysicalExtensionCodec for HregionCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !Reader::is_own(buf) {
            return self.physical.try_decode(buf, inputs, ctx, converter);
        }
        if !inputs.is_empty() {
            return plan_err!("HregionExec has no children");
        }
        Ok(Arc::new(self.decode_exec(buf)?))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let ungrouped = ungrouped(&*node)?;
        match ungrouped.as_ref().or_else(|| node.downcast_ref()) {
            Some(exec) => {
                buf.extend(encode_exec(exec)?);
                Ok(())
            }
            None => self.physical.try_encode(node, buf, converter),
        }
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.physical.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.physical.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.physical.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.physical.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_expr(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn PhysicalExpr>],
        ctx: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.physical.try_decode_expr(buf, inputs, ctx)
    }

    fn try_encode_expr(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        buf: &mut Vec<u8>,
        ctx: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        self.physical.try_encode_expr(node, buf, ctx)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.physical.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.physical.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.physical.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.physical.try_encode_udwf(node, buf)
    }
}

impl LogicalExtensionCodec for HregionCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        self.logical.try_decode(buf, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        if !Reader::is_own(buf) {
            return self.logical.try_decode_table_provider(buf, table, schema, ctx);
        }
        Ok(Arc::new(self.decode_table(buf)?))
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        match node.downcast_ref::<HregionTable>() {
            Some(own) => {
                buf.extend(encode_table(own)?);
                Ok(())
            }
            None => self.logical.try_encode_table_provider(table, node, buf),
        }
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.logical.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.logical.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.logical.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.logical.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.logical.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.logical.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode_udwf(node, buf)
    }
}

impl From<Damaged> for DataFusionError {
    fn from(damaged: Damaged) -> Self {
        Self::Plan(damaged.to_string())
    }
}
