//! footplate: the terminal cockpit for people who tune, train, deploy and experiment on AWS. See ARCHITECTURE.md.
//!
//! Layers, from the bottom; an import only points down, and `tests/tidy.rs` keeps it so:
//! - 0 [`model`] plain data; [`term`] a terminal without a window; [`local`] the local region, which knows nothing of the rest
//! - 1 [`aws`] clients and guard; [`ssh`] the SSH client; [`config`] settings, keys, themes, the project file; [`journal`] what we are about to do
//! - 2 [`resource`] the registry of panes; [`app`] the pure core
//! - 3 [`view`] drawing
//! - 4 [`runtime`] the loop: everything that waits
//! - 5 `cli` the command line

pub mod app;
pub mod aws;
pub mod cli;
pub mod config;
pub mod journal;
pub mod local;
pub mod model;
pub mod resource;
pub mod runtime;
pub mod ssh;
pub mod term;
pub mod view;
