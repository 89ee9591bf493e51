//! Notebook instances, and Studio: domains, user profiles, spaces and apps.
//!
//! Nothing runs behind them: they have names, types, states and a price, can be started, stopped and opened, and what opens
//! is a page that says so. A change takes as long as a phase of a job does; what it leads to is written down when it begins
//! ([`settle`]), so no task waits for it and a restart of the region changes nothing.

mod app;
mod instance;
mod kind;
mod link;
mod list;
mod settle;
mod store;
mod studio;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::store::{Document, text};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use kind::Kind;
pub use link::PATH as LINK_PATH;
use link::{Door, Links};
use store::Store;

/// Seconds that a change takes, at speed 1: AWS takes minutes.
const PHASE: f64 = 1.0;

/// This part of the service.
pub struct Notebooks {
    store: Store,
    links: Arc<Links>,
    /// How long a change takes, in milliseconds.
    phase: i64,
    /// Calls come one after the other: what a call has checked stays true until it is done.
    turn: Mutex<()>,
}

/// What it answers, tags aside.
const OPERATIONS: [&str; 26] = [
    "CreateNotebookInstance",
    "DescribeNotebookInstance",
    "ListNotebookInstances",
    "StartNotebookInstance",
    "StopNotebookInstance",
    "UpdateNotebookInstance",
    "DeleteNotebookInstance",
    "CreatePresignedNotebookInstanceUrl",
    "CreateDomain",
    "DescribeDomain",
    "ListDomains",
    "DeleteDomain",
    "CreateUserProfile",
    "DescribeUserProfile",
    "ListUserProfiles",
    "DeleteUserProfile",
    "CreateSpace",
    "DescribeSpace",
    "ListSpaces",
    "UpdateSpace",
    "DeleteSpace",
    "CreateApp",
    "DescribeApp",
    "ListApps",
    "DeleteApp",
    "CreatePresignedDomainUrl",
];

/// Whether a call is for this part: by its operation, and for tags by the resource.
#[must_use]
pub fn owns(operation: &str, request: &Document) -> bool {
    match operation {
        "AddTags" | "ListTags" | "DeleteTags" => Kind::of_arn(text(request, "ResourceArn")).is_some(),
        _ => OPERATIONS.contains(&operation),
    }
}

impl Notebooks {
    /// Opens it in the service's folder, whose lock the caller holds.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(folder: &Path, speed: f64) -> Result<Self, Fault> {
        #[expect(clippy::cast_possible_truncation, reason = "at most 100 seconds")]
        let phase = (PHASE * 1000.0 / speed.clamp(0.01, 10_000.0)) as i64;
        let store = Store::open(&folder.join("notebooks.sqlite"))?;
        Ok(Self { store, links: Arc::default(), phase, turn: Mutex::default() })
    }

    /// One call of the API, its input checked against the model already. Blocks.
    ///
    /// # Errors
    /// As AWS answers.
    pub fn answer(&self, operation: &str, request: &Document) -> Result<Value, Fault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        settle::settle(&self.store, now_millis())?;
        match operation {
            "CreateNotebookInstance" => instance::create(self, request),
            "DescribeNotebookInstance" => instance::describe(&self.store, request),
            "ListNotebookInstances" => list::list(&self.store, Kind::Instance, request),
            "StartNotebookInstance" => instance::start(self, request),
            "StopNotebookInstance" => instance::stop(self, request),
            "UpdateNotebookInstance" => instance::update(self, request),
            "DeleteNotebookInstance" => instance::delete(self, request),
            "CreatePresignedNotebookInstanceUrl" => instance::presign(self, request),
            "CreateDomain" => studio::create_domain(self, request),
            "DescribeDomain" => studio::describe(&self.store, Kind::Domain, request),
            "ListDomains" => list::list(&self.store, Kind::Domain, request),
            "DeleteDomain" => studio::delete(self, Kind::Domain, request),
            "CreateUserProfile" => studio::create_profile(self, request),
            "DescribeUserProfile" => studio::describe(&self.store, Kind::Profile, request),
            "ListUserProfiles" => list::list(&self.store, Kind::Profile, request),
            "DeleteUserProfile" => studio::delete(self, Kind::Profile, request),
            "CreateSpace" => studio::create_space(self, request),
            "DescribeSpace" => studio::describe(&self.store, Kind::Space, request),
            "ListSpaces" => list::list(&self.store, Kind::Space, request),
            "UpdateSpace" => studio::update_space(self, request),
            "DeleteSpace" => studio::delete(self, Kind::Space, request),
            "CreateApp" => app::create(self, request),
            "DescribeApp" => app::describe(&self.store, request),
            "ListApps" => list::list(&self.store, Kind::App, request),
            "DeleteApp" => app::delete(self, request),
            "CreatePresignedDomainUrl" => studio::presign(self, request),
            "AddTags" | "ListTags" | "DeleteTags" => self.store.tags().answer(operation, self.tagged(request)?, request),
            other => Err(Fault::internal(format_args!("{other} is not an operation of notebooks"))),
        }
    }

    /// A TCP door of the region is open, for as long as the answer is kept: presigned URLs lead there.
    #[must_use]
    pub fn door(&self, address: SocketAddr) -> Door {
        Door::open(&self.links, address)
    }

    /// The page behind a presigned URL, once; `None` when the token is not ours, was used, or has expired. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn page(&self, token: &str) -> Result<Option<String>, Fault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ticket) = self.links.redeem(token, now_millis()) else { return Ok(None) };
        settle::settle(&self.store, now_millis())?;
        let record = self.store.by_arn(&ticket.arn)?;
        Ok(Some(link::page(&ticket, record.as_ref())))
    }

    /// The ARN of a resource that exists. assumed: the answer for others, which is that of Describe.
    fn tagged<'a>(&self, request: &'a Document) -> Result<&'a str, Fault> {
        let arn = text(request, "ResourceArn");
        if self.store.by_arn(arn)?.is_some() {
            return Ok(arn);
        }
        match Kind::of_arn(arn) {
            Some(Kind::Instance) => Err(Fault::validation("RecordNotFound")),
            _ => Err(Fault::validation(format!("Resource {arn} does not exist."))),
        }
    }

    /// When a change that begins now is done.
    fn due(&self, now: i64) -> i64 {
        now + self.phase
    }
}
