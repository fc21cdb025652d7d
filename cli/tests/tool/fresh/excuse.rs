//! Distinguishes known faults of HBase 2.6.4, and differences from later releases, from faults of hregion.

use serde_json::{Value, json};

/// Why an answer may differ.
pub(crate) enum Excuse {
    /// HBase is known to answer such an operation differently than intended.
    Known(&'static str),
    /// Excused by `what` if HBase gives the same answer to the last operation of `form`, an equivalent
    /// script. Otherwise excused by `or`, if given.
    Other { what: &'static str, form: Vec<Value>, or: Option<&'static str> },
}

/// A script, and the properties of its region on which excuses depend.
pub(crate) struct Script {
    pub(crate) lines: Vec<Value>,
    new_versions: bool,
    keeps_deleted: bool,
    has_empty_qualifier: bool,
    has_cell_ttl: bool,
}

/// HBase ends WHILE at rows without visible cells; which of them it reads depends on the files.
const WHILE: &str = "WHILE ends at the key of a row with nothing to see";

/// Sorts after every row that the generator writes.
const END: &str = r"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";

impl Script {
    pub(crate) fn new(lines: Vec<Value>) -> Self {
        let families = |member: &str| -> Vec<&Value> {
            let families = lines[0]["families"].as_array().unwrap().iter();
            families.filter_map(|family| family.get(member)).collect()
        };
        let new_versions = families("new_version_behavior").iter().any(|value| **value == json!(true));
        let keeps_deleted = families("keep_deleted_cells").iter().any(|value| **value != json!("FALSE"));
        let has_empty_qualifier = lines.iter().any(writes_empty_qualifier);
        let has_cell_ttl =
            lines.iter().any(|line| line["op"] != "create" && line.to_string().contains("\"ttl\":"));
        Self { lines, new_versions, keeps_deleted, has_empty_qualifier, has_cell_ttl }
    }

    /// Returns why the answer to line `at` may differ from HBase's; `None` if nothing excuses it.
    pub(crate) fn excuse(&self, at: usize, expected: &Value, given: &Value) -> Option<Excuse> {
        let line = &self.lines[at];
        let opened = (line["op"] == "next").then(|| self.opened(at)).flatten();
        let query = match opened {
            Some(opened) => &self.lines[opened]["scan"],
            None if line["op"] == "open_scanner" => &line["scan"],
            None => line,
        };
        let filter = query.get("filter").map(Value::to_string).unwrap_or_default();
        let reversed = query["reversed"] == json!(true);
        let (theirs, ours) =
            (expected["error"].as_str().unwrap_or(""), given["error"].as_str().unwrap_or(""));

        // Only newer clients refuse this regardless of which of the two is set first (replay.md §9).
        let refused =
            if line["op"] == "next" { "IllegalStateException" } else { "IncompatibleFilterException" };
        if !filter.is_empty() && query.get("batch").is_some() && ours == refused {
            return Some(Excuse::Known("a batch with a filter on whole rows"));
        }
        if theirs == "NeverEnds" && reversed && filter.contains("fuzzy_row") {
            return Some(Excuse::Known("§23.25: fuzzy rows backward"));
        }
        if theirs == "NeverEnds" && self.has_empty_qualifier {
            return Some(Excuse::Known("§23.17: leaving a marker of the empty qualifier"));
        }
        // A row that no member of the list matches is returned.
        if reversed && filter.contains("fuzzy_row") && filter.contains(r#""or""#) {
            return Some(Excuse::Known("§23.25: fuzzy rows backward"));
        }
        // Once row ranges or fuzzy rows are exhausted, HBase has no hint and fails.
        if theirs == "NullPointerException" && (filter.contains("row_") || filter.contains("fuzzy_row")) {
            return Some(Excuse::Known("HBase fails: rows that have run out"));
        }
        if self.new_versions
            && self.keeps_deleted
            && self.lines[..at].iter().any(|line| line["op"] == "compact")
        {
            return Some(Excuse::Known("§23.22: new versions, markers that are kept count"));
        }
        if line["op"] == "next" && without_last_mark(expected) == without_last_mark(given) {
            return Some(Excuse::Known("partial: whether more of the row is looked for"));
        }
        if query["raw"] == json!(true) {
            return self.excuse_raw(at, query, expected, given);
        }
        let is_while = filter.contains("while") || filter.contains("WHILE");
        let bounded = if reversed { bounded(query.get("filter")) } else { None };
        let stays_in_column = self.new_versions && query.get("columns").is_some() && !filter.is_empty();
        let hintless = without_hints(bounded.as_ref().or_else(|| query.get("filter")));
        let hintless = hintless.filter(|_| !stays_in_column);
        let before = opened.filter(|&opened| self.lines[opened..at].iter().any(changes_files));
        if bounded.is_some() || hintless.is_some() || before.is_some() {
            let what = if bounded.is_some() {
                "§23.24: open ranges of rows backward"
            } else if hintless.is_some() {
                "a hint to a timestamp leads over versions and markers"
            } else {
                "§23.23: a flush under a scanner"
            };
            let form = self.form(at, opened, before, hintless.or(bounded));
            return Some(Excuse::Other { what, form, or: is_while.then_some(WHILE) });
        }
        if self.new_versions && has_upper_bound(query) {
            return Some(Excuse::Known("§23.20: new versions, files left out by time"));
        }
        if is_while {
            return Some(Excuse::Known(WHILE));
        }
        if stays_in_column {
            return Some(Excuse::Known("§23.19: new versions, a filter cannot leave a named column"));
        }
        if self.has_empty_qualifier && self.lines[..at].iter().any(deletes_families) {
            if !filter.is_empty() {
                return Some(Excuse::Known("§23.1: hints over the markers of the family"));
            }
            if self.keeps_deleted && self.lines[..at].iter().any(|line| line["op"] == "compact") {
                return Some(Excuse::Known("§23.1: a compaction leaves a column at a family marker"));
            }
        }
        if filter.contains("ColumnCountGetFilter") && line["op"] == "scan" {
            let form = self.without_deleted_cells(at)?;
            return Some(Excuse::Other {
                what: "§23.10: a filter ends the scan of one family",
                form,
                or: None,
            });
        }
        // HBase keeps markers that others make redundant (HBASE-30036). Its files therefore differ, and the
        // same numbers select different files.
        let is_numbered = |line: &Value| line["op"] == "compact" && line.get("count").is_some();
        self.lines[..at].iter().any(is_numbered).then(|| {
            let form = self.lines[..=at].iter().filter(|line| !is_numbered(line)).cloned().collect();
            Excuse::Other { what: "HBASE-30036: compactions of files by number", form, or: None }
        })
    }

