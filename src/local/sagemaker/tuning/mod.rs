//! Hyperparameter tuning jobs: a search over ranges whose candidates are real training jobs.

mod search;
mod space;
