//! Tags: additional data of a cell (hfile.md §2.4; HBase: `Tag`, `TagType`).

use crate::coding::Cursor;
use crate::error::Corruption;

/// The tag type of a time to live: an `i64` of milliseconds from the cell's timestamp.
pub const TTL_TAG_TYPE: u8 = 8;

/// One tag (HBase: `Tag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The meaning of the tag: 1 ACL, 2 visibility, 8 TTL … Types from 64 on are free for applications.
    pub tag_type: u8,
    /// The value of the tag.
    pub value: &'a [u8],
}

/// An iterator over the tags of a cell, in their order.
#[derive(Clone, Debug)]
pub struct Tags<'a> {
    rest: &'a [u8],
}

impl<'a> Tags<'a> {
    /// Creates the tags of an area that [`check`] has accepted. A malformed area ends early.
    pub(crate) fn new(area: &'a [u8]) -> Self {
        Self { rest: area }
    }

    /// Returns the value of the first TTL tag, the only one that counts. It should have eight bytes.
    pub(crate) fn ttl(mut self) -> Option<&'a [u8]> {
        self.find(|tag| tag.tag_type == TTL_TAG_TYPE).map(|tag| tag.value)
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let mut cursor = Cursor::new(self.rest);
        let tag = take(&mut cursor).ok()?;
        self.rest = cursor.rest();
        Some(tag)
    }
}

fn take<'a>(cursor: &mut Cursor<'a>) -> Result<Tag<'a>, Corruption> {
    let len = cursor.u16("tag length")?;
    let bytes = cursor.take(len.into(), "tag")?;
    match bytes.split_first() {
        Some((&tag_type, value)) => Ok(Tag { tag_type, value }),
        None => Err(Corruption::Malformed("tag of length 0, expected a type at least")),
    }
}

/// Checks that a tag area is well-formed.
pub(crate) fn check(area: &[u8]) -> Result<(), Corruption> {
    let mut cursor = Cursor::new(area);
    while !cursor.is_empty() {
        take(&mut cursor)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_in_order() {
        let area = [0, 3, 1, b'a', b'b', 0, 1, 8];
        assert!(check(&area).is_ok());
        let tags: Vec<_> = Tags::new(&area).collect();
        assert_eq!(tags, [Tag { tag_type: 1, value: b"ab" }, Tag { tag_type: 8, value: b"" }]);
    }

    #[test]
    fn malformed_areas_are_refused() {
        assert!(check(&[0, 0]).is_err());
        assert!(check(&[0, 5, 1]).is_err());
        assert!(check(&[0]).is_err());
    }
}
