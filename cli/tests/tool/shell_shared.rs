//! `hregion shell` beside other processes: its output is closed, or its tables are changed.

use crate::support::*;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};

/// Runs commands in a separate shell.
fn done(root: &Path, commands: &str) -> String {
    let root = root.to_str().unwrap();
    ok(&["shell", root, "-e", commands])
}

/// A shell that receives one command after the other.
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(root: &Path) -> Self {
        let mut command = hregion();
        command.arg("shell").arg(root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// Runs a command; returns its output.
    fn run(&mut self, command: &str) -> String {
        let end = "=> \"end of the command\"\n";
        writeln!(self.input, "{command}\nx = 'end of the command'").unwrap();
        let mut printed = String::new();
        while !printed.ends_with(end) {
            assert_ne!(self.output.read_line(&mut printed).unwrap(), 0, "{command}: {printed}");
        }
        printed.truncate(printed.len() - end.len());
        printed
    }

    fn end(self) -> Output {
        drop(self.input);
        self.child.wait_with_output().unwrap()
    }
}

/// Returns the directory of the only region of a table.
fn region_of(root: &Path, table: &str) -> PathBuf {
    let entries = fs::read_dir(root.join("data/default").join(table)).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.join(".regioninfo").is_file()).unwrap()
}

/// Runs a shell whose standard output is a closed pipe.
fn unread(root: &Path, args: &[&str], commands: &str) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    run_with_input(hregion().arg("shell").arg(root).args(args), writer, commands.as_bytes())
}

#[test]
fn commands_that_are_left_when_no_one_reads_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    let put = "put 't', 'r', 'f:q', 'v'";
    for (args, commands) in [
        (&[][..], format!("list\n{put}\n")),
        (&[], format!("list\n\n# then\n{put}")),
        (&["-e", "list", "-e", put], String::new()),
    ] {
        let output = unread(dir.path(), args, &commands);
        assert_eq!(code(&output), 5, "{args:?} {commands}");
        assert!(stderr(&output).contains("the remaining commands were not executed"), "{}", stderr(&output));
        assert!(done(dir.path(), "count 't'").starts_with("0 row(s)"), "{args:?} {commands}");
    }
    // these are not affected by earlier commands, or by the end of the shell
    for (args, commands) in [
        (&[][..], format!("{put}\nlist\n\n# done\n")),
        (&[], format!("list\nexit\n{put}")),
        (&["-e", put, "-e", "list"], String::new()),
    ] {
        let output = unread(dir.path(), args, &commands);
        assert_eq!((code(&output), stderr(&output)), (0, String::new()), "{args:?} {commands}");
    }
}

#[test]
fn a_flush_that_fails_at_the_end_is_an_error_though_no_one_reads() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    let mut shell = Running::start(dir.path());
    shell.run("put 't', 'r', 'f:q', 'v'");
    let aside = region_of(dir.path(), "t").join(".tmp");
    if aside.is_dir() {
        fs::remove_dir_all(&aside).unwrap();
    }
    fs::write(&aside, "").unwrap();
    let Running { child, mut input, output } = shell;
    drop(output);
    writeln!(input, "list").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains(".tmp"), "{}", stderr(&output));
}

/// Checks that the table has the settings of both alterations.
fn check_described(root: &Path) {
    let described = done(root, "describe 't'");
    let settings = ["VERSIONS => '5'", "TTL => '100000 SECONDS ("];
    assert!(settings.iter().all(|setting| described.contains(setting)), "{described}");
}

#[test]
fn settings_of_another_process_are_kept_by_an_alteration() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    let mut shell = Running::start(dir.path());
    shell.run("describe 't'");
    done(dir.path(), "alter 't', NAME => 'f', VERSIONS => 5");
    shell.run("alter 't', NAME => 'f', TTL => 100000");
    assert_eq!(code(&shell.end()), 0);
    check_described(dir.path());
}

#[test]
fn a_family_is_altered_twice_by_one_command() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    done(dir.path(), "alter 't', {NAME => 'f', VERSIONS => 5}, {NAME => 'f', TTL => 100000}, 'f'");
    check_described(dir.path());
}

#[test]
fn a_region_with_a_family_of_the_name_data_is_a_region() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'data'; put 't', 'r', 'data:q', 'v'");
    let region = region_of(dir.path(), "t");
    assert!(done(&region, "put 't', 's', 'data:q', 'v'; count 't'").starts_with("2 row(s)"));
    let output = run(&["shell", region.to_str().unwrap(), "-e", "create 'u', 'f'"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(!region.join("data/data").exists() && !region.join("data/default").exists());
}

#[test]
fn a_new_table_has_no_rows_of_one_that_another_process_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let old = "create 't', 'f'; put 't', 'old', 'f:q', 'v'; snapshot 't', 's'";
    for (create, rows) in [("create 't', 'f'", 0), ("clone_snapshot 's', 't'", 1)] {
        done(dir.path(), &format!("{old}; put 't', 'x', 'f:q', 'v'; put 't', 'y', 'f:q', 'v'"));
        let mut shell = Running::start(dir.path());
        assert!(shell.run("count 't'").starts_with("3 row(s)"));
        done(dir.path(), "disable 't'; drop 't'");
        shell.run(create);
        let counted = shell.run("count 't'");
        assert!(counted.starts_with(&format!("{rows} row(s)")), "{create}: {counted}");
        done(dir.path(), "disable 't'; drop 't'");
        // a table that was disabled in this shell does not disable a new table of the same name
        done(dir.path(), "create 't', 'f'");
        shell.run("disable 't'");
        done(dir.path(), "disable 't'; drop 't'");
        shell.run(create);
        shell.run("put 't', 'new', 'f:q', 'v'");
        assert_eq!(code(&shell.end()), 0);
        done(dir.path(), "disable 't'; drop 't'; delete_snapshot 's'");
    }
}

