//! Long work that Ctrl-C ends. Python runs the handlers of signals on its main thread alone: the work goes to
//! a thread of its own, and the caller's asks Python meanwhile.

use pyo3::prelude::*;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often Python is asked.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` without Python's lock. Ctrl-C sets the flag that `work` gets, and once `work` has ended, what
/// the handler raised is the error.
pub fn interruptible<T: Send>(py: Python, work: impl FnOnce(&AtomicBool) -> T + Send) -> PyResult<T> {
    py.detach(|| {
        let (stop, mut raised) = (AtomicBool::new(false), Ok(()));
        let (send, receive) = channel();
        thread::scope(|scope| {
            let flag = &stop;
            let worker = scope.spawn(move || send.send(work(flag)));
            loop {
                match receive.recv_timeout(POLL) {
                    Ok(found) => return raised.map(|()| found),
                    Err(RecvTimeoutError::Timeout) if raised.is_ok() => {
                        raised = Python::attach(|py| py.check_signals());
                        stop.store(raised.is_err(), Ordering::Relaxed);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    // Only a panic ends the work without a result.
                    Err(RecvTimeoutError::Disconnected) => {
                        resume_unwind(worker.join().expect_err("no result was sent"));
                    }
                }
            }
        })
    })
}
