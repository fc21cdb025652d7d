//! Reads and writes as protocol buffers, as clients send them to servers (locator.md §8.3; HBase:
//! `ProtobufUtil`).
//!
//! HBase's client refuses impossible rows and timestamps. A server refuses them while it reads the request:
//! the whole call then fails, including all other actions in it, with an exception on which clients retry.

use super::check_and_mutate::ColumnCondition;
use super::{
    CheckAndMutate, Columns, Compare, Condition, Consistency, Delete, Delta, Durability, Get, Isolation,
    Mutation, Put, Scan, Select, TimeRange, check_new_row, check_timestamp,
};
use crate::cell::{CellType, MAX_FAMILY_LEN, check_row_len};
use crate::error::{Error, Result};
use crate::filter::{Comparator, FilterEvaluator, comparator_message, compare_number, filter_message};
use crate::proto::client as proto;
use bytes::Bytes;
use prost::Message as _;

const ISOLATION: &str = "_isolationlevel_";
/// The ordinal of HBase's `IsolationLevel`.
const READ_UNCOMMITTED: u8 = 1;
const RAW: &str = "_raw_";
const TTL: &str = "_ttl";
const RETURN_RESULTS: &str = "_rr_";

/// Java's `true` and `false` as bytes.
const TRUE: &[u8] = &[0xff];
const FALSE: &[u8] = &[0];

impl Get {
    /// Encodes the get as HBase's message `Get`.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter ([`Filter::to_proto_bytes`](crate::Filter::to_proto_bytes)), the row is
    /// empty or too long, or no version is requested.
    pub fn to_proto_bytes(&self) -> Result<Vec<u8>> {
        check_new_row(&self.row)?;
        if self.select.max_versions == 0 {
            return Err(Error::invalid_argument("a get reads at least one version"));
        }
        let select = Selected::of(&self.select)?;
        let message = proto::Get {
            row: Some(Bytes::copy_from_slice(&self.row)),
            column: select.column,
            attribute: select.attribute,
            filter: select.filter,
            time_range: select.time_range,
            max_versions: select.max_versions,
            cache_blocks: select.cache_blocks,
            store_limit: select.store_limit,
            store_offset: select.store_offset,
            consistency: select.consistency,
            cf_time_range: select.cf_time_range,
            load_column_families_on_demand: select.load_on_demand,
        };
        Ok(message.encode_to_vec())
    }
}

impl Scan {
    /// Encodes the scan as HBase's message `Scan`. [`limit`](Self::limit) and [`caching`](Self::caching) are
    /// not part of it: they are sent with each call.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter ([`Filter::to_proto_bytes`](crate::Filter::to_proto_bytes)), or a bound is
    /// longer than a row can be; and [`IncompatibleFilter`](crate::ErrorKind::IncompatibleFilter) if the scan
    /// has a batch, and a filter on whole rows.
    pub fn to_proto_bytes(&self) -> Result<Vec<u8>> {
        check_row_len(&self.start)?;
        check_row_len(&self.stop)?;
        self.check_batch(self.select.filter.as_ref().map(FilterEvaluator::new).as_ref())?;
        let mut select = Selected::of(&self.select)?;
        if self.raw {
            select.attribute.push(attribute(RAW, TRUE));
        }
        let row = |row: &Bytes| Some(row.clone()).filter(|row| !row.is_empty());
        let message = proto::Scan {
            column: select.column,
            attribute: select.attribute,
            start_row: row(&self.start),
            stop_row: row(&self.stop),
            filter: select.filter,
            time_range: select.time_range,
            max_versions: select.max_versions,
            cache_blocks: select.cache_blocks,
            batch_size: (self.batch > 0).then(|| int(self.batch)),
            max_result_size: (self.max_result_size > 0).then_some(self.max_result_size),
            store_limit: select.store_limit,
            store_offset: select.store_offset,
            load_column_families_on_demand: select.load_on_demand,
            reversed: self.reversed.then_some(true),
            consistency: select.consistency,
            allow_partial_results: self.allow_partial.then_some(true),
            cf_time_range: select.cf_time_range,
            include_start_row: (!self.include_start).then_some(false),
            // servers treat a scan without this field and with equal rows as a get
            include_stop_row: Some(self.include_stop),
        };
        Ok(message.encode_to_vec())
    }
}

