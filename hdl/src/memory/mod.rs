//! Places memories: how block RAM, LUT RAM and SPRAM hold words, and what that costs. Never says what the
//! words mean.

pub mod banks;
pub mod cost;
pub mod parts;
