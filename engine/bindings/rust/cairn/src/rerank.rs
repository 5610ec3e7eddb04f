// SPDX-License-Identifier: Apache-2.0
use std::any::Any;
use std::os::raw::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::slice;
use std::sync::Mutex;

use cairn_sys as sys;

use crate::ScalarKind;

/// A vector as an index stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum VectorView<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Bit patterns of half precision.
    F16(&'a [u16]),
    /// The upper halves of floats.
    Bf16(&'a [u16]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Bits, eight to a byte, the lowest first.
    B1(&'a [u8]),
}

pub(crate) type Rerank<'a> = &'a (dyn Fn(u64, VectorView<'_>) -> f32 + Sync);

/// The caller's metric, which may panic.
pub(crate) struct OwnMetric<'a> {
    metric: Rerank<'a>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

unsafe extern "C" fn distance(context: *mut c_void, key: u64, vector: *const sys::cairn_vector) -> f32 {
    // SAFETY: lives until the call returns, and so does the vector.
    let own = &*(context as *const OwnMetric<'_>);
    let view = view(&*vector);
    match panic::catch_unwind(AssertUnwindSafe(|| (own.metric)(key, view))) {
        Ok(distance) => distance,
        Err(what) => {
            if let Ok(mut panicked) = own.panic.lock() {
                panicked.get_or_insert(what);
            }
            f32::MAX
        }
    }
}

/// # Safety
/// `data` has `dims` components of its kind for as long as the vector is borrowed.
unsafe fn view(vector: &sys::cairn_vector) -> VectorView<'_> {
    let (data, dims) = (vector.data, vector.dims);
    match ScalarKind::from_number(vector.scalar) {
        Some(ScalarKind::F16) => VectorView::F16(slice::from_raw_parts(data.cast(), dims)),
        Some(ScalarKind::Bf16) => VectorView::Bf16(slice::from_raw_parts(data.cast(), dims)),
        Some(ScalarKind::I8) => VectorView::I8(slice::from_raw_parts(data.cast(), dims)),
        Some(ScalarKind::B1) => VectorView::B1(slice::from_raw_parts(data.cast(), (dims + 7) / 8)),
        _ => VectorView::F32(slice::from_raw_parts(data.cast(), dims)),
    }
}

impl<'a> OwnMetric<'a> {
    pub(crate) const CALL: sys::cairn_rerank = Some(distance);

    pub(crate) fn new(metric: Rerank<'a>) -> OwnMetric<'a> {
        OwnMetric { metric, panic: Mutex::new(None) }
    }

    pub(crate) fn context(&self) -> *mut c_void {
        self as *const OwnMetric<'_> as *mut c_void
    }

    /// Goes on with a panic of the metric.
    pub(crate) fn resume(&self) {
        let panicked = self.panic.lock().ok().and_then(|mut panicked| panicked.take());
        if let Some(what) = panicked {
            panic::resume_unwind(what);
        }
    }
}