impl Mutation {
    /// Encodes the mutation as HBase's message `MutationProto`, with its cells. A server executes mutations
    /// with the same `nonce`, unless it is 0, only once.
    ///
    /// # Errors
    ///
    /// If the mutation changes nothing: a put, increment or append without columns; if the row is empty or
    /// too long, a family too long, or a timestamp negative.
    pub fn to_proto_bytes(&self, nonce: u64) -> Result<Vec<u8>> {
        self.check()?;
        let mut message = match self {
            Self::Put(put) => of_put(put)?,
            Self::Delete(delete) => of_delete(delete),
            Self::Increment(increment) => {
                of_delta(1, &increment.0, |amount: &i64| Bytes::copy_from_slice(&amount.to_be_bytes()))?
            }
            Self::Append(append) => of_delta(0, &append.0, Bytes::clone)?,
        };
        message.nonce = (nonce != 0).then_some(nonce);
        Ok(message.encode_to_vec())
    }

    /// Fails for invalid cells.
    fn check(&self) -> Result<()> {
        check_new_row(self.row())?;
        match self {
            Self::Put(put) => put.cells.iter().try_for_each(|cell| check_cell(&cell.family, cell.timestamp)),
            Self::Delete(delete) => {
                check_timestamp(delete.timestamp)?;
                delete.cells.iter().try_for_each(|cell| check_cell(&cell.family, cell.timestamp))
            }
            Self::Increment(increment) => {
                increment.0.cells.iter().try_for_each(|cell| check_cell(&cell.family, None))
            }
            Self::Append(append) => append.0.cells.iter().try_for_each(|cell| check_cell(&cell.family, None)),
        }
    }
}

fn check_cell(family: &[u8], timestamp: Option<i64>) -> Result<()> {
    if family.len() > MAX_FAMILY_LEN {
        return Err(Error::no_such_family(family, []));
    }
    check_timestamp(timestamp)
}

impl CheckAndMutate {
    /// Encodes the condition as HBase's message `Condition`.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter ([`Filter::to_proto_bytes`](crate::Filter::to_proto_bytes)); of the kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if a value is compared by
    /// [`Compare::NoOp`](crate::Compare::NoOp): HBase's servers fail on it with an error that clients retry.
    pub fn condition_to_proto_bytes(&self) -> Result<Vec<u8>> {
        let mut message = proto::Condition {
            row: Some(self.row.clone()),
            time_range: Some(range(self.time_range)),
            ..proto::Condition::default()
        };
        match &self.condition {
            Condition::Filter(filter) => message.filter = Some(filter_message(filter)?),
            // for an empty value, only `NotEqual` differs from the others
            Condition::Column(condition)
                if condition.compare == Compare::NoOp && !condition.value.is_empty() =>
            {
                return Err(Error::not_supported(
                    "a condition of Compare::NoOp: servers of HBase fail on NO_OP",
                ));
            }
            Condition::Column(ColumnCondition { family, qualifier, compare, value }) => {
                message.family = Some(family.clone());
                message.qualifier = Some(qualifier.clone());
                message.compare_type = compare_number(*compare);
                message.comparator = Some(comparator_message(&Comparator::binary(value.clone()))?);
            }
        }
        Ok(message.encode_to_vec())
    }

    /// Returns the mutations, in the order of [`then`](Self::then).
    #[must_use]
    pub fn mutations(&self) -> &[Mutation] {
        &self.mutations
    }
}

/// The fields that gets and scans share.
struct Selected {
    column: Vec<proto::Column>,
    attribute: Vec<proto::NameBytesPair>,
    filter: Option<crate::proto::filter::Filter>,
    time_range: Option<proto::TimeRange>,
    max_versions: Option<u32>,
    cache_blocks: Option<bool>,
    store_limit: Option<u32>,
    store_offset: Option<u32>,
    consistency: Option<i32>,
    cf_time_range: Vec<proto::ColumnFamilyTimeRange>,
    load_on_demand: Option<bool>,
}

