//! Completion of commands, tables, families, options and variables, by the position of the cursor.

use super::alter;
use super::converter::CONVERTERS;
use super::help;
use super::lexer::{Kind, Token, tokens};
use super::session::Session;
use super::variables::METHODS;

/// Options of get, scan and count.
const READ: &[&str] = &[
    "CACHE",
    "CACHE_BLOCKS",
    "COLUMN",
    "COLUMNS",
    "CONSISTENCY",
    "FILTER",
    "ISOLATION_LEVEL",
    "MAX_RESULTS_PER_COLUMN_FAMILY",
    "OFFSET",
    "TIMERANGE",
    "TIMESTAMP",
    "VERSIONS",
];
/// Options of commands that print cells.
const PRINT: &[&str] = &["FORMATTER", "FORMATTER_CLASS", "MAXLENGTH"];
/// Options of scan and count.
const SCAN: &[&str] = &[
    "ALLOW_PARTIAL_RESULTS",
    "BATCH",
    "ENDROW",
    "LIMIT",
    "MAX_RESULT_SIZE",
    "RAW",
    "REVERSED",
    "ROWPREFIXFILTER",
    "STARTROW",
    "STOPROW",
];
/// Settings of a family.
const FAMILY: &[&str] = &[
    "BLOCKCACHE",
    "BLOCKSIZE",
    "BLOOMFILTER",
    "CACHE_BLOOMS_ON_WRITE",
    "CACHE_DATA_ON_WRITE",
    "CACHE_INDEX_ON_WRITE",
    "COMPRESSION",
    "COMPRESSION_COMPACT",
    "COMPRESSION_COMPACT_MAJOR",
    "COMPRESSION_COMPACT_MINOR",
    "COMPRESS_TAGS",
    "CONFIGURATION",
    "DATA_BLOCK_ENCODING",
    "DFS_REPLICATION",
    "ENCRYPTION",
    "EVICT_BLOCKS_ON_CLOSE",
    "INDEX_BLOCK_ENCODING",
    "IN_MEMORY",
    "IN_MEMORY_COMPACTION",
    "IS_MOB",
    "KEEP_DELETED_CELLS",
    "METADATA",
    "MIN_VERSIONS",
    "MOB_COMPACT_PARTITION_POLICY",
    "MOB_THRESHOLD",
    "NAME",
    "NEW_VERSION_BEHAVIOR",
    "PREFETCH_BLOCKS_ON_OPEN",
    "REPLICATION_SCOPE",
    "STORAGE_POLICY",
    "TTL",
    "VERSIONS",
];

/// Returns the options of a command.
fn options(command: &str) -> Vec<&'static str> {
    let groups: &[&[&str]] = match command {
        "get" => &[READ, PRINT],
        "scan" => &[READ, PRINT, SCAN],
        "count" => &[READ, SCAN, &["INTERVAL"]],
        "create" => &[FAMILY, alter::ATTRIBUTES, &["NUMREGIONS", "SPLITALGO", "SPLITS", "SPLITS_FILE"]],
        "alter" => &[FAMILY, alter::ATTRIBUTES, &["METHOD"]],
        "put" | "incr" | "append" => &[&["TTL"]],
        "deleteall" => &[&["ROWPREFIXFILTER"]],
        _ => &[],
    };
    groups.concat()
}

/// The context before the word at the cursor.
#[derive(Debug, PartialEq, Eq)]
enum Context {
    /// The beginning of a statement.
    Start,
    /// `t = `
    Assigned,
    /// `t.`
    Method(String),
    Argument(Argument),
}

