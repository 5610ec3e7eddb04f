// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::ptr::{self, NonNull};

use cairn_sys as sys;

/// A flag that ends long calls with [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled), as if they had not been
/// made. One flag may serve several calls at once.
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// use cairn::{BuildOptions, ErrorCode, Index, Params, Stop};
///
/// let index = Index::create(&Params::new(2))?;
/// let stop = Stop::new();
/// stop.set(); // mostly from another thread
/// let options = BuildOptions::new().stop(&stop);
/// let error = index.build_with(&[1], &[0.5, 0.5], &options).unwrap_err();
/// assert_eq!(error.code(), ErrorCode::Cancelled);
/// # Ok(())
/// # }
/// ```
pub struct Stop(NonNull<sys::cairn_stop>);

// SAFETY: an atomic flag.
unsafe impl Send for Stop {}
unsafe impl Sync for Stop {}

impl Stop {
    /// A flag that is not set. Panics if there is no memory.
    pub fn new() -> Stop {
        let mut out = ptr::null_mut();
        // SAFETY: `out` is written.
        unsafe { sys::cairn_stop_create(&mut out) };
        Stop(NonNull::new(out).expect("no memory for a flag"))
    }

    /// From any thread, and from signal handlers.
    pub fn set(&self) {
        // SAFETY: it lives as long as `self`.
        unsafe { sys::cairn_stop_set(self.raw()) }
    }

    /// As it was at first.
    pub fn clear(&self) {
        // SAFETY: as above.
        unsafe { sys::cairn_stop_clear(self.raw()) }
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        // SAFETY: as above.
        unsafe { sys::cairn_stop_is_set(self.raw()) == 1 }
    }

    pub(crate) fn raw(&self) -> *mut sys::cairn_stop {
        self.0.as_ptr()
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and no call can use it any more.
        unsafe { sys::cairn_stop_close(self.raw()) }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_set()).finish()
    }
}
