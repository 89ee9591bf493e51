//! SageMaker script mode without the Python SDK: the conventions by which its containers find and run a script, byte for
//! byte where it matters, so that the Python SDK can attach to our jobs and the containers cannot tell the difference.

pub mod hyperparameters;
pub mod image;
pub mod job;
pub mod names;
pub mod prints;
pub mod sourcedir;
pub mod tuning;

pub use job::{Job, Script, place_of};
pub use tuning::{Bounds, Trials, Tuning};
