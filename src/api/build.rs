//! Takes the management page along, if it was built (`make` does): its files become a table of bytes in the program.
//! Without them the node is built all the same, and `/panel/` says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const PANEL: &str = "../../webapps/root/panel";

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join(PANEL);
    // The folder is there before the first build, so that a file which is not would not be waited for each time.
    println!("cargo::rerun-if-changed={}", folder.join("dist").display());
    println!("cargo::rerun-if-changed=build.rs");

    let site = folder.join("dist/site");
    let mut names = Vec::new();
    // One without its first page is half a build.
    if site.join("index.html").is_file() {
        names_below(&site, "", &mut names)?;
    }
    names.sort();
    let mut table = String::from("&[\n");
    for name in names {
        let file = fs::canonicalize(site.join(&name))?;
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string());
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("panel.rs"), table)
}

fn names_below(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            names_below(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
