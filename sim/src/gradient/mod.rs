//! Gives gradients of a loss with respect to the pixels, which white-box attacks read. Never changes a label.

mod loss;
mod white_box;

pub use crate::linear::Precision;
pub use loss::Loss;
pub(crate) use loss::arg_max;
pub use white_box::WhiteBox;

use dq_net::Shape;
use dq_net::layer::Input;
use ndarray::{Array2, Array4, ArrayView3, ArrayView4};

/// Holds the losses of a batch and their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct LossGradient {
    /// The loss of each image.
    pub losses: Vec<f64>,
    /// ∂ loss / ∂ pixel, per unit of a uint8 pixel: batch × height × width × channels.
    pub gradient: Array4<f32>,
    /// Real logits: batch × classes. For an integer network they are score · scale; with a detector they are
    /// those of [`GradientSource::judged_logits`].
    pub logits: Array2<f64>,
}

/// A gradient source is a network whose loss has a gradient. Results do not depend on the batch's size or
/// order, nor on threads.
pub trait GradientSource: Sync {
    /// Returns its input: the shape of an image and its levels.
    fn input(&self) -> Input;

    /// Returns the shape of an image.
    fn input_shape(&self) -> Shape {
        self.input().shape
    }

    /// Returns the number of classes.
    fn classes(&self) -> usize;

    /// Says in which numbers gradients are summed.
    fn precision(&self) -> Precision {
        Precision::Float
    }

    /// Names what computes the gradients where it is not this crate: their rounding differs, so reports say it.
    fn engine(&self) -> Option<String> {
        None
    }

    /// Computes the loss of each image (batch × height × width × channels) for its label, and the gradient.
    ///
    /// # Panics
    /// If the shapes do not fit, or a label is not a class.
    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient;

    /// Computes the real logits of each image (batch × classes), as [`LossGradient::logits`].
    ///
    /// # Panics
    /// If the images' shape does not fit.
    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64>;

    /// Computes logits of each image (batch × classes) whose largest is another than that of the label exactly
    /// where an attack on an image of this label has succeeded: the real ones, unless a detector has a say.
    ///
    /// # Panics
    /// If the shapes do not fit, or a label is not a class.
    fn judged_logits(&self, images: ArrayView4<u8>, _labels: &[u8]) -> Array2<f64> {
        self.real_logits(images)
    }

    /// Remembers `image`, to compute the judged logits of images that differ from it in a few pixels without
    /// what these leave as it is. Returns `None` where the network has no such way.
    ///
    /// # Panics
    /// If the image's shape does not fit.
    fn near(&self, _image: ArrayView3<u8>) -> Option<Box<dyn Near + '_>> {
        None
    }
}

/// Remembers an image, to compute the logits of others that are much like it.
pub trait Near: Send {
    /// Computes what [`GradientSource::judged_logits`] gives for `image`.
    ///
    /// # Panics
    /// If the image's shape does not fit.
    fn logits(&mut self, image: ArrayView3<u8>) -> Vec<f64>;

    /// Remembers the image that was asked about last instead.
    fn move_on(&mut self);
}
