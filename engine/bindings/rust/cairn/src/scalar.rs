// SPDX-License-Identifier: Apache-2.0
use std::os::raw::c_void;

use cairn_sys as sys;

use crate::{Error, ErrorCode, Result, ScalarKind};

/// What vectors are slices of: `f32`; `i8`; `u8` for bits, eight to a byte, the lowest first, those behind the last
/// component 0; and with the feature `half`, `half::f16` and `half::bf16`. An index takes `f32`, which is converted,
/// and its own kind.
pub trait Scalar: sealed::Scalar {}

pub(crate) mod sealed {
    use crate::ScalarKind;

    /// # Safety
    /// The memory of a slice must be what the C interface wants of `KIND`, and any bytes a value.
    pub unsafe trait Scalar: Copy + Send + Sync + 'static {
        const KIND: ScalarKind;
        const ZERO: Self;
    }
}

macro_rules! scalars {
    ($($(#[$if:meta])? $type:ty = $kind:ident $zero:expr;)*) => {
        $($(#[$if])?
        impl Scalar for $type {}
        // SAFETY: as the kind has it.
        $(#[$if])?
        unsafe impl sealed::Scalar for $type {
            const KIND: ScalarKind = ScalarKind::$kind;
            const ZERO: Self = $zero;
        })*
    };
}

scalars! {
    f32 = F32 0.0;
    i8 = I8 0;
    u8 = B1 0;
    #[cfg(feature = "half")]
    half::f16 = F16 half::f16::ZERO;
    #[cfg(feature = "half")]
    half::bf16 = Bf16 half::bf16::ZERO;
}

/// Elements of a slice that make a vector of `dims` components.
pub(crate) fn elements<S: Scalar>(dims: usize) -> usize {
    if S::KIND == ScalarKind::B1 {
        (dims + 7) / 8
    } else {
        dims
    }
}

/// How many components a slice has: of bits as many as the index, if so many bytes hold them.
fn components<S: Scalar>(vector: &[S], dims: usize) -> usize {
    if S::KIND != ScalarKind::B1 {
        vector.len()
    } else if vector.len() == elements::<S>(dims) {
        dims
    } else {
        vector.len().saturating_mul(8)
    }
}

/// A vector for an index of `dims` components.
pub(crate) fn vector_of<S: Scalar>(vector: &[S], dims: usize) -> sys::cairn_vector {
    sys::cairn_vector { data: vector.as_ptr() as *const c_void, dims: components(vector, dims), scalar: S::KIND as u8 }
}

/// Rows of `dims` components, one after the other.
pub(crate) fn matrix_of<S: Scalar>(rows: &[S], dims: usize) -> Result<sys::cairn_matrix> {
    let row = elements::<S>(dims);
    if row == 0 || rows.len() % row != 0 {
        let what = format!("{} elements are no rows of {}", rows.len(), row);
        return Err(Error::new(ErrorCode::DimensionMismatch, &what));
    }
    Ok(sys::cairn_matrix {
        data: rows.as_ptr() as *const c_void,
        rows: rows.len() / row,
        dims,
        stride: 0,
        scalar: S::KIND as u8,
    })
}
