//! The rows of last time, so that the first frame has something to show before any network. One JSON file a resource.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::dirs;
use crate::model::Item;

/// Least time between two writes of the same list.
const PAUSE: Duration = Duration::from_secs(15);

#[derive(Serialize, Deserialize)]
struct File {
    at: Timestamp,
    items: Vec<Item>,
}

/// What was kept for the panes of this app. A file that cannot be read is no loss: its rows come from AWS again.
pub fn load(folder: &Path, app: &App) -> Vec<(String, Vec<Item>, Timestamp)> {
    let read = |id: &str| {
        let text = std::fs::read(path(folder, id)).ok()?;
        serde_json::from_slice::<File>(&text).ok()
    };
    let fits = |file: &File, columns: usize| file.items.iter().all(|item| item.cells.len() == columns);
    app.panes
        .iter()
        .filter_map(|pane| {
            read(pane.spec.id)
                .filter(|file| fits(file, pane.spec.columns.len()))
                .map(|file| (pane.spec.id.to_owned(), file.items, file.at))
        })
        .collect()
}

/// Writes lists, but not too often.
pub struct Cache {
    folder: PathBuf,
    written: HashMap<String, Instant>,
}

impl Cache {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, written: HashMap::new() }
    }

    /// Keeps a list, in the background.
    pub fn keep(&mut self, resource: String, items: Vec<Item>, tasks: &mut JoinSet<()>) {
        let now = Instant::now();
        if self.written.get(&resource).is_some_and(|at| now.duration_since(*at) < PAUSE) {
            return;
        }
        let file = path(&self.folder, &resource);
        self.written.insert(resource, now);
        tasks.spawn_blocking(move || write(&file, &items));
    }

    /// Keeps a list, now.
    pub fn write(&self, resource: &str, items: &[Item]) {
        write(&path(&self.folder, resource), items);
    }
}

fn path(folder: &Path, resource: &str) -> PathBuf {
    folder.join(format!("{resource}.json"))
}

fn write(path: &Path, items: &[Item]) {
    let file = File { at: Timestamp::now(), items: items.to_vec() };
    let Some(folder) = path.parent() else { return };
    let done = dirs::private_folder(folder).is_ok()
        && serde_json::to_vec(&file).is_ok_and(|text| dirs::replace_file(path, &text).is_ok());
    if !done {
        tracing::warn!(path = %path.display(), "the list could not be kept for next time");
    }
}
