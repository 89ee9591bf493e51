//! Presigned URLs, and the page that they open.
//!
//! A URL leads to the region's own TCP door, with a token that opens one resource once. Without such a door there is nothing
//! to lead to: the URL then has the form of AWS's, on a host under `.localhost`, and opens nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::super::store::text;
use super::kind::{Kind, owner};
use super::store::Record;
use crate::local::fault::Fault;
use crate::local::store::random_name;

/// Where the door answers them. No bucket can have this name.
pub const PATH: &str = "/_open";
/// More URLs than this wait to be opened at no time: the oldest is given up.
const MOST: usize = 1000;

/// What a URL opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub arn: String,
    /// The user profile that signs in to Studio.
    pub visitor: Option<String>,
}

/// The doors that are open, and the URLs that nobody has opened yet. They do not outlive the region.
#[derive(Default)]
pub struct Links(Mutex<State>);

#[derive(Default)]
struct State {
    doors: Vec<SocketAddr>,
    /// By the hash of the token, with the time when it expires.
    tickets: HashMap<[u8; 32], (i64, Ticket)>,
}

/// An open door.
pub struct Door {
    links: Arc<Links>,
    address: SocketAddr,
}

impl Door {
    /// URLs lead to this address from now on.
    pub fn open(links: &Arc<Links>, address: SocketAddr) -> Self {
        links.state().doors.push(address);
        Self { links: Arc::clone(links), address }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.links.state().doors.retain(|door| *door != self.address);
    }
}

impl Links {
    /// A new URL, valid for so many seconds from `now` (in epoch milliseconds); `elsewhere` makes the one of AWS's form.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn issue(&self, ticket: Ticket, lifetime: i64, now: i64, elsewhere: impl Fn(&str) -> String) -> Result<String, Fault> {
        let token = format!("{}{}", random_name().map_err(Fault::internal)?, random_name().map_err(Fault::internal)?);
        let mut state = self.state();
        let Some(door) = state.doors.last().copied() else { return Ok(elsewhere(&token)) };
        state.tickets.retain(|_, (expires, _)| *expires > now);
        if state.tickets.len() >= MOST {
            let oldest = state.tickets.iter().min_by_key(|(_, (expires, _))| *expires).map(|(hash, _)| *hash);
            oldest.and_then(|hash| state.tickets.remove(&hash));
        }
        state.tickets.insert(hash(&token), (now + lifetime * 1000, ticket));
        Ok(format!("http://{door}{PATH}?authToken={token}"))
    }

    /// What a token opens, the first time that it is shown and in its time.
    pub fn redeem(&self, token: &str, now: i64) -> Option<Ticket> {
        let (expires, ticket) = self.state().tickets.remove(&hash(token))?;
        (expires > now).then_some(ticket)
    }

    /// Whoever panicked with the lock held has left the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page of a resource, or of one that is gone.
#[must_use]
pub fn page(ticket: &Ticket, record: Option<&Record>) -> String {
    let (title, facts) = match record {
        Some(record) => describe(record),
        None => ("This resource is gone".to_owned(), vec![("was", ticket.arn.clone())]),
    };
    let visitor = ticket.visitor.iter().map(|name| ("signed in as", name.clone()));
    let rows = facts.into_iter().chain(visitor).fold(String::new(), |rows, (name, value)| {
        let value = escape(&value);
        rows + &format!("<tr><th>{name}</th><td>{value}</td></tr>\n")
    });
    format!(
        "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - footplate's local region</title>
<style>body{{font:16px/1.5 sans-serif;max-width:42em;margin:3em auto;padding:0 1em}}th{{text-align:left;padding-right:1em}}code{{background:#eee;padding:0 .2em}}</style>
</head><body>
<h1>{title}</h1>
<table>
{rows}</table>
<p>This is footplate's <b>local region</b>, not AWS. It keeps the state of notebook instances and of Studio, but it runs no Jupyter:
nothing is started behind this page, and nothing is billed. On AWS the same URL opens the notebook server.</p>
<h2>How to work instead</h2>
<ul>
<li>Train, tune and deploy for real: <code>footplate --local</code>, or <code>footplate train --local</code> without the cockpit.</li>
<li>Run notebooks with a Jupyter of your own. In its shell, <code>. footplate.env</code> first (the file of
<code>footplate local serve --env-file footplate.env</code>): boto3 and the sagemaker SDK in your notebooks then work with this region.</li>
</ul>
</body></html>
",
        title = escape(&title),
    )
}

fn describe(record: &Record) -> (String, Vec<(&'static str, String)>) {
    let member = |name: &str| text(&record.document, name).to_owned();
    let mut facts = vec![("status", record.status().to_owned()), ("ARN", record.arn())];
    let title = match record.kind {
        Kind::Instance => {
            facts.insert(0, ("instance type", member("InstanceType")));
            format!("Notebook instance {}", member("NotebookInstanceName"))
        }
        Kind::Domain => format!("Studio domain {}", member("DomainName")),
        Kind::Profile => format!("Studio for {}", member("UserProfileName")),
        Kind::Space => format!("Studio space {}", member("SpaceName")),
        Kind::App => format!("{} app of {}", member("AppType"), owner(&record.document).1),
    };
    (title, facts)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(arn: &str) -> Ticket {
        Ticket { arn: arn.to_owned(), visitor: Some("<ann>".to_owned()) }
    }

    fn token(url: &str) -> &str {
        url.split_once("authToken=").expect("a token").1
    }

    #[test]
    fn a_token_opens_once_and_in_its_time() {
        let links = Arc::<Links>::default();
        let _door = Door::open(&links, "127.0.0.1:4566".parse().expect("an address"));
        let issue = || links.issue(ticket("a"), 300, 0, |_| String::new()).expect("issues");
        let url = issue();
        assert!(url.starts_with("http://127.0.0.1:4566/_open?authToken=") && token(&url).len() == 64, "{url}");
        assert_eq!(links.redeem(token(&url), 299_999), Some(ticket("a")));
        assert_eq!(links.redeem(token(&url), 299_999), None);
        assert_eq!(links.redeem(token(&issue()), 300_000), None);
        assert_eq!(links.redeem("0", 0), None);
    }

    #[test]
    fn without_a_door_a_url_opens_nothing() {
        let links = Arc::<Links>::default();
        drop(Door::open(&links, "[::1]:9".parse().expect("an address")));
        let url = links.issue(ticket("a"), 300, 0, |token| format!("https://nb.localhost?authToken={token}")).expect("issues");
        assert!(url.starts_with("https://nb.localhost"), "{url}");
        assert_eq!(links.redeem(token(&url), 0), None);
    }

    #[test]
    fn urls_that_nobody_opens_do_not_pile_up() {
        let links = Arc::<Links>::default();
        let _door = Door::open(&links, "127.0.0.1:1".parse().expect("an address"));
        let first = links.issue(ticket("first"), 5, 0, |_| String::new()).expect("issues");
        for _ in 0..MOST {
            links.issue(ticket("a"), 300, 0, |_| String::new()).expect("issues");
        }
        assert_eq!(links.state().tickets.len(), MOST);
        assert_eq!(links.redeem(token(&first), 0), None);
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let page = page(&ticket("<script>"), None);
        assert!(page.contains("&lt;script&gt;") && page.contains("&lt;ann&gt;") && !page.contains("<script>"));
        assert!(page.contains("it runs no Jupyter"));
    }
}
