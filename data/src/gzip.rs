//! Decodes gzip files as `gzip -d` does: they may hold several streams, and zeros after the last one (tapes
//! and some tools pad files).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// Reads the decoded bytes of a gzip file.
pub(super) struct Gzip {
    /// The stream that is being read; `None` after the last one.
    stream: Option<GzDecoder<BufReader<File>>>,
}

impl Gzip {
    /// Reads `file` from its start.
    pub fn new(file: File) -> Self {
        Gzip { stream: Some(GzDecoder::new(BufReader::new(file))) }
    }
}

impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(stream) = &mut self.stream {
            let count = stream.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let file = self.stream.take().expect("it was there").into_inner();
            self.stream = next_stream(file)?;
        }
        Ok(0)
    }
}

/// Returns the stream that begins where another ended, or `None` if only zeros are left.
///
/// # Errors
/// If other bytes follow the zeros.
fn next_stream(mut file: BufReader<File>) -> io::Result<Option<GzDecoder<BufReader<File>>>> {
    let mut padded = false;
    loop {
        let left = file.fill_buf()?;
        if left.is_empty() {
            return Ok(None);
        }
        let zeros = left.iter().take_while(|&&byte| byte == 0).count();
        if zeros == 0 && padded {
            let reason = "expected zeros to the end of the file after a gzip stream, found other bytes";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if zeros == 0 {
            return Ok(Some(GzDecoder::new(file)));
        }
        padded = true;
        file.consume(zeros);
    }
}
