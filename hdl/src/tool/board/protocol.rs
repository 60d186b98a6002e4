//! Makes and reads the bytes of the protocol in docs/uart.md, as a host does.

use thiserror::Error;

/// First bytes of a packet with a frame.
pub const FRAME_MARK: [u8; 2] = [0xa5, 0x5a];
/// First bytes of a packet with an answer.
pub const ANSWER_MARK: [u8; 2] = [0x5a, 0xa5];
/// CRC before the first byte.
pub const CRC_START: u16 = 0xffff;

/// Holds an answer of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Number of the packet that it answers.
    pub number: u8,
    /// Errors that the board reports, if any.
    pub status: Status,
    /// The scores, or the label.
    pub values: Vec<i64>,
}

/// Holds what the board says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The packet's CRC was wrong.
    pub wrong_crc: bool,
    /// The packet ended early; its frame was completed with zeros.
    pub short: bool,
    /// The circuit was not ready for a pixel.
    pub overrun: bool,
    /// The circuit has seen a frame of the wrong length since its reset.
    pub error: bool,
}

/// Says why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The CRC does not match.
    #[error("answer {number}: CRC expected {expected:#06x}, found {found:#06x}")]
    Crc {
        /// Number of the packet, as received.
        number: u8,
        /// CRC of the received bytes.
        expected: u16,
        /// CRC that came with them.
        found: u16,
    },
}

/// Returns the CRC-16 of CCITT (polynomial 0x1021, the high bit first) after one more byte.
pub fn crc_step(crc: u16, byte: u8) -> u16 {
    (0..8)
        .fold(crc ^ u16::from(byte) << 8, |crc, _| if crc >> 15 == 1 { crc << 1 ^ 0x1021 } else { crc << 1 })
}

/// Returns the CRC of `bytes`.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(CRC_START, |crc, &byte| crc_step(crc, byte))
}

/// Returns the packet of a frame: `pixels` row-major, channels fastest.
pub fn frame(number: u8, pixels: &[u8]) -> Vec<u8> {
    let mut packet = FRAME_MARK.to_vec();
    packet.push(number);
    packet.extend_from_slice(pixels);
    let crc = crc(&packet[2..]);
    packet.extend(crc.to_be_bytes());
    packet
}

/// Describes the layout of answers, which follows from the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Number of values per answer.
    pub values: usize,
    /// Number of bytes per value.
    pub bytes: usize,
    /// Whether values are two's complement.
    pub signed: bool,
}

impl Format {
    /// Bytes of a packet.
    pub fn length(&self) -> usize {
        4 + self.values * self.bytes + 2
    }

    /// Takes the first whole answer out of `received`, and what cannot belong to one before it; none if more
    /// bytes are needed.
    pub fn take(&self, received: &mut Vec<u8>) -> Option<Result<Answer, AnswerError>> {
        let starts = |at: &usize| {
            let mark = &received[*at..received.len().min(at + 2)];
            ANSWER_MARK.starts_with(mark)
        };
        let start = (0..received.len()).find(starts).unwrap_or(received.len());
        received.drain(..start);
        if received.len() < self.length() {
            return None;
        }
        let (body, rest) = received[2..self.length()].split_at(self.length() - 4);
        let (expected, found) = (crc(body), u16::from_be_bytes([rest[0], rest[1]]));
        if expected != found {
            let number = body[0];
            // The bytes behind the mark may hold the next mark.
            received.drain(..2);
            return Some(Err(AnswerError::Crc { number, expected, found }));
        }
        let bit = |i: u8| body[1] >> i & 1 == 1;
        let status = Status { wrong_crc: bit(0), short: bit(1), overrun: bit(2), error: bit(3) };
        let values = body[2..].chunks(self.bytes).map(|bytes| self.value(bytes)).collect();
        let number = body[0];
        received.drain(..self.length());
        Some(Ok(Answer { number, status, values }))
    }

    fn value(&self, bytes: &[u8]) -> i64 {
        let word = bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        let unused = 64 - 8 * bytes.len() as u32;
        if self.signed { (word << unused) as i64 >> unused } else { word as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { values: 2, bytes: 2, signed: true };

    fn answer(number: u8, status: u8, values: [i16; 2]) -> Vec<u8> {
        let mut packet = ANSWER_MARK.to_vec();
        packet.extend([number, status]);
        values.iter().for_each(|value| packet.extend(value.to_le_bytes()));
        let crc = crc(&packet[2..]);
        packet.extend(crc.to_be_bytes());
        packet
    }

    #[test]
    fn the_crc_is_ccitt_false() {
        assert_eq!(crc(b"123456789"), 0x29b1);
        let packet = frame(7, &[1, 2, 3]);
        assert_eq!(crc(&packet[2..]), 0, "over its own CRC it is 0");
    }

    #[test]
    fn answers_are_found_among_garbage_and_damage_is_seen() {
        let mut bytes = vec![0x5a, 9, 0xa5];
        bytes.extend(answer(3, 0, [-2, 300]));
        let mut damaged = answer(4, 0, [1, 1]);
        damaged[5] ^= 8;
        bytes.extend(damaged);
        bytes.extend(answer(5, 0b1010, [0, -1]));
        bytes.extend(&answer(6, 0, [0, 0])[..7]);
        let first = FORMAT.take(&mut bytes).unwrap().unwrap();
        assert_eq!(first, Answer { number: 3, status: Status::default(), values: vec![-2, 300] });
        assert!(matches!(FORMAT.take(&mut bytes), Some(Err(AnswerError::Crc { number: 4, .. }))));
        let third = FORMAT.take(&mut bytes).unwrap().unwrap();
        assert!(third.number == 5 && third.status.short && third.status.error && !third.status.wrong_crc);
        assert_eq!((FORMAT.take(&mut bytes), bytes.len()), (None, 7));
    }
}
