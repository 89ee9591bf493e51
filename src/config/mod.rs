//! What the user wrote down, level 1: where footplate's files live, the settings, and the project file.
//!
//! Every file here is read the same way, through [`sheet`]: all mistakes of a file are reported at once, each with its
//! line, the key, and what to write instead. A file with a mistake is refused as a whole, never half obeyed.

pub mod dirs;
pub mod nearest;
pub mod project;
pub mod settings;
pub mod sheet;

pub use dirs::Dirs;
pub use settings::Settings;
