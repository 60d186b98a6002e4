//! Gathers documents: which networks they speak of, and whether they are of the same images.

use crate::document::front::Front;
use crate::document::{Amplification, Content, Corruptions, Document, Error, Faults, Landscapes};
use dq_hdl::emit::Report as Circuit;
use dq_hdl::flow::Record;
use dq_sim::report::{Model, Report as Attacks};
use dq_sim::study::certify::Certificates;
use std::path::Path;

/// Holds all documents of one page, and the networks that they speak of.
#[derive(Debug)]
pub struct Reports {
    documents: Vec<Document>,
    networks: Vec<Model>,
}

/// Names a network on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its position among the page's networks, which chooses its colour.
    pub index: usize,
    /// Its name, with what tells it from others of the same name.
    pub name: String,
}

/// Names the images of a document: the data set and, where the document knows it, the digest.
struct Of<'a> {
    path: &'a Path,
    kind: u8,
    set: &'a str,
    digest: Option<&'a str>,
}

impl Reports {
    /// Gathers `documents`, in the order in which they were given.
    ///
    /// # Errors
    /// Where two documents are of different data sets, or two of one kind of different images.
    pub fn new(documents: Vec<Document>) -> Result<Self, Error> {
        check_images(&documents)?;
        let mut networks: Vec<Model> = vec![];
        for model in documents.iter().flat_map(|document| models(&document.content)) {
            if !networks.iter().any(|known| same(known, &model)) {
                networks.push(model);
            }
        }
        Ok(Self { documents, networks })
    }

    /// Returns how a network is named on the page.
    pub fn named(&self, model: &Model) -> Named {
        let index = self.networks.iter().position(|known| same(known, model));
        let model = index.map_or(model, |index| &self.networks[index]);
        let index = index.unwrap_or(self.networks.len());
        let twin = |other: &&Model| other.name == model.name;
        let mut name = model.name.clone();
        if self.networks.iter().filter(twin).count() > 1 || model.kind != "integer" {
            name = format!("{name} ({})", model.kind);
        }
        let is_alike = |other: &&Model| other.name == model.name && other.kind == model.kind;
        if self.networks.iter().filter(is_alike).count() > 1 {
            name = format!("{name} {}", short(&model.content_hash));
        }
        Named { index, name }
    }

    /// Returns how the network of a report of attacks is named, with its detector where it has one.
    pub fn attacked(&self, report: &Attacks) -> Named {
        let mut named = self.named(&report.model);
        if let Some(detector) = &report.detector {
            named.name = format!("{} with detector {}", named.name, detector.squeezing);
        }
        named
    }

    /// Returns the networks with a hash, by hash.
    pub fn by_hash(&self, hash: &str) -> Option<Named> {
        self.networks.iter().find(|model| model.content_hash == hash).map(|model| self.named(model))
    }

    /// Returns all networks, in order of appearance.
    pub fn networks(&self) -> &[Model] {
        &self.networks
    }

    /// Returns the documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Returns the reports of attacks.
    pub fn attacks(&self) -> impl Iterator<Item = &Attacks> {
        self.pick(|content| if let Content::Attacks(found) = content { Some(&**found) } else { None })
    }

