//! `[instance]`: an EC2 instance to experiment on, and what is trained there.

use std::path::Path;

use super::super::sheet::Section;
use crate::model::{InstanceRecipe, Recipe, RunRecipe};

/// Ten minutes to thirty days.
const LEASE: std::ops::RangeInclusive<i64> = 600..=30 * 86_400;
/// What gp3 volumes can have, in GiB.
const STORAGE: std::ops::RangeInclusive<i64> = 1..=16_384;

/// Reads `[instance]`, if the file has it.
pub(super) fn read(top: &Section, recipe: &mut Recipe) {
    let section = top.section("instance");
    let usual = InstanceRecipe::usual(&recipe.entry_point);
    let instance = InstanceRecipe {
        image: section.text("image").unwrap_or(usual.image),
        instance_type: instance_type(&section).unwrap_or(usual.instance_type),
        storage_gb: section.whole("storage_gb", STORAGE).and_then(|number| u32::try_from(number).ok()),
        lease_seconds: section
            .seconds("lease", LEASE)
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(usual.lease_seconds),
        spot: section.flag("spot").unwrap_or_default(),
        zone: section.text("zone"),
        subnet: section.text("subnet"),
        security_group: section.text("security_group"),
        instance_profile: section.text("instance_profile"),
        run: run(&section.section("run"), usual.run),
    };
    section.close();
    recipe.instance = top.has("instance").then_some(instance);
}

fn run(section: &Section, usual: RunRecipe) -> RunRecipe {
    let run = RunRecipe {
        data: section.text("data"),
        folders: inside(section, "folders"),
        script: script(section).unwrap_or(usual.script),
        arguments: super::hyperparameters(&section.section("arguments")),
        environment: section.text("environment").unwrap_or(usual.environment),
        results: inside(section, "results"),
    };
    section.close();
    run
}

fn script(section: &Section) -> Option<String> {
    let script = section.text("script")?;
    if super::stays_inside(Path::new(&script)) {
        return Some(script);
    }
    section.wrong("script", "must be a path inside source_dir, for instance \"solution.py\"");
    None
}

/// A list of paths that stay below where the script runs.
fn inside(section: &Section, key: &'static str) -> Vec<String> {
    let paths = section.list(key).unwrap_or_default();
    if paths.iter().any(|path| !super::stays_inside(Path::new(path))) {
        section.wrong(key, "must be paths below the folder where the script runs, for instance \"TrainedModels\"");
        return Vec::new();
    }
    paths
}

/// EC2's instance types: a family and a size.
fn instance_type(section: &Section) -> Option<String> {
    let kind = section.text("instance_type")?;
    let part = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !kind.starts_with("ml.") && kind.split_once('.').is_some_and(|(family, size)| part(family) && part(size)) {
        return Some(kind);
    }
    section.wrong("instance_type", "must be one of EC2's instance types, without ml., for instance \"g5.2xlarge\"");
    None
}
