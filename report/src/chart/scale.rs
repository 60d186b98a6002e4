//! Maps values to places: axes, with round numbers at their ticks.

use crate::text::thousands;

/// Holds one axis: its range, its ticks and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// The values at its two ends.
    pub range: [f64; 2],
    /// Values with their texts.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Returns an axis of percentages, 0 to 100.
    pub fn percent(label: &str) -> Self {
        let ticks = (0..=5).map(|n| (f64::from(n) * 20.0, (n * 20).to_string())).collect();
        Self { label: label.into(), range: [0.0, 100.0], ticks }
    }

    /// Returns an axis from `low` to at least `high`, with about five ticks at round numbers.
    pub fn round(label: &str, low: f64, high: f64) -> Self {
        let span = if high > low { high - low } else { 1.0 };
        let step = nice(span / 5.0);
        let first = (low / step).floor();
        let count = ((low + span) / step - first - 1e-9).ceil().max(1.0) as usize;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let ticks: Vec<(f64, String)> = (0..=count)
            .map(|n| (first + n as f64) * step)
            .map(|value| (value, format!("{value:.digits$}")))
            .collect();
        Self { label: label.into(), range: [ticks[0].0, ticks[count].0], ticks }
    }

    /// Returns an axis whose ticks are the numbers at `values` themselves, as far as they have room.
    pub fn at(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let range = match (values.first(), values.last()) {
            (Some(&low), Some(&high)) if high > low => [low, high],
            (Some(&only), _) => [only - 1.0, only + 1.0],
            _ => [0.0, 1.0],
        };
        let room = (range[1] - range[0]) / 14.0;
        let mut ticks: Vec<(f64, String)> = vec![];
        for value in values {
            if ticks.last().is_none_or(|(last, _)| value - last >= room) {
                ticks.push((value, format!("{value}")));
            }
        }
        Self { label: label.into(), range, ticks }
    }

    /// Returns an axis of places 0, 1, 2 … named by `names`, every so many of which are written.
    pub fn names(label: &str, names: &[String]) -> Self {
        let every = names.len().div_ceil(12).max(1);
        let ticks =
            names.iter().enumerate().step_by(every).map(|(n, name)| (n as f64, name.clone())).collect();
        Self { label: label.into(), range: [0.0, (names.len().max(2) - 1) as f64], ticks }
    }

    /// Returns an axis of powers of ten, for values whose logarithms are drawn.
    pub fn powers(label: &str, exponents: impl IntoIterator<Item = f64>) -> Self {
        let axis = Self::at(label, exponents);
        let ticks =
            axis.ticks.iter().map(|(value, _)| (*value, format!("{:.0e}", 10f64.powf(*value)))).collect();
        Self { ticks, ..axis }
    }

    /// Returns an axis of the logarithms of `values`, with ticks at 1, 2 and 5 times powers of ten, or at those
    /// powers alone where they span more than two decades.
    pub fn logarithmic(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let logarithms = values.into_iter().map(|value| value.max(1.0).log10());
        let ends = logarithms.fold(None, |ends: Option<[f64; 2]>, at| {
            ends.map_or(Some([at, at]), |[low, high]| Some([low.min(at), high.max(at)]))
        });
        let [low, high] = ends.unwrap_or([0.0, 1.0]);
        let digits: &[f64] = if high - low > 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = (low.floor() as i32)..=(high.ceil() as i32);
        let numbers = decades.flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)));
        let ticks: Vec<(f64, String)> =
            numbers.map(|number| (number.log10(), thousands(number.round() as u64))).collect();
        // The axis goes from the last tick at or below all values to the first at or above them.
        let first = ticks.iter().rposition(|(at, _)| *at <= low + 1e-9).unwrap_or(0);
        let last = ticks.iter().position(|(at, _)| *at >= high - 1e-9).unwrap_or(ticks.len() - 1);
        let ticks = ticks[first..=last.max(first + 1).min(ticks.len() - 1)].to_vec();
        let range = [ticks[0].0, ticks[ticks.len() - 1].0];
        Self { label: label.into(), range, ticks }
    }

    /// Returns where `value` lies between `from` and `to`.
    pub fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let [low, high] = self.range;
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        from + share.clamp(0.0, 1.0) * (to - from)
    }
}

/// Returns the least of 1, 2, 5 × 10ⁿ that is at least `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * power >= step * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_whole_range() {
        for (low, high, step) in
            [(0.0, 1.0, 0.2), (0.0, 897_405.0, 200_000.0), (3.0, 4.1, 0.5), (0.0, 0.013, 0.005)]
        {
            let axis = Axis::round("", low, high);
            assert!(axis.range[0] <= low && axis.range[1] >= high, "{axis:?}");
            let found = axis.ticks[1].0 - axis.ticks[0].0;
            assert!((found - step).abs() < 1e-9 * step, "{axis:?}");
        }
        assert_eq!(Axis::round("", 0.0, 1.0).ticks[1].1, "0.2");
    }

    #[test]
    fn logarithms_have_ticks_at_numbers_that_people_know() {
        let texts = |values: &[f64]| -> Vec<String> {
            let axis = Axis::logarithmic("", values.iter().copied());
            assert!(values.iter().all(|v| (axis.range[0]..=axis.range[1] + 1e-9).contains(&v.log10())));
            axis.ticks.into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(&[6_000.0, 38_000.0]), ["5,000", "10,000", "20,000", "50,000"]);
        assert_eq!(texts(&[3.0, 1_200.0]), ["1", "10", "100", "1,000", "10,000"]);
        assert_eq!(texts(&[100.0]), ["100", "200"]);
        assert_eq!(texts(&[1.0]), ["1", "2"]);
    }

    #[test]
    fn an_axis_of_one_value_has_a_middle() {
        let axis = Axis::at("", [8.0, 8.0]);
        assert_eq!(axis.ticks, [(8.0, "8".to_owned())]);
        assert!((axis.place(8.0, 0.0, 100.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn radii_that_lie_close_leave_out_their_numbers_not_their_places() {
        let axis = Axis::at("", [0.0, 1.0, 2.0, 16.0]);
        let texts: Vec<&str> = axis.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["0", "2", "16"]);
        assert!((axis.place(1.0, 0.0, 16.0) - 1.0).abs() < 1e-9);
    }
}
