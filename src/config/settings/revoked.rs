//! Hashes and JWTs that are revoked by themselves: nothing else is stored of them, so the settings say which are not good any more.
//!
//! `revokedTokens` has a row for each, separated by commas: what it is known by (32 hexadecimal digits, see
//! `security::credential::print_of`), and behind a colon the second since 1970 from which it would be worth nothing by itself.

use std::collections::BTreeSet;

use base::limits;

use super::{AppSettings, table};

/// Whoever replaces settings by what it was shown of them a while ago must not make good what was revoked since: so only a PATCH
/// that names it changes it.
pub(super) const KEY: &str = "revokedTokens";
/// How much longer than a token's own time a row stays, in seconds: clocks differ, and all nodes have to have seen it.
const KEPT_LONGER_S: i64 = 60;
const PRINT_DIGITS: usize = 32;

/// One row, of which nothing is known to be right.
fn read(row: &str) -> (&str, Option<&str>) {
    match row.trim().split_once(':') {
        Some((print, until)) => (print, Some(until)),
        None => (row.trim(), None),
    }
}

impl AppSettings {
    fn revoked_rows(&self) -> impl Iterator<Item = &str> {
        self.revoked_tokens().split(',').filter(|row| !row.trim().is_empty())
    }

    /// Whether the token that is known by this was revoked.
    pub fn is_revoked(&self, print: &str) -> bool {
        self.revoked_rows().any(|row| read(row).0 == print)
    }

    /// All that were revoked, for who asks of many.
    pub fn revoked(&self) -> BTreeSet<&str> {
        self.revoked_rows().map(|row| read(row).0).collect()
    }

    /// With one more, which by itself would be good until then; those whose time is over are forgotten. `None`: there are
    /// [`limits::REVOKED_TOKENS_MAX`].
    #[must_use]
    pub fn with_revoked(&self, print: &str, until_s: Option<i64>, now_s: i64) -> Option<Self> {
        let lives = |row: &&str| {
            let until = read(row).1.and_then(|until| until.parse::<i64>().ok());
            until.is_none_or(|until| until.saturating_add(KEPT_LONGER_S) > now_s)
        };
        let mut rows: Vec<String> =
            self.revoked_rows().filter(lives).filter(|row| read(row).0 != print).map(str::to_owned).collect();
        if rows.len() >= limits::REVOKED_TOKENS_MAX {
            return None;
        }
        rows.push(until_s.map_or_else(|| print.to_owned(), |until| format!("{print}:{until}")));
        let mut after = self.clone();
        after.values[table::by_json(KEY)?] = rows.join(",").into();
        Some(after)
    }

    /// What is no row, or one too many.
    pub(super) fn revoked_fault(&self) -> Option<String> {
        let is_row = |row: &str| {
            let (print, until) = read(row);
            print.len() == PRINT_DIGITS
                && print.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                && until.is_none_or(|until| until.parse::<i64>().is_ok())
        };
        if self.revoked_rows().count() > limits::REVOKED_TOKENS_MAX {
            return Some(format!(
                "has more than {} rows; replace the secret, and empty it",
                limits::REVOKED_TOKENS_MAX
            ));
        }
        let all = self.revoked_rows().all(is_row);
        (!all).then(|| {
            "has what is no row; revoke a token by DELETE /{App}/rest/v2/broadcasts/{id}/tokens/{token}"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: usize) -> String {
        format!("{n:032x}")
    }

    #[test]
    fn what_was_revoked_is_until_it_would_be_worth_nothing_by_itself() {
        let none = AppSettings::default();
        assert!(!none.is_revoked(&print(1)) && none.revoked_fault().is_none());
        let one = none.with_revoked(&print(1), Some(100), 50).unwrap();
        let two = one.with_revoked(&print(2), None, 60).unwrap().with_revoked(&print(2), None, 70).unwrap();
        assert_eq!(two.revoked(), [print(1).as_str(), print(2).as_str()].into());
        let later = two.with_revoked(&print(3), Some(200), 160).unwrap();
        assert!(!later.is_revoked(&print(1)) && later.is_revoked(&print(2)) && later.is_revoked(&print(3)));
        assert!(!later.is_revoked(""));
        assert_eq!(later.revoked_fault(), None);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let mut settings = AppSettings::default();
        for n in 0..limits::REVOKED_TOKENS_MAX {
            settings = settings.with_revoked(&print(n), Some(100), 50).unwrap();
        }
        assert!(settings.with_revoked(&print(9_999), None, 50).is_none());
        assert!(settings.with_revoked(&print(9_999), None, 160).is_some(), "their time is over");
        assert_eq!(settings.revoked_fault(), None);
    }

    #[test]
    fn what_is_no_row_is_named_as_a_mistake() {
        for wrong in ["x", "ABCDEF00000000000000000000000000", &format!("{}:soon", print(1)), &"0".repeat(33)]
        {
            let mut settings = AppSettings::default();
            settings.values[table::by_json(KEY).unwrap()] = wrong.into();
            assert!(settings.revoked_fault().is_some(), "{wrong}");
            assert!(settings.findings().problems.iter().any(|finding| finding.field == KEY), "{wrong}");
        }
    }
}
