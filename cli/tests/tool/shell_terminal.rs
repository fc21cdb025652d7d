//! The shell in a terminal, typed key by key: completion, history, Ctrl-C, Ctrl-D. `.ci/run terminal` runs
//! this if there is a tmux.

use crate::support::{hregion, ok, temp_file};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const ROWS: usize = 4_000;
/// A pattern that takes many steps at each value of the long table, and matches none.
const SLOW: &str = r"'regexstring:(.+)\\1x'";

/// A terminal of 100 by 40 characters, in a separate tmux.
struct Terminal {
    dir: tempfile::TempDir,
}

impl Terminal {
    /// Starts a shell on a root directory.
    fn start(root: &Path) -> Self {
        let terminal = Self { dir: tempfile::tempdir().unwrap() };
        let home = terminal.dir.path().display();
        let tool = hregion().get_program().to_str().unwrap().to_owned();
        // It stays open after the shell, whatever is typed.
        let command = format!(
            "trap : INT; HOME='{home}' '{tool}' shell '{}'; echo ended with $?; trap '' INT; exec sleep 600",
            root.display()
        );
        let size = ["-x", "100", "-y", "40"];
        terminal.tmux(&[&["-f", "/dev/null", "-u", "new-session", "-d"][..], &size, &[&command]].concat());
        terminal
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.dir.path().join("socket")).args(args);
        tmux.env_remove("TMUX").env("LC_ALL", "C.UTF-8").output().unwrap()
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Presses a key with a name.
    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a text, one key after the other.
    fn type_in(&self, text: &str) {
        for c in text.chars() {
            // a semicolon would separate commands of tmux
            let key = if c == ';' { "\\;".to_owned() } else { c.to_string() };
            self.tmux(&["send-keys", "-l", &key]);
        }
    }

