// SPDX-License-Identifier: Apache-2.0
use crate::ScalarKind;

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
pub(crate) fn components<S: Scalar>(vector: &[S], dims: usize) -> usize {
    if S::KIND != ScalarKind::B1 {
        vector.len()
    } else if vector.len() == elements::<S>(dims) {
        dims
    } else {
        vector.len().saturating_mul(8)
    }
}
