//! Defines outcomes: one per image, written as one letter each.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;

/// Describes a value that a report writes as one letter.
pub trait Letter: Copy + PartialEq + Sized + 'static {
    /// Lists every value with its letter.
    const ALL: &'static [(Self, char)];
}

/// Says what became of one image under one attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The network is wrong without attack: `-`. Such an image is not attacked.
    Misclassified,
    /// The attack left the label as it was: `.`.
    Survived,
    /// The attack changed the label: `x`.
    Broken,
    /// An earlier attack of a sequential suite had broken the image, which was left out: `=`.
    LeftOut,
    /// The attack changed the label, and the detector flagged the image: `d`.
    Detected,
}

impl Letter for Outcome {
    const ALL: &'static [(Self, char)] = &[
        (Outcome::Misclassified, '-'),
        (Outcome::Survived, '.'),
        (Outcome::Broken, 'x'),
        (Outcome::LeftOut, '='),
        (Outcome::Detected, 'd'),
    ];
}

/// Holds the outcomes of a run, one per image.
pub type Outcomes = Letters<Outcome>;

/// Holds values that are written as a string of one letter each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters<T>(Vec<T>);

impl<T: Letter> Letters<T> {
    /// Adds the next image's.
    pub fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// Returns the letters, as they are written.
    pub fn text(&self) -> String {
        let letter =
            |value: &T| T::ALL.iter().find(|(known, _)| known == value).expect("all have a letter").1;
        self.0.iter().map(letter).collect()
    }

    /// Counts how often `value` is there.
    pub fn count(&self, value: T) -> usize {
        self.0.iter().filter(|other| **other == value).count()
    }
}

impl<T> Default for Letters<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T> Deref for Letters<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for Letters<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T: Letter> Serialize for Letters<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

impl<'de, T: Letter> Deserialize<'de> for Letters<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = |letter: char| match T::ALL.iter().find(|(_, known)| *known == letter) {
            Some((value, _)) => Ok(*value),
            None => {
                let known: String = T::ALL.iter().map(|(_, known)| known).collect();
                Err(D::Error::custom(format!("expected letters of `{known}`, found `{letter}`")))
            }
        };
        text.chars().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_written_as_letters_and_read_back() {
        let all: Outcomes = Outcome::ALL.iter().map(|(outcome, _)| *outcome).collect();
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, "\"-.x=d\"");
        assert_eq!(serde_json::from_str::<Outcomes>(&text).unwrap(), all);
        let error = serde_json::from_str::<Outcomes>("\".q\"").unwrap_err().to_string();
        assert!(error.contains("expected letters of `-.x=d`, found `q`"), "{error}");
    }
}
