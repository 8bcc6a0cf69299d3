//! Test aids for whoever implements or uses [`crate::Meta`].

pub mod conformance;
mod in_memory;
mod unsteady;

pub use in_memory::InMemory;
pub use unsteady::Unsteady;

/// Reads a snapshot without its version and its hash, which let nothing through that a fuzzer makes.
pub fn read_snapshot(body: &[u8]) -> Result<crate::State, crate::FormatError> {
    crate::State::read(body)
}

/// What tests seal with.
#[expect(clippy::expect_used, reason = "32 bytes are a key")]
pub fn seals() -> std::sync::Arc<crate::Seals> {
    std::sync::Arc::new(crate::Seals::new(&crate::SealingKey::new([7; 32]), []).expect("a key"))
}

/// Whether `text` is sealed, of what was sealed with [`seals`] for the owner `a`.
pub fn open_sealed(text: &str) -> Result<bool, crate::FormatError> {
    seals().open("a", text).map(|opened| opened.is_some())
}

/// A steady plane and unsteady ones.
#[cfg(test)]
pub(crate) fn planes() -> Vec<std::sync::Arc<dyn crate::Meta>> {
    use std::sync::Arc;
    let memory = || InMemory::new(Arc::new(base::SystemClock));
    let mut planes: Vec<Arc<dyn crate::Meta>> = vec![Arc::new(memory())];
    planes.extend((0..3).map(|seed| Arc::new(Unsteady::new(memory(), seed)) as Arc<dyn crate::Meta>));
    planes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::SystemClock;

    use super::conformance::Subject;
    use super::*;

    fn in_memory() -> InMemory {
        InMemory::new(Arc::new(SystemClock))
    }

    crate::meta_conformance!(steady, || Subject::new(in_memory()));
    crate::meta_conformance!(unsteady_1, || Subject::new(Unsteady::new(in_memory(), 1)));
    crate::meta_conformance!(unsteady_2, || Subject::new(Unsteady::new(in_memory(), 2)));
}