    /// Returns the script's writes and line `at`, with a major compaction before it; `None` if no id is free
    /// for that.
    fn without_deleted_cells(&self, at: usize) -> Option<Vec<Value>> {
        let is_read = |line: &&Value| {
            ["get", "scan", "open_scanner", "next", "close_scanner"].iter().any(|op| line["op"] == *op)
        };
        let mut lines: Vec<Value> = self.lines[..at].iter().filter(|line| !is_read(line)).cloned().collect();
        lines.extend([json!({"op": "flush"}), json!({"op": "compact", "major": true})]);
        for (id, line) in (1..).zip(&mut lines) {
            line["id"] = json!(id);
        }
        lines.push(self.lines[at].clone());
        (lines.len() as u64 <= self.lines[at]["id"].as_u64()?).then_some(lines)
    }

    /// Returns the line that opened the scanner of line `at`.
    fn opened(&self, at: usize) -> Option<usize> {
        let scanner = &self.lines[at]["scanner"];
        self.lines[..at].iter().rposition(|line| line["op"] == "open_scanner" && line["scanner"] == *scanner)
    }

    /// Excuses differences in raw scans of 2.6.4. They miss cells that have expired by a TTL tag
    /// (HBASE-29896). They return markers that other markers make redundant, because flushes and minor
    /// compactions keep these (HBASE-30036). A filter that would leave the column of a family marker goes to
    /// the next cell instead.
    fn excuse_raw(&self, at: usize, query: &Value, expected: &Value, given: &Value) -> Option<Excuse> {
        let excuse = Some(Excuse::Known("raw scans before 2.6.6"));
        let pages = ["filter", "limit", "batch", "max_result_size", "store_limit", "store_offset"];
        let is_paged =
            pages.iter().any(|member| query.get(member).is_some()) || self.lines[at]["op"] == "next";
        let (theirs, ours) = (cells(expected), cells(given));
        let more = theirs.iter().any(|cell| !ours.contains(cell));
        let only_markers = theirs.iter().filter(|cell| !ours.contains(cell)).all(|cell| cell.1[3] != "Put");
        let only_expired =
            ours.iter().filter(|cell| !theirs.contains(cell)).all(|cell| cell.1.get(5).is_some());
        let has_files = self.lines[..at].iter().any(changes_files);
        // the missing cells do not count as versions either, and the additional markers fill pages
        let leaves_markers = query.get("filter").is_some() && self.lines[..at].iter().any(deletes_families);
        let explained = if is_paged {
            has_files || self.has_cell_ttl || leaves_markers
        } else {
            (only_markers || self.has_cell_ttl) && only_expired && (has_files || self.has_cell_ttl || !more)
        };
        explained.then_some(excuse).flatten()
    }

