//! The path of a request, decoded once and for all.

/// A path in parts. What decodes twice differently (`%252e`, `%2f`) is text here, never a separator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    parts: Vec<String>,
    trailing_slash: bool,
}

impl Parts {
    /// Splits at `/`, then decodes each part. `None` for broken escapes, text that is not UTF-8 and empty
    /// parts, except the one a trailing slash makes (AMS accepts it everywhere).
    pub(crate) fn new(raw: &str) -> Option<Self> {
        let raw = raw.strip_prefix('/')?;
        if raw.is_empty() {
            return Some(Self { parts: Vec::new(), trailing_slash: true });
        }
        let (raw, trailing_slash) = match raw.strip_suffix('/') {
            Some(raw) => (raw, true),
            None => (raw, false),
        };
        let parts = raw
            .split('/')
            .map(|part| if part.is_empty() { None } else { decode(part) })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { parts, trailing_slash })
    }

    pub(crate) fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The parts as they were meant.
    pub(crate) fn as_slice(&self) -> &[String] {
        &self.parts
    }
}

fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(raw: &str) -> Option<Vec<String>> {
        Parts::new(raw).map(|p| p.parts)
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(parts("/a/b%20c").unwrap(), ["a", "b c"]);
        assert_eq!(parts("/a%2fb/%252e%252e").unwrap(), ["a/b", "%2e%2e"]);
        assert_eq!(parts("/").unwrap(), [""; 0]);
    }

    #[test]
    fn one_trailing_slash_is_seen_and_set_aside() {
        let path = Parts::new("/a/b/").unwrap();
        assert_eq!((path.as_slice(), path.trailing_slash()), (&["a".to_owned(), "b".to_owned()][..], true));
        assert!(!Parts::new("/a/b").unwrap().trailing_slash());
    }

    #[test]
    fn what_cannot_be_decoded_is_no_path() {
        for bad in ["", "a", "*", "/a//b", "/a//", "//", "/%", "/%4", "/%zz", "/%+1", "/%ff"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