    /// Returns the certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificates> {
        self.pick(|content| if let Content::Certificates(found) = content { Some(found) } else { None })
    }

    /// Returns the reports of faults.
    pub fn faults(&self) -> impl Iterator<Item = &Faults> {
        self.pick(|content| if let Content::Faults(found) = content { Some(found) } else { None })
    }

    /// Returns the reports of corruptions.
    pub fn corruptions(&self) -> impl Iterator<Item = &Corruptions> {
        self.pick(|content| if let Content::Corruptions(found) = content { Some(found) } else { None })
    }

    /// Returns the measurements of amplification.
    pub fn amplifications(&self) -> impl Iterator<Item = &Amplification> {
        self.pick(|content| if let Content::Amplification(found) = content { Some(found) } else { None })
    }

    /// Returns the landscapes.
    pub fn landscapes(&self) -> impl Iterator<Item = &Landscapes> {
        self.pick(|content| if let Content::Landscapes(found) = content { Some(found) } else { None })
    }

    /// Returns the circuits.
    pub fn circuits(&self) -> impl Iterator<Item = &Circuit> {
        self.pick(|content| if let Content::Circuit(found) = content { Some(&**found) } else { None })
    }

    /// Returns the fronts of plans.
    pub fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.pick(|content| if let Content::Front(found) = content { Some(found) } else { None })
    }

    /// Returns the records of boards.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.pick(|content| if let Content::Record(found) = content { Some(&**found) } else { None })
    }

    fn pick<'a, T: 'a>(
        &'a self,
        wanted: impl Fn(&'a Content) -> Option<&'a T> + 'a,
    ) -> impl Iterator<Item = &'a T> {
        self.documents.iter().filter_map(move |document| wanted(&document.content))
    }
}

/// Returns the first letters of a hash, as people read it.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn same(a: &Model, b: &Model) -> bool {
    let is_hashed = !a.content_hash.is_empty() && !b.content_hash.is_empty();
    if is_hashed { a.content_hash == b.content_hash } else { a.name == b.name && a.kind == b.kind }
}

fn models(content: &Content) -> Vec<Model> {
    let integer = |name: &str, hash: &str| {
        let name = if name.is_empty() { short(hash) } else { name };
        Model { name: name.into(), kind: "integer".into(), content_hash: hash.into() }
    };
    match content {
        Content::Attacks(found) => vec![found.model.clone()],
        Content::Certificates(found) => vec![found.model.clone()],
        Content::Faults(found) => found.networks.iter().map(|network| network.model.clone()).collect(),
        Content::Corruptions(found) => found.networks.iter().map(|network| network.model.clone()).collect(),
        Content::Amplification(found) => found.networks.iter().map(|network| network.model.clone()).collect(),
        Content::Landscapes(found) => vec![found.model.clone()],
        Content::Circuit(found) => vec![integer(&found.name, &found.network)],
        Content::Front(found) => found.networks.iter().map(|network| network.model.clone()).collect(),
        Content::Record(found) => vec![integer(&found.network, &found.hash)],
    }
}

/// Refuses documents whose figures cannot stand side by side. All must be of one data set; those of one kind,
/// whose figures are compared with each other, of the very same images.
fn check_images(documents: &[Document]) -> Result<(), Error> {
    let all: Vec<Of> = documents.iter().filter_map(of).collect();
    let differ = |one: &Of, other: &Of, field, found: &str, expected: &str| Error::OtherImages {
        path: one.path.into(),
        field,
        found: format!("`{found}`"),
        other: other.path.into(),
        expected: format!("`{expected}`"),
    };
    for (i, one) in all.iter().enumerate() {
        for other in &all[..i] {
            if one.set != other.set {
                return Err(differ(one, other, "data.name", one.set, other.set));
            }
            if let (Some(a), Some(b)) = (one.digest, other.digest)
                && one.kind == other.kind
                && a != b
            {
                return Err(differ(one, other, "data.digest", short(a), short(b)));
            }
        }
    }
    Ok(())
}

fn of(document: &Document) -> Option<Of<'_>> {
    let (kind, set, digest) = match &document.content {
        Content::Attacks(found) => (0, &found.data.name, Some(&found.data.digest)),
        Content::Certificates(found) => (1, &found.data.name, Some(&found.data.digest)),
        Content::Faults(found) => (2, &found.data.name, Some(&found.data.digest)),
        Content::Corruptions(found) => (3, &found.data.name, Some(&found.data.digest)),
        Content::Amplification(found) => (4, &found.data.name, Some(&found.data.digest)),
        Content::Landscapes(found) => (5, &found.data, None),
        Content::Front(found) => {
            let data = found.data.as_ref()?;
            (0, &data.name, Some(&data.digest))
        }
        Content::Circuit(_) | Content::Record(_) => return None,
    };
    Some(Of { path: &document.path, kind, set, digest: digest.map(String::as_str) })
}