#[test]
fn regions_that_another_process_split_are_merged_beside_a_table_with_a_hole() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 'a', 'f', SPLITS => ['m']; create 't', 'f'; put 't', 'r', 'f:q', 'v'");
    fs::remove_dir_all(region_of(dir.path(), "a")).unwrap();
    let mut shell = Running::start(dir.path());
    assert!(shell.run("count 't'").starts_with("1 row(s)"));
    done(dir.path(), "split 't', 'm'; major_compact 't'");
    let regions = hregion::Table::open(dir.path(), "t").unwrap().regions();
    let [first, second] = [0, 1].map(|i: usize| regions[i].encoded_name());
    shell.run(&format!("merge_region '{first}', '{second}'"));
    assert!(shell.run("get_splits 't'").ends_with("=> []\n"));
    assert_eq!(code(&shell.end()), 0);
}

/// The configuration determines how the files of a table or a family are tracked.
#[test]
fn files_are_tracked_by_lists_if_the_configuration_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = "CONFIGURATION => {'hbase.store.file-tracker.impl' => 'FILE'}";
    done(
        dir.path(),
        &format!(
            "create 't', {{NAME => 'f', {file}}}, 'g'
             create 'u', 'f', {file}, SPLITS => ['m']
             put 't', 'r', 'f:q', 'v'; put 't', 'r', 'g:q', 'v'; put 'u', 'r', 'f:q', 'v'
             flush 't'; flush 'u'"
        ),
    );
    let has_list = |table: &str, family: &str| {
        let regions = fs::read_dir(dir.path().join("data/default").join(table)).unwrap();
        regions.into_iter().any(|region| region.unwrap().path().join(family).join(".filelist").is_dir())
    };
    assert!(has_list("t", "f") && !has_list("t", "g") && has_list("u", "f"));
    assert!(done(dir.path(), "count 't'; count 'u'").starts_with("1 row(s)"));

    // A new family, and other keys of the existing one.
    let changes = format!(
        "alter 't', {{NAME => 'h', {file}}}, \
         {{NAME => 'f', CONFIGURATION => {{'hbase.hstore.compaction.min' => 5}}}}"
    );
    done(dir.path(), &format!("{changes}\nput 't', 'r', 'h:q', 'v'; flush 't'"));
    assert!(has_list("t", "h"));
    let described = done(dir.path(), "describe 't'");
    let both = "CONFIGURATION => {'hbase.hstore.compaction.min' => '5', \
                'hbase.store.file-tracker.impl' => 'FILE'}}";
    assert!(described.contains(both), "{described}");
    let unset =
        "alter 't', NAME => 'f', CONFIGURATION => {'hbase.hstore.compaction.min' => nil}; describe 't'";
    assert!(!done(dir.path(), unset).contains("compaction.min"));

    for (command, exit, expected) in [
        // Existing files would not be found.
        (format!("alter 't', NAME => 'g', {file}"), 4, "tracker"),
        (
            "create 'w', 'f', CONFIGURATION => {'hbase.store.file-tracker.impl' => 'NONE'}".into(),
            2,
            "tracker",
        ),
        ("create 'w', 'f', {NAME => 'f'}".into(), 2, "the family f is given twice"),
        ("create 'w', 'f', {COLOUR => 'red'}".into(), 2, "expected NAME"),
    ] {
        let output = run(&["shell", dir.path().to_str().unwrap(), "-e", &command]);
        assert_eq!(code(&output), exit, "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{command}: {}", stderr(&output));
    }
    assert!(done(dir.path(), "exists 'w'").contains("does not exist"));
}

#[test]
fn the_prefix_length_of_a_bloom_filter_is_not_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let length = |n: u32| format!("CONFIGURATION => {{'RowPrefixBloomFilter.prefix_length' => {n}}}");
    let bloom = "BLOOMFILTER => 'ROWPREFIX_FIXED_LENGTH'";
    done(dir.path(), &format!("create 't', {{NAME => 'f', {bloom}, {}}}", length(3)));
    let alone = format!("alter 't', NAME => 'f', {}", length(7));
    let output = run(&["shell", dir.path().to_str().unwrap(), "-e", &alone]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains(bloom), "{}", stderr(&output));
    let altered = format!("alter 't', NAME => 'f', {bloom}, {}; describe 't'", length(7));
    assert!(done(dir.path(), &altered).contains("prefix_length' => '7'"));
}
