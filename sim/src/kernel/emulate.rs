//! Emulates AMX on a processor without it, for tests: the illegal instructions are carried out where they are
//! trapped, as Intel's manual says (Software Developer's Manual, volume 2, "AMX"). The results are right, a
//! thousand times slower.

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use std::cell::RefCell;
use std::sync::Once;

/// Holds a thread's tiles.
struct Tiles {
    configured: bool,
    row_bytes: [usize; 8],
    rows: [usize; 8],
    data: [[u8; 1024]; 8],
}

thread_local! {
    static TILES: RefCell<Tiles> = const {
        RefCell::new(Tiles { configured: false, row_bytes: [0; 8], rows: [0; 8], data: [[0; 1024]; 8] })
    };
}

/// Lets this module carry out tile instructions from now on.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: an action of zeros is a valid one to fill in; `trap` takes what SA_SIGINFO hands it.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = trap as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut())
        };
        assert_eq!(done, 0, "sigaction");
    });
}

/// Carries out the instruction that trapped; where it is of another kind, the thread dies of it.
extern "C" fn trap(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands over this thread's registers; the instruction's bytes and what it reads and
    // writes are those of the code that was trapped, which promised that they are there.
    unsafe {
        let registers = &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize] as *const u8;
        match TILES.with_borrow_mut(|tiles| tiles.execute(at, registers)) {
            Some(length) => registers[libc::REG_RIP as usize] += length,
            None => _ = libc::signal(libc::SIGILL, libc::SIG_DFL),
        }
    }
}

/// Where a context holds each register, by the register's number in instructions.
const REGISTERS: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Describes a memory operand after its ModRM byte: base, index times scale, and length.
struct Operand {
    base: i64,
    index: i64,
    length: i64,
}

impl Tiles {
    /// Carries out the instruction at `at` and returns its length, if it is one of tiles.
    ///
    /// # Safety
    /// Instruction and operands lie in memory of the process.
    unsafe fn execute(&mut self, at: *const u8, registers: &[i64]) -> Option<i64> {
        // SAFETY: a three-byte VEX prefix, opcode and ModRM: all these instructions have them (promised).
        let [escape, first, second, opcode, modrm] = unsafe { at.cast::<[u8; 5]>().read() };
        // VEX, map 0F38, W0, 128 bits.
        if escape != 0xc4 || first & 0x1f != 2 || second & 0x84 != 0 {
            return None;
        }
        let (reg, rm) = (usize::from(modrm >> 3 & 7), usize::from(modrm & 7));
        let third = usize::from(!second >> 3 & 15);
        let (register, prefix) = (modrm >> 6 == 3, second & 3);
        if !self.configured && (opcode, prefix, register) != (0x49, 0, false) {
            return None;
        }
        // SAFETY: as promised.
        let operand = || unsafe { operand(at.add(5), first, modrm, registers) };
        match (opcode, prefix, register) {
            (0x49, 0, false) => {
                let Operand { base, length, .. } = operand();
                // SAFETY: LDTILECFG reads 64 bytes (promised).
                self.configure(unsafe { &*(base as *const [u8; 64]) })?;
                Some(5 + length)
            }
            (0x49, 0, true) => {
                self.configured = false;
                Some(5)
            }
            (0x49, 3, true) => {
                self.data[reg] = [0; 1024];
                Some(5)
            }
            (0x4b, 2 | 3, false) if rm == 4 => {
                let Operand { base, index, length } = operand();
                let bytes = self.row_bytes[reg];
                for row in 0..self.rows[reg] {
                    let memory = (base + index * row as i64) as *mut u8;
                    let tile = self.data[reg][row * 64..].as_mut_ptr();
                    // SAFETY: TILELOADD reads and TILESTORED writes a row of so many bytes (promised).
                    unsafe {
                        if prefix == 3 {
                            std::ptr::copy(memory, tile, bytes);
                        } else {
                            std::ptr::copy(tile, memory, bytes);
                        }
                    }
                }
                if prefix == 3 {
                    self.clear_edges(reg);
                }
                Some(5 + length)
            }
            (0x5e, _, true) => {
                // TDPBUUD, TDPBUSD, TDPBSUD, TDPBSSD.
                self.multiply(reg, rm, third, [prefix >= 2, prefix & 1 == 1])?;
                Some(5)
            }
            _ => None,
        }
    }

