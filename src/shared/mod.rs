//! What several commands share: their arguments, and how they read, write and print.

pub mod adversaries;
pub mod args;
pub mod data;
pub mod files;
pub mod folder;
pub mod model;
pub mod report;
pub mod table;
pub mod ui;
