//! "Did you mean": the closest of a few known names.

/// The name that a mistyped word most likely meant, if one is close enough to be worth saying: within two slips, or a
/// third of the word for short words.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().replace('-', "_").chars().collect();
    let allowed = 2.min((word.len() + 1) / 3).max(1);
    names
        .into_iter()
        .map(|name| (slips(&word, &name.to_lowercase().replace('-', "_").chars().collect::<Vec<_>>()), name))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// The text that follows a complaint about an unknown name: a guess, else the names there are.
pub fn suggest(word: &str, names: &[&str]) -> String {
    match nearest(word, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "nothing can be set here".to_owned(),
        None => format!("there are: {}", names.join(", ")),
    }
}

/// Edit distance where a swap of neighbours counts once (optimal string alignment).
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_swaps_and_lets_strangers_be() {
        let names = ["instance_type", "instance_count", "volume_gb"];
        assert_eq!(nearest("instnce_type", names), Some("instance_type"));
        assert_eq!(nearest("instance-tpye", names), Some("instance_type"));
        assert_eq!(nearest("volume", names), None);
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("lr", ["lf", "epochs"]), Some("lf"));
    }
}
