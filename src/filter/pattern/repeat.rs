//! Quantifiers.

use super::{ATOMIC_BEHIND, Reader};
use crate::error::Result;

impl Reader<'_> {
    /// Reads the quantifier of the last atom, if any.
    pub(super) fn repetition(&mut self) -> Result<()> {
        if self.take("?") {
            self.out.push('?');
        } else if self.rest.starts_with(['*', '+', '{']) {
            self.needs_backtracking |= self.ends.here;
            let endless = self.rest.starts_with(['*', '+']);
            match self.next() {
                Some('{') => self.counted()?,
                Some(c) => self.out.push(c),
                None => {}
            }
            if self.behind && (endless || self.out.ends_with(",}")) {
                return Err(self.wrong("has a look-behind without a maximum length"));
            }
        } else {
            return Ok(());
        }
        if self.take("+") {
            if self.behind {
                return Err(self.unsupported(ATOMIC_BEHIND));
            }
            // possessive: no backtracking into the atom
            self.needs_backtracking = true;
            self.out.insert_str(self.at, "(?>");
            self.out.push(')');
            return Ok(());
        }
        if self.take("?") {
            self.out.push('?');
        }
        Ok(())
    }

    /// Reads `n}`, `n,}` or `n,m}`.
    fn counted(&mut self) -> Result<()> {
        let Some((bounds, rest)) = self.rest.split_once('}') else {
            return Err(self.wrong("has a '{' without '}'"));
        };
        let (least, most) = bounds.split_once(',').unwrap_or((bounds, bounds));
        let number =
            |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let fits = number(least).is_some_and(|least| most.is_empty() || number(most) >= Some(least));
        if !fits {
            return Err(self.wrong("has a repetition that is not {n}, {n,} or {n,m}"));
        }
        let times = u64::from(number(least).unwrap_or_default());
        self.least_of_last = self.least_of_last.saturating_mul(times.max(1));
        self.out.extend(["{", bounds, "}"]);
        self.rest = rest;
        Ok(())
    }
}
