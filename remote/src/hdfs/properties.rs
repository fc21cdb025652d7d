//! The properties in the texts of Hadoop's files of settings.

use std::collections::{BTreeMap, BTreeSet};

/// A property as it is in a text.
struct Property<'t> {
    name: &'t str,
    /// `None` if there is none. Like the client, Hadoop ignores it, but not that it is final.
    value: Option<&'t str>,
    is_final: bool,
    /// The name and value that the client reads: the first elements.
    of_client: Option<(&'t str, &'t str)>,
}

/// Returns the value of the last property with a name, or of the first one that is final.
pub(super) fn value_of(texts: &[String], is_name: impl Fn(&str) -> bool) -> Option<String> {
    let mut found = None;
    for text in texts {
        let text = without_comments(text);
        for property in properties(&text).filter(|property| is_name(property.name)) {
            found = property.value.map(str::to_owned).or(found);
            if property.is_final {
                return found;
            }
        }
    }
    found
}

/// Returns the settings in `texts` that the client does not read, or reads differently: its texts are
/// `of_client`, without the files that these include; the last property with a name counts, also if another
/// one is final; it does not ignore spaces around names, and reads only the first name and value of a
/// property, and no attributes.
pub(super) fn unread(of_client: &[String], texts: &[String]) -> Vec<(String, String)> {
    let (mut read, mut values) = (BTreeMap::<String, String>::new(), BTreeMap::<String, String>::new());
    let mut final_names = BTreeSet::<String>::new();
    for text in of_client {
        let text = without_comments(text);
        let found = properties(&text).filter_map(|property| property.of_client);
        read.extend(found.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    for text in texts {
        let text = without_comments(text);
        for Property { name, value, is_final, .. } in properties(&text) {
            let name = name.trim();
            if final_names.contains(name) {
                continue;
            }
            if is_final {
                final_names.insert(name.to_owned());
            }
            if let Some(value) = value {
                values.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    values.retain(|name, value| read.get(name) != Some(&*value));
    values.into_iter().map(|(name, value)| (name, unescaped(&value))).collect()
}

/// Returns the properties of a text. Name, value and whether it is final may be attributes; elements override
/// them, and the last of several counts, except for names and values that are empty (Hadoop:
/// `Configuration.Parser#handleStartProperty`, `#handleEndElement`).
fn properties(text: &str) -> impl Iterator<Item = Property<'_>> {
    text.split("<property").skip(1).filter_map(|property| {
        let Tag { attributes, is_empty, after } = tag(property)?;
        let content = if is_empty { "" } else { after.split_once("</property>")?.0 };
        let attribute = |name: &str| {
            let found = attributes.iter().rev().find(|(found, _)| *found == name);
            found.map(|(_, value)| *value)
        };
        let [names, values, finals] = ["name", "value", "final"].map(|name| elements(content, name));
        let is_text = |text: &&str| !text.is_empty();
        let [first_name, first_value] = [&names, &values].map(|all| all.first().copied().filter(is_text));
        Some(Property {
            name: names.iter().copied().rfind(is_text).or_else(|| attribute("name"))?,
            value: values.iter().copied().rfind(is_text).or_else(|| attribute("value")),
            is_final: finals.last().copied().or_else(|| attribute("final")) == Some("true"),
            of_client: first_name.zip(first_value),
        })
    })
}

/// A tag that begins an element.
struct Tag<'t> {
    attributes: Vec<(&'t str, &'t str)>,
    /// Whether it also ends the element.
    is_empty: bool,
    after: &'t str,
}

/// Returns the tag whose name `text` follows; `None` if that name is not complete.
fn tag(text: &str) -> Option<Tag<'_>> {
    if !text.starts_with(['/', '>']) && !text.starts_with(char::is_whitespace) {
        return None;
    }
    let (mut attributes, mut rest) = (Vec::new(), text.trim_start());
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return Some(Tag { attributes, is_empty: false, after });
        }
        if let Some(after) = rest.strip_prefix("/>") {
            return Some(Tag { attributes, is_empty: true, after });
        }
        let (name, after) = rest.split_once('=').filter(|(name, _)| !name.contains(['<', '>']))?;
        let after = after.trim_start();
        let mark = after.chars().next().filter(|mark| ['"', '\''].contains(mark))?;
        let (value, after) = after.strip_prefix(mark)?.split_once(mark)?;
        attributes.push((name.trim_end(), value));
        rest = after.trim_start();
    }
}

/// Returns the text of an element without other elements in it.
pub(super) fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// Returns the texts of the elements with a name, and without other elements in them.
fn elements<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let (begin, end) = (format!("<{name}"), format!("</{name}>"));
    let text_of = |after: &'t str| {
        let after = after.trim_start();
        match after.strip_prefix('>') {
            Some(after) => after.split_once(&end).map(|(text, _)| text),
            None => after.starts_with("/>").then_some(""),
        }
    };
    text.split(&begin).skip(1).filter_map(text_of).collect()
}

