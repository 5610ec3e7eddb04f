// SPDX-License-Identifier: Apache-2.0
//! What every call of the C interface needs: its error, strings, paths, and callbacks that may panic.
use std::any::Any;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::ptr;
use std::sync::Mutex;

use cairn_sys as sys;

use crate::{Error, ErrorCode, Result, Stop};

/// The error of a call that has just returned `code` on this thread.
pub(crate) fn check(code: c_int) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: valid until this thread's next failing call, and copied before.
    let message = unsafe { owned(sys::cairn_last_error()) };
    Err(Error::of_library(code, message))
}

/// A string that the library keeps.
///
/// # Safety
/// `text` must be a string of UTF-8 that is valid for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a str {
    CStr::from_ptr(text).to_str().unwrap_or("")
}

/// A copy of a string of the library, which may have bytes of a path in it.
///
/// # Safety
/// `text` must be a string that is valid now.
pub(crate) unsafe fn owned(text: *const c_char) -> String {
    CStr::from_ptr(text).to_string_lossy().into_owned()
}

pub(crate) fn path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::new(ErrorCode::InvalidArgument, "a path with a zero byte in it"))
}

/// A callback that is told how far a call is.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

struct Watcher<'a> {
    progress: Progress<'a>,
    stop: *mut sys::cairn_stop,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

unsafe extern "C" fn report(context: *mut c_void, done: u64, total: u64) {
    // SAFETY: `watched` has made it, and waits until the call is over.
    let watcher = &*(context as *const Watcher<'_>);
    let mut panicked = match watcher.panic.lock() {
        Ok(panicked) => panicked,
        Err(poisoned) => poisoned.into_inner(),
    };
    if panicked.is_some() {
        return;
    }
    if let Err(what) = panic::catch_unwind(AssertUnwindSafe(|| (watcher.progress)(done, total))) {
        *panicked = Some(what);
        sys::cairn_stop_set(watcher.stop);
    }
}

/// What the C interface takes to tell how far it is and to be stopped.
pub(crate) struct Watch {
    pub(crate) stop: *const sys::cairn_stop,
    pub(crate) progress: sys::cairn_progress,
    pub(crate) context: *mut c_void,
}

/// Makes a call with both. A panic of the callback ends the call and goes on in the caller.
pub(crate) fn watched<R>(progress: Option<Progress<'_>>, stop: Option<&Stop>, call: impl FnOnce(Watch) -> R) -> R {
    let given = stop.map_or(ptr::null_mut(), Stop::raw);
    let progress = match progress {
        None => return call(Watch { stop: given, progress: None, context: ptr::null_mut() }),
        Some(progress) => progress,
    };
    let own = if stop.is_none() { Some(Stop::new()) } else { None };
    let stop = own.as_ref().map_or(given, Stop::raw);
    let watcher = Watcher { progress, stop, panic: Mutex::new(None) };
    let context = &watcher as *const Watcher<'_> as *mut c_void;
    let result = call(Watch { stop, progress: Some(report), context });
    let panicked = match watcher.panic.into_inner() {
        Ok(panicked) => panicked,
        Err(poisoned) => poisoned.into_inner(),
    };
    if let Some(what) = panicked {
        panic::resume_unwind(what);
    }
    result
}