    /// Types a text whose keys arrive together, as over a slow connection.
    fn type_at_once(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Returns the lines on the screen without blanks at their ends. Durations are replaced.
    fn screen(&self) -> String {
        let mut screen = String::new();
        for line in self.tmux(&["capture-pane", "-p"]).trim_end().lines() {
            let line = if line.starts_with("Took ") { "Took (time)" } else { line.trim_end() };
            writeln!(screen, "{line}").unwrap();
        }
        screen
    }

    /// Waits until the screen is as expected, and returns it.
    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "waiting for {what}:\n{screen}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the last line is `line`.
    fn wait_line(&self, line: &str) -> String {
        self.wait(line, |screen| screen.lines().last() == Some(line))
    }

    /// Checks the whole screen, and saves it in a file.
    fn shows(&self, name: &str, expected: &str) {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("terminal");
        fs::create_dir_all(&dir).unwrap();
        let screen = self.screen();
        fs::write(dir.join(name), &screen).unwrap();
        println!("---- {name}\n{screen}");
        assert_eq!(screen, expected, "{name}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.run(&["kill-server"]);
    }
}

/// Creates a table `users`, and a table `long` with long values.
fn fill(root: &Path) {
    let path = root.to_str().unwrap();
    let commands = "create 'users', 'info', 'log'
put 'users', 'r1', 'info:q', \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07\", 5
create 'long', 'f'";
    ok(&["shell", path, "-e", commands]);
    let value = "abcdefgh".repeat(100);
    let mut text = String::new();
    for row in 0..ROWS {
        writeln!(text, "row-{row:06}\t{value}").unwrap();
    }
    let file = temp_file("terminal.tsv", text.as_bytes());
    let table = root.join("data/default/long");
    ok(&["import", "--columns", "HBASE_ROW_KEY,f:q", table.to_str().unwrap(), &file]);
}

#[test]
#[ignore = "needs tmux: .ci/run terminal"]
fn the_shell_is_used_in_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let terminal = Terminal::start(dir.path());
    terminal.wait_line("hregion:001>");

    // tables, families and converters are completed
    terminal.type_at_once("get 'us");
    terminal.wait_line("hregion:001> get 'us");
    terminal.press("Tab");
    terminal.wait_line("hregion:001> get 'users'");
    terminal.type_in(", 'r1', 'in");
    terminal.press("Tab");
    terminal.wait_line("hregion:001> get 'users', 'r1', 'info:");
    terminal.type_in("q:toL");
    terminal.press("Tab");
    terminal.press("Enter");
    terminal.wait_line("hregion:002>");
    // history
    terminal.press("Up");
    terminal.wait_line("hregion:002> get 'users', 'r1', 'info:q:toLong'");
    terminal.press("Enter");
    terminal.wait_line("hregion:003>");
    // several options begin with this prefix
    terminal.type_in("scan 'users', {COL");
    terminal.press("Tab");
    terminal.wait_line("hregion:003> scan 'users', {COLUMN");
    terminal.press("Tab");
    terminal.wait("the list", |screen| screen.contains("COLUMN   COLUMNS"));
    // Ctrl-C clears the line
    terminal.press("C-c");
    terminal.wait_line("hregion:004>");
    terminal.type_in("t = get_table 'users'");
    terminal.press("Enter");
    terminal.wait_line("hregion:005>");
    terminal.type_in("t.sc");
    terminal.press("Tab");
    terminal.wait_line("hregion:005> t.scan");
    terminal.type_in(" LIM");
    terminal.press("Tab");
    terminal.type_in(" => 1");
    terminal.press("Enter");
    terminal.wait_line("hregion:006>");
    let got = "COLUMN                    CELL
 info:q                   timestamp=5, value=7
1 row(s)
Took (time)
";
    terminal.shows(
        "completion.txt",
        &format!(
            "\
hregion:001> get 'users', 'r1', 'info:q:toLong'
{got}hregion:002> get 'users', 'r1', 'info:q:toLong'
{got}hregion:003> scan 'users', {{COLUMN
COLUMN   COLUMNS
hregion:003> scan 'users', {{COLUMN
hregion:004> t = get_table 'users'
=> Hbase::Table - users
Took (time)
hregion:005> t.scan LIMIT => 1
ROW                       COLUMN+CELL
 r1                       column=info:q, timestamp=5, value=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07
1 row(s)
Took (time)
hregion:006>
"
        ),
    );
    interrupts(&terminal);
    terminal.press("C-d");
    terminal.wait_line("ended with 0");
    let history = fs::read_to_string(terminal.dir.path().join(".hregion_history")).unwrap();
    assert!(history.contains("\nscan 'long', FILTER") && history.contains("\ncount 'users'\n"), "{history}");
    // a line that Ctrl-C cleared is not kept
    assert!(!history.contains("{COLUMN\n"), "{history}");
}

/// A command that waits for a file without content ends with the shell.
#[test]
#[ignore = "needs tmux: .ci/run terminal"]
fn a_second_interrupt_ends_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    ok(&["shell", root.to_str().unwrap(), "-e", "create 't', 'f'\nput 't', 'r', 'f:q', 'v', 1"]);
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let terminal = Terminal::start(&root);
    terminal.wait_line("hregion:001>");
    terminal.type_in("put 't', 's', 'f:q', 'v', 1");
    terminal.press("Enter");
    terminal.wait_line("hregion:002>");
    terminal.type_in(&format!("create 'u', 'f', SPLITS_FILE => '{}'", pipe.display()));
    let (opened, reader) = mpsc::channel();
    spawn(move || opened.send(File::options().write(true).open(pipe)));
    terminal.press("Enter");
    // the command is reading it at this point
    let _writer = reader.recv_timeout(PATIENCE).unwrap().unwrap();
    terminal.press("C-c");
    terminal.wait("the interrupt", |screen| screen.contains("^C"));
    // the interrupt is handled during this time, and nothing ends
    sleep(Duration::from_millis(500));
    let screen = terminal.screen();
    assert!(!screen.contains("ended with") && !screen.contains("hregion:003>"), "{screen}");
    // repeated until it ends: if the process has not run in between, two interrupts count as one
    let screen = terminal.wait("the end", |screen| {
        let has_ended = screen.contains("ended with ");
        if !has_ended {
            terminal.press("C-c");
            sleep(Duration::from_millis(500));
        }
        has_ended
    });
    // this is how shells report SIGINT
    assert!(screen.contains("ended with 130"), "{screen}");
    // earlier writes are kept
    assert_eq!(ok(&["count", root.join("data/default/t").to_str().unwrap()]), "rows 2\ncells 2\n");
    assert_eq!(
        ok(&["shell", root.to_str().unwrap(), "-e", "exists 'u'"]),
        "Table u does not exist\n=> false\n"
    );
}

/// Interrupts a scan that prints, and a count that finds nothing.
fn interrupts(terminal: &Terminal) {
    terminal.press("C-l");
    terminal.wait("an empty screen", |screen| screen == "hregion:006>\n");
    terminal.type_in(&format!("scan 'long', FILTER => \"ValueFilter(!=, {SLOW})\""));
    terminal.press("Enter");
    terminal.wait("rows", |screen| screen.contains("abcdefgh"));
    terminal.press("C-c");
    let screen = terminal.wait_line("hregion:007>");
    assert!(screen.contains("error: interrupted\nTook (time)\n"), "{screen}");
    assert!(!screen.contains("row(s)"), "{screen}");

    terminal.press("C-l");
    terminal.wait("an empty screen", |screen| screen == "hregion:007>\n");
    let command = format!("count 'long', FILTER => \"ValueFilter(=, {SLOW})\"");
    terminal.type_in(&command);
    terminal.press("Enter");
    // before that, the line would be cleared
    sleep(Duration::from_millis(500));
    terminal.press("C-c");
    terminal.wait_line("hregion:008>");
    terminal.type_in("count 'users'");
    terminal.press("Enter");
    terminal.wait_line("hregion:009>");
    // a command of two lines
    terminal.type_in("get 'users', 'r1', {COLUMN =>");
    terminal.press("Enter");
    terminal.type_in(" 'info:q:toString'}");
    terminal.press("Enter");
    terminal.wait_line("hregion:010>");
    terminal.shows(
        "interrupt.txt",
        &format!(
            "\
hregion:007> {command}
^C
error: interrupted
Took (time)
hregion:008> count 'users'
1 row(s)
=> 1
Took (time)
hregion:009> get 'users', 'r1', {{COLUMN =>
 'info:q:toString'}}
COLUMN                    CELL
 info:q                   timestamp=5, value=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07
1 row(s)
Took (time)
hregion:010>
"
        ),
    );
}
