//! Checks what a recipe says: each value's range. Never looks at data: what must fit the images is checked in
//! training.

use dq_data::SETS;

use super::{Activation, Attack, Bits, Choose, Recipe, RecipeError, StepSize};

impl Recipe {
    /// The largest seed: recipes are TOML, whose numbers have 64 bits with a sign.
    pub const MAX_SEED: u64 = i64::MAX as u64;

    /// Refuses the first value that is out of range; `origin` is what the error calls the recipe.
    pub(super) fn check(&self, origin: &str) -> Result<(), RecipeError> {
        let demand = |ok, key, expected: &str, found: String| {
            if ok { Ok(()) } else { refused(origin, key, expected, found) }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // The name is used for folders, and for models with a suffix: it is never `.` or `..`, and short
        // enough for both.
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
        demand((1..=1202).contains(&model.depth), "model.depth", "1 to 1202", model.depth.to_string())?;
        let width = model.width;
        demand(width > 0.0 && width <= 64.0, "model.width", "above 0, up to 64", width.to_string())?;
        let stream = model.stream_bits;
        demand((4..=16).contains(&stream), "model.stream_bits", "4 to 16", stream.to_string())?;
        let squeeze = self.squeeze.bits;
        demand((1..=8).contains(&squeeze), "squeeze.bits", "1 to 8", squeeze.to_string())?;
        let (lipschitz, is_number) = (model.lipschitz, model.lipschitz.is_finite());
        demand(lipschitz > 0.0 && is_number, "model.lipschitz", "a number above 0", lipschitz.to_string())?;
        self.check_quantizers(origin)?;
        self.check_defences(origin)?;
        self.check_certified(origin)?;
        let sgd = &self.optimizer;
        demand(sgd.lr > 0.0 && sgd.lr.is_finite(), "optimizer.lr", "a number above 0", sgd.lr.to_string())?;
        let momentum = sgd.momentum;
        demand(
            (0.0..1.0).contains(&momentum),
            "optimizer.momentum",
            "0 ≤ momentum < 1",
            momentum.to_string(),
        )?;
        let clip = sgd.clip;
        demand(clip >= 0.0 && clip.is_finite(), "optimizer.clip", "a number not below 0", clip.to_string())?;
        let damping = sgd.damping;
        demand((0.0..=1.0).contains(&damping), "optimizer.damping", "0 to 1", damping.to_string())?;
        let from = sgd.damping_from;
        demand((0.0..1.0).contains(&from), "optimizer.damping_from", "0 ≤ share < 1", from.to_string())?;
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
        demand(train.seed <= Recipe::MAX_SEED, "train.seed", "0 to 2^63 − 1", train.seed.to_string())?;
        let part = |x: f64| (0.0..1.0).contains(&x);
        let (smoothing, ema) = (train.label_smoothing, train.ema);
        demand(part(smoothing), "train.label_smoothing", "0 ≤ smoothing < 1", smoothing.to_string())?;
        demand(part(ema), "train.ema", "0 ≤ decay < 1", ema.to_string())?;
        let cutout = self.data.cutout;
        demand((1..=1024).contains(&cutout), "data.cutout", "1 to 1024 pixels", cutout.to_string())
    }

    /// Checks activations against their bits and steps.
    fn check_quantizers(&self, origin: &str) -> Result<(), RecipeError> {
        let bits = &self.bits;
        let levels = |name: &str| name != "first" && name != "last" && !is_weighted(name);
        let named = bits.layers.iter().filter(|(name, _)| levels(name)).map(|(_, &bits)| bits);
        let all = || named.clone().chain([bits.activations]);
        let refuse = |expected: &str, found: String| refused(origin, "model.activation", expected, found);
        match self.model.activation {
            Activation::Sign if all().any(|bits| bits != Bits::Int(1)) => {
                refuse("activations of 1 bit, as `sign` has", format!("{:?} bits", bits.activations))
            }
            Activation::Tanh if all().any(|bits| bits == Bits::Float) => {
                refuse("quantized activations with `tanh`", "float ones".to_owned())
            }
            Activation::Sign | Activation::Tanh if bits.activation_step == StepSize::Learned => refuse(
                "`relu6` or `relu1` where `bits.activation_step` is `learned`",
                format!("{:?}", self.model.activation).to_lowercase(),
            ),
            _ => Ok(()),
        }
    }

    /// Checks training for certificates.
    fn check_certified(&self, origin: &str) -> Result<(), RecipeError> {
        let ours = &self.certified;
        let is_time = |epochs: f64| epochs >= 0.0 && epochs.is_finite();
        let rows: [(bool, &'static str, &str, f64); 6] = [
            ((0.0..=255.0).contains(&ours.eps), "certified.eps", "0 to 255", ours.eps),
            (is_time(ours.warmup), "certified.warmup", "a number not below 0", ours.warmup),
            (is_time(ours.ramp), "certified.ramp", "a number not below 0", ours.ramp),
            ((0.0..=1.0).contains(&ours.clean), "certified.clean", "0 to 1", ours.clean),
            (ours.share > 0.0 && ours.share <= 1.0, "certified.box", "0 < share ≤ 1", ours.share),
            (
                ours.tightness >= 0.0 && ours.tightness.is_finite(),
                "certified.tightness",
                "a number not below 0",
                ours.tightness,
            ),
        ];
        if let Some((_, key, expected, found)) = rows.into_iter().find(|row| !row.0) {
            return refused(origin, key, expected, found.to_string());
        }
        if ours.eps > 0.0 && self.adversarial.attack != Attack::None {
            let expected = "0 where `adversarial.attack` is not `none`";
            return refused(origin, "certified.eps", expected, ours.eps.to_string());
        }
        if ours.eps == 0.0 && self.attacked.choose == Choose::Certified {
            let expected = "`clean` or `attacked` where `certified.eps` is 0";
            return refused(origin, "attacked.choose", expected, "certified".to_owned());
        }
        Ok(())
    }

    /// Checks the penalty, adversarial training and the attack on the held-out images.
    fn check_defences(&self, origin: &str) -> Result<(), RecipeError> {
        let (dq, ours, watch) = (&self.dq, &self.adversarial, &self.attacked);
        let rows: [(bool, &'static str, &str, f64); 10] = [
            (dq.beta >= 0.0 && dq.beta.is_finite(), "dq.beta", "a number not below 0", dq.beta),
            ((0.0..1.0).contains(&dq.retraction), "dq.retraction", "0 ≤ rate < 1", dq.retraction),
            (is_radius(ours.eps), "adversarial.eps", "above 0, up to 255", ours.eps),
            (is_radius(ours.step), "adversarial.step", "above 0, up to 255", ours.step),
            (ours.iterations <= 1000, "adversarial.iterations", "0 to 1000", ours.iterations as f64),
            (ours.share > 0.0 && ours.share <= 1.0, "adversarial.share", "0 < share ≤ 1", ours.share),
            (
                ours.weight > 0.0 && ours.weight.is_finite() && (ours.weight == 1.0 || ours.share < 1.0),
                "adversarial.weight",
                "a number above 0, and 1 where `adversarial.share` is 1",
                ours.weight,
            ),
            (
                ours.trades >= 0.0 && ours.trades.is_finite(),
                "adversarial.trades",
                "a number not below 0",
                ours.trades,
            ),
            (is_radius(watch.eps), "attacked.eps", "above 0, up to 255", watch.eps),
            (watch.images > 0, "attacked.images", "at least 1", watch.images as f64),
        ];
        if let Some((_, key, expected, found)) = rows.into_iter().find(|row| !row.0) {
            return refused(origin, key, expected, found.to_string());
        }
        if ours.trades > 0.0 && (ours.attack != Attack::Pgd || ours.share < 1.0) {
            let expected = "attack `pgd` and share 1 with TRADES";
            return refused(origin, "adversarial.trades", expected, "another attack or share".to_owned());
        }
        if watch.choose == Choose::Attacked && watch.attack == Attack::None {
            let expected = "`clean` where `attacked.attack` is `none`";
            return refused(origin, "attacked.choose", expected, "attacked".to_owned());
        }
        Ok(())
    }
}

fn refused(origin: &str, key: &'static str, expected: &str, found: String) -> Result<(), RecipeError> {
    Err(RecipeError::Value { origin: origin.to_owned(), key, expected: expected.to_owned(), found })
}

fn is_radius(eps: f64) -> bool {
    eps > 0.0 && eps <= 255.0
}

/// Returns whether a node of this name has weights: its other bits would be levels.
fn is_weighted(name: &str) -> bool {
    name == "logits" || name.starts_with("conv") || (name.starts_with("dense") && !name.ends_with("_step"))
}
