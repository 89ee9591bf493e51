//! How this process was called: a command that is suggested has to be about the same account and region.

use std::sync::OnceLock;

/// The flags that a suggested command needs, each with a space before it. Like the command line itself it is there before
/// anything else is, and never changes.
static FLAGS: OnceLock<String> = OnceLock::new();

/// Notes the flags that this process was called with, as words. Only the first note counts.
pub fn called_with(flags: &[String]) {
    let _ = FLAGS.set(flags.iter().fold(String::new(), |all, flag| all + " " + &word(flag)));
}

/// A command of footplate's that can be pasted as it is: `command("ls instances")` is `footplate --local ls instances` when
/// footplate was called with `--local`.
#[must_use]
pub fn command(words: &str) -> String {
    format!("footplate{} {words}", FLAGS.get().map_or("", String::as_str))
}

/// As one word of a shell.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_one_word() {
        assert_eq!(word("--profile"), "--profile");
        assert_eq!(word("my work's"), r"'my work'\''s'");
        assert_eq!(command("ls runs"), "footplate ls runs");
    }
}