/// The position of the cursor among the arguments of a command.
#[derive(Debug, PartialEq, Eq)]
struct Argument {
    command: String,
    table: Option<Table>,
    /// The number of values before it, including a table before a dot.
    index: usize,
    /// The option whose value is here.
    option: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Table {
    Named(String),
    Variable(String),
}

/// Returns the start of the word before `at`, and its completions.
pub(super) fn candidates(session: &Session, line: &str, at: usize) -> (usize, Vec<String>) {
    let Some((before, quote)) = line.get(..at).and_then(words) else { return (at, Vec::new()) };
    let (start, context) = match quote {
        Some(start) => (start + 1, context(&before)),
        None => match before.split_last() {
            Some((Token { kind: Kind::Word(_), at: start, end }, before)) if *end == at => {
                (*start, context(before))
            }
            _ => (at, context(&before)),
        },
    };
    let word = &line[start..at];
    let mut found = match (quote, context) {
        (_, None) => Vec::new(),
        (Some(quote), Some(Context::Argument(argument))) => {
            let mark = &line[quote..=quote];
            let is_closed = line[at..].starts_with(mark);
            in_quotes(session, &argument, word, if is_closed { "" } else { mark })
        }
        (Some(_), Some(_)) => Vec::new(),
        (None, Some(context)) => without_quotes(session, context, word),
    };
    found.retain(|candidate| candidate.starts_with(word));
    found.sort();
    found.dedup();
    (start, found)
}

/// Splits a text into tokens, without those of a string that has no end yet, whose position is returned.
fn words(text: &str) -> Option<(Vec<Token>, Option<usize>)> {
    let (mut found, quote) = match tokens(text) {
        Ok(found) => (found, None),
        Err(error) if error.is_incomplete => (tokens(text.get(..error.at)?).ok()?, Some(error.at)),
        Err(_) => return None,
    };
    // the end
    found.pop();
    Some((found, quote))
}

/// Returns the tokens of the last statement.
fn statement(tokens: &[Token]) -> &[Token] {
    let (mut start, mut depth) = (0, 0_usize);
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Kind::Break if depth == 0 && (i == 0 || tokens[i - 1].kind != Kind::Mark(',')) => start = i + 1,
            _ => {}
        }
    }
    &tokens[start..]
}

/// Returns the context given by the tokens before the word at the cursor; `None` if they are invalid.
fn context(tokens: &[Token]) -> Option<Context> {
    let kinds: Vec<&Kind> = statement(tokens).iter().map(|token| &token.kind).collect();
    match kinds.as_slice() {
        [] => Some(Context::Start),
        [Kind::Word(_), Kind::Mark('=')] => Some(Context::Assigned),
        [Kind::Word(receiver), Kind::Mark('.')] => Some(Context::Method(receiver.clone())),
        [Kind::Word(receiver), Kind::Mark('.'), Kind::Word(command), rest @ ..] => {
            let table = Some(Table::Variable(receiver.clone()));
            Some(Context::Argument(argument(command, table, rest)))
        }
        [Kind::Word(_), Kind::Mark('='), Kind::Word(command), rest @ ..]
        | [Kind::Word(command), rest @ ..] => Some(Context::Argument(argument(command, None, rest))),
        _ => None,
    }
}

fn argument(command: &str, receiver: Option<Table>, values: &[&Kind]) -> Argument {
    let values = values.strip_prefix(&[&Kind::Mark('(')]).unwrap_or(values);
    let mut index = usize::from(receiver.is_some());
    let table = receiver.or_else(|| match values.first()? {
        Kind::Text(name) => Some(Table::Named(String::from_utf8_lossy(name).into_owned())),
        Kind::Word(name) => Some(Table::Variable(name.clone())),
        _ => None,
    });
    let mut option = None;
    // the options whose values are lists and hashes that have not ended
    let mut outer = Vec::new();
    let mut last = None;
    for kind in values {
        match kind {
            Kind::Arrow => option = last.and_then(text),
            Kind::Mark('{') => outer.push(option.take()),
            Kind::Mark('[' | '(') => outer.push(option.clone()),
            Kind::Mark('}' | ']' | ')') => option = outer.pop().flatten(),
            Kind::Mark(',') if outer.is_empty() => (option, index) = (None, index + 1),
            // members of a list belong to one option
            Kind::Mark(',') if outer.last() != Some(&option) || option.is_none() => option = None,
            _ => {}
        }
        last = Some(*kind);
    }
    Argument { command: command.to_owned(), table, index, option }
}

