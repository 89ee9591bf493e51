//! Names of training jobs: pattern `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}` (SageMaker's service model), made from a base and the
//! time as the Python SDK does.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Most characters in a job's name.
pub const LONGEST: usize = 63;

/// `base-%Y-%m-%d-%H-%M-%S-mmm` in UTC; the base is made legal and cut so that the whole fits.
#[must_use]
pub fn job_name(base: &str, now: Timestamp) -> String {
    let stamp = format!("{}-{:03}", now.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d-%H-%M-%S"), now.subsec_millisecond());
    let mut base = legal(base);
    base.truncate(LONGEST - stamp.len() - 1);
    let base = base.trim_end_matches('-');
    format!("{}-{stamp}", if base.is_empty() { "job" } else { base })
}

/// The nearest legal name: `-` for every character that is not a letter or digit, none at the ends.
#[must_use]
pub fn legal(name: &str) -> String {
    let dashed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dashed.trim_matches('-').to_owned()
}

/// What is wrong with a name (or the base of one), with the remedy; `None` when it is fine.
#[must_use]
pub fn problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a name is needed: letters, digits and '-'".to_owned());
    }
    let mut wrong: Vec<char> = name.chars().filter(|c| !c.is_ascii_alphanumeric() && *c != '-').collect();
    wrong.dedup();
    wrong.truncate(5);
    if !wrong.is_empty() {
        let shown: Vec<String> = wrong.iter().map(|c| format!("'{c}'")).collect();
        return Some(format!(
            "SageMaker allows only letters, digits and '-' in job names, not {}; try '{}'",
            shown.join(", "),
            legal(name)
        ));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Some(format!("a job name cannot begin or end with '-'; try '{}'", legal(name)));
    }
    if name.len() > LONGEST {
        return Some(format!("a job name has at most {LONGEST} characters, this has {}", name.len()));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at() -> Timestamp {
        "2026-11-22T07:18:36.364Z".parse().unwrap()
    }

    #[test]
    fn names_are_the_sdks() {
        assert_eq!(job_name("dog-pytorch", at()), "dog-pytorch-2026-11-22-07-18-36-364");
        assert_eq!(job_name("pytorch_dog_hpo", at()), "pytorch-dog-hpo-2026-11-22-07-18-36-364");
    }

    #[test]
    fn an_underscore_is_named_and_mended() {
        let said = problem("dog_hpo").unwrap();
        assert!(said.contains("'_'") && said.contains("try 'dog-hpo'"), "{said}");
        assert_eq!(problem("dog-hpo"), None);
        assert!(problem("").is_some() && problem("-a").is_some() && problem(&"a".repeat(64)).is_some());
    }

    proptest! {
        #[test]
        fn every_base_gives_a_legal_name(base in any::<String>()) {
            prop_assert_eq!(problem(&job_name(&base, at())), None);
        }
    }
}
