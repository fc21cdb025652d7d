//! The options of a command: the members of a hash.

use super::session::Stop;
use super::value::{Value, ValueKind};

/// The members of a hash that have not been consumed yet.
#[derive(Debug, Default)]
pub(super) struct Options<'v>(Vec<(String, usize, &'v Value)>);

impl<'v> Options<'v> {
    /// Returns the members of a hash; without a value, none.
    pub(super) fn of(value: Option<&'v Value>) -> Result<Self, Stop> {
        let mut options = Self::default();
        if let Some(value) = value {
            options.extend(value)?;
        }
        Ok(options)
    }

    /// Adds the members of another hash. Of duplicate names the last one counts, as in Ruby.
    pub(super) fn extend(&mut self, value: &'v Value) -> Result<(), Stop> {
        let ValueKind::Hash(pairs) = &value.kind else { return Err(value.expected("a hash of options")) };
        for (key, value) in pairs {
            let name = key.text("the name of an option")?;
            self.0.retain(|(other, ..)| *other != name);
            self.0.push((name, key.at, value));
        }
        Ok(())
    }

    /// Takes the value of a member; nil counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<&'v Value> {
        let at = self.0.iter().position(|(other, ..)| other == name)?;
        let (_, _, value) = self.0.remove(at);
        (value.kind != ValueKind::Nil).then_some(value)
    }

    /// Whether a member has a value that has not been taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _, value)| other == name && value.kind != ValueKind::Nil)
    }

    /// Returns all members that have not been taken.
    pub(super) fn members(self) -> impl Iterator<Item = (String, &'v Value)> {
        self.0.into_iter().map(|(name, _, value)| (name, value))
    }

    /// Fails if a member is left.
    pub(super) fn end(&self) -> Result<(), Stop> {
        match self.0.first() {
            None => Ok(()),
            Some((name, at, _)) => Err(Stop::At(*at, format!("the option {name} is not supported here"))),
        }
    }
}