    fn configure(&mut self, from: &[u8; 64]) -> Option<()> {
        if from[0] != 1 || from[1..16] != [0; 15] || from[32..48] != [0; 16] || from[56..] != [0; 8] {
            return None;
        }
        for tile in 0..8 {
            self.row_bytes[tile] = u16::from_le_bytes([from[16 + 2 * tile], from[17 + 2 * tile]]).into();
            self.rows[tile] = from[48 + tile].into();
            if self.row_bytes[tile] > 64 || self.rows[tile] > 16 {
                return None;
            }
        }
        self.data = [[0; 1024]; 8];
        self.configured = true;
        Some(())
    }

    /// Clears what lies beyond a tile's rows and columns.
    fn clear_edges(&mut self, tile: usize) {
        let (rows, bytes) = (self.rows[tile], self.row_bytes[tile]);
        for (r, row) in self.data[tile].chunks_exact_mut(64).enumerate() {
            row[if r < rows { bytes } else { 0 }..].fill(0);
        }
    }

    /// Computes `to += left · right`, four bytes of a row with four bytes of a column at a time; `signed`
    /// says whether the bytes of each are.
    fn multiply(&mut self, to: usize, left: usize, right: usize, signed: [bool; 2]) -> Option<()> {
        let quads = self.row_bytes[left] / 4;
        let distinct = to != left && to != right && left != right && right < 8;
        if !distinct || quads != self.rows[right] || self.row_bytes[to] != self.row_bytes[right] {
            return None;
        }
        let value = |byte: u8, signed: bool| if signed { i32::from(byte as i8) } else { byte.into() };
        for row in 0..self.rows[to].min(self.rows[left]) {
            for column in 0..self.row_bytes[to] / 4 {
                let at = row * 64 + column * 4;
                let mut sum = i32::from_le_bytes(*self.data[to][at..].first_chunk().expect("four"));
                for quad in 0..quads {
                    for q in 0..4 {
                        let a = value(self.data[left][row * 64 + quad * 4 + q], signed[0]);
                        let b = value(self.data[right][quad * 64 + column * 4 + q], signed[1]);
                        sum = sum.wrapping_add(a * b);
                    }
                }
                self.data[to][at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        self.clear_edges(to);
        Some(())
    }
}

/// Reads the memory operand whose SIB byte and displacement may follow at `at`.
///
/// # Safety
/// They follow where `modrm` says so.
unsafe fn operand(at: *const u8, vex: u8, modrm: u8, registers: &[i64]) -> Operand {
    let value = |number: u8| registers[REGISTERS[usize::from(number)] as usize];
    let [x, b] = [6, 5].map(|bit| (!vex >> bit & 1) << 3);
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let (mut base, mut index, mut length) = (b | rm, 0, 0);
    if rm == 4 {
        // SAFETY: R/M 4 says that a SIB byte follows.
        let sib = unsafe { *at };
        base = b | (sib & 7);
        let number = x | (sib >> 3 & 7);
        index = if number == 4 { 0 } else { value(number) << (sib >> 6) };
        length = 1;
    }
    // SAFETY: modes 1 and 2 say that 1 byte or 4 follow; none of the instructions here is relative to RIP or
    // has no base.
    let displacement = unsafe {
        match mode {
            1 => i64::from(at.add(length).cast::<i8>().read()),
            2 => at.add(length).cast::<i32>().read_unaligned().into(),
            _ => 0,
        }
    };
    let displaced = [0, 1, 4, 0][usize::from(mode)];
    Operand { base: value(base) + displacement, index, length: length as i64 + displaced }
}
