//! The host keys that a machine prints on its console when it starts.
//!
//! cloud-init's `keys-to-console` prints two blocks, of fingerprints and of the keys themselves:
//! `-----BEGIN SSH HOST KEY KEYS-----`, a line for each public key, `-----END SSH HOST KEY KEYS-----`. EC2 hands the console
//! out over a channel that the machine's users have no hand in; but any process there may write to it, later. So what
//! counts is the first block of a boot, before there is a login prompt, and only if nothing contradicts it.

use russh::keys::PublicKey;

const BEGIN: &str = "-----BEGIN SSH HOST KEY KEYS-----";
const END: &str = "-----END SSH HOST KEY KEYS-----";
/// The kernel's first line.
const BOOT: &str = "Linux version ";
/// What getty asks; from then on there are users.
const PROMPT: &str = " login:";

/// The host keys of the latest boot that printed them, as lines in the form of OpenSSH. Empty when there are none yet, when
/// the block is not whole, or when blocks of one boot differ: then the console vouches for nothing.
#[must_use]
pub fn host_keys(console: &str) -> Vec<String> {
    let mut boots: Vec<Boot> = vec![Boot::default()];
    for line in console.lines() {
        if line.contains(BOOT) {
            boots.push(Boot::default());
        }
        if let Some(boot) = boots.last_mut() {
            boot.take(line);
        }
    }
    boots.into_iter().rev().find(Boot::spoke).map(Boot::keys).unwrap_or_default()
}

/// What one boot said.
#[derive(Default)]
struct Boot {
    /// The block that is being read.
    open: Option<Vec<PublicKey>>,
    /// The first whole one before the prompt.
    first: Option<Vec<PublicKey>>,
    prompted: bool,
    /// A block differs from the first, or the first came after the prompt.
    doubtful: bool,
}

impl Boot {
    fn take(&mut self, line: &str) {
        if line.contains(BEGIN) {
            self.open = Some(Vec::new());
        } else if line.contains(END) {
            if let Some(block) = self.open.take() {
                self.close(block);
            }
        } else if let Some(block) = &mut self.open {
            block.extend(key(line));
        } else if line.contains(PROMPT) {
            self.prompted = true;
        }
    }

    fn close(&mut self, mut block: Vec<PublicKey>) {
        block.sort_by(|a, b| a.key_data().cmp(b.key_data()));
        match &self.first {
            Some(first) => self.doubtful |= first.iter().map(PublicKey::key_data).ne(block.iter().map(PublicKey::key_data)),
            None if self.prompted => self.doubtful = true,
            None => self.first = Some(block),
        }
    }

    fn spoke(&self) -> bool {
        self.first.is_some() || self.doubtful
    }

    fn keys(self) -> Vec<String> {
        if self.doubtful {
            return Vec::new();
        }
        let keys = self.first.unwrap_or_default();
        keys.into_iter().filter_map(|key| PublicKey::from(key.key_data().clone()).to_openssh().ok()).collect()
    }
}

/// The key in a line, whatever the console put before it (a time, `cloud-init[812]:`).
fn key(line: &str) -> Option<PublicKey> {
    let mut words = line.split_whitespace();
    let algorithm = words.find(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-"))?;
    PublicKey::from_openssh(&format!("{algorithm} {}", words.next()?)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const KERNEL: &str = "[    0.000000] Linux version 6.8.0-1021-aws (buildd@lcy02) #23-Ubuntu SMP\n";
    const LOGIN: &str = "\nip-10-0-0-5 login: ";

    fn block(keys: &[&str]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", keys.iter().map(|key| format!("{key} root@ip-10-0-0-5")).collect::<Vec<_>>().join("\r\n"))
    }

    #[test]
    fn the_first_block_of_the_latest_boot_counts() {
        assert_eq!(host_keys(""), Vec::<String>::new());
        assert_eq!(host_keys(&format!("{KERNEL}ci-info\n{}{LOGIN}", block(&[A]))), [A]);
        assert_eq!(host_keys(&format!("{KERNEL}{}{LOGIN}\n{KERNEL}{}{LOGIN}", block(&[A]), block(&[B]))), [B], "two boots");
        assert_eq!(
            host_keys(&format!("{KERNEL}{}{LOGIN}\n{KERNEL}started{LOGIN}", block(&[A]))),
            [A],
            "cloud-init prints once an instance"
        );
        let prefixed = format!(
            "{KERNEL}[   12.3] cloud-init[812]: {BEGIN}\n[   12.3] cloud-init[812]: {A} root@x\n<14>Nov cloud-init: {END}\n"
        );
        assert_eq!(host_keys(&prefixed), [A]);
    }

    #[test]
    fn what_is_contradicted_or_late_or_cut_vouches_for_nothing() {
        let differing = format!("{KERNEL}{}{LOGIN}\n{}", block(&[A]), block(&[B]));
        assert_eq!(host_keys(&differing), Vec::<String>::new(), "a later block in the same boot says otherwise");
        assert_eq!(
            host_keys(&format!("{KERNEL}{}{}", block(&[A]), block(&[A]))),
            [A],
            "saying the same twice is no contradiction"
        );
        let late = format!("{KERNEL}{LOGIN}\n{}", block(&[B]));
        assert_eq!(host_keys(&late), Vec::<String>::new(), "written by a user of the machine");
        let whole = format!("{KERNEL}{}", block(&[A]));
        assert_eq!(host_keys(&whole[..whole.len() - 20]), Vec::<String>::new(), "cut off");
        assert_eq!(host_keys(&format!("{KERNEL}{}", block(&["ssh-ed25519 !!!!"]))), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_console_is_too_strange(lines in proptest::collection::vec(prop_oneof![
            Just(BEGIN.to_owned()), Just(END.to_owned()), Just(A.to_owned()), Just(B.to_owned()),
            Just(KERNEL.to_owned()), Just(LOGIN.to_owned()), any::<String>(),
        ], 0..40)) {
            for key in host_keys(&lines.join("\n")) {
                prop_assert!(PublicKey::from_openssh(&key).is_ok());
            }
        }
    }
}