    /// Returns the script up to line `at`, without the operations after `before` that change files, and with
    /// the query's filter replaced by `filter` if given.
    fn form(
        &self,
        at: usize,
        opened: Option<usize>,
        before: Option<usize>,
        filter: Option<Value>,
    ) -> Vec<Value> {
        let mut lines = Vec::new();
        for (i, line) in self.lines[..=at].iter().enumerate() {
            if before.is_some_and(|before| i > before) && changes_files(line) {
                continue;
            }
            let mut line = line.clone();
            if let Some(filter) = &filter {
                if opened == Some(i) {
                    line["scan"]["filter"] = filter.clone();
                } else if i == at && opened.is_none() {
                    line["filter"] = filter.clone();
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// Returns the answer without `partial` on its last piece, because the next answer may show that this piece
/// was the last of its row (replay.md §10), and without `more`.
pub(crate) fn without_last_mark(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let rows = answer.pointer_mut("/result/rows").and_then(Value::as_array_mut);
    if let Some(last) = rows.and_then(|rows| rows.last_mut()).and_then(Value::as_object_mut) {
        last.remove("partial");
    }
    if let Some(result) = answer.get_mut("result").and_then(Value::as_object_mut) {
        result.remove("more");
    }
    answer
}

fn changes_files(line: &Value) -> bool {
    ["flush", "compact", "bulkload", "reopen"].iter().any(|op| line["op"] == *op)
}

fn deletes_families(line: &Value) -> bool {
    let line = line.to_string();
    line.contains(r#"["family""#) || line.contains("DeleteFamily") || line.contains(r#""op":"delete""#)
}

fn writes_empty_qualifier(line: &Value) -> bool {
    let line = line.to_string();
    ["f", "g", "h", "i"].iter().any(|family| {
        line.contains(&format!(r#"["{family}","","#))
            || ["column", "version"].iter().any(|kind| line.contains(&format!(r#"["{kind}","{family}","","#)))
    })
}

fn has_upper_bound(query: &Value) -> bool {
    let is_bounded = |range: &Value| range[1] != json!(i64::MAX);
    query.get("time_range").is_some_and(is_bounded)
        || query["family_time_ranges"].as_object().is_some_and(|ranges| ranges.values().any(is_bounded))
}

/// Returns the filter with an end for each range of rows that has none; `None` if there is no such range.
fn bounded(filter: Option<&Value>) -> Option<Value> {
    let mut filter = filter?.clone();
    bound(&mut filter).then_some(filter)
}

/// Returns the filter without the hints of its timestamp filters; `None` if no part gives hints.
fn without_hints(filter: Option<&Value>) -> Option<Value> {
    let text = filter?.to_string();
    let (hinting, silent) = (r#""can_hint":true"#, r#""can_hint":false"#);
    text.contains(hinting).then(|| serde_json::from_str(&text.replace(hinting, silent)).unwrap())
}

fn bound(filter: &mut Value) -> bool {
    let Some(object) = filter.as_object_mut() else { return false };
    if let Some(prefixes) = object.remove("row_prefixes") {
        let range =
            |prefix: &Value| json!([prefix, true, format!("{}{END}", prefix.as_str().unwrap()), true]);
        let ranges: Vec<Value> = prefixes.as_array().unwrap().iter().map(range).collect();
        object.insert("row_ranges".into(), ranges.into());
        return true;
    }
    let mut found = false;
    for (name, inner) in object {
        match inner {
            Value::Array(ranges) if name == "row_ranges" => {
                for range in ranges.iter_mut().filter(|range| range[2] == "") {
                    (range[2], range[3]) = (json!(END), json!(true));
                    found = true;
                }
            }
            Value::Array(inner) => inner.iter_mut().for_each(|inner| found |= bound(inner)),
            inner => found |= bound(inner),
        }
    }
    found
}

/// Returns the cells of an answer with their rows, regardless of how they are divided into results.
fn cells(answer: &Value) -> Vec<(&Value, &Vec<Value>)> {
    let rows = answer["result"]["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_row = |row| {
        let row: &Value = row;
        row["cells"].as_array().into_iter().flatten().map(move |cell| (&row["row"], cell.as_array().unwrap()))
    };
    rows.iter().flat_map(of_row).collect()
}
