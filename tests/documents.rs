//! What is generated from code stands in the documents as the code says it.

use std::path::Path;

const OPEN: &str = "<!-- metrics -->\n";
const CLOSE: &str = "<!-- /metrics -->";

#[test]
fn the_list_of_metrics_is_the_codes_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).expect("ARCHITECTURE.md");
    let (before, rest) = text.split_once(OPEN).expect("the opening mark");
    let (held, after) = rest.split_once(CLOSE).expect("the closing mark");
    let generated = observe::metrics_markdown();
    if std::env::var_os("PENSTOCK_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{OPEN}{generated}{CLOSE}{after}")).expect("writing");
    } else {
        assert!(held == generated, "the list of metrics in ARCHITECTURE.md is old: run `make fix`");
    }
}
