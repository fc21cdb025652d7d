//! The shell's help, and the commands that it does not support.

use super::command::Arguments;
use super::session::Stop;
use crate::output::Output;
use serde_json::json;
use std::io::Write as _;

/// A command: its name, usage and description.
struct Topic {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
}

const fn topic(name: &'static str, usage: &'static str, about: &'static str) -> Topic {
    Topic { name, usage, about }
}

const TOPICS: &[Topic] = &[
    topic(
        "alter",
        "alter 't', NAME => 'f', VERSIONS => 5\n\
         alter 't', 'new', {NAME => 'g', TTL => 3600}\nalter 't', 'delete' => 'f'\n\
         alter 't', NAME => 'f', METHOD => 'delete'\n\
         alter 't', DURABILITY => 'SYNC_WAL', CONFIGURATION => {'hbase.hstore.blockingStoreFiles' => 20}\n\
         alter 't', METHOD => 'table_att_unset', NAME => 'DURABILITY'\n\
         alter 't', METHOD => 'table_conf_unset', NAME => 'hbase.hstore.blockingStoreFiles'",
        "adds, changes and deletes families, and sets attributes of a table; what is not mentioned is kept",
    ),
    topic("append", "append 't', 'row', 'f:q', 'more'", "adds to the end of a value"),
    topic(
        "catalogjanitor_run",
        "catalogjanitor_run",
        "moves regions that were split or merged to the archive, once no region refers to their files",
    ),
    topic(
        "clone_snapshot",
        "clone_snapshot 's', 't'",
        "creates a table with the content of a snapshot, without copying files",
    ),
    topic(
        "compact",
        "compact 't'\ncompact 't', 'f'",
        "flushes, and compacts files that HBase would select, if any",
    ),
    topic(
        "count",
        "count 't'\ncount 't', INTERVAL => 100000, FILTER => \"PrefixFilter('a')\"",
        "counts rows; the options are those of scan",
    ),
    topic(
        "create",
        "create 't', 'f', 'g'\n\
         create 't', {NAME => 'f', VERSIONS => 3, BLOOMFILTER => 'ROWCOL'}, SPLITS => ['m']\n\
         create 't', 'f', CONFIGURATION => {'hbase.store.file-tracker.impl' => 'FILE'}\n\
         create 't', 'f', SPLITS_FILE => 'splits.txt'\n\
         create 't', 'f', {NUMREGIONS => 15, SPLITALGO => 'HexStringSplit'}",
        "creates a table in a root directory. Settings of a family: VERSIONS, MIN_VERSIONS, TTL, \
         KEEP_DELETED_CELLS, NEW_VERSION_BEHAVIOR, BLOOMFILTER, DATA_BLOCK_ENCODING, COMPRESSION, \
         BLOCKSIZE, BLOCKCACHE, COMPRESSION_COMPACT, COMPRESS_TAGS, CONFIGURATION; IN_MEMORY, \
         REPLICATION_SCOPE, METADATA and others of HBase's are kept for it. Attributes of the table are \
         those of alter. A file of splits has a row in each line, bytes as \\xHH; the algorithms are \
         HexStringSplit, DecimalStringSplit, UniformSplit",
    ),
    topic(
        "delete",
        "delete 't', 'row', 'f:q'\ndelete 't', 'row', 'f:q', 1700000000000",
        "deletes one version of a column, the newest or that of a timestamp",
    ),
    topic("delete_snapshot", "delete_snapshot 's'", "deletes a snapshot, but not the files of its table"),
    topic(
        "deleteall",
        "deleteall 't', 'row'\ndeleteall 't', 'row', 'f:q', 1700000000000\n\
         deleteall 't', 'row', nil, 1700000000000\n\
         deleteall 't', {ROWPREFIXFILTER => 'a'}",
        "deletes a row, a family or a column, up to a timestamp",
    ),
    topic("describe", "describe 't'", "shows the settings of a table and its families; desc is the same"),
    topic(
        "disable",
        "disable 't'",
        "closes a table in this shell, so that it can be dropped; on disk a table has no state",
    ),
    topic("drop", "drop 't'", "deletes a table that is disabled; its files are archived"),
    topic("enable", "enable 't'", "undoes disable"),
    topic("exists", "exists 't'", "shows whether a table exists"),
    topic("exit", "exit", "flushes all writes and ends the shell; quit is the same"),
    topic("flush", "flush 't'", "writes the cells in memory to files"),
    topic(
        "get",
        "get 't', 'row'\nget 't', 'row', 'f:q', 'g'\n\
         get 't', 'row', {COLUMNS => ['f:q'], VERSIONS => 3, TIMERANGE => [1, 9]}",
        "reads a row. COLUMNS, VERSIONS, TIMESTAMP, TIMERANGE, FILTER, MAXLENGTH, FORMATTER; a column has a \
         converter as 'f:q:toLong', see `help 'scan'`",
    ),
    topic("get_counter", "get_counter 't', 'row', 'f:q'", "reads a counter"),
    topic("get_splits", "get_splits 't'", "shows the rows at which the regions of a table begin"),
    topic(
        TABLES,
        "get_table 't'\nt = get_table 't'\nt.put 'row', 'f:q', 'value'\nt.scan LIMIT => 3\nt.help 'scan'\n\
         row = 'row'\nt.get row",
        "makes a table an object, as `t = create 't', 'f'` does: commands that take a table are its methods. \
         Strings, numbers, lists and hashes can be assigned, too",
    ),
    topic("help", "help\nhelp 'scan'", "lists the commands, or describes one"),
    topic("incr", "incr 't', 'row', 'f:q'\nincr 't', 'row', 'f:q', 10", "adds to a counter"),
    topic("is_disabled", "is_disabled 't'", "shows whether this shell has disabled a table"),
    topic("is_enabled", "is_enabled 't'", "shows whether this shell has not disabled a table"),
    topic(
        "list",
        "list\nlist 'us.*'\nlist 'hbase:.*'",
        "shows the tables; HBase's own, if they are asked for",
    ),
    topic("list_regions", "list_regions 't'", "shows the regions of a table"),
    topic("list_snapshots", "list_snapshots", "shows the snapshots"),
    topic("locate_region", "locate_region 't', 'row'", "shows the region that has a row"),
    topic(
        "major_compact",
        "major_compact 't'\nmajor_compact 't', 'f'",
        "flushes, and compacts all files of each family",
    ),
    topic(
        "merge_region",
        "merge_region '36870a128e2b61b11b5b6154f73464e8', 'b080bd824b133f7fd142d58caf423392'",
        "merges two regions that follow each other, by their names, encoded or whole",
    ),
    topic(
        "put",
        "put 't', 'row', 'f:q', 'value'\n\
         put 't', 'row', 'f:q', \"\\x00\\x01\", 1700000000000, {TTL => 60000}",
        "writes a value",
    ),
    topic(
        "restore_snapshot",
        "restore_snapshot 's'",
        "brings the table of a snapshot back to what it was then; what was written after that is gone",
    ),
    topic(
        "scan",
        "scan 't'\nscan 't', {COLUMNS => ['f:q', 'g'], STARTROW => 'a', STOPROW => 'b', LIMIT => 10}\n\
         scan 't', COLUMNS => ['f:n:toLong', 'f:s:toString']\n\
         scan 't', {ROWPREFIXFILTER => 'a', FILTER => \"ValueFilter(=, 'substring:x')\", RAW => true, \
         VERSIONS => 3}",
        "reads rows. COLUMNS, STARTROW, STOPROW, ROWPREFIXFILTER, LIMIT, VERSIONS, TIMESTAMP, TIMERANGE, \
         FILTER, RAW, REVERSED, BATCH, MAXLENGTH, ISOLATION_LEVEL. Values of a column are printed by a \
         converter: toBoolean, toDouble, toFloat, toInt, toLong, toShort, toString, toStringBinary. \
         FORMATTER is one for all: rows, families, qualifiers and values",
    ),
    topic(
        "snapshot",
        "snapshot 't', 's'",
        "flushes a table, and takes a snapshot of it: a list of its files, which are kept",
    ),
    topic(
        "split",
        "split 't', 'row'",
        "splits the region that has a row; the second part begins with the row",
    ),
    topic("status", "status", "shows how many tables there are, and what this shell has open"),
    topic("table_help", "table_help", "describes tables as objects, as `help 'get_table'`"),
    topic("truncate", "truncate 't'", "removes all rows of a table, which then has one region"),
    topic("truncate_preserve", "truncate_preserve 't'", "removes all rows of a table, and keeps its regions"),
    topic("version", "version", "shows the version of this program"),
];

