//! Chooses the normalization before an activation or the residual stream.

/// Names the normalization before an activation or the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Batch normalization with gain and bias.
    Batch,
    /// The mean is taken away; almost-orthogonal rescaling follows, by the weights that the node reads from,
    /// then one factor for all channels and a bias.
    Aol,
    /// No normalization: the real value as it is.
    None,
}
