//! Settings with which the active name node answers all requests.
//!
//! An observer may lag behind: its information about a change without a response may be wrong.

use super::properties::{self, without_comments};
use crate::location::Location;
use crate::options::RemoteOptions;
use std::collections::BTreeSet;
use std::env::{self, VarError};
use std::path::{Component, Path, PathBuf};
use std::{fmt, fs, io};

/// The setting of the name nodes of a name service that are asked, without the name of the service.
const PROVIDER: &str = "dfs.client.failover.proxy.provider.";

/// Its value for the active one.
const ACTIVE: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";

/// Returns the settings of the client of a name service: those given, and the provider.
///
/// # Errors
///
/// If a file of Hadoop's settings exists but cannot be read.
pub(super) fn settings(location: &Location, options: &RemoteOptions) -> io::Result<Vec<(String, String)>> {
    settings_with(location, options, conf_dir(env::var)?.as_deref())
}

/// Returns the directory of Hadoop's files, as the client does, which skips a name that is not UTF-8.
pub(super) fn conf_dir(
    variable: impl Fn(&'static str) -> Result<String, VarError>,
) -> io::Result<Option<PathBuf>> {
    for (name, below) in [("HADOOP_CONF_DIR", ""), ("HADOOP_HOME", "etc/hadoop")] {
        match variable(name) {
            Ok(dir) => return Ok(Some(Path::new(&dir).join(below))),
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => return Err(io::Error::other(format!("{name} is not UTF-8"))),
        }
    }
    Ok(None)
}

/// The default file system may be any name service, or several: all that have a provider get this one. An
/// extra name changes nothing.
fn settings_with(
    location: &Location,
    options: &RemoteOptions,
    conf_dir: Option<&Path>,
) -> io::Result<Vec<(String, String)>> {
    let given = options.settings_of(&["dfs.", "fs.", "hadoop.", "ipc."]);
    let mut settings: Vec<_> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let host = location.authority.split(':').next().unwrap_or_default();
    let mut services = BTreeSet::from([host.to_owned()]);
    services.extend(settings.iter().filter_map(|(name, _)| name.strip_prefix(PROVIDER)).map(str::to_owned));
    for text in texts(conf_dir)? {
        services.extend(text.split(PROVIDER).skip(1).map(|rest| name_at(rest).to_owned()));
    }
    settings.extend(services.into_iter().map(|service| (PROVIDER.to_owned() + &service, ACTIVE.to_owned())));
    Ok(settings)
}

/// The files of settings of Hadoop. The second one overrides the first.
const FILES: [&str; 2] = ["core-site.xml", "hdfs-site.xml"];

/// Returns the texts of Hadoop's files of settings, with the files that these include.
pub(super) fn texts(conf_dir: Option<&Path>) -> io::Result<[String; 2]> {
    let of_client = texts_of_client(conf_dir)?;
    let Some(dir) = conf_dir else { return Ok(of_client) };
    let [first, second] = of_client;
    let whole = |file: &str, text: &str| with_included(&dir.join(file), text, MAX_DEPTH);
    Ok([whole(FILES[0], &first)?, whole(FILES[1], &second)?])
}

/// Returns the texts that the client reads: without the files that these include.
pub(super) fn texts_of_client(conf_dir: Option<&Path>) -> io::Result<[String; 2]> {
    let text = |file: &str| conf_dir.map_or_else(|| Ok(String::new()), |dir| text_of(&dir.join(file)));
    Ok([text(FILES[0])?, text(FILES[1])?])
}

/// The maximum length of a file of settings with its entities and the files that it includes.
const MAX_TEXT: usize = 32 << 20;

/// Returns the text of a file of settings, which need not exist, with the files that are its entities. Like
/// the client, skips a file in a directory that it may not search.
fn text_of(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if text.contains(ENTITY) => with_entities(path, text),
        Ok(text) => Ok(text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => Err(io::Error::other(format!("cannot read {}: {error}", path.display()))),
    }
}

/// The beginning of the declaration of an entity.
const ENTITY: &str = "<!ENTITY";

/// Replaces entities by their texts. Files of entities must be below the directory of the file with the
/// declaration; the client accepts no others.
fn with_entities(path: &Path, mut text: String) -> io::Result<String> {
    let fault = |path: &Path, error: &dyn fmt::Display| {
        io::Error::other(format!("cannot read {}: {error}", path.display()))
    };
    let real = path.canonicalize().map_err(|error| fault(path, &error))?;
    let dir = real.parent().unwrap_or_else(|| Path::new(""));
    let mut entities = Vec::new();
    for (name, literals) in text.split(ENTITY).skip(1).filter_map(declaration) {
        let Some(last) = literals.last() else { continue };
        let value = match literals.first() {
            Some(Literal::Value(value)) => (*value).to_owned(),
            _ => {
                let (Literal::Value(uri) | Literal::Place(uri)) = *last;
                let is_below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
                let file = dir.join(uri);
                match Path::new(uri).components().all(is_below) && file.exists() {
                    true => fs::read_to_string(&file).map_err(|error| fault(&file, &error))?,
                    false => continue,
                }
            }
        };
        entities.push((format!("&{name};"), value));
    }
    // Entities may be nested.
    for _ in 0..entities.len() {
        for (reference, value) in &entities {
            let count = text.matches(reference.as_str()).count();
            if count.saturating_mul(value.len()).saturating_add(text.len()) > MAX_TEXT {
                return Err(fault(path, &"its entities are too long"));
            }
            text = text.replace(reference.as_str(), value);
        }
    }
    Ok(text)
}

/// A quoted text of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literal<'t> {
    /// The replacement text.
    Value(&'t str),
    /// The place of a file, or its public name.
    Place(&'t str),
}

/// Returns the name of an entity, and the literals of its declaration, which `text` begins with.
fn declaration(text: &str) -> Option<(&str, Vec<Literal<'_>>)> {
    let text = text.trim_start();
    let (name, mut rest) = text.split_once(char::is_whitespace)?;
    let is_file = ["SYSTEM", "PUBLIC"].iter().any(|word| rest.trim_start().starts_with(word));
    let mut literals = Vec::new();
    while let Some(at) = rest.find(['"', '\'', '>']) {
        let (mark, after) = rest.split_at(at).1.split_at(1);
        let Some((literal, after)) = after.split_once(mark).filter(|_| mark != ">") else { break };
        literals.push(if is_file { Literal::Place(literal) } else { Literal::Value(literal) });
        rest = after;
    }
    Some((name, literals))
}

/// The maximum number of files that include each other.
const MAX_DEPTH: usize = 10;

/// Replaces the elements that include files by the texts of these, which need not exist if there is another
/// text instead (Hadoop: `Configuration.Parser#handleInclude`). A place is relative to the file. Comments are
/// left out.
fn with_included(path: &Path, text: &str, depth: usize) -> io::Result<String> {
    let text = without_comments(text);
    let mut rest = text.as_str();
    let mut whole = String::new();
    while let Some(Include { before, place, instead, after }) = first_include(rest) {
        whole += before;
        let file = path.parent().unwrap_or_else(|| Path::new("")).join(place);
        let fault = |reason: &str| {
            io::Error::other(format!("cannot read {}: it includes {place}, {reason}", path.display()))
        };
        whole += &match (depth.checked_sub(1), instead) {
            (None, _) => return Err(fault("and too many files include others")),
            _ if place.contains("://") => return Err(fault("which is not the path of a file")),
            (Some(depth), _) if file.exists() => with_included(&file, &text_of(&file)?, depth)?,
            (Some(depth), Some(instead)) => with_included(path, instead, depth)?,
            (_, None) => return Err(fault("which does not exist")),
        };
        if whole.len() > MAX_TEXT {
            return Err(fault("and is too long with it"));
        }
        rest = after;
    }
    Ok(whole + rest)
}

/// An element that includes a file.
struct Include<'t> {
    before: &'t str,
    /// The file.
    place: &'t str,
    /// The text to use if there is no such file.
    instead: Option<&'t str>,
    after: &'t str,
}

/// Returns the first element of a text that includes a file, such as `<xi:include href="file.xml"/>`.
fn first_include(text: &str) -> Option<Include<'_>> {
    text.match_indices('<').find_map(|(at, _)| {
        let (before, element) = text.split_at(at);
        let (tag, rest) = element.split_at(1).1.split_once('>')?;
        let name = tag.split(|c: char| c == '/' || c.is_whitespace()).next()?;
        let prefix =
            name.strip_suffix("include").filter(|prefix| prefix.is_empty() || prefix.ends_with(':'))?;
        let (_, href) = tag.split_once("href")?;
        let href = href.trim_start().strip_prefix('=')?.trim_start();
        let (mark, href) = href.split_at_checked(1).filter(|(mark, _)| ["\"", "'"].contains(mark))?;
        let (place, _) = href.split_once(mark)?;
        let place = place.strip_prefix("file:").map_or(place, |path| path.strip_prefix("//").unwrap_or(path));
        if tag.ends_with('/') {
            return Some(Include { before, place, instead: None, after: rest });
        }
        let (content, after) = rest.split_once(&format!("</{name}>"))?;
        let fallback = format!("{prefix}fallback");
        let has_fallback = content.contains(&format!("<{fallback}"));
        let instead = has_fallback.then(|| properties::element(content, &fallback).unwrap_or_default());
        Some(Include { before, place, instead, after })
    })
}

