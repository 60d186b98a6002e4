//! Conv and Dense as linear maps over windows: forward on integers ([`Linear`]), and forward or transposed on
//! real numbers ([`RealLinear`]) and in fixed point ([`FixedLinear`]). Never decides what a layer means.

mod fixed;
mod groups;
mod int;
mod part;
mod real;
mod way;
mod windows;
mod winograd;

pub(crate) use fixed::FixedLinear;
pub(crate) use int::Linear;
pub(crate) use part::PartLinear;
pub(crate) use real::RealLinear;

/// Says in which numbers an integer network's gradients are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    Float,
    /// Fixed point of 16 bits, scaled anew for each image and layer: about twice as fast.
    Int16,
}

impl Precision {
    /// Returns its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float => "f32",
            Precision::Int16 => "int16",
        }
    }
}
