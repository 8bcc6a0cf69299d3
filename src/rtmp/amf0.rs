//! AMF0 (Adobe's Action Message Format 0 of 2007): a bounded reader and the few things we write.

mod read;
mod value;
mod write;

pub use read::{AmfError, Reader};
pub use value::Value;
pub(crate) use write::{Field, Writer};

#[cfg(test)]
mod tests;