impl Selected {
    /// Fields with HBase's defaults are absent.
    fn of(select: &Select) -> Result<Self> {
        let attribute = match select.isolation {
            Isolation::ReadCommitted => Vec::new(),
            Isolation::ReadUncommitted => vec![attribute(ISOLATION, &[READ_UNCOMMITTED])],
        };
        let family_range = |(family, own): &(Bytes, TimeRange)| proto::ColumnFamilyTimeRange {
            column_family: Some(family.clone()),
            time_range: Some(range(*own)),
        };
        Ok(Self {
            column: columns(&select.columns),
            attribute,
            filter: select.filter.as_ref().map(filter_message).transpose()?,
            time_range: (!select.time_range.is_all()).then(|| range(select.time_range)),
            max_versions: (select.max_versions != 1).then(|| int(select.max_versions)),
            cache_blocks: (!select.cache_blocks).then_some(false),
            store_limit: select.max_results_per_family.map(int),
            store_offset: (select.row_offset_per_family > 0).then(|| int(select.row_offset_per_family)),
            consistency: match select.consistency {
                Consistency::Strong => None,
                Consistency::Timeline => Some(1),
            },
            cf_time_range: select.family_time_ranges.iter().map(family_range).collect(),
            load_on_demand: select.load_families_on_demand,
        })
    }
}

fn columns(columns: &Columns) -> Vec<proto::Column> {
    let column = |(family, qualifiers): (&[u8], &[Bytes])| proto::Column {
        family: Some(Bytes::copy_from_slice(family)),
        qualifier: qualifiers.to_vec(),
    };
    columns.families().map(column).collect()
}

fn of_put(put: &Put) -> Result<proto::MutationProto> {
    if put.cells.is_empty() {
        return Err(Error::invalid_argument("a put without columns"));
    }
    let mut message = mutation(2, &put.row, put.durability);
    message.attribute.extend(put.ttl.map(|ttl| attribute(TTL, &ttl.to_be_bytes())));
    for cell in &put.cells {
        let value = proto::QualifierValue {
            qualifier: Some(cell.qualifier.clone()),
            value: Some(cell.value.clone()),
            timestamp: cell.timestamp.map(i64::cast_unsigned),
            delete_type: None,
        };
        add(&mut message, &cell.family, value);
    }
    Ok(message)
}

fn of_delete(delete: &Delete) -> proto::MutationProto {
    let mut message = mutation(3, &delete.row, delete.durability);
    message.timestamp = delete.timestamp.map(i64::cast_unsigned);
    for cell in &delete.cells {
        let delete_type = match cell.kind {
            CellType::Delete => 0,
            CellType::DeleteFamily => 2,
            CellType::DeleteFamilyVersion => 3,
            // a delete has no cells of other types
            _ => 1,
        };
        let value = proto::QualifierValue {
            qualifier: Some(cell.qualifier.clone()),
            value: None,
            timestamp: cell.timestamp.or(delete.timestamp).map(i64::cast_unsigned),
            delete_type: Some(delete_type),
        };
        add(&mut message, &cell.family, value);
    }
    message
}

fn of_delta<T>(number: i32, delta: &Delta<T>, value: impl Fn(&T) -> Bytes) -> Result<proto::MutationProto> {
    if delta.cells.is_empty() {
        return Err(Error::invalid_argument("an increment or append without columns"));
    }
    let mut message = mutation(number, &delta.row, delta.durability);
    message.attribute.extend(delta.ttl.map(|ttl| attribute(TTL, &ttl.to_be_bytes())));
    if !delta.return_results {
        message.attribute.push(attribute(RETURN_RESULTS, FALSE));
    }
    message.time_range = (!delta.time_range.is_all()).then(|| range(delta.time_range));
    for cell in &delta.cells {
        let value = proto::QualifierValue {
            qualifier: Some(cell.qualifier.clone()),
            value: Some(value(&cell.change)),
            timestamp: None,
            delete_type: None,
        };
        add(&mut message, &cell.family, value);
    }
    Ok(message)
}

