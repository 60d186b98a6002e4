//! Reads bytes as what a board's UART sends. The result is answers, errors, or a wait for more.
#![no_main]

use dq_hdl::board::protocol::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [shape, line @ ..] = data else { return };
    let format = Format {
        values: usize::from(shape & 15) + 1,
        bytes: usize::from(shape >> 4 & 3) + 1,
        signed: shape >> 6 & 1 == 1,
    };
    let mut received = line.to_vec();
    while let Some(answer) = format.take(&mut received) {
        if let Ok(answer) = answer {
            assert_eq!(answer.values.len(), format.values);
        }
    }
    assert!(received.len() < format.length() + 2, "{} bytes are kept", received.len());
});