/// The topic that describes tables as objects.
pub(super) const TABLES: &str = "get_table";

/// Commands of HBase's shell that need a cluster, or change what only a cluster may change. The client does
/// not support them.
const ELSEWHERE: &[&str] = &[
    "abort_procedure",
    "add_labels",
    "add_peer",
    "alter_async",
    "alter_namespace",
    "alter_status",
    "assign",
    "balance_switch",
    "balancer",
    "clear_auths",
    "close_region",
    "compact_rs",
    "create_namespace",
    "describe_namespace",
    "disable_all",
    "disable_peer",
    "drop_all",
    "drop_namespace",
    "enable_all",
    "enable_peer",
    "grant",
    "hbck_chore_run",
    "list_labels",
    "list_namespace",
    "list_namespace_tables",
    "list_peers",
    "list_procedures",
    "list_quotas",
    "move",
    "normalize",
    "processlist",
    "revoke",
    "set_quota",
    "show_filters",
    "splitormerge_switch",
    "trace",
    "unassign",
    "update_config",
    "user_permission",
    "wal_roll",
    "whoami",
    "zk_dump",
];

const HEAD: &str = "\
Commands of HBase's shell:
";

const TAIL: &str = "
`help 'scan'` describes a command. Strings are quoted: double quotes have escapes for bytes and characters, \
such as \\x00, \\n
and \\u00e4; in single quotes a backslash is literal. Options are a hash: {LIMIT => 3}. A command ends with \
its line, unless the
line ends with a comma or within brackets. `t = get_table 't'` and `row = 'r'` make variables: `t.get row`.

