//! Finds folders in which make can work: neither it nor the makefiles that Verilator writes read a path with
//! a space in it.

use super::{VerilatorError, at};
use crate::tool::Tool;
use std::path::{Path, PathBuf};

/// Returns whether make and the makefiles that Verilator writes take `path` as one word.
pub(super) fn is_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@,".contains(c);
    path.to_str().is_some_and(|path| path.chars().all(plain))
}

/// Returns `temporary`, the system's folder for temporary files, in which a program for `cache` can be built.
pub(super) fn plain_folder(temporary: PathBuf, cache: &Path) -> Result<PathBuf, VerilatorError> {
    match is_plain(&temporary) {
        true => Ok(temporary),
        false => Err(VerilatorError::Folders { cache: cache.into(), temporary }),
    }
}

/// Returns `tool` or, where make could not read its place, the same through a link in `folder`.
pub(super) fn plain_tool(tool: &Tool, folder: &Path) -> Result<Tool, VerilatorError> {
    let (false, Some(root)) = (is_plain(&tool.program), tool.program.ancestors().nth(2)) else {
        return Ok(tool.clone());
    };
    let link = folder.join("verilator");
    std::os::unix::fs::symlink(root, &link).map_err(at(&link, "linking to Verilator's folder"))?;
    let env = vec![("VERILATOR_ROOT", link.clone().into_os_string())];
    Ok(Tool { name: tool.name, program: link.join("bin/verilator"), env })
}

/// Copies what a built program needs when it runs: itself, at `program`, and its ROM images.
pub(super) fn copy_build<'a>(
    program: &'a str,
    images: impl Iterator<Item = &'a str>,
    from: &Path,
    to: &Path,
) -> Result<(), VerilatorError> {
    for name in std::iter::once(program).chain(images) {
        let place = to.join(name);
        std::fs::create_dir_all(place.parent().expect("it is below the folder"))
            .and_then(|()| std::fs::copy(from.join(name), &place))
            .map_err(at(&place, "copying the build to"))?;
    }
    Ok(())
}