/// Returns the name that a text begins with. It may be at the end of a section (`<![CDATA[NAME]]>`), or of an
/// attribute.
pub(super) fn name_at(text: &str) -> &str {
    let is_end = |c: char| ['<', ']', '"', '\''].contains(&c) || c.is_whitespace();
    text.split(is_end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const OBSERVER: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ObserverReadProxyProvider";

    /// Returns the settings; the last one of a name counts.
    fn settings_of(url: &str, options: &RemoteOptions, conf_dir: Option<&Path>) -> BTreeMap<String, String> {
        let settings = settings_with(&Location::parse(Path::new(url)).unwrap(), options, conf_dir);
        settings.unwrap().into_iter().collect()
    }

    #[test]
    fn no_observer_is_asked() {
        let provider = |service: &str| format!("{PROVIDER}{service}");
        let options = RemoteOptions::default().setting(provider("given"), OBSERVER);
        let options = options.setting("dfs.replication", "2");
        let dir = tempfile::tempdir().unwrap();
        let file = format!(
            "<configuration>\n<property><name>{}</name><value>{OBSERVER}</value></property>\n<property>\n\
             <name>{}\n</name><value>{OBSERVER}</value></property>\n\
             <property name=\"{}\" value='{OBSERVER}'/></configuration>",
            provider("first"),
            provider("second"),
            provider("third"),
        );
        fs::write(dir.path().join("hdfs-site.xml"), file).unwrap();
        for (url, service) in [("hdfs://ns/a", "ns"), ("hdfs://host:8020/a", "host"), ("hdfs:///a", "first")]
        {
            let settings = settings_of(url, &options, Some(dir.path()));
            for service in [service, "given", "first", "second", "third"] {
                assert_eq!(settings.get(&provider(service)).map(String::as_str), Some(ACTIVE), "{service}");
            }
            assert_eq!(settings["dfs.replication"], "2");
        }
        let settings = settings_of("hdfs://ns/a", &options, None);
        assert_eq!((settings.len(), settings[&provider("ns")].as_str()), (3, ACTIVE));
    }

    /// The client reads files that are entities, and gets the settings of those that are included otherwise.
    #[test]
    fn files_of_entities_are_searched() {
        let provider = |service: &str| format!("{PROVIDER}{service}");
        let property =
            |name: &str| format!("<property><name>{name}</name><value>{OBSERVER}</value></property>");
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        write("one.xml", &property(&provider("first")));
        write("below/two.xml", &property(&provider("&name;")));
        write("included.xml", &property(&provider("third")));
        let file = "<?xml version=\"1.0\"?>\n<!DOCTYPE configuration [\n<!ENTITY one SYSTEM \"one.xml\">\n\
             <!ENTITY two PUBLIC 'p' './below/two.xml' >\n<!ENTITY name 'sec>ond'>\n\
             <!ENTITY gone SYSTEM 'gone.xml'>\n<!ENTITY up SYSTEM '../up.xml'>\n]>\n\
             <configuration>&one;&two;<xi:include href=\"included.xml\"/></configuration>";
        write("hdfs-site.xml", &file.replace("sec>ond", "second"));
        let settings = settings_of("hdfs:///a", &RemoteOptions::default(), Some(dir.path()));
        for service in ["first", "second", "third"] {
            assert_eq!(settings.get(&provider(service)).map(String::as_str), Some(ACTIVE), "{service}");
        }
        let (name, literals) = declaration(" name 'sec>ond'> 'other'").unwrap();
        assert_eq!((name, literals), ("name", vec![Literal::Value("sec>ond")]));
        // Each is ten times the next one.
        let many = |n: usize| format!("<!ENTITY e{n} '{}'>", format!("&e{};", n + 1).repeat(10));
        let many: String = (0..10).map(many).collect();
        write("hdfs-site.xml", &format!("<!DOCTYPE c [{many}<!ENTITY e10 'text'>]><c>&e0;</c>"));
        let location = Location::parse(Path::new("hdfs://ns/a")).unwrap();
        let refused = settings_with(&location, &RemoteOptions::default(), Some(dir.path())).unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
    }

    /// Otherwise another cluster would be asked than by Hadoop, or another user.
    #[test]
    fn files_are_included_as_by_hadoop() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        let of = |text: &str| {
            write("core-site.xml", text);
            texts(Some(dir.path())).map(|[core, _]| core).map_err(|error| error.to_string())
        };
        fs::create_dir(dir.path().join("below")).unwrap();
        write("one.xml", "1<xi:include href='below/two.xml'></xi:include>");
        write("below/two.xml", "2<include href = \"three.xml\" xmlns='x'/>");
        write("below/three.xml", "<?xml version=\"1.0\"?>3");
        let whole =
            of("a <xi:include href=\"one.xml\"/> b <i:include parse='xml' href='one.xml' /> c").unwrap();
        assert_eq!(whole, "a 12<?xml version=\"1.0\"?>3 b 12<?xml version=\"1.0\"?>3 c");
        assert_eq!(texts_of_client(Some(dir.path())).unwrap()[0].matches("include").count(), 2);
        let absolute = dir.path().join("below/three.xml");
        let absolute = absolute.to_str().unwrap();
        for place in [absolute.to_owned(), format!("file://{absolute}"), format!("file:{absolute}")] {
            let whole = of(&format!("<xi:include href=\"{place}\"/>")).unwrap();
            assert_eq!(whole, "<?xml version=\"1.0\"?>3");
        }
        for (text, whole) in [
            ("a<!-- <xi:include href='none.xml'/> -->b", "ab"),
            ("<xi:include href='none.xml'>\n<xi:fallback/></xi:include>b", "b"),
            ("<xi:include href='none.xml'><xi:fallback>a</xi:fallback></xi:include>b", "ab"),
            (
                "<xi:include href='none.xml'><xi:fallback><xi:include href='below/three.xml'/>a\
                 </xi:fallback></xi:include>b",
                "ab",
            ),
            ("<xi:include href='below/three.xml'><xi:fallback>a</xi:fallback></xi:include>b", "b"),
            (
                "<includes href='none.xml'/><name>include</name>",
                "<includes href='none.xml'/><name>include</name>",
            ),
        ] {
            let found = of(text).unwrap();
            assert_eq!(found.trim_start_matches("<?xml version=\"1.0\"?>3"), whole, "{text}");
        }
        let missing = of("<xi:include href='none.xml'/>").unwrap_err();
        assert!(missing.contains("core-site.xml") && missing.contains("none.xml"), "{missing}");
        assert!(of("<xi:include href='http://host/one.xml'/>").unwrap_err().contains("not the path"));
        assert!(of("<xi:include href='core-site.xml'/>").unwrap_err().contains("too many"));
    }

    /// An observer that such a file names would be asked, or none of its settings would be in effect.
    #[test]
    fn files_that_cannot_be_read_are_not_passed_over() {
        let location = Location::parse(Path::new("hdfs://ns/a")).unwrap();
        let with = |dir: &Path| settings_with(&location, &RemoteOptions::default(), Some(dir));
        for file in ["core-site.xml", "hdfs-site.xml"] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(with(&dir.path().join("missing")).unwrap().len(), 1);
            assert_eq!(with(dir.path()).unwrap().len(), 1);
            let path = dir.path().join(file);
            fs::create_dir(&path).unwrap();
            let error = with(dir.path()).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            fs::remove_dir(&path).unwrap();
            fs::write(&path, b"<configuration>\xff</configuration>").unwrap();
            let error = with(dir.path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("UTF-8"), "{error}");
            // the directory is a file, so there are no settings
            assert_eq!(with(&path).unwrap().len(), 1);
        }
    }

    #[test]
    fn the_directory_of_settings_is_that_of_the_client() {
        let with = |conf: Result<&str, VarError>, home: Result<&str, VarError>| {
            let found = conf_dir(|name| match name {
                "HADOOP_CONF_DIR" => conf.clone().map(str::to_owned),
                _ => home.clone().map(str::to_owned),
            });
            found.map(|dir| dir.map(|dir| dir.join("f"))).map_err(|error| error.to_string())
        };
        let (none, wrong) = (|| Err(VarError::NotPresent), || Err(VarError::NotUnicode("x".into())));
        assert_eq!(with(none(), none()), Ok(None));
        assert_eq!(with(Ok("/c"), Ok("/h")), Ok(Some("/c/f".into())));
        assert_eq!(with(none(), Ok("/h")), Ok(Some("/h/etc/hadoop/f".into())));
        assert_eq!(with(wrong(), Ok("/h")), Err("HADOOP_CONF_DIR is not UTF-8".to_owned()));
        assert_eq!(with(none(), wrong()), Err("HADOOP_HOME is not UTF-8".to_owned()));
    }
}
