//! What can go wrong, with the codes that cross the C ABI.

use std::fmt;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The Program, or what it is bound to, is damaged or not what this version can run.
    Program(String),
    /// Memory that cannot be had, in bytes.
    Memory(usize),
    /// An index in the data of a step is out of range.
    Index {
        /// What the index points into.
        what: &'static str,
        /// The index.
        index: i64,
        /// The first index that is too great.
        bound: usize,
    },
}

impl Error {
    /// The code of the error in the C ABI; 0 stands for success.
    pub fn code(&self) -> u32 {
        match self {
            Error::Program(_) => 1,
            Error::Memory(_) => 2,
            Error::Index { .. } => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Program(what) => f.write_str(what),
            Error::Memory(bytes) => write!(f, "{bytes} bytes of memory cannot be had"),
            Error::Index { what, index, bound } => {
                write!(f, "the index {index} is outside the {bound} {what}")
            }
        }
    }
}

/// Shorthand for a Program that cannot be run.
pub fn invalid<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Program(what.into()))
}
