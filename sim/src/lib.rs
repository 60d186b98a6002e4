//! Bit-accurate engine, straight-through gradients and adversarial attacks on integer networks.
