//! The format of Java's properties files (`java.util.Properties.load`), read as UTF-8.
//!
//! Written here because crates for it take the file for Latin-1, trip over a `C:\users` in a comment and
//! refuse characters that Java writes as two escapes.

use std::str::Chars;

/// One `key=value` of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped, with the blanks at its end.
    pub value: String,
    /// The line it begins on, counted from 1.
    pub line: usize,
}

/// Why a file is no properties file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Bytes that are no text.
    #[error("is not UTF-8; save it as UTF-8, or write such characters as \\u and four hexadecimal digits")]
    NotUtf8,
    /// A `\u` without four hexadecimal digits, or half of a character.
    #[error("has a \\u without four hexadecimal digits; write \\\\ for a backslash")]
    Escape,
}

/// The entries of a file in their order, or the line that is malformed.
pub fn entries(bytes: &[u8]) -> Result<Vec<Entry>, (usize, Malformed)> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.iter().take(e.valid_up_to());
        (before.filter(|byte| **byte == b'\n').count() + 1, Malformed::NotUtf8)
    })?;
    // A byte order mark is an editor's, not the key's.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut entries = Vec::new();
    let mut lines = text.split(['\n', '\r']).enumerate();
    while let Some((index, first)) = lines.next() {
        let mut logical = first.trim_start_matches(is_blank).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while logical.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let line = index + 1;
        let (key, value) = split(&logical);
        let unescape = |text| unescape(text).ok_or((line, Malformed::Escape));
        entries.push(Entry { key: unescape(key)?, value: unescape(value)?, line });
    }
    Ok(entries)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

/// Splits at the first `=`, `:` or blank that no backslash protects.
fn split(logical: &str) -> (&str, &str) {
    let mut protected = false;
    let end = logical.find(|character| {
        let ends = !protected && (is_blank(character) || matches!(character, '=' | ':'));
        protected = !protected && character == '\\';
        ends
    });
    let (key, rest) = logical.split_at(end.unwrap_or(logical.len()));
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Option<String> {
    // In UTF-16, because Java escapes the two halves of a character one by one.
    let mut units = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            '\\' => match characters.next() {
                Some('u') => {
                    units.push(hexadecimal(&mut characters)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(unit.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).ok()
}

fn hexadecimal(characters: &mut Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0, |number, _| Some(number << 4 | characters.next()?.to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        entries(text.as_bytes()).unwrap().into_iter().map(|it| (it.key, it.value, it.line)).collect()
    }

    #[test]
    fn separators_blanks_and_escapes_are_those_of_java() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a : b ", "a", "b "),
            ("a b", "a", "b"),
            (" \ta\t=\t= b", "a", "= b"),
            ("a", "a", ""),
            ("=b", "", "b"),
            ("a\\ b\\=c\\:=d\\\\", "a b=c:", "d\\"),
            ("a=\\t\\n\\q\\u00e4\\uD83D\\uDE00", "a", "\t\nqä😀"),
            ("\u{feff}a=ß€😀", "a", "ß€😀"),
            ("a=b\\", "a", "b"),
            ("a=b\\\\\\\n  # c\\", "a", "b\\# c"),
        ] {
            assert_eq!(read(text), [(key.to_owned(), value.to_owned(), 1)], "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_and_comments_never_go_on() {
        let text = "# C:\\users \\\n\n! b=1\r\n  a=\\\n\n  b=2\rc=3\n";
        let line = |key: &str, value: &str, line| (key.to_owned(), value.to_owned(), line);
        assert_eq!(read(text), [line("a", "", 4), line("b", "2", 6), line("c", "3", 7)]);
    }

    #[test]
    fn what_is_malformed_is_told_by_line() {
        for text in [&b"\n\na=\xe4"[..], b"\n\na=\\u00g0", b"\n\na=\\u00", b"\n\na=\\ud83d", b"\n#\n\\u=a"] {
            assert_eq!(entries(text).unwrap_err().0, 3, "{}", text.escape_ascii());
        }
    }
}