fn mutation(number: i32, row: &Bytes, durability: Durability) -> proto::MutationProto {
    proto::MutationProto {
        row: Some(row.clone()),
        mutate_type: Some(number),
        durability: match durability {
            Durability::UseDefault => None,
            Durability::SkipWal => Some(1),
            Durability::AsyncWal => Some(2),
            Durability::SyncWal => Some(3),
            Durability::FsyncWal => Some(4),
        },
        ..proto::MutationProto::default()
    }
}

/// Adds a value to the family of the previous value, or to a new one.
fn add(message: &mut proto::MutationProto, family: &Bytes, value: proto::QualifierValue) {
    match message.column_value.last_mut() {
        Some(last) if last.family.as_ref() == Some(family) => last.qualifier_value.push(value),
        _ => message
            .column_value
            .push(proto::ColumnValue { family: Some(family.clone()), qualifier_value: vec![value] }),
    }
}

fn attribute(name: &str, value: &[u8]) -> proto::NameBytesPair {
    proto::NameBytesPair { name: Some(name.to_owned()), value: Some(Bytes::copy_from_slice(value)) }
}

fn range(range: TimeRange) -> proto::TimeRange {
    proto::TimeRange { from: Some(range.min().cast_unsigned()), to: Some(range.max().cast_unsigned()) }
}

