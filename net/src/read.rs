//! Reads small text files that others may have written. No size that a file claims is trusted: devices and
//! pipes claim none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What some editors write before the first character of a UTF-8 text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads the whole text of `path`, of at most `limit` bytes. A byte-order mark at its start is left out.
///
/// # Errors
/// If the operating system refuses, or with `InvalidData` if the file is longer or not UTF-8.
pub fn text(path: &Path, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("expected at most {limit} bytes, found more");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "expected text (UTF-8)"))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(text(&path, 5).unwrap(), "12345");
        assert!(text(&path, 4).unwrap_err().to_string().contains("at most 4 bytes"));
        std::fs::write(&path, [0xff, 0x00]).unwrap();
        assert!(text(&path, 5).unwrap_err().to_string().contains("UTF-8"));
        assert!(text(folder.path(), 5).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "\u{feff}{}").unwrap();
        assert_eq!(text(&path, 5).unwrap(), "{}");
        std::fs::write(&path, "{\u{feff}}").unwrap();
        assert_eq!(text(&path, 5).unwrap(), "{\u{feff}}", "elsewhere it is a character");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_given_up() {
        assert!(text(Path::new("/dev/zero"), 1000).is_err());
    }
}
