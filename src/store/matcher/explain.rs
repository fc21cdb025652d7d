//! Names the rule that decides on a cell, for explanations of reads and compactions. Calls the checks of
//! [`ScanQueryMatcher::match_in_row`] one by one, without its special cases.

use super::compaction::Compaction;
use super::{Disorder, MatchCode, Rules, ScanQueryMatcher, Version};
use crate::cell::CellRef;

/// The rule that decides on a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// No rule excludes it.
    Kept,
    /// It is a delete marker, which only raw scans return.
    Marker,
    /// It is a delete marker that a compaction has applied, or that hides nothing.
    PurgedMarker,
    /// A marker hides it.
    Deleted,
    /// The family's time to live has passed.
    Ttl,
    /// Its own time to live has passed.
    CellTtl,
    TimeRange,
    /// Its column is not selected.
    Column,
    /// It repeats the version before it.
    Duplicate,
    /// Its column already has enough versions, some of which may be hidden themselves.
    NewerVersions,
    /// Its column already has enough versions, or enough of those kept although expired.
    Versions,
    /// The row already has all selected columns.
    Done,
}

/// The matcher's decision on a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) code: MatchCode,
    pub(crate) rule: Rule,
    /// Whether the cell is a marker that hides later cells.
    pub(crate) hides: bool,
}

impl Decision {
    fn of(code: MatchCode, rule: Rule) -> Self {
        Self { code, rule, hides: false }
    }
}

impl ScanQueryMatcher<'_> {
    /// Same as [`match_in_row`](Self::match_in_row), and returns the rule.
    pub(crate) fn explain_in_row(&mut self, cell: CellRef<'_>) -> Result<Decision, Disorder> {
        let version = Version::of(cell);
        let done = self.columns.done();
        if let Some(code) = self.pre_check(cell, version)? {
            let rule = match () {
                () if done => Rule::Done,
                () if version.timestamp < self.done_before => Rule::Ttl,
                () => Rule::CellTtl,
            };
            return Ok(Decision::of(code, rule));
        }
        match self.rules {
            Rules::User if version.is_delete() => {
                let hides = self.affects_times(version);
                let code = self.check_hidden(version)?.unwrap_or(MatchCode::Skip);
                Ok(Decision { code, rule: Rule::Marker, hides })
            }
            Rules::User => match self.check_hidden(version)? {
                Some(code) => Ok(Decision::of(code, self.rule_of_hidden(version))),
                None => self.explain_wanted(version),
            },
            Rules::Raw => self.explain_wanted(version),
            Rules::Compaction(compaction) => self.explain_compaction(version, compaction),
            Rules::IncludeAll => Ok(Decision::of(MatchCode::Include, Rule::Kept)),
        }
    }

    /// Whether a version of a column would be within the number of versions, after `count` others, and has
    /// expired.
    pub(crate) fn expires_within_versions(&self, count: u32, timestamp: i64) -> bool {
        count < self.limits.max && self.limits.is_expired(timestamp)
    }

    /// Whether a marker hides only cells that were written before it.
    pub(crate) fn orders_by_seq_id(&self) -> bool {
        self.new_version.is_some()
    }

    fn explain_wanted(&mut self, version: Version<'_>) -> Result<Decision, Disorder> {
        let code = self.match_column(version)?;
        let rule = if code.is_include() {
            Rule::Kept
        } else if version.timestamp > self.newest || version.timestamp < self.oldest {
            Rule::TimeRange
        } else if !self.columns.names(version.qualifier) {
            Rule::Column
        } else {
            rule_of_versions(code)
        };
        Ok(Decision::of(code, rule))
    }

    fn explain_compaction(
        &mut self,
        version: Version<'_>,
        compaction: Compaction,
    ) -> Result<Decision, Disorder> {
        let code = self.compaction_code(version, compaction)?;
        if !version.is_delete() {
            let rule = match code {
                code if code.is_include() => Rule::Kept,
                code if self.is_hidden(version, code) => self.rule_of_hidden(version),
                code => rule_of_versions(code),
            };
            return Ok(Decision::of(self.stay_in_column(code), rule));
        }
        let code = self.stay_in_column(code);
        let hides =
            version.seq_id <= compaction.max_read_point && self.info.applies_marker(version.timestamp);
        let rule = if code.is_include() { Rule::Kept } else { Rule::PurgedMarker };
        Ok(Decision { code, rule, hides })
    }

    /// Whether [`check_deleted`](Self::check_deleted), which was called, found a version hidden.
    fn is_hidden(&self, put: Version<'_>, code: MatchCode) -> bool {
        match &self.new_version {
            // Its check of versions does not skip single ones.
            Some(_) => code == MatchCode::Skip,
            None => self.deletes.hides(put),
        }
    }

    /// Returns the rule by which [`check_deleted`](Self::check_deleted) found a version hidden.
    fn rule_of_hidden(&self, put: Version<'_>) -> Rule {
        match &self.new_version {
            Some(tracker) if !tracker.is_hidden_by_marker(put) => Rule::NewerVersions,
            _ => Rule::Deleted,
        }
    }
}

/// Returns the rule by which a version of a selected column is not included.
fn rule_of_versions(code: MatchCode) -> Rule {
    if code == MatchCode::Skip { Rule::Duplicate } else { Rule::Versions }
}
