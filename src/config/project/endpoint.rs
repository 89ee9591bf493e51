//! `[endpoint]`: what a model is served with.

use std::path::Path;

use super::super::sheet::{self, Section};
use crate::model::{EndpointRecipe, Recipe};

/// Reads `[endpoint]`, if the file has it.
pub(super) fn read(top: &Section, dir: &Path, recipe: &mut Recipe) {
    let section = top.section("endpoint");
    let whole = |key, range| section.whole(key, range).and_then(|number| u32::try_from(number).ok());
    let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
    let endpoint = EndpointRecipe {
        instance_type: or(super::instance_type(&section), "ml.m5.large"),
        instance_count: whole("instance_count", 1..=1000).unwrap_or(1),
        entry_point: or(super::entry_point(&section), "inference.py"),
        content_type: or(section.text("content_type"), "application/json"),
        accept: or(section.text("accept"), "application/json"),
        classes: classes(&section, dir),
        smoke_test: section.text("smoke_test"),
        environment: super::limited(&section.section("environment"), 1024, 1024),
    };
    section.close();
    recipe.endpoint = top.has("endpoint").then_some(endpoint);
}

/// A list, or a file with a name a line.
fn classes(section: &Section, dir: &Path) -> Vec<String> {
    if section.is_list("classes") {
        return section.list("classes").unwrap_or_default();
    }
    let Some(file) = section.text("classes") else { return Vec::new() };
    match sheet::read(&dir.join(&file)) {
        Ok(Some(text)) => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        Ok(None) => {
            section.wrong("classes", &format!("names the file {file}, which is not there; it has a class name a line"));
            Vec::new()
        }
        Err(failure) => {
            section.wrong("classes", &format!("names a file that cannot be used: {}", failure.what));
            Vec::new()
        }
    }
}
