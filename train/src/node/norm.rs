//! Which normalization stands before an activation or the residual stream.

/// What stands before an activation or the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Batch normalization with gain and bias.
    Batch,
    /// The mean is taken away; almost-orthogonal rescaling follows, by the weights that the node reads from,
    /// then one factor for all channels and a bias.
    Aol,
    /// The real value as it is.
    None,
}
