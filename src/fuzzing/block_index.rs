//! Index blocks.

use super::input::Input;
use crate::block::BlockHandle;
use crate::block::index::{IndexBlock, IndexContext, SlotUse};
use crate::cell::{CellKey, CellOrder, CellType, SeekKey};
use crate::coding::put_vlong;

/// Checks index blocks of any level: a block that parses has ascending offsets and keys, and a search finds
/// the same entries as a walk.
///
/// The first byte chooses form and order, the next the number of a root's entries and levels; the rest is the
/// payload, and the keys of a valid index.
pub fn block_index(input: &[u8]) {
    let mut input = Input::new(input);
    let choice = input.byte();
    let order = match choice & 3 {
        0 | 1 => Some(CellOrder::User),
        2 => Some(CellOrder::Meta),
        _ => None,
    };
    let slots = if choice & 4 != 0 { SlotUse::Blocks } else { SlotUse::Unused };
    let context = IndexContext { order, end: 1 << 40, header_len: 33, slots };
    let count = usize::from(input.byte());
    let payload = input.rest();
    let parsed = if choice & 8 == 0 {
        IndexBlock::parse(payload, choice & 16 != 0, &context)
    } else {
        let levels = if choice & 16 == 0 { 1 } else { 2 };
        IndexBlock::parse_root(payload, count, levels, &context).map(|(root, _)| root)
    };
    if let Ok(index) = parsed {
        check(&index, &context, &[]);
    }
    if let Some(order) = order {
        sound(input, order, &context);
    }
}

/// Checks the order of the entries, and searches for keys in or near the index, and for the wanted ones.
fn check(index: &IndexBlock, context: &IndexContext, wanted: &[SeekKey]) {
    let entry = |i| index.handle(i).zip(index.key(i)).expect("below the length");
    assert!(index.handle(index.len()).is_none() && index.key(index.len()).is_none());
    assert!(index.memory() > 0);
    let entries: Vec<(BlockHandle, &CellKey)> = (0..index.len()).map(entry).collect();
    assert!(entries.iter().all(|(handle, _)| handle.end() <= context.end));
    assert!(entries.is_sorted_by(|(a, _), (b, _)| a.end() <= b.offset));
    let Some(order) = context.order else { return };
    assert!(entries.is_sorted_by(|(_, a), (_, b)| order.compare(a, b).is_lt()));
    let find = |key: &CellKey| {
        let walk = entries.iter().rposition(|(_, k)| order.compare(k, key).is_le());
        assert_eq!(index.search(key, order), walk, "{key:?}");
    };
    for (_, key) in entries.iter().step_by(entries.len().div_ceil(24).max(1)) {
        find(key);
        find(&SeekKey::first_on_row(key.row()));
        find(&SeekKey::last_on_row(key.row()));
        let shorter = &key.row()[..key.row().len().saturating_sub(1)];
        find(&SeekKey::last_on_row(shorter));
    }
    wanted.iter().for_each(|key| find(key));
}

/// Builds an index of keys chosen by the input, in both forms.
fn sound(mut input: Input<'_>, order: CellOrder, context: &IndexContext) {
    let (mut keys, mut wanted) = (Vec::new(), Vec::new());
    let mut row = Vec::new();
    while !input.is_empty() && keys.len() < 100 {
        input.row(&mut row);
        let choice = input.byte();
        let qualifier = if choice & 1 == 0 { &b""[..] } else { input.run(8) };
        let key = match choice & 6 {
            0 => SeekKey::first_on_row(&row),
            2 => SeekKey::of(&row, b"f", qualifier, i64::from(choice >> 3), CellType::Put),
            4 => SeekKey::first_on_column(&row, b"f", qualifier),
            _ => SeekKey::last_on_row(&row),
        };
        if choice & 0x80 == 0 { keys.push(key) } else { wanted.push(key) }
    }
    keys.sort_by(|a, b| order.compare(a, b));
    keys.dedup_by(|a, b| order.compare(a, b).is_eq());
    if keys.is_empty() {
        return;
    }
    let (mut root, mut marks, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (i, key) in (0i64..).zip(&keys) {
        let place = [&(i * 100).to_be_bytes()[..], &100i32.to_be_bytes()].concat();
        root.extend_from_slice(&place);
        put_vlong(&mut root, i64::try_from(key.as_bytes().len()).expect("a key is short"));
        root.extend_from_slice(key.as_bytes());
        put_mark(&mut marks, entries.len());
        entries.extend_from_slice(&place);
        entries.extend_from_slice(key.as_bytes());
    }
    let mut block = Vec::new();
    put_mark(&mut block, keys.len());
    block.extend_from_slice(&marks);
    put_mark(&mut block, entries.len());
    block.extend_from_slice(&entries);
    let (root, mid_key) = IndexBlock::parse_root(&root, keys.len(), 1, context).expect("a sound root");
    let block = IndexBlock::parse(&block, false, context).expect("a sound block");
    assert!(mid_key.is_none());
    for index in [&root, &block] {
        assert!((0..keys.len()).all(|i| index.key(i) == Some(keys[i].as_key())));
        check(index, context, &wanted);
    }
}

fn put_mark(out: &mut Vec<u8>, mark: usize) {
    out.extend_from_slice(&u32::try_from(mark).expect("an input is small").to_be_bytes());
}