pub(super) fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once("-->")).fold(first, |all, (_, after)| all + after)
}

/// Replaces the entities that XML defines.
fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(text.to_owned(), |text, (entity, is)| text.replace(entity, is))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, value: &str, more: &str) -> String {
        format!("<property><name>{name}</name><value>{value}</value>{more}</property>")
    }

    /// Otherwise another cluster would be asked than by Hadoop.
    #[test]
    fn properties_that_are_final_are_not_overridden() {
        let is_final = "<final>true</final>";
        let first = [
            property("a", "1", is_final),
            property("b", "1", "<final> true</final>"),
            property("c", "1", ""),
            property("c", "2", is_final),
            property("c", "3", ""),
            property(" d ", "1&amp;2", is_final),
            property("e", "1", ""),
            property("f", "", is_final),
        ];
        let second = ["a", "b", "c", "d", "f"].map(|name| property(name, "9", "")).concat();
        let second = second + &property("e", "", "");
        let texts = [first.concat(), second];
        let of = |name: &str| value_of(&texts, |found| found.trim() == name).unwrap();
        assert_eq!(["a", "b", "c", "d", "e"].map(of), ["1", "9", "2", "1&amp;2", "1"]);
        assert_eq!(value_of(&texts, |found| found == "f"), None);
        let expect = [("a", "1"), ("c", "2"), ("d", "1&2")];
        assert_eq!(unread(&texts, &texts), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// Otherwise another cluster would be asked than by Hadoop. The client does not read them.
    #[test]
    fn names_and_values_may_be_attributes() {
        let texts = ["<configuration>
            <property name='a' value = \"1>0&amp;'\" final=\"true\"/>
            <property final=\"true\"\nname=\"b\" value=\"1\" source=\"x\" ></property>
            <property name=\"c\"><value>1</value></property>
            <property name=\"x\" value=\"x\"><name>d</name><value>1</value></property>
            <property name=\"e\" value=\"1\"><value/></property>
            <property ><name>f</name><value>1</value></property>
            <property><name>g</name></property>
            <property name=\"h\" value=\"9\" value></property>
            <property-list name=\"i\" value=\"9\"/>
            <property name=\"a\" value=\"9\"/><property><name>b</name><value>9</value></property>
            </configuration>"
            .to_owned()];
        let of = |name: &str| value_of(&texts, |found| found == name);
        let found = ["a", "b", "c", "d", "e", "f"].map(|name| of(name).unwrap());
        assert_eq!(found, ["1>0&amp;'", "1", "1", "1", "1", "1"]);
        assert_eq!(["g", "h", "i", "x"].map(of), [None, None, None, None]);
        let expect = [("a", "1>0&'"), ("b", "1"), ("c", "1"), ("e", "1")];
        assert_eq!(unread(&texts, &texts), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// The client reads the first ones.
    #[test]
    fn of_several_names_or_values_of_a_property_the_last_one_counts() {
        let final_or_not = |more: &str| format!("<property final='true'>{more}");
        let texts = [[
            property("x", "1", "<name>a</name><value>2</value><value/>"),
            property("b", "1", "<name></name><value></value>"),
            "<property><name/><name>c</name><value>1</value></property>".to_owned(),
            final_or_not("<name>d</name><value>1</value><final></final></property>"),
            final_or_not("<name>e</name><value>1</value><final /></property>"),
            property("f", "1", "<final>true</final><final>false</final>"),
            property("g", "1", "<final>false</final><final>true</final>"),
            ["a", "d", "e", "f", "g"].map(|name| property(name, "9", "")).concat(),
        ]
        .concat()];
        let of = |name: &str| value_of(&texts, |found| found == name);
        let found = ["a", "b", "c", "d", "e", "f", "g"].map(|name| of(name).unwrap());
        assert_eq!(found, ["9", "1", "1", "9", "9", "9", "1"]);
        assert_eq!(of("x"), None);
        let first = [property("x", "1", "<name>a</name><value>2</value>")];
        assert_eq!(value_of(&first, |found| found == "a").unwrap(), "2");
        assert_eq!(unread(&first, &first), [("a".to_owned(), "2".to_owned())]);
        let expect = [("c", "1"), ("g", "1")];
        assert_eq!(unread(&texts, &texts), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_client_gets_the_settings_of_included_files() {
        let read = [String::new(), property("a", "1", "") + &property("b", "1", "")];
        let included = property("b", "2", "") + &property("c", "3", "") + &property("e", "", "");
        let texts = [String::new(), format!("{}{included}<!-- {} -->", read[1], property("d", "4", ""))];
        let expect = [("b", "2"), ("c", "3")];
        assert_eq!(unread(&read, &texts), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(unread(&read, &read).is_empty());
    }
}
