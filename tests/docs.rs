//! The parts of the README that are made from the program. `FOOTPLATE_DOCS=1` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use footplate::config::action::{ALL, Place};

fn keys() -> String {
    let mut out = String::from("| key | does | name |\n|---|---|---|\n");
    for place in [Place::List, Place::Everywhere, Place::Log] {
        for entry in ALL.iter().filter(|entry| entry.place == place) {
            let keys: Vec<String> = entry.keys.iter().map(|key| format!("`{key}`")).collect();
            let suffix = if place == Place::Log { " (in the log)" } else { "" };
            let _ = writeln!(out, "| {} | {}{suffix} | {} |", keys.join(" "), entry.help, entry.name);
        }
    }
    out
}

#[test]
fn the_readme_has_the_keys_that_the_program_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).expect("there is a README");
    let start =
        text.find("<!-- keys:").and_then(|at| text[at..].find("-->\n").map(|end| at + end + 4)).expect("a place for the keys");
    let end = text.find("<!-- /keys -->").expect("the end of the keys");
    let fresh = format!("{}{}{}", &text[..start], keys(), &text[end..]);
    if std::env::var_os("FOOTPLATE_DOCS").is_some() {
        fs::write(&path, &fresh).expect("the README is written");
    }
    assert!(
        text == fresh || std::env::var_os("FOOTPLATE_DOCS").is_some(),
        "run FOOTPLATE_DOCS=1 cargo test --release --test docs"
    );
}
