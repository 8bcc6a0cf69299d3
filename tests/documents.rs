//! What is generated from code stands in the documents as the code says it.

use std::path::Path;

/// What stands between two marks in ARCHITECTURE.md, and the code it comes from.
fn generated() -> [(&'static str, String); 2] {
    [("codecs", media::codec_table_markdown()), ("metrics", observe::metrics_markdown())]
}

#[test]
fn generated_tables_are_the_codes_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let mut text = std::fs::read_to_string(&path).expect("ARCHITECTURE.md");
    let mut old = Vec::new();
    for (name, table) in generated() {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("no mark {open}"));
        let (held, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no mark {close}"));
        if held != table {
            old.push(name);
        }
        text = format!("{before}{open}{table}{close}{after}");
    }
    if std::env::var_os("PENSTOCK_BLESS").is_some() {
        std::fs::write(&path, text).expect("writing");
    } else {
        assert!(old.is_empty(), "old in ARCHITECTURE.md: {old:?}; run `make fix`");
    }
}
