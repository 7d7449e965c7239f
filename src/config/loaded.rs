//! What comes of a file that can be used.
//!
//! A pair and nothing more: whoever reads a format gives it, whoever starts takes it.

use super::Config;
use super::problem::Problem;

/// A configuration that can be used, and what was odd about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// In the order of the file.
    pub warnings: Vec<Problem>,
}
