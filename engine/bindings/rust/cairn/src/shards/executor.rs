// SPDX-License-Identifier: Apache-2.0
//! Threads of the host, instead of a set's own.
use std::any::Any;
use std::os::raw::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Runs the parts of a search, for hosts that have threads of their own: [`ShardOptions::executor`].
///
/// [`ShardOptions::executor`]: super::ShardOptions::executor
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// # let file = std::env::temp_dir().join(format!("cairn-executor-{}.cairn", std::process::id()));
/// # let index = cairn::Index::create(&cairn::Params::new(2))?;
/// # index.add(1, &[1.0, 0.0])?;
/// # index.save(&file)?;
/// use cairn::{ShardExecutor, ShardOptions};
/// use std::sync::Arc;
///
/// struct Scoped; // or those of rayon
/// impl ShardExecutor for Scoped {
///     fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
///         std::thread::scope(|scope| (0..n).for_each(|i| drop(scope.spawn(move || body(i)))));
///     }
///     fn width(&self) -> u32 {
///         4
///     }
/// }
/// let set = ShardOptions::new().executor(Arc::new(Scoped)).open_files(&[&file])?;
/// assert_eq!(set.search(&[1.0, 0.0], 1)?[0].key, 1);
/// # drop(set);
/// # std::fs::remove_file(&file).unwrap();
/// # Ok(())
/// # }
/// ```
pub trait ShardExecutor: Send + Sync {
    /// Calls `body(i)` once for each i below n, perhaps several at once, on any threads, and returns when all have
    /// returned. What was not called then is called by the thread that searches; a panic goes on there.
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync));

    /// How many run at once, at most.
    fn width(&self) -> u32;
}

pub(super) struct Host {
    executor: Arc<dyn ShardExecutor>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// Its panics are caught, and a part that it has left is run in its place.
impl panic::RefUnwindSafe for Host {}

type Body = Option<unsafe extern "C" fn(*mut c_void, usize)>;

unsafe extern "C" fn run(context: *mut c_void, n: usize, body: Body, body_context: *mut c_void) {
    struct Shared(*mut c_void);
    // SAFETY: cairn_run_parts: parts may run on any threads.
    unsafe impl Sync for Shared {}
    impl Shared {
        fn get(&self) -> *mut c_void {
            self.0
        }
    }

    // SAFETY: lives as long as the set.
    let host = &*(context as *const Host);
    let body = body.expect("parts have a body");
    let shared = Shared(body_context);
    let taken: Vec<AtomicBool> = (0..n).map(|_| AtomicBool::new(false)).collect();
    // Each part once, whatever the executor does.
    let part = |i: usize| {
        if !taken[i].swap(true, Ordering::Relaxed) {
            // SAFETY: i is below n, and the caller waits.
            body(shared.get(), i);
        }
    };
    if let Err(what) = panic::catch_unwind(AssertUnwindSafe(|| host.executor.run(n, &part))) {
        if let Ok(mut panicked) = host.panic.lock() {
            panicked.get_or_insert(what);
        }
    }
    (0..n).for_each(part);
}

impl Host {
    pub(super) const CALL: cairn_sys::cairn_run_parts = Some(run);

    pub(super) fn new(executor: Arc<dyn ShardExecutor>) -> Host {
        Host { executor, panic: Mutex::new(None) }
    }

    pub(super) fn context(&self) -> *mut c_void {
        self as *const Host as *mut c_void
    }

    pub(super) fn width(&self) -> u32 {
        self.executor.width()
    }

    pub(super) fn resume(&self) {
        let panicked = self.panic.lock().ok().and_then(|mut panicked| panicked.take());
        if let Some(what) = panicked {
            panic::resume_unwind(what);
        }
    }
}
