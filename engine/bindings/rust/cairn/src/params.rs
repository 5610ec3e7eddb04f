// SPDX-License-Identifier: Apache-2.0
use cairn_sys as sys;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $number:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum $name {
            $($(#[$item_doc])* $item = sys::$number as u8,)*
        }

        impl $name {
            #[allow(dead_code)]
            pub(crate) fn from_number(number: u8) -> Option<$name> {
                $(if number == sys::$number as u8 {
                    return Some($name::$item);
                })*
                None
            }
        }
    };
}

numbered! {
    /// What distances are; smaller is nearer.
    Metric {
        /// `1 - cos`; 1 if a vector is zero.
        Cosine = CAIRN_METRIC_COSINE,
        /// The squared Euclidean distance.
        L2sq = CAIRN_METRIC_L2SQ,
        /// `1 - inner product`.
        InnerProduct = CAIRN_METRIC_INNER_PRODUCT,
        /// Bits that differ; of [`ScalarKind::B1`] alone.
        Hamming = CAIRN_METRIC_HAMMING,
    }
}
numbered! {
    /// What an index stores.
    ScalarKind {
        /// 32-bit floats.
        F32 = CAIRN_SCALAR_F32,
        /// IEEE 754 half precision.
        F16 = CAIRN_SCALAR_F16,
        /// The upper half of an f32.
        Bf16 = CAIRN_SCALAR_BF16,
        /// Signed bytes.
        I8 = CAIRN_SCALAR_I8,
        /// Bits.
        B1 = CAIRN_SCALAR_B1,
    }
}
numbered! {
    /// What the graph is walked on.
    Traversal {
        /// What suits the kind and the metric.
        Automatic = CAIRN_TRAVERSAL_AUTOMATIC,
        /// Codes of a byte a component; results are ranked by the vectors.
        Code = CAIRN_TRAVERSAL_CODE,
        /// The vectors.
        Exact = CAIRN_TRAVERSAL_EXACT,
    }
}
numbered! {
    /// How the nearest are looked for.
    Plan {
        /// What is quicker: a walk of the graph, or of a filter that few keys pass, those keys alone.
        Automatic = CAIRN_PLAN_AUTOMATIC,
        /// A walk of the graph.
        Walk = CAIRN_PLAN_WALK,
        /// All that pass, one after the other: the true answers.
        Exact = CAIRN_PLAN_EXACT,
    }
}
numbered! {
    /// What a file is opened for.
    Mode {
        /// To search it.
        ReadOnly = CAIRN_READ_ONLY,
        /// To change it, too.
        ReadWrite = CAIRN_READ_WRITE,
    }
}
numbered! {
    /// Where the searched bytes are.
    Residency {
        /// In the mapped file; nothing is read ahead of use.
        Map = CAIRN_RESIDENCY_MAP,
        /// In memory, read and checked when the file is opened.
        Load = CAIRN_RESIDENCY_LOAD,
    }
}
numbered! {
    /// What is checked before a file is open.
    VerifyAtOpen {
        /// Header, superblock and extent table.
        Metadata = CAIRN_VERIFY_METADATA,
        /// Every page, too.
        Full = CAIRN_VERIFY_FULL,
    }
}
numbered! {
    /// When pages of a mapped file are compared with their checksums.
    Check {
        /// By [`Index::verify`](crate::Index::verify) alone, and where opening does.
        None = CAIRN_CHECK_NONE,
        /// When a search or a look-up touches them first: a damaged page is `corrupt`.
        OnFirstUse = CAIRN_CHECK_ON_FIRST_USE,
    }
}
numbered! {
    /// When an acknowledged change is on disk. What a crash leaves is a prefix of the changes in any case.
    Durability {
        /// When its call returns.
        Sync = CAIRN_DURABILITY_SYNC,
        /// Some milliseconds later.
        Group = CAIRN_DURABILITY_GROUP,
        /// With the next sync, checkpoint or close.
        None = CAIRN_DURABILITY_NONE,
    }
}
numbered! {
    /// The library that has written a file, or is to read it.
    Source {
        /// What the file looks like.
        Automatic = CAIRN_SOURCE_AUTOMATIC,
        /// hnsw_rs, of Rust.
        HnswRs = CAIRN_SOURCE_HNSW_RS,
        /// hnswlib.
        Hnswlib = CAIRN_SOURCE_HNSWLIB,
        /// USearch.
        Usearch = CAIRN_SOURCE_USEARCH,
        /// faiss.
        Faiss = CAIRN_SOURCE_FAISS,
    }
}

