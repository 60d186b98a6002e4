//! What a recipe may say: each value's range. Never looks at data: what must fit the images is checked in training.

use dq_net::data::SETS;

use super::{Recipe, RecipeError};

impl Recipe {
    /// Refuses the first value that is out of range; `origin` is what the error calls the recipe.
    pub(super) fn check(&self, origin: &str) -> Result<(), RecipeError> {
        let demand = |ok: bool, key: &'static str, expected: &str, found: String| {
            if ok {
                return Ok(());
            }
            Err(RecipeError::Value { origin: origin.to_owned(), key, expected: expected.to_owned(), found })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // It names folders, and models with a suffix: never `.` or `..`, and short enough for both.
        let named = self.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && self.name.len() <= 100
            && self.name.chars().all(plain);
        let rule = "a letter or digit, then letters, digits, `-`, `_` and `.`, at most 100";
        demand(named, "name", rule, format!("{:?}", self.name))?;
        let sets: Vec<&str> = SETS.iter().map(|row| row.name).collect();
        let known = sets.contains(&self.data.set.as_str());
        demand(known, "data.set", &format!("one of {}", sets.join(", ")), format!("{:?}", self.data.set))?;
        let model = &self.model;
        let widths = model.blocks.iter().flatten().chain(&model.dense);
        let filled = !model.blocks.is_empty() && model.blocks.iter().all(|block| !block.is_empty());
        demand(
            filled && widths.clone().all(|w| (1..=4096).contains(w)) && model.blocks.len() <= 16,
            "model.blocks",
            "1 to 16 blocks of at least one convolution, and widths (of `dense` too) of 1 to 4096",
            format!("{:?} and {:?}", model.blocks, model.dense),
        )?;
        let odd = model.kernel % 2 == 1 && model.kernel <= 15;
        demand(odd, "model.kernel", "an odd number up to 15", model.kernel.to_string())?;
        let beta = self.dq.beta;
        demand(beta >= 0.0 && beta.is_finite(), "dq.beta", "a number not below 0", beta.to_string())?;
        let sgd = &self.optimizer;
        demand(sgd.lr > 0.0 && sgd.lr.is_finite(), "optimizer.lr", "a number above 0", sgd.lr.to_string())?;
        let momentum = sgd.momentum;
        demand(
            (0.0..1.0).contains(&momentum),
            "optimizer.momentum",
            "0 ≤ momentum < 1",
            momentum.to_string(),
        )?;
        let decay = sgd.weight_decay;
        demand((0.0..1.0).contains(&decay), "optimizer.weight_decay", "0 ≤ decay < 1", decay.to_string())?;
        let schedule = &self.schedule;
        let rising = schedule.milestones.is_sorted_by(|a, b| a < b);
        demand(rising, "schedule.milestones", "rising epochs", format!("{:?}", schedule.milestones))?;
        let factor = schedule.factor;
        demand(factor > 0.0 && factor <= 1.0, "schedule.factor", "0 < factor ≤ 1", factor.to_string())?;
        let warmup = schedule.warmup;
        demand(
            warmup >= 0.0 && warmup.is_finite(),
            "schedule.warmup",
            "a number not below 0",
            warmup.to_string(),
        )?;
        let train = &self.train;
        demand(
            (1..=100_000).contains(&train.epochs),
            "train.epochs",
            "1 to 100000",
            train.epochs.to_string(),
        )?;
        demand((2..=65_536).contains(&train.batch), "train.batch", "2 to 65536", train.batch.to_string())?;
        demand(train.seed <= i64::MAX as u64, "train.seed", "0 to 2^63 − 1", train.seed.to_string())
    }
}
