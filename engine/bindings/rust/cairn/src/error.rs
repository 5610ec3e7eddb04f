// SPDX-License-Identifier: Apache-2.0
use std::{fmt, io};

/// What calls return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed: a code for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: String,
}

impl Error {
    pub(crate) fn new(code: ErrorCode, what: &str) -> Error {
        Error { code, message: format!("{} ({}): {}", code.name(), code.number(), what) }
    }

    pub(crate) fn of_library(number: i32, message: String) -> Error {
        Error { code: ErrorCode::from_number(number).unwrap_or(ErrorCode::Internal), message }
    }

    /// What went wrong.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Name and number of the code, what was tried, and where: `key_exists (4): add: key 7 is already there`.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.code {
            ErrorCode::InvalidArgument | ErrorCode::DimensionMismatch | ErrorCode::NotFinite => {
                io::ErrorKind::InvalidInput
            }
            ErrorCode::PathExists | ErrorCode::KeyExists => io::ErrorKind::AlreadyExists,
            ErrorCode::PathNotFound | ErrorCode::KeyNotFound => io::ErrorKind::NotFound,
            ErrorCode::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorCode::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorCode::Unsupported => io::ErrorKind::Unsupported,
            ErrorCode::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorCode::NotACairnFile | ErrorCode::Corrupt | ErrorCode::DataLoss => io::ErrorKind::InvalidData,
            ErrorCode::DeadlineExceeded => io::ErrorKind::TimedOut,
            ErrorCode::PathInUse | ErrorCode::Busy => io::ErrorKind::WouldBlock,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:ident $text:literal,)*) => {
        /// Codes of errors. Their numbers never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = cairn_sys::$number as i32,)*
        }

        impl ErrorCode {
            /// The code of a number of the C interface; none for 0, which is no error, and for those of later
            /// versions.
            pub fn from_number(number: i32) -> Option<ErrorCode> {
                $(if number == cairn_sys::$number as i32 {
                    return Some(ErrorCode::$name);
                })*
                None
            }

            /// Its name, such as `key_exists`.
            pub fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $text,)*
                }
            }

            /// Its number, such as 4.
            pub fn number(self) -> i32 {
                self as i32
            }
        }

        #[cfg(test)]
        const CODES: &[ErrorCode] = &[$(ErrorCode::$name,)*];
    };
}

codes! {
    /// An argument is out of its range.
    InvalidArgument = CAIRN_ERROR_INVALID_ARGUMENT "invalid_argument",
    /// A vector has not the index's number of components.
    DimensionMismatch = CAIRN_ERROR_DIMENSION_MISMATCH "dimension_mismatch",
    /// A component is NaN or infinite, or does not fit the kind that is stored.
    NotFinite = CAIRN_ERROR_NOT_FINITE "not_finite",
    /// The key has a vector already.
    KeyExists = CAIRN_ERROR_KEY_EXISTS "key_exists",
    /// The key has no vector.
    KeyNotFound = CAIRN_ERROR_KEY_NOT_FOUND "key_not_found",
    /// The library, or this state of the index, cannot do that.
    Unsupported = CAIRN_ERROR_UNSUPPORTED "unsupported",
    /// The file is open for reading.
    ReadOnly = CAIRN_ERROR_READ_ONLY "read_only",
    /// A build wants an empty index.
    NotEmpty = CAIRN_ERROR_NOT_EMPTY "not_empty",
    /// Reading or writing failed.
    IoError = CAIRN_ERROR_IO_ERROR "io_error",
    /// The disk is full.
    NoSpace = CAIRN_ERROR_NO_SPACE "no_space",
    /// There is a file already.
    PathExists = CAIRN_ERROR_PATH_EXISTS "path_exists",
    /// There is no such file.
    PathNotFound = CAIRN_ERROR_PATH_NOT_FOUND "path_not_found",
    /// Somebody else has it open for writing.
    PathInUse = CAIRN_ERROR_PATH_IN_USE "path_in_use",
    /// The system does not allow it.
    PermissionDenied = CAIRN_ERROR_PERMISSION_DENIED "permission_denied",
    /// No memory, or no addresses; the index is as before.
    OutOfMemory = CAIRN_ERROR_OUT_OF_MEMORY "out_of_memory",
    /// The file is something else.
    NotACairnFile = CAIRN_ERROR_NOT_A_CAIRN_FILE "not_a_cairn_file",
    /// A version of the format that this library does not read.
    VersionUnsupported = CAIRN_ERROR_VERSION_UNSUPPORTED "version_unsupported",
    /// The file uses what this library does not know.
    FeatureUnsupported = CAIRN_ERROR_FEATURE_UNSUPPORTED "feature_unsupported",
    /// The file is damaged.
    Corrupt = CAIRN_ERROR_CORRUPT "corrupt",
    /// The file is shorter than it says.
    Truncated = CAIRN_ERROR_TRUNCATED "truncated",
    /// Acknowledged changes are lost; opening with `salvage` gives what was before them.
    DataLoss = CAIRN_ERROR_DATA_LOSS "data_loss",
    /// A stop flag was set.
    Cancelled = CAIRN_ERROR_CANCELLED "cancelled",
    /// Time ran out.
    DeadlineExceeded = CAIRN_ERROR_DEADLINE_EXCEEDED "deadline_exceeded",
    /// A write or sync has failed; open the file again.
    Poisoned = CAIRN_ERROR_POISONED "poisoned",
    /// Another process changes the file just now.
    Busy = CAIRN_ERROR_BUSY "busy",
    /// A defect of the library.
    Internal = CAIRN_ERROR_INTERNAL "internal",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_library() {
        for code in CODES {
            // SAFETY: a string of the library, valid for ever.
            let name = unsafe { crate::call::text(cairn_sys::cairn_error_name(code.number())) };
            assert_eq!(code.name(), name);
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
    }

    #[test]
    fn every_code_of_the_library_has_a_variant() {
        for number in 1..200 {
            // SAFETY: as above.
            let name = unsafe { crate::call::text(cairn_sys::cairn_error_name(number)) };
            assert_eq!(ErrorCode::from_number(number).is_some(), name != "unknown", "{number}");
        }
    }
}
