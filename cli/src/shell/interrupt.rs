//! Ctrl-C in a terminal, which ends the running command and not the shell.

use crate::failure::{CommandError, Failure};
use hregion::filter::{CellFilter, CustomFilter, Filter};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C was pressed since the command began. By default nothing sets it: signals end the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Option<Arc<AtomicBool>>);

impl Interrupt {
    /// Catches Ctrl-C from here on. A second one ends the program, if a command has not ended after the
    /// first: what it has written is in logs.
    #[cfg(unix)]
    pub(super) fn caught() -> io::Result<Self> {
        use signal_hook::consts::SIGINT;
        use signal_hook::flag;

        let pressed = Arc::new(AtomicBool::new(false));
        // Registered first, so that it finds the state before the signal.
        flag::register_conditional_default(SIGINT, Arc::clone(&pressed))?;
        flag::register(SIGINT, Arc::clone(&pressed))?;
        Ok(Self(Some(pressed)))
    }

    #[cfg(not(unix))]
    pub(super) fn caught() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Begins a command.
    pub(super) fn clear(&self) {
        if let Some(pressed) = &self.0 {
            pressed.store(false, Ordering::SeqCst);
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|pressed| pressed.load(Ordering::Relaxed))
    }

    /// Fails if Ctrl-C was pressed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.is_set() { Err(CommandError::interrupted().into()) } else { Ok(()) }
    }

    /// Adds a filter that ends a read when Ctrl-C is pressed, even at rows that are not returned.
    pub(super) fn watch(&self, filter: Option<Filter>) -> hregion::Result<Option<Filter>> {
        let Some(pressed) = &self.0 else { return Ok(filter) };
        let watch = Filter::custom(Watch { pressed: Arc::clone(pressed), is_alone: filter.is_none() });
        match filter {
            None => Ok(Some(watch)),
            Some(filter) => Filter::all([watch, filter]).map(Some),
        }
    }
}

#[cfg(test)]
impl Interrupt {
    /// An interrupt that is already there.
    pub(super) fn pressed() -> Self {
        Self(Some(Arc::new(AtomicBool::new(true))))
    }
}

/// A filter that passes everything until Ctrl-C is pressed.
#[derive(Clone, Debug)]
struct Watch {
    pressed: Arc<AtomicBool>,
    /// Whether there is no other filter.
    is_alone: bool,
}

impl CustomFilter for Watch {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(self.clone())
    }
}

impl CellFilter for Watch {
    fn filter_all_remaining(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// Returns false, so that the other filter decides which families are needed, unless this one is alone.
    fn is_family_essential(&self, _: &[u8]) -> bool {
        self.is_alone
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::filter::FilterEvaluator;

    #[test]
    fn a_watched_filter_is_the_same_until_the_interrupt() {
        let interrupt = Interrupt::pressed();
        let filter = |text: &str| Filter::parse(text).unwrap();
        for watched in [None, Some(filter("PrefixFilter('a')"))] {
            let watched = interrupt.watch(watched).unwrap().unwrap();
            assert!(FilterEvaluator::new(&watched).filter_all_remaining());
            interrupt.clear();
            assert!(!FilterEvaluator::new(&watched).filter_all_remaining());
            interrupt.0.as_ref().unwrap().store(true, Ordering::SeqCst);
        }
        interrupt.clear();
        let single = "SingleColumnValueFilter('f', 'p', =, 'binary:1', true, true)";
        let watched = interrupt.watch(Some(filter(single))).unwrap().unwrap();
        let evaluator = FilterEvaluator::new(&watched);
        assert_eq!([&b"f"[..], b"g"].map(|family| evaluator.is_family_essential(family)), [true, false]);
        let alone = interrupt.watch(None).unwrap().unwrap();
        assert!(FilterEvaluator::new(&alone).is_family_essential(b"g"));
        assert!(Interrupt::default().watch(None).unwrap().is_none());
    }
}
