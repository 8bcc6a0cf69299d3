//! What the content of a file sums up to.
//!
//! redb trusts a file that was closed in order: a bit that flipped in a row would be read as what it is now. So the
//! hashes of all rows of all tables are added up, whatever their order, and the sum lies beside them. It is kept up with
//! every row that is written or removed, and compared when the file is opened.

use std::ops::RangeBounds;

use cluster_core::Fnv;
use redb::{Key, ReadableTable, StorageError, Table, Value};

/// The hash of one row of the table of this number.
fn hash_of<K: Key, V: Value>(table: u8, key: &K::SelfType<'_>, value: &V::SelfType<'_>) -> u64 {
    let mut hash = Fnv::default();
    let (key, value) = (K::as_bytes(key), V::as_bytes(value));
    hash.add(&[table]);
    hash.add_u64(key.as_ref().len() as u64);
    hash.add(key.as_ref());
    hash.add(value.as_ref());
    hash.finish()
}

/// What all rows of `table` sum up to.
pub(crate) fn sum_of<K: Key + 'static, V: Value + 'static>(
    number: u8,
    table: &impl ReadableTable<K, V>,
) -> Result<u64, StorageError> {
    let mut sum = 0u64;
    for row in table.iter()? {
        let (key, value) = row?;
        sum = sum.wrapping_add(hash_of::<K, V>(number, &key.value(), &value.value()));
    }
    Ok(sum)
}

/// A table that is written, and by how much its rows changed the sum.
pub(crate) struct Summed<'a, K: Key + 'static, V: Value + 'static> {
    number: u8,
    table: Table<'a, K, V>,
    sum: u64,
}

impl<'a, K: Key + 'static, V: Value + 'static> Summed<'a, K, V> {
    pub(crate) const fn new(number: u8, table: Table<'a, K, V>) -> Self {
        Self { number, table, sum: 0 }
    }

    /// By how much the sum is more than at the beginning of the transaction, modulo 2^64.
    pub(crate) const fn sum(&self) -> u64 {
        self.sum
    }

    pub(crate) fn insert(
        &mut self,
        key: K::SelfType<'_>,
        value: V::SelfType<'_>,
    ) -> Result<(), StorageError> {
        let new = hash_of::<K, V>(self.number, &key, &value);
        let before = self.table.insert(&key, &value)?;
        let before = before.map_or(0, |before| hash_of::<K, V>(self.number, &key, &before.value()));
        self.sum = self.sum.wrapping_sub(before).wrapping_add(new);
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: K::SelfType<'_>) -> Result<(), StorageError> {
        let before = self.table.remove(&key)?;
        let before = before.map_or(0, |before| hash_of::<K, V>(self.number, &key, &before.value()));
        self.sum = self.sum.wrapping_sub(before);
        Ok(())
    }

    /// Removes all of `range`.
    pub(crate) fn remove_in<'r, R>(&mut self, range: impl RangeBounds<R> + 'r) -> Result<(), StorageError>
    where
        R: std::borrow::Borrow<K::SelfType<'r>> + 'r,
    {
        let (number, sum) = (self.number, &mut self.sum);
        self.table.retain_in(range, |key, value| {
            *sum = sum.wrapping_sub(hash_of::<K, V>(number, &key, &value));
            false
        })
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) -> Result<(), StorageError> {
        let (number, sum) = (self.number, &mut self.sum);
        self.table.retain(|key, value| {
            *sum = sum.wrapping_sub(hash_of::<K, V>(number, &key, &value));
            false
        })
    }
}
