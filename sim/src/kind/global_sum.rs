//! Computes a GlobalSum: the sum of each channel, as a SumPool with one window over the whole map.

use super::pass::{Backward, Bounds, Forward, Kind, Site, Twin};
use super::relax::Relax;
use super::relax::pools::SumOfWindows;
use super::sum_pool::Sums;
use super::window::Windows;
use crate::linear::Precision;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::GlobalSum;

impl Kind for GlobalSum {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(Sums(Windows::whole(site.input().shape)))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(SumOfWindows(Windows::whole(site.input().shape))))
    }

    fn backward(&self, site: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Sums(Windows::whole(site.input().shape)))
    }

    fn twin(&self, site: &Site) -> Twin {
        let input = site.input().shape;
        let area = (input.height * input.width) as f64;
        let mean = FloatLayer::GlobalMean(float::GlobalMean);
        Twin::chain(vec![mean, Twin::times(area, site.output.shape.channels)])
    }
}
