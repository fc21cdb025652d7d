//! Comparator names and the orders they denote (hfile.md §3.4; HBase: `FixedFileTrailer`).

use crate::cell::CellOrder;

const PACKAGE: &str = "org.apache.hadoop.hbase.";

/// Returns the name written for an order; HBase 1.x, 2.x and 3.x recognize both names.
pub(crate) fn name(order: CellOrder) -> &'static str {
    match order {
        CellOrder::User => "org.apache.hadoop.hbase.KeyValue$KVComparator",
        CellOrder::Meta => "org.apache.hadoop.hbase.KeyValue$MetaComparator",
    }
}

/// Returns the order that a trailer's comparator name denotes.
///
/// `None` for an unknown name, and for two known names of other orders: the order of `-ROOT-`, and raw byte
/// order. Cells of such a file can be scanned, but not searched or merged (hfile.md §17.1).
pub(crate) fn order(name: &str) -> Option<CellOrder> {
    if name == "org.apache.hudi.io.storage.HoodieHBaseKVComparator" {
        return Some(CellOrder::User);
    }
    match name.strip_prefix(PACKAGE)? {
        "KeyValue$KeyComparator"
        | "KeyValue$KVComparator"
        | "InnerStoreCellComparator"
        | "CellComparator"
        | "CellComparatorImpl" => Some(CellOrder::User),
        "KeyValue$MetaKeyComparator"
        | "KeyValue$MetaComparator"
        | "MetaCellComparator"
        | "CellComparator$MetaCellComparator"
        | "CellComparatorImpl$MetaCellComparator" => Some(CellOrder::Meta),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_written_are_known() {
        for known in [CellOrder::User, CellOrder::Meta] {
            assert_eq!(order(name(known)), Some(known));
        }
    }

    #[test]
    fn names_of_all_versions() {
        let of_users = [
            "KeyValue$KeyComparator",
            "KeyValue$KVComparator",
            "InnerStoreCellComparator",
            "CellComparator",
            "CellComparatorImpl",
        ];
        let of_meta = [
            "KeyValue$MetaKeyComparator",
            "KeyValue$MetaComparator",
            "MetaCellComparator",
            "CellComparator$MetaCellComparator",
            "CellComparatorImpl$MetaCellComparator",
        ];
        for (names, expected) in [(of_users, CellOrder::User), (of_meta, CellOrder::Meta)] {
            for name in names {
                assert_eq!(order(&format!("{PACKAGE}{name}")), Some(expected), "{name}");
            }
        }
        assert_eq!(order("org.apache.hudi.io.storage.HoodieHBaseKVComparator"), Some(CellOrder::User));
    }

    #[test]
    fn names_that_are_not_an_order_of_cells() {
        for name in ["", "KVComparator", "KeyValue$RootKeyComparator", "util.Bytes$ByteArrayComparator"] {
            assert_eq!(order(name), None);
            assert_eq!(order(&format!("{PACKAGE}{name}")), None);
        }
    }

    #[test]
    fn no_flipped_bit_makes_one_name_of_another() {
        for name in ["KeyValue$KVComparator", "MetaCellComparator", "CellComparatorImpl"] {
            let name = format!("{PACKAGE}{name}").into_bytes();
            for bit in 0..name.len() * 8 {
                let mut flipped = name.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!String::from_utf8(flipped).is_ok_and(|name| order(&name).is_some()));
            }
        }
    }
}