In a terminal, Tab completes commands, tables, families and options, and Ctrl-C ends the running command. \
A second Ctrl-C ends
the shell, if the command cannot be interrupted: flush, compact and the like complete the region at hand.

Each write is on disk, in a write-ahead log, when its command returns. `flush` writes what is in memory \
to files; exit does so, too.
A table is locked from its first write until the shell ends, or until `disable`.

On a running cluster, its servers execute commands: `disable`, `enable` and `is_enabled` are about the
table itself, `compact` does not wait, and `restore_snapshot` needs a table that is disabled.
";

/// Returns the names of all commands.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.name).chain(["desc", "quit"])
}

/// Executes `help`, or `help 'scan'`.
pub(super) fn print(lacks: &str, values: &mut Arguments<'_>, out: &mut Output) -> Result<(), Stop> {
    let name = values.next();
    values.end()?;
    let Some(value) = name else {
        let first = |topic: &Topic| format!("  {}\n", topic.usage.lines().next().unwrap_or_default());
        let commands: Vec<String> = TOPICS.iter().map(first).collect();
        return print_text(&[HEAD, &commands.concat(), TAIL].concat(), out);
    };
    let name = value.text("the name of a command")?;
    let name = match name.as_str() {
        "desc" => "describe",
        "quit" => "exit",
        name => name,
    };
    print_topic(name, value.at, lacks, out)
}

/// Prints the help on a command, whose name is at `at`.
pub(super) fn print_topic(name: &str, at: usize, lacks: &str, out: &mut Output) -> Result<(), Stop> {
    let Some(topic) = TOPICS.iter().find(|topic| topic.name == name) else {
        return Err(Stop::At(at, no_such_command(name, lacks)));
    };
    let usage: Vec<String> = topic.usage.lines().map(|line| format!("  {line}\n")).collect();
    print_text(&format!("{}: {}\n\n{}", topic.name, topic.about, usage.concat()), out)
}

/// Prints a text; as JSON it is one object.
fn print_text(text: &str, out: &mut Output) -> Result<(), Stop> {
    if out.is_json() {
        return Ok(out.json_line(&json!({ "help": text }))?);
    }
    Ok(out.write_all(text.as_bytes())?)
}

/// Returns the message for an unknown command; `lacks` is the reason that a command of HBase's shell is not
/// supported.
pub(super) fn no_such_command(name: &str, lacks: &str) -> String {
    if ELSEWHERE.contains(&name) {
        format!("{name} is {lacks}")
    } else {
        format!("there is no command {name}; `help` lists them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::command::Statement;
    use crate::shell::parser::parse;
    use crate::shell::variables::METHODS;

    #[test]
    fn every_usage_is_a_command() {
        for topic in TOPICS {
            for line in topic.usage.lines() {
                match parse(line).unwrap().remove(0) {
                    Statement::Command(command) if topic.name != TABLES => {
                        assert_eq!(command.name, topic.name, "{line}");
                    }
                    statement => assert_eq!(topic.name, TABLES, "{statement:?}"),
                }
            }
        }
        let takes_table = |topic: &&Topic| topic.usage.starts_with(&format!("{} 't'", topic.name));
        let methods = TOPICS.iter().filter(takes_table).map(|topic| topic.name).chain(["desc"]);
        let mut methods: Vec<&str> = methods.filter(|name| !["create", TABLES].contains(name)).collect();
        methods.sort_unstable();
        assert_eq!(methods, METHODS);
        assert!(TOPICS.is_sorted_by_key(|topic| topic.name) && ELSEWHERE.is_sorted());
        assert!(!names().any(|name| ELSEWHERE.contains(&name)));
    }
}
