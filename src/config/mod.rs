//! What the user has set, level 1: keys, themes, settings, the project file.

pub mod action;
pub mod key;
pub mod keymap;
pub mod theme;
