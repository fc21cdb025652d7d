//! The properties in the texts of Hadoop's files of settings.

use std::collections::{BTreeMap, BTreeSet};

/// A property as it is in a text.
struct Property<'t> {
    name: &'t str,
    value: &'t str,
    is_final: bool,
}

/// Returns the value of the last property with a name, or of the first one that is final.
pub(super) fn value_of(texts: &[String], is_name: impl Fn(&str) -> bool) -> Option<String> {
    let mut found = None;
    for text in texts {
        let text = without_comments(text);
        for property in properties(&text).filter(|property| is_name(property.name)) {
            found = Some(property.value.to_owned());
            if property.is_final {
                return found;
            }
        }
    }
    found
}

/// Returns the settings in `texts` that the client does not read, or reads differently: its texts are
/// `of_client`, without the files that these include; the last property with a name counts, also if another
/// one is final; and it does not ignore spaces around names.
pub(super) fn unread(of_client: &[String], texts: &[String]) -> Vec<(String, String)> {
    let (mut read, mut values) = (BTreeMap::<String, String>::new(), BTreeMap::<String, String>::new());
    let mut final_names = BTreeSet::<String>::new();
    for text in of_client {
        let text = without_comments(text);
        read.extend(properties(&text).map(|found| (found.name.to_owned(), found.value.to_owned())));
    }
    for text in texts {
        let text = without_comments(text);
        for Property { name, value, is_final } in properties(&text) {
            let name = name.trim();
            if final_names.contains(name) {
                continue;
            }
            if is_final {
                final_names.insert(name.to_owned());
            }
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values.retain(|name, value| read.get(name) != Some(&*value));
    values.into_iter().map(|(name, value)| (name, unescaped(&value))).collect()
}

/// Returns the properties of a text, except those without a value: like the client, Hadoop ignores them.
fn properties(text: &str) -> impl Iterator<Item = Property<'_>> {
    text.split("<property>").skip(1).filter_map(|property| {
        let (property, _) = property.split_once("</property>")?;
        let value = element(property, "value").filter(|value| !value.is_empty())?;
        let is_final = element(property, "final") == Some("true");
        Some(Property { name: element(property, "name")?, value, is_final })
    })
}

/// Returns the text of an element without other elements in it.
pub(super) fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text)
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
        ];
        let second = ["a", "b", "c", "d"].map(|name| property(name, "9", "")).concat();
        let second = second + &property("e", "", "");
        let texts = [first.concat(), second];
        let of = |name: &str| value_of(&texts, |found| found.trim() == name).unwrap();
        assert_eq!(["a", "b", "c", "d", "e"].map(of), ["1", "9", "2", "1&amp;2", "1"]);
        let expect = [("a", "1"), ("c", "2"), ("d", "1&2")];
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
