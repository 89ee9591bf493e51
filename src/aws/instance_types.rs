//! The instance types that SageMaker trains on and serves with, as its service model lists them.

use aws_sdk_sagemaker::types::{ProductionVariantInstanceType, TrainingInstanceType};

/// All of them, smallest and most usual families first.
#[must_use]
pub fn training() -> Vec<&'static str> {
    let mut all = TrainingInstanceType::values().to_vec();
    all.sort_by_cached_key(|name| (rank(family(name)), family(name).to_owned(), size(name)));
    all
}

/// All that endpoints run on; not the same as those for training (`ml.t2.medium` is one of them).
#[must_use]
pub fn hosting() -> Vec<&'static str> {
    let mut all = ProductionVariantInstanceType::values().to_vec();
    all.sort_by_cached_key(|name| (rank(family(name)), family(name).to_owned(), size(name)));
    all
}

/// Whether an endpoint can run on it.
#[must_use]
pub fn is_for_hosting(instance_type: &str) -> bool {
    ProductionVariantInstanceType::values().contains(&instance_type)
}

/// `g4dn` of `ml.g4dn.xlarge`.
#[must_use]
pub fn family(instance_type: &str) -> &str {
    instance_type.split('.').nth(1).unwrap_or_default()
}

/// Whether SageMaker knows it.
#[must_use]
pub fn is_known(instance_type: &str) -> bool {
    TrainingInstanceType::values().contains(&instance_type)
}

/// The known type whose name is nearest, if any is near enough to be meant.
#[must_use]
pub fn nearest(typed: &str) -> Option<&'static str> {
    nearest_of(TrainingInstanceType::values(), typed)
}

/// As [`nearest`], of those that an endpoint can run on.
#[must_use]
pub fn nearest_for_hosting(typed: &str) -> Option<&'static str> {
    nearest_of(ProductionVariantInstanceType::values(), typed)
}

fn nearest_of(all: &'static [&'static str], typed: &str) -> Option<&'static str> {
    let typed = if typed.starts_with("ml.") { typed.to_owned() } else { format!("ml.{typed}") };
    let best = all.iter().min_by_key(|known| distance(&typed, known))?;
    (distance(&typed, best) <= 4).then_some(best)
}

/// How near another type is to this one, the smaller the nearer: usual families first, then by size. `None` when it is the
/// same, or of quite another size.
#[must_use]
pub fn nearness(wanted: &str, other: &str) -> Option<(usize, u32)> {
    let (here, there) = (size(wanted).max(1), size(other).max(1));
    let factor = here.max(there) / here.min(there);
    (factor <= 2 && wanted != other).then(|| (rank(family(other)), factor))
}

/// Has a GPU, or a chip of AWS's own for training.
#[must_use]
pub fn is_accelerated(instance_type: &str) -> bool {
    let family = family(instance_type);
    family.starts_with(['g', 'p']) || family.starts_with("trn") || family.starts_with("inf")
}

fn rank(family: &str) -> usize {
    ["m5", "c5", "g4dn", "g5", "g6", "p3", "p4d", "p5", "t3"].iter().position(|known| *known == family).unwrap_or(99)
}

/// Relative size: `large` 1, `xlarge` 2, `2xlarge` 4 ….
fn size(instance_type: &str) -> u32 {
    match instance_type.rsplit('.').next().unwrap_or_default() {
        "medium" => 0,
        "large" => 1,
        "xlarge" => 2,
        more => more.trim_end_matches("xlarge").parse::<u32>().map_or(u32::MAX, |times| times.saturating_mul(2)),
    }
}

/// Levenshtein's edit distance.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let kept = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = kept.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_type() {
        assert!(is_known("ml.m5.2xlarge"));
        assert_eq!(nearest("ml.m5.2xlarg"), Some("ml.m5.2xlarge"));
        assert_eq!(nearest("m5.xlarge"), Some("ml.m5.xlarge"));
        assert_eq!(nearest("a completely different thing"), None);
        assert!(training().len() > 140);
        assert_eq!(training()[0], "ml.m5.large");
        assert!(is_for_hosting("ml.t2.medium") && !is_known("ml.t2.medium") && hosting()[0] == "ml.m5.large");
        assert_eq!(nearest_for_hosting("t2.medum"), Some("ml.t2.medium"));
    }
}
