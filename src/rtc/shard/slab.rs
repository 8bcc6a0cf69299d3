//! Values with keys that are never given out twice.

/// Names a value of a [`Slab`]; a key whose value is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// Its place, which a later one may have too.
    pub(super) const fn slot(self) -> usize {
        self.slot as usize
    }

    /// One number for the key.
    pub(super) const fn number(self) -> u64 {
        (self.slot as u64) << 32 | self.generation as u64
    }

    /// The key of that number.
    pub(super) const fn from_number(number: u64) -> Self {
        Self { slot: (number >> 32) as u32, generation: number as u32 }
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values in slots that are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Key {
        if let Some(slot) = self.free.pop() {
            let held = &mut self.slots[slot as usize];
            held.generation = held.generation.wrapping_add(1);
            held.value = Some(value);
            return Key { slot, generation: held.generation };
        }
        // Callers bound what they insert far below 2^32.
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 1, value: Some(value) });
        Key { slot, generation: 1 }
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.slot as usize).filter(|slot| slot.generation == key.generation)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?.value.as_mut()
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        self.free.push(key.slot);
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().zip(0..).filter_map(|(held, slot)| {
            held.value.as_ref().map(|value| (Key { slot, generation: held.generation }, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_value_and_never_the_next_one_in_its_slot() {
        let mut slab = Slab::default();
        let first = slab.insert("a");
        assert_eq!((slab.get(first), slab.len()), (Some(&"a"), 1));
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(second, &"b")]);
        assert_eq!(Key::from_number(second.number()), second);
    }
}
