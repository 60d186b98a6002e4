//! Writes the sections down as one HTML page.

use crate::Reports;
use crate::gallery::Gallery;
use crate::section::{self, Section, Table};
use askama::Template;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: String,
    style: &'a str,
    script: &'a str,
    version: &'a str,
    sections: Vec<Section>,
}

#[derive(Template)]
#[template(path = "table.html")]
struct Shown<'a> {
    table: &'a Table,
}

impl Page<'_> {
    fn table(&self, table: &Table) -> String {
        Shown { table }.render().expect("the template writes into a string")
    }
}

/// Returns the page of `reports` and `gallery`, whole.
pub fn page(reports: &Reports, gallery: &Gallery) -> String {
    let names = section::distinct(reports.networks().iter().map(|model| &model.name));
    let title = match &names[..] {
        [] => "dq report".into(),
        [a] => (*a).clone(),
        [a, b] => format!("{a} and {b}"),
        [a, rest @ ..] => format!("{a} and {} others", rest.len()),
    };
    let page = Page {
        title,
        style: include_str!("../templates/style.css"),
        script: include_str!("../templates/script.js"),
        version: env!("CARGO_PKG_VERSION"),
        sections: section::all(reports, gallery),
    };
    page.render().expect("the template writes into a string")
}