/// What an index is made with; it is recorded in its file.
///
/// ```
/// use cairn::{Metric, Params, ScalarKind};
/// let params = Params::new(384).metric(Metric::L2sq).scalar(ScalarKind::F16).m(24);
/// assert_eq!(params.ef_construction, 200);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Params {
    /// Components of a vector, 1 to 65,535.
    pub dimensions: usize,
    /// Cosine if not said otherwise.
    pub metric: Metric,
    /// F32 if not said otherwise; B1 with Hamming, the others with the other metrics.
    pub scalar: ScalarKind,
    /// Links of a node, 2 to 256: 16.
    pub m: u32,
    /// Candidates that are considered for a node, 1 to 65,536: 200.
    pub ef_construction: u32,
    /// Of levels and of the order of a build: 42. Secret and random where others choose the keys.
    pub seed: u64,
    /// What the graph is walked on.
    pub traversal: Traversal,
    /// A key may have several vectors: `add` appends one, results name a key once.
    #[cfg_attr(feature = "serde", serde(default))]
    pub several_per_key: bool,
}

impl Params {
    /// Cosine over f32, with the defaults.
    pub fn new(dimensions: usize) -> Params {
        let mut raw = sys::cairn_params::default();
        // SAFETY: a struct of that size.
        unsafe { sys::cairn_params_init(&mut raw, std::mem::size_of_val(&raw), dimensions) };
        Params::from_raw(&raw)
    }

    /// Sets what distances are.
    pub fn metric(mut self, metric: Metric) -> Params {
        self.metric = metric;
        self
    }

    /// Sets what is stored.
    pub fn scalar(mut self, scalar: ScalarKind) -> Params {
        self.scalar = scalar;
        self
    }

    /// Sets how many links a node has.
    pub fn m(mut self, m: u32) -> Params {
        self.m = m;
        self
    }

    /// Sets how many candidates are considered for a node.
    pub fn ef_construction(mut self, ef_construction: u32) -> Params {
        self.ef_construction = ef_construction;
        self
    }

    /// Sets what levels and the order of a build follow from.
    pub fn seed(mut self, seed: u64) -> Params {
        self.seed = seed;
        self
    }

    /// Sets what the graph is walked on.
    pub fn traversal(mut self, traversal: Traversal) -> Params {
        self.traversal = traversal;
        self
    }

    /// Sets whether a key may have several vectors.
    pub fn several_per_key(mut self, several: bool) -> Params {
        self.several_per_key = several;
        self
    }

    pub(crate) fn raw(&self) -> sys::cairn_params {
        let mut raw = sys::cairn_params::default();
        // SAFETY: as above.
        unsafe { sys::cairn_params_init(&mut raw, std::mem::size_of_val(&raw), self.dimensions) };
        raw.metric = self.metric as u8;
        raw.scalar = self.scalar as u8;
        raw.m = self.m;
        raw.ef_construction = self.ef_construction;
        raw.seed = self.seed;
        raw.traversal = self.traversal as u8;
        raw.several_per_key = self.several_per_key as u8;
        raw
    }

    pub(crate) fn from_raw(raw: &sys::cairn_params) -> Params {
        Params {
            dimensions: raw.dimensions,
            metric: Metric::from_number(raw.metric).unwrap_or(Metric::Cosine),
            scalar: ScalarKind::from_number(raw.scalar).unwrap_or(ScalarKind::F32),
            m: raw.m,
            ef_construction: raw.ef_construction,
            seed: raw.seed,
            traversal: Traversal::from_number(raw.traversal).unwrap_or(Traversal::Automatic),
            several_per_key: raw.several_per_key != 0,
        }
    }
}
