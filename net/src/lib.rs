//! `dq-net`: the integer network — kinds of layer, shape and range rules, reference meaning in plain loops, file
//! format, image data sets. Never knows of hardware, attacks or libtorch, and has no float in its meaning.

pub mod data;