fn text(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Word(word) => Some(word.clone()),
        Kind::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

fn owned<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn without_quotes(session: &Session, context: Context, word: &str) -> Vec<String> {
    let variables = owned(session.variables.names());
    let names = match context {
        Context::Start => owned(help::names()),
        Context::Assigned => owned(["create", "get_table"]),
        Context::Method(receiver) => {
            let is_table = session.variables.table(&receiver).is_some();
            return if is_table { owned(METHODS.iter().copied().chain(["help"])) } else { Vec::new() };
        }
        Context::Argument(argument) if argument.option.is_some() => owned(["false", "true"]),
        // a table, with quotes
        Context::Argument(argument) if argument.index == 0 && word.is_empty() => {
            tables(session, &argument.command).iter().map(|table| format!("'{table}'")).collect()
        }
        Context::Argument(argument) if argument.index > 0 || argument.command == "create" => {
            owned(options(&argument.command))
        }
        Context::Argument(_) => Vec::new(),
    };
    [names, variables].concat()
}

/// Returns the tables that a command may take as its first value.
fn tables(session: &Session, command: &str) -> Vec<String> {
    if !METHODS.contains(&command) && !["get_table", "list"].contains(&command) {
        return Vec::new();
    }
    // nothing is completed where the directory cannot be read
    session.catalog.names().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Returns the completions of a string; `close` ends it.
fn in_quotes(session: &Session, argument: &Argument, word: &str, close: &str) -> Vec<String> {
    let Argument { command, table, index, option } = argument;
    let closed = |names: Vec<String>| names.into_iter().map(|name| name + close).collect();
    let is_first = *index == 0 && option.is_none();
    match (command.as_str(), option.as_deref(), *index) {
        ("help", ..) => return closed(owned(help::names())),
        (_, Some("FORMATTER"), _) => return closed(owned(CONVERTERS.map(|(name, _)| name))),
        _ if is_first => return closed(tables(session, command)),
        _ => {}
    }
    let Some(table) = table.clone().and_then(|table| match table {
        Table::Named(name) => Some(name),
        Table::Variable(name) => session.variables.table(&name).map(str::to_owned),
    }) else {
        return Vec::new();
    };
    match (command.as_str(), option.as_deref(), *index) {
        ("get", None, 2..) | ("get" | "scan" | "count", Some("COLUMN" | "COLUMNS"), _) => {
            let colons = word.match_indices(':').count();
            match word.rfind(':').filter(|_| colons > 1) {
                Some(at) => {
                    closed(CONVERTERS.iter().map(|(name, _)| format!("{}:{name}", &word[..at])).collect())
                }
                None => columns(session, &table),
            }
        }
        ("put" | "delete" | "deleteall" | "incr" | "append" | "get_counter", None, 2) => {
            columns(session, &table)
        }
        ("compact" | "major_compact", None, 1) | ("alter", None | Some("NAME" | "delete"), 1..) => {
            closed(session.catalog.families(&table))
        }
        _ => Vec::new(),
    }
}

/// Returns the beginnings of the columns of a table.
fn columns(session: &Session, table: &str) -> Vec<String> {
    session.catalog.families(table).into_iter().map(|family| family + ":").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;
    use crate::shell::Files;
    use hregion::Region;

    fn session(dir: &std::path::Path) -> (Session, Output) {
        let mut out = Output::new(false, true);
        let files = Files::open(dir, None, Region::options(), out.warner()).unwrap();
        let mut session = Session::new(Box::new(files));
        let text = "create 'users', 'info', 'log'\ncreate 'ns:users', 'f'\nt = get_table 'users'\nrow = 'r'";
        session.run(text, 1, &mut out).unwrap();
        (session, out)
    }

    #[test]
    fn words_are_completed_by_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (session, _out) = session(dir.path());
        for (line, start, expected) in [
            ("li", 0, &["list", "list_regions", "list_snapshots"][..]),
            ("list; sc", 6, &["scan"]),
            ("scan 'users',\n LIM", 15, &["LIMIT"]),
            ("ro", 0, &["row"]),
            // tables
            ("scan 'us", 6, &["users'"]),
            ("scan \"", 6, &["ns:users\"", "users\""]),
            ("scan ", 5, &["'ns:users'", "'users'", "row", "t"]),
            ("disable('us", 9, &["users'"]),
            ("t = get_", 4, &["get_table"]),
            ("u = get_table 'n", 15, &["ns:users'"]),
            ("create 'us", 8, &[]),
            ("restore_snapshot 'us", 18, &[]),
            ("help 'scan_", 6, &[]),
            ("help 'sc", 6, &["scan'"]),
            // families
            ("get 'users', 'r', 'i", 19, &["info:"]),
            ("get 'users', row, 'info:q', 'l", 29, &["log:"]),
            ("get 'users', 'u", 14, &[]),
            ("get 'users', 'r', {COLUMNS => ['info:q', 'lo", 42, &["log:"]),
            ("get 'users', 'r', {COLUMNS => ['info:q'], FILTER => 'lo", 53, &[]),
            ("scan 'ns:users', COLUMN => '", 28, &["f:"]),
            ("scan 'nowhere', COLUMN => '", 27, &[]),
            (
                "scan 'users', {COLUMNS => 'info:q:toS",
                27,
                &["info:q:toShort'", "info:q:toString'", "info:q:toStringBinary'"],
            ),
            ("scan 'users', {FORMATTER => 'toD", 29, &["toDouble'"]),
            ("put 'users', 'r', 'in", 19, &["info:"]),
            ("put 'users', 'r', 'info:q', 'in", 29, &[]),
            ("compact 'users', 'i", 18, &["info'"]),
            ("alter 'users', NAME => 'l", 24, &["log'"]),
            ("alter 'users', {'delete' => 'l", 29, &["log'"]),
            // methods
            ("t.", 2, METHODS),
            ("t.sc", 2, &["scan"]),
            ("row.sc", 4, &[]),
            ("t.get 'i", 7, &[]),
            ("t.get 'r', 'i", 12, &["info:"]),
            ("t.scan COL", 7, &["COLUMN", "COLUMNS"]),
            // options
            ("scan 'users', {STA", 15, &["STARTROW"]),
            ("scan 'users', LIMIT => 3, VER", 26, &["VERSIONS"]),
            ("scan 'users', {COLUMNS => ['info:q'], FI", 38, &["FILTER"]),
            ("scan 'users', {RAW => t", 22, &["t", "true"]),
            ("get 'users', 'r', {LIM", 19, &[]),
            ("count 'users', INTE", 15, &["INTERVAL"]),
            ("create 'u', {NAME => 'f', BLOOM", 26, &["BLOOMFILTER"]),
            ("alter 'users', DURA", 15, &["DURABILITY"]),
            ("list STA", 5, &[]),
            ("scan '\u{e4}x", 6, &[]),
            ("scan :x", 7, &[]),
        ] {
            let (at, mut found) = candidates(&session, line, line.len());
            found.retain(|name| line != "t." || name != "help");
            assert_eq!((at, found), (start, owned(expected.iter().copied())), "{line}");
        }
        // the string has an end already
        assert_eq!(candidates(&session, "scan 'us', LIMIT => 3", 8), (6, vec!["users".to_owned()]));
    }

    /// nil is as no option at all, if there is one of that name.
    #[test]
    fn all_options_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, mut out) = session(dir.path());
        for (command, begin) in [
            ("get", "get 'users', 'r', "),
            ("scan", "scan 'users', "),
            ("count", "count 'users', "),
            ("put", "put 'users', 'r', 'info:q', 'v', "),
            ("incr", "incr 'users', 'n', 'info:n', "),
            ("append", "append 'users', 's', 'info:s', 'v', "),
            ("create", "create 'u', 'f', NAME => 'f', SPLITS => ['m'], "),
            ("alter", "alter 'users', NAME => 'info', "),
        ] {
            let options = options(command);
            assert!(!options.is_empty());
            for option in options.into_iter().chain(["NONSENSE"]) {
                let text = format!("{begin}{option} => nil");
                let said = match session.run(&text, 1, &mut out) {
                    Err(crate::failure::Failure::Fault(fault)) => fault.line(),
                    ran => format!("{ran:?}"),
                };
                let is_known = !said.contains("is not supported here");
                // attributes of a table do not come with a family
                let is_table = alter::ATTRIBUTES.contains(&option);
                assert_eq!(is_known, option != "NONSENSE" && !is_table, "{text}: {said}");
            }
        }
    }
}
