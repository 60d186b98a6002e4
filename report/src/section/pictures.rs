//! Shows images, their adversaries and the difference, with what the networks say.

use super::{Cell, Picture, Section, Table};
use crate::gallery::{Gallery, Sample, Verdict};
use crate::png::png;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn section(gallery: &Gallery) -> Option<Section> {
    if gallery.samples.is_empty() {
        return None;
    }
    let pictures = gallery.samples.iter().map(|sample| picture(gallery, sample)).collect();
    let about =
        "The difference is drawn around grey, so strong that the radius reaches black and white.".into();
    Some(Section { id: "gallery", title: "Adversaries", about, pictures, ..Section::default() })
}

fn picture(gallery: &Gallery, sample: &Sample) -> Picture {
    let encoded = |pixels: &[u8]| STANDARD.encode(png(gallery.shape, pixels));
    let images = [
        ("image", encoded(&sample.original)),
        ("adversary", encoded(&sample.adversary)),
        ("difference", encoded(&sample.difference())),
    ];
    let caption = format!("Image {}: {}", sample.index, sample.class);
    let mut verdicts = Table::new(&caption, &["network", "of the image", "of the adversary"]);
    for (network, [before, after]) in gallery.networks.iter().zip(&sample.verdicts) {
        verdicts.row(vec![Cell::text(&**network), said(before), said(after)]);
    }
    let title = format!("{} at ε {}", sample.attack, sample.eps);
    Picture { images: images.map(|(name, data)| (name.to_owned(), data)).into(), title, verdicts }
}

fn said(verdict: &Verdict) -> Cell {
    let mark = if verdict.right { "" } else { " ✗" };
    Cell::text(format!("{}{mark} {:.1} %", verdict.class, 100.0 * verdict.probability))
}
