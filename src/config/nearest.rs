//! "Did you mean": the known name that resembles a misspelt one.

/// Below this likeness (1 = equal) a guess misleads more than it helps.
const LIKENESS_MIN: f64 = 0.6;

/// The one of `known` that resembles `name` most, if any does.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, &known.to_ascii_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let known = ["http.port", "http.https_port", "rtmp.port"];
        assert_eq!(nearest("http.prot", known), Some("http.port"));
        assert_eq!(nearest("HTTP.PORT", known), Some("http.port"));
        assert_eq!(nearest("log.colour", known), None);
    }
}
