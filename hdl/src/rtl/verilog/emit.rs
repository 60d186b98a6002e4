//! Emission: a module and everything below it as named texts: one `.v` file a distinct module, those of the
//! library among them, one `.mem` file per ROM. Never touches the disk.

use super::{leaf, structure, text};
use crate::rtl::ir::flatten;
use crate::rtl::ir::leaf::Leaf;
use crate::rtl::ir::memory::RomImage;
use crate::rtl::ir::module::{Body, Module};
use crate::rtl::ir::words;
use std::collections::HashMap;

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Name within the output folder, behind that of a folder in it where the file is in one.
    pub name: String,
    /// Whole text.
    pub text: String,
}

/// Two different things under one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// Two modules of the same name differ.
    #[error("two different modules are both named `{0}`")]
    ModuleClash(String),
    /// Two ROMs of the same file name differ in contents.
    #[error("two different ROMs both use the file `{0}`")]
    FileClash(String),
}

/// Everything below `top`, `top` first, each module and ROM once, in order of first appearance. The lines of
/// `banner` open every `.v` file. The same description gives the same bytes.
///
/// # Errors
/// Fails if two different modules or ROM files share a name.
///
/// # Panics
/// Panics, with the path, if a combinational cycle runs through the hierarchy.
pub fn emit(top: &Module, banner: &str) -> Result<Vec<File>, EmitError> {
    flatten::check(top);
    let mut files = Files::default();
    files.module(top, banner)?;
    Ok(files.list)
}

#[derive(Default)]
struct Files {
    list: Vec<File>,
    by_name: HashMap<String, usize>,
}

impl Files {
    fn module(&mut self, module: &Module, banner: &str) -> Result<(), EmitError> {
        let text = match &*module.0 {
            Body::Leaf(leaf) => leaf::print(leaf),
            Body::Structure(structure) => structure::print(structure),
        };
        let file = File { name: format!("{}.v", module.name()), text: text::file(banner, &text) };
        self.add(file, || EmitError::ModuleClash(module.name().into()))?;
        match &*module.0 {
            Body::Leaf(leaf) => {
                self.libraries(leaf, banner)?;
                self.roms(leaf)
            }
            Body::Structure(structure) => {
                structure.children.iter().try_for_each(|(_, child)| self.module(child, banner))
            }
        }
    }

    fn libraries(&mut self, leaf: &Leaf, banner: &str) -> Result<(), EmitError> {
        leaf.parts.iter().map(|part| part.instance.library).try_for_each(|library| {
            let text = text::file(banner, library.text);
            let file = File { name: format!("{}.v", library.name), text };
            self.add(file, || EmitError::ModuleClash(library.name.into()))
        })
    }

    fn roms(&mut self, leaf: &Leaf) -> Result<(), EmitError> {
        for memory in &leaf.memories {
            let Some(RomImage { file: Some(name), data }) = memory.preset() else { continue };
            let line = |word: &[u64]| words::to_hex(word, memory.word_bits) + "\n";
            let text = data.chunks(words::words_for(memory.word_bits)).map(line).collect();
            let file = File { name: name.clone(), text };
            self.add(file, || EmitError::FileClash(name.clone()))?;
        }
        Ok(())
    }

    fn add(&mut self, file: File, clash: impl Fn() -> EmitError) -> Result<(), EmitError> {
        match self.by_name.get(&file.name) {
            Some(&at) if self.list[at].text == file.text => Ok(()),
            Some(_) => Err(clash()),
            None => {
                self.by_name.insert(file.name.clone(), self.list.len());
                self.list.push(file);
                Ok(())
            }
        }
    }
}