/// Returns a number that Java reads as the same one, or as its greatest one.
fn int(number: u32) -> u32 {
    number.min(i32::MAX.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::to_hex as hex;
    use crate::cell::MAX_ROW_LEN;
    use crate::error::ErrorKind;
    use crate::filter::Filter;
    use crate::op::{Append, Increment, ReadFrom};
    use std::time::Duration;

    #[test]
    fn a_plain_get_is_its_row() {
        // locator.md §14
        assert_eq!(hex(&Get::new("row-0700").to_proto_bytes().unwrap()), "0a08726f772d30373030");
    }

    #[test]
    fn a_search_of_the_catalog() {
        let scan = Scan::new()
            .start_row(&b"t1,row-0700,99999999999999"[..], true)
            .stop_row(&b"t1,,"[..], true)
            .family("info")
            .reversed(true);
        // locator.md §14, without readType
        let expected = "0a060a04696e666f1a1a74312c726f772d303730302c393939393939393939393939393922047431\
                        2c2c780188010ab00101";
        let encoded = hex(&scan.to_proto_bytes().unwrap());
        assert_eq!(encoded, expected.replace("88010a", ""));
    }

    #[test]
    fn settings_of_reads_have_their_fields() {
        let range = TimeRange::new(5, 9).unwrap();
        let scan = Scan::new()
            .rows("a".."m")
            .start_row("a", false)
            .column("f", "q")
            .family("g")
            .max_versions(u32::MAX)
            .time_range(range)
            .family_time_range("g", TimeRange::since(7))
            .max_results_per_family(3)
            .row_offset_per_family(2)
            .isolation(Isolation::ReadUncommitted)
            .cache_blocks(false)
            .filter(Filter::parse("KeyOnlyFilter()").unwrap())
            .load_families_on_demand(true)
            .raw(true)
            .batch(4)
            .max_result_size(1 << 20)
            .allow_partial(true)
            .limit(17)
            .caching(18);
        let whole_rows = Filter::parse("SingleColumnValueFilter('f', 'q', =, 'binary:v')").unwrap();
        let error = scan.clone().filter(whole_rows).to_proto_bytes().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IncompatibleFilter);
        let decoded = proto::Scan::decode(&scan.to_proto_bytes().unwrap()[..]).unwrap();
        let names: Vec<_> = decoded.attribute.iter().map(|pair| pair.name.as_deref().unwrap()).collect();
        assert_eq!(names, [ISOLATION, RAW]);
        assert_eq!(decoded.attribute[0].value.as_deref(), Some(&[1][..]));
        assert_eq!(decoded.attribute[1].value.as_deref(), Some(TRUE));
        assert_eq!(decoded.column[0].qualifier, ["q"]);
        assert!(decoded.column[1].qualifier.is_empty());
        assert_eq!(
            (decoded.start_row.as_deref(), decoded.stop_row.as_deref()),
            (Some(&b"a"[..]), Some(&b"m"[..]))
        );
        assert_eq!((decoded.include_start_row, decoded.include_stop_row), (Some(false), Some(false)));
        assert_eq!(decoded.time_range, Some(proto::TimeRange { from: Some(5), to: Some(9) }));
        assert_eq!(decoded.cf_time_range[0].time_range.unwrap().from, Some(7));
        assert_eq!(decoded.max_versions, Some(0x7fff_ffff));
        assert_eq!((decoded.store_limit, decoded.store_offset), (Some(3), Some(2)));
        assert_eq!((decoded.cache_blocks, decoded.load_column_families_on_demand), (Some(false), Some(true)));
        assert_eq!((decoded.batch_size, decoded.max_result_size), (Some(4), Some(1 << 20)));
        assert_eq!((decoded.allow_partial_results, decoded.reversed), (Some(true), None));
        assert!(decoded.filter.unwrap().name.unwrap().ends_with("KeyOnlyFilter"));
    }

    #[test]
    fn only_timeline_reads_say_their_consistency() {
        let get = Get::new("r").replica_id(1);
        let message = |get: &Get| proto::Get::decode(&get.to_proto_bytes().unwrap()[..]).unwrap().consistency;
        assert_eq!((message(&get), get.read_from()), (None, ReadFrom::Primary));
        let get = get.consistency(Consistency::Timeline);
        assert_eq!((message(&get), get.read_from()), (Some(1), ReadFrom::Replica(1)));
        let scan = Scan::new().consistency(Consistency::Timeline);
        let message = proto::Scan::decode(&scan.to_proto_bytes().unwrap()[..]).unwrap();
        assert_eq!((message.consistency, scan.read_from()), (Some(1), ReadFrom::Any));
    }

    #[test]
    fn mutations_have_their_cells() {
        let decode = |mutation: Mutation| {
            proto::MutationProto::decode(&mutation.to_proto_bytes(7).unwrap()[..]).unwrap()
        };
        let put = Put::new("r").cell_at("f", "a", 5, "1").cell("f", "b", "2").cell("g", "c", "3");
        let put = decode(put.ttl(Duration::from_secs(2)).durability(Durability::SkipWal).into());
        assert_eq!((put.mutate_type, put.durability, put.nonce), (Some(2), Some(1), Some(7)));
        assert_eq!(
            put.column_value.iter().map(|family| family.qualifier_value.len()).collect::<Vec<_>>(),
            [2, 1]
        );
        assert_eq!(put.column_value[0].qualifier_value[0].timestamp, Some(5));
        assert_eq!(put.column_value[0].qualifier_value[1].timestamp, None);
        assert_eq!(put.attribute[0].value.as_deref(), Some(&2000_i64.to_be_bytes()[..]));

        let delete = Delete::new("r").timestamp(9).version("f", "a").column_at("f", "b", 4);
        let delete = decode(delete.family("g").family_version("h", 3).into());
        let kinds: Vec<_> = delete.column_value.iter().flat_map(|family| &family.qualifier_value).collect();
        let kinds: Vec<_> =
            kinds.iter().map(|cell| (cell.delete_type.unwrap(), cell.timestamp.unwrap())).collect();
        assert_eq!(kinds, [(0, 9), (1, 4), (2, 9), (3, 3)]);
        assert_eq!(decode(Delete::new("r").into()).column_value, []);

        let increment = Increment::new("r").column("f", "n", -2).return_results(false);
        let increment = decode(increment.time_range(TimeRange::since(3)).into());
        assert_eq!(
            increment.column_value[0].qualifier_value[0].value.as_deref(),
            Some(&(-2_i64).to_be_bytes()[..])
        );
        assert_eq!(increment.attribute[0].name.as_deref(), Some(RETURN_RESULTS));
        assert_eq!(increment.time_range.unwrap().from, Some(3));
        let append = decode(Append::new("r").column("f", "n", "tail").into());
        assert_eq!((append.mutate_type, append.attribute.len()), (Some(0), 0));

        for empty in [Mutation::from(Put::new("r")), Increment::new("r").into(), Append::new("r").into()] {
            assert!(empty.to_proto_bytes(0).unwrap_err().message().contains("without columns"));
        }
    }

    /// Servers fail a whole call for these, with a retryable exception.
    #[test]
    fn what_no_server_takes_is_not_sent() {
        let kind = |encoded: Result<Vec<u8>>| encoded.unwrap_err().kind();
        let long = vec![b'r'; MAX_ROW_LEN + 1];
        for row in [&b""[..], &long[..]] {
            let row = || row.to_vec();
            assert_eq!(kind(Get::new(row()).to_proto_bytes()), ErrorKind::InvalidArgument);
            for mutation in [
                Mutation::from(Put::new(row()).cell("f", "q", "v")),
                Delete::new(row()).into(),
                Increment::new(row()).column("f", "n", 1).into(),
                Append::new(row()).column("f", "n", "x").into(),
            ] {
                assert_eq!(kind(mutation.to_proto_bytes(0)), ErrorKind::InvalidArgument);
            }
        }
        for scan in [Scan::new().start_row(long.clone(), true), Scan::new().stop_row(long.clone(), false)] {
            assert_eq!(kind(scan.to_proto_bytes()), ErrorKind::InvalidArgument);
        }
        assert_eq!(kind(Get::new("r").max_versions(0).to_proto_bytes()), ErrorKind::InvalidArgument);
        for mutation in [
            Mutation::from(Put::new("r").cell_at("f", "q", -1, "v")),
            Delete::new("r").timestamp(-1).into(),
            Delete::new("r").column_at("f", "q", -1).into(),
        ] {
            assert_eq!(kind(mutation.to_proto_bytes(0)), ErrorKind::InvalidArgument);
        }
        let family = vec![b'f'; MAX_FAMILY_LEN + 1];
        for mutation in [
            Mutation::from(Put::new("r").cell(family.clone(), "q", "v")),
            Delete::new("r").family(family.clone()).into(),
            Increment::new("r").column(family.clone(), "n", 1).into(),
            Append::new("r").column(family, "n", "x").into(),
        ] {
            assert_eq!(kind(mutation.to_proto_bytes(0)), ErrorKind::NoSuchFamily);
        }
    }

    #[test]
    fn conditions_have_their_comparison() {
        let check = CheckAndMutate::if_not_exists("r", "f", "q").then(Delete::new("r"));
        let condition = proto::Condition::decode(&check.condition_to_proto_bytes().unwrap()[..]).unwrap();
        assert_eq!((condition.compare_type, check.mutations().len()), (Some(2), 1));
        assert!(condition.comparator.unwrap().name.unwrap().ends_with("BinaryComparator"));
        let check = CheckAndMutate::if_filter("r", Filter::parse("KeyOnlyFilter()").unwrap());
        let condition = proto::Condition::decode(&check.condition_to_proto_bytes().unwrap()[..]).unwrap();
        assert!(condition.filter.is_some() && condition.family.is_none());
    }

    /// Servers fail on it, with a retryable exception.
    #[test]
    fn a_condition_without_a_comparison_is_not_sent() {
        let check = |value: &'static str| CheckAndMutate::if_matches("r", "f", "q", Compare::NoOp, value);
        let error = check("v").condition_to_proto_bytes().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("NO_OP"), "{error}");
        let condition = check("").condition_to_proto_bytes().unwrap();
        assert_eq!(proto::Condition::decode(&condition[..]).unwrap().compare_type, Some(6));
    }
}
