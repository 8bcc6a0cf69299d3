//! The state of a node that is no member: copied from members page by page, then kept by what it watches.
//!
//! A page is true at the revision of the member that gave it. Between two pages the changes up to that revision are
//! taken, so that what is here is always all rows up to some key, at one revision; a page of an older one is asked for
//! again. So members keep nothing for who copies, any of them may give the next page, and nobody falls
//! behind by copying for long. A copy that is begun anew (too much was missed, or the data is of another
//! generation) leaves the one before to be read until it is whole.

use base::{WallTime, limits};
use cluster_model::{Change, Revision, RowKind, State};

use crate::{Moment, WireError};

/// What is here.
pub(crate) struct Mirror {
    /// The last whole copy.
    whole: Option<State>,
    /// The one that is being made.
    copy: Option<Copy>,
}

struct Copy {
    state: State,
    /// The row it has last. `None`: it has none.
    place: Option<Change>,
    /// The last page is true here: the next one is asked for once changes up to here were taken.
    upto: Revision,
    /// The last page was the last one.
    ends: bool,
    bytes: u64,
    began: Moment,
    /// The number of the question that stands, and when it is asked anew.
    asked: Option<(u64, Moment)>,
}

/// What is wanted next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Changes after what is here.
    Changes,
    /// The next page.
    Page {
        /// Of another member than the last one: that one did not answer, or with it the copy came to nothing.
        elsewhere: bool,
    },
    /// Nothing but time.
    Nothing,
}

/// What a page came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is none that was asked for.
    Stray,
    /// It is older than what is here: another member may have a newer one.
    Old,
    /// It is here.
    Here,
}

impl Mirror {
    /// Nothing is here.
    pub(crate) fn new(now: Moment) -> Self {
        Self { whole: None, copy: Some(Copy::new(now)) }
    }

    /// The last whole copy.
    pub(crate) const fn whole(&self) -> Option<&State> {
        self.whole.as_ref()
    }

    /// What changes are taken into.
    fn at(&self) -> Option<&State> {
        match &self.copy {
            Some(copy) => copy.place.as_ref().map(|_| &copy.state),
            None => self.whole.as_ref(),
        }
    }

    /// All changes up to this revision are here; `None`: no row is.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.at().map(State::revision)
    }

    /// The generation of what is here.
    pub(crate) fn generation(&self) -> u64 {
        self.at().map_or(0, State::generation)
    }

    /// Whether all is here that a member of `generation` had at `revision`.
    pub(crate) fn has(&self, revision: Revision, generation: u64) -> bool {
        let whole = self.whole.as_ref().filter(|_| self.copy.is_none());
        whole.is_some_and(|state| state.generation() == generation && state.revision() >= revision)
    }

    /// Begins anew.
    pub(crate) fn copy_anew(&mut self, now: Moment) {
        self.copy = Some(Copy::new(now));
    }

    /// What is wanted at `now`. A copy that takes too long, or has grown too large, is begun anew, with another member.
    pub(crate) fn wanted(&mut self, now: Moment) -> Wanted {
        let Some(copy) = &self.copy else { return Wanted::Changes };
        if now >= copy.began + limits::META_COPY_MAX || copy.bytes > limits::META_COPY_BYTES_MAX {
            self.copy_anew(now);
            return Wanted::Page { elsewhere: true };
        }
        match &copy.asked {
            Some((_, again)) if now < *again => Wanted::Nothing,
            Some(_) => Wanted::Page { elsewhere: true },
            None if copy.state.revision() < copy.upto || copy.ends => Wanted::Changes,
            None => Wanted::Page { elsewhere: false },
        }
    }

    /// Whether a copy is being made.
    pub(crate) const fn is_copying(&self) -> bool {
        self.copy.is_some()
    }

    /// Whether a page was asked for and is not here.
    pub(crate) fn is_asking(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.asked.is_some())
    }

    /// The next page is asked for under `number`. Gives the row it is to begin behind.
    pub(crate) fn asks(&mut self, number: u64, now: Moment) -> Option<(u8, String)> {
        let copy = self.copy.as_mut()?;
        copy.asked = Some((number, now + 2 * limits::META_RETRY_AFTER));
        copy.place.as_ref().and_then(Change::key).map(|(kind, key)| (kind.number(), key))
    }

    /// Takes the page that was asked for under `number`. One that cannot be read is as one that did not come.
    pub(crate) fn take_page(
        &mut self,
        number: u64,
        (revision, now): (Revision, WallTime),
        rows: &[(u8, String, Vec<u8>)],
        ends: bool,
    ) -> Result<Taken, WireError> {
        let asked = |copy: &&mut Copy| copy.asked.is_some_and(|(asked, _)| asked == number);
        let Some(copy) = self.copy.as_mut().filter(asked) else { return Ok(Taken::Stray) };
        let mut changes = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for (kind, key, value) in rows {
            let kind = RowKind::try_from(*kind).map_err(|_| WireError)?;
            changes.push(Change::of_row(kind, key, value).map_err(|_| WireError)?);
            bytes += (key.len() + value.len()) as u64;
        }
        copy.asked = None;
        let old = match (&copy.place, &self.whole) {
            (Some(_), _) => revision < copy.state.revision(),
            // Nothing that was read here goes back. The generation is the first row; data of a newer one may be further
            // back.
            (None, Some(whole)) => {
                let newest = (whole.generation(), whole.revision());
                let is_older = |generation| (generation, revision) < newest;
                matches!(changes.first(), Some(Change::Generation(generation)) if is_older(*generation))
            }
            (None, None) => false,
        };
        if old {
            return Ok(Taken::Old);
        }
        copy.bytes += bytes;
        let at = match copy.place {
            None => (revision, now),
            Some(_) => (copy.state.revision(), copy.state.now()),
        };
        copy.state.absorb(at.0, at.1, &changes);
        (copy.upto, copy.ends) = (revision, ends);
        copy.place = changes.pop().or(copy.place.take());
        Ok(Taken::Here)
    }

    /// Takes what changed at `revision`. Gives whether it is to be told: a copy that is not whole is nobody's yet.
    pub(crate) fn take_changes(&mut self, revision: Revision, now: WallTime, changes: &[Change]) -> bool {
        let (state, told) = match (&mut self.copy, &mut self.whole) {
            (Some(copy), _) => (&mut copy.state, false),
            (None, Some(whole)) => (whole, true),
            (None, None) => return false,
        };
        state.absorb(revision, now, changes);
        told
    }

    /// Whether the copy has become whole by what was taken last: from now on it is what is here.
    pub(crate) fn completes(&mut self) -> bool {
        let whole = |copy: &mut Copy| copy.ends && copy.asked.is_none() && copy.state.revision() >= copy.upto;
        let Some(copy) = self.copy.take_if(whole) else { return false };
        self.whole = Some(copy.state);
        true
    }
}

impl Copy {
    fn new(began: Moment) -> Self {
        Self {
            state: State::default(),
            place: None,
            upto: Revision::ZERO,
            ends: false,
            bytes: 0,
            began,
            asked: None,
        }
    }
}

#[cfg(test)]
mod tests;
