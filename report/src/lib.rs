//! Makes one HTML page of the reports that dq writes. The page needs nothing else: it opens offline, prints,
//! and reads without scripts; a small script adds what paper cannot do.
//!
//! Data flows one way: a [`document`] is read and recognized by its format, the documents together become
//! [`Reports`], each `section` makes tables and charts of what it finds there, and `page` writes them down. A
//! chart computes coordinates alone; how it looks stands in the templates.

mod chart;
mod crossed;
pub mod document;
pub mod gallery;
mod page;
mod png;
mod reports;
mod section;
pub mod text;

pub use document::{Document, Error};
pub use page::page;
pub use png::png;
pub use reports::Reports;
