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
        "add, change and delete families, and set attributes of a table; all others are kept",
    ),
    topic("append", "append 't', 'row', 'f:q', 'more'", "append to a value"),
    topic(
        "catalogjanitor_run",
        "catalogjanitor_run",
        "archive regions that were split or merged, if no region refers to their files",
    ),
    topic(
        "clone_snapshot",
        "clone_snapshot 's', 't'",
        "create a table with the content of a snapshot, without copying files",
    ),
    topic(
        "compact",
        "compact 't'\ncompact 't', 'f'",
        "flush, and compact the files that HBase would select, if any",
    ),
    topic(
        "count",
        "count 't'\ncount 't', INTERVAL => 100000, FILTER => \"PrefixFilter('a')\"",
        "count rows; takes the options of scan",
    ),
    topic(
        "create",
        "create 't', 'f', 'g'\n\
         create 't', {NAME => 'f', VERSIONS => 3, BLOOMFILTER => 'ROWCOL'}, SPLITS => ['m']\n\
         create 't', 'f', CONFIGURATION => {'hbase.store.file-tracker.impl' => 'FILE'}\n\
         create 't', 'f', SPLITS_FILE => 'splits.txt'\n\
         create 't', 'f', {NUMREGIONS => 15, SPLITALGO => 'HexStringSplit'}",
        "create a table in a root directory. Settings of a family: VERSIONS, MIN_VERSIONS, TTL, \
         KEEP_DELETED_CELLS, NEW_VERSION_BEHAVIOR, BLOOMFILTER, DATA_BLOCK_ENCODING, COMPRESSION, \
         BLOCKSIZE, BLOCKCACHE, COMPRESSION_COMPACT, COMPRESS_TAGS, CONFIGURATION; IN_MEMORY, \
         REPLICATION_SCOPE, METADATA and other settings of HBase are stored for it. The attributes of the \
         table are the same as for alter. A file of splits has a row in each line, bytes as \\xHH; the \
         algorithms are HexStringSplit, DecimalStringSplit, UniformSplit",
    ),
    topic(
        "delete",
        "delete 't', 'row', 'f:q'\ndelete 't', 'row', 'f:q', 1700000000000",
        "delete one version of a column: the newest, or the one with a timestamp",
    ),
    topic("delete_snapshot", "delete_snapshot 's'", "delete a snapshot, but not the files of its table"),
    topic(
        "deleteall",
        "deleteall 't', 'row'\ndeleteall 't', 'row', 'f:q', 1700000000000\n\
         deleteall 't', 'row', nil, 1700000000000\n\
         deleteall 't', {ROWPREFIXFILTER => 'a'}",
        "delete a row, a family or a column, up to a timestamp",
    ),
    topic("describe", "describe 't'", "show the settings of a table and its families; same as desc"),
    topic(
        "disable",
        "disable 't'",
        "close a table in this shell, so that it can be dropped; the state is not stored",
    ),
    topic("drop", "drop 't'", "delete a disabled table; its files are archived"),
    topic("enable", "enable 't'", "undo disable"),
    topic("exists", "exists 't'", "show whether a table exists"),
    topic("exit", "exit", "flush all writes and end the shell; same as quit"),
    topic("flush", "flush 't'", "write the cells in memory to files"),
    topic(
        "get",
        "get 't', 'row'\nget 't', 'row', 'f:q', 'g'\n\
         get 't', 'row', {COLUMNS => ['f:q'], VERSIONS => 3, TIMERANGE => [1, 9]}",
        "read a row. Options: COLUMNS, VERSIONS, TIMESTAMP, TIMERANGE, FILTER, MAXLENGTH, FORMATTER. For \
         converters of columns, such as 'f:q:toLong', see `help 'scan'`",
    ),
    topic("get_counter", "get_counter 't', 'row', 'f:q'", "read a counter"),
    topic("get_splits", "get_splits 't'", "show the rows at which the regions of a table begin"),
    topic(
        TABLES,
        "get_table 't'\nt = get_table 't'\nt.put 'row', 'f:q', 'value'\nt.scan LIMIT => 3\nt.help 'scan'\n\
         row = 'row'\nt.get row",
        "return a table as an object, as `t = create 't', 'f'` does: commands that take a table are its \
         methods. Strings, numbers, lists and hashes can be assigned, too",
    ),
    topic("help", "help\nhelp 'scan'", "list the commands, or describe one"),
    topic("incr", "incr 't', 'row', 'f:q'\nincr 't', 'row', 'f:q', 10", "add to a counter"),
    topic("is_disabled", "is_disabled 't'", "show whether this shell has disabled a table"),
    topic("is_enabled", "is_enabled 't'", "show whether this shell has not disabled a table"),
    topic(
        "list",
        "list\nlist 'us.*'\nlist 'hbase:.*'",
        "show the tables; those of HBase itself only if a pattern names them",
    ),
    topic("list_regions", "list_regions 't'", "show the regions of a table"),
    topic("list_snapshots", "list_snapshots", "show the snapshots"),
    topic("locate_region", "locate_region 't', 'row'", "show the region that contains a row"),
    topic(
        "major_compact",
        "major_compact 't'\nmajor_compact 't', 'f'",
        "flush, and compact all files of each family",
    ),
    topic(
        "merge_region",
        "merge_region '36870a128e2b61b11b5b6154f73464e8', 'b080bd824b133f7fd142d58caf423392'",
        "merge two adjacent regions, by their encoded or full names",
    ),
    topic(
        "put",
        "put 't', 'row', 'f:q', 'value'\n\
         put 't', 'row', 'f:q', \"\\x00\\x01\", 1700000000000, {TTL => 60000}",
        "write a value",
    ),
    topic(
        "restore_snapshot",
        "restore_snapshot 's'",
        "restore the table of a snapshot to its state in the snapshot; later writes are lost",
    ),
    topic(
        "scan",
        "scan 't'\nscan 't', {COLUMNS => ['f:q', 'g'], STARTROW => 'a', STOPROW => 'b', LIMIT => 10}\n\
         scan 't', COLUMNS => ['f:n:toLong', 'f:s:toString']\n\
         scan 't', {ROWPREFIXFILTER => 'a', FILTER => \"ValueFilter(=, 'substring:x')\", RAW => true, \
         VERSIONS => 3}",
        "read rows. Options: COLUMNS, STARTROW, STOPROW, ROWPREFIXFILTER, LIMIT, VERSIONS, TIMESTAMP, \
         TIMERANGE, FILTER, RAW, REVERSED, BATCH, MAXLENGTH, ISOLATION_LEVEL. A converter prints the values \
         of a column: toBoolean, toDouble, toFloat, toInt, toLong, toShort, toString, toStringBinary. \
         FORMATTER is the converter of all rows, families, qualifiers and values",
    ),
    topic(
        "snapshot",
        "snapshot 't', 's'",
        "flush a table, and take a snapshot of it: a list of its files, which are kept",
    ),
    topic(
        "split",
        "split 't', 'row'",
        "split the region that contains a row; the second part begins with the row",
    ),
    topic("status", "status", "show the number of tables, and the regions that this shell has open"),
    topic("table_help", "table_help", "describe tables as objects, like `help 'get_table'`"),
    topic("truncate", "truncate 't'", "remove all rows of a table, which then has one region"),
    topic("truncate_preserve", "truncate_preserve 't'", "remove all rows of a table, and keep its regions"),
    topic("version", "version", "show the version of this program"),
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
`help 'scan'` describes a command. Strings are quoted: double quotes have escapes for bytes and characters,
such as \\x00, \\n and \\u00e4; in single quotes, a backslash is literal. Options are a hash: {LIMIT => 3}. A
command ends at the end of its line, unless the line ends with a comma or within brackets. `t = get_table 't'`
and `row = 'r'` assign variables: `t.get row`.

In a terminal, Tab completes commands, tables, families and options, and Ctrl-C ends the running command. A
second Ctrl-C ends the shell if the command cannot be interrupted: flush and compact, for example, complete
the region in progress.

Each write is on disk, in a write-ahead log, when its command returns. `flush` and `exit` write the cells in
memory to files. A table is locked from its first write until the shell ends, or until `disable`.

On a running cluster, the servers execute commands: `disable`, `enable` and `is_enabled` concern the table
itself, `compact` does not wait, and `restore_snapshot` needs a disabled table.
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
