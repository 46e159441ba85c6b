//! Whose turn it is on the one engine, across test processes.

use std::cell::RefCell;
use std::fs::File;
use std::sync::{Arc, Weak};

const LOCK: &str = "/run/lock/mooredtest-e2e.lock";

thread_local! {
    /// The turn of the test that runs here.
    static OURS: RefCell<Weak<File>> = const { RefCell::new(Weak::new()) };
}

/// Waits until it is this test's turn, which ends with the last copy of what is returned. A test
/// that has its turn is given it again.
pub(crate) fn wait() -> Arc<File> {
    OURS.with_borrow_mut(|ours| {
        ours.upgrade().unwrap_or_else(|| {
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(LOCK)
                .unwrap();
            lock.lock().unwrap();
            let turn = Arc::new(lock);
            *ours = Arc::downgrade(&turn);
            turn
        })
    })
}
