//! What the user wrote down, level 1: where footplate's files live, settings, keys, themes, and the project file.
//!
//! Every file here is refused as a whole when it has a mistake, never half obeyed; [`sheet`] reports all mistakes of a
//! project or settings file at once, each with its line, the key, and what to write instead.

pub mod action;
pub mod dirs;
pub mod key;
pub mod keymap;
pub mod nearest;
pub mod project;
pub mod settings;
pub mod sheet;
pub mod theme;

pub use dirs::Dirs;
pub use settings::Settings;
