// SPDX-License-Identifier: Apache-2.0
//! The C interface of Cairn: `cairn/c.h`, word by word, and the engine behind it, which is compiled with the crate. A
//! C++20 compiler is all that it needs (`CXX` names another than `c++`). The crate `cairn` is the safe interface.
//!
//! Crates that depend on this one find the headers in `DEP_CAIRN_INCLUDE`. To link a library that is there already
//! instead of compiling one, override the build script, as for any crate with `links`:
//!
//! ```toml
//! [target.x86_64-unknown-linux-gnu.cairn]        # .cargo/config.toml
//! rustc-link-search = ["/usr/local/lib"]
//! rustc-link-lib = ["static=cairn", "stdc++"]
//! ```
#![allow(non_camel_case_types, clippy::doc_lazy_continuation)]

/// Made of the header by tools/packaging/rust-bindings.
#[rustfmt::skip]
mod bindings;
pub use bindings::*;
