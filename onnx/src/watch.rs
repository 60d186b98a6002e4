//! Who follows an import, and who may stop it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Parts of an import, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Operators of the graph become layers, every threshold by bisection.
    Operators,
    /// Channels whose thresholds are checked on both sides.
    Channels,
    /// Images on which the network is compared with the graph.
    Images,
}

/// What an import tells while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A part begins; it has this many operators, channels or images.
    Begins(Part, u64),
    /// One more of them is done.
    Done,
}

/// Who is told of an import's progress, and who may stop it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is called from several threads.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// A flag that stops the import when it is set.
    pub stop: &'a AtomicBool,
}

impl Watch<'_> {
    /// Runs `import` with nobody who follows.
    pub(crate) fn nobody<T>(import: impl FnOnce(Watch) -> T) -> T {
        import(Watch { progress: &|_| {}, stop: &AtomicBool::new(false) })
    }

    /// Tells that a part begins.
    pub(crate) fn begins(&self, part: Part, count: usize) {
        (self.progress)(Progress::Begins(part, count as u64));
    }

    /// Tells that one more is done.
    pub(crate) fn done(&self) {
        (self.progress)(Progress::Done);
    }

    /// Returns whether the flag is set.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Fails once the flag is set; [`crate::import_watched`] puts an error of its own in the text's place.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.is_stopped() { Err("stopped".into()) } else { Ok(()) }
    }
}
