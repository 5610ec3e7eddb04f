// SPDX-License-Identifier: Apache-2.0
use cairn_sys as sys;

use crate::Plan;

macro_rules! stats {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What an index holds and has done; 0 where there is no file.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)*
            /// A write or sync has failed: nothing more is acknowledged.
            pub poisoned: bool,
        }

        impl Stats {
            pub(crate) fn from_raw(raw: &sys::cairn_statistics) -> Stats {
                Stats { $($field: raw.$field,)* poisoned: raw.poisoned != 0 }
            }
        }
    };
}

stats! {
    /// Vectors.
    live,
    /// Keys: fewer only where a key may have several vectors.
    keys,
    /// Removed vectors whose memory cannot be used again yet.
    deleted,
    /// Vectors that the memory in use has room for.
    slots,
    /// Components of a vector.
    dimensions,
    /// The highest level.
    max_level,
    /// Of the superblock.
    generation,
    /// Size of the file.
    file_bytes,
    /// All that walking the graph touches.
    hot_bytes,
    /// The vectors as given.
    exact_bytes,
    /// Memory that the kernel cannot reclaim by dropping file pages.
    private_bytes,
    /// Of the file that the log takes.
    log_bytes,
    /// Of the log, since the last checkpoint.
    log_frames,
    /// Number of the last frame.
    last_lsn,
    /// Number of the last frame that is on disk.
    durable_lsn,
    /// Of 4 KiB, that the next checkpoint writes.
    dirty_pages,
    /// Since it was opened.
    checkpoints,
    /// Since it was opened.
    failed_checkpoints,
    /// Successful calls since it was made or opened.
    adds,
    /// The same.
    upserts,
    /// The same.
    removes,
    /// Queries; each of a batch counts.
    searches,
    /// Successful calls.
    compactions,
    /// Nanoseconds that opening took.
    open_ns,
    /// The part of it that went into log and journal.
    recovery_ns,
    /// Of the log, by opening.
    recovered_frames,
    /// That a salvage has given up.
    lost_frames,
    /// Their first number.
    first_lost_lsn,
    /// Their last number.
    last_lost_lsn,
    /// Vectors that the lost frames had led to.
    live_before_loss,
    /// The `ef` that is advised; 0: none.
    advised_ef,
    /// Searches that were timed: [`Index::record_latency`](crate::Index::record_latency).
    timed_searches,
    /// Of their times in nanoseconds, within 1 %.
    p50_ns,
    /// The same.
    p90_ns,
    /// The same.
    p99_ns,
    /// The same.
    p999_ns,
}

/// What a verification has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct VerifyReport {
    /// A line for each defect, with its place.
    pub findings: Vec<String>,
    /// Of 4 KiB.
    pub pages_checked: u64,
    /// 0: not all pages could be read.
    pub nodes_checked: u64,
    /// Vectors that no path from the entry point reaches.
    pub unreachable: u64,
}

impl VerifyReport {
    /// No defect.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }
}

/// How much of the true answers searches find.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RecallReport {
    /// 0 to 1.
    pub recall: f64,
    /// Of the interval in which it lies with 95 % certainty.
    pub lower: f64,
    /// Its end.
    pub upper: f64,
    /// That were searched.
    pub queries: u64,
}

/// What a search has done; of a batch, the sum of its queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SearchReport {
    /// How it was done; [`Plan::Automatic`] of a batch whose queries differ.
    pub plan: Plan,
    /// False: a limit has ended it, and the matches are those found by then.
    pub complete: bool,
    /// Computed while candidates were looked for.
    pub distances: u64,
    /// Of neighbours, that were read for that.
    pub lists: u64,
}

impl SearchReport {
    pub(crate) fn from_raw(raw: &sys::cairn_search_report) -> SearchReport {
        SearchReport {
            plan: Plan::from_number(raw.plan).unwrap_or(Plan::Automatic),
            complete: raw.complete != 0,
            distances: raw.distances,
            lists: raw.lists,
        }
    }
}
