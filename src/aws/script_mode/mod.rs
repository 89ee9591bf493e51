//! SageMaker script mode without the Python SDK: the conventions by which its containers find and run a script, byte for
//! byte where it matters, so that the Python SDK can attach to our jobs and the containers cannot tell the difference.

pub mod distribution;
pub mod hyperparameters;
pub mod image;
pub mod interpreter;
pub mod job;
pub mod lint;
pub mod names;
pub mod sourcedir;
pub mod tuning;

pub use job::{CODE_CHANNEL, Capture, Job, Script, code_of, place_of};
pub use tuning::{Bounds, Trials, Tuning};
