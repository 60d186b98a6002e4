//! Recipes: what to train and how, in TOML. Every key has a default, unknown keys are refused with the nearest known
//! one, and every error names the file (or the override) and the key. Never touches data or libtorch.

use std::path::Path;

use dq_net::data::SETS;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// A validated recipe. Field by field the TOML file; [`Recipe::default`] gives every default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Name of the run and of the exported model.
    pub name: String,
    /// What it learns from.
    pub data: Data,
    /// Architecture.
    pub model: Model,
    /// Bit widths.
    pub bits: BitWidths,
    /// Defensive Quantization penalty (paper equation 8).
    pub dq: Dq,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Length, batch, seed, precision.
    pub train: Train,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// A name of `dq_net::data::SETS`.
    pub set: String,
    /// Random changes of each training image.
    pub augment: Vec<Augment>,
    /// Images put aside (the last of a seeded permutation of the training split) to choose `best` by.
    pub holdout: usize,
}

/// One kind of augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    /// Mirrored left to right, every second time.
    Flip,
    /// Shifted by −4…4 pixels each way; black comes in.
    Crop,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Family of networks.
    pub architecture: Architecture,
    /// Output channels of each block's convolutions; a 2×2 max pool ends each block.
    pub blocks: Vec<Vec<usize>>,
    /// Widths of hidden dense layers between the global sum and the logits.
    pub dense: Vec<usize>,
    /// Kernel size of every convolution, odd.
    pub kernel: usize,
    /// Activation before the quantizer.
    pub activation: Activation,
}

/// Families of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A chain of convolutions and pools.
    Vgg,
}

/// Activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// min(max(x, 0), 6).
    Relu6,
}

/// `[bits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BitWidths {
    /// Bits of every weight.
    pub weights: Bits,
    /// Bits of every activation.
    pub activations: Bits,
}

/// 1 to 8 bits, or not quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Bits {
    /// Real numbers.
    Float,
    /// So many bits, 1 to 8.
    Int(u32),
}

impl TryFrom<Value> for Bits {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::Integer(n @ 1..=8) => Ok(Bits::Int(*n as u32)),
            Value::String(s) if s == "float" => Ok(Bits::Float),
            _ => Err(format!("expected 1 to 8 or \"float\", found {value}")),
        }
    }
}

impl From<Bits> for Value {
    fn from(bits: Bits) -> Value {
        match bits {
            Bits::Float => Value::String("float".to_owned()),
            Bits::Int(n) => Value::Integer(n.into()),
        }
    }
}

/// `[dq]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dq {
    /// β of paper equation 8; 0 is the vanilla network.
    pub beta: f64,
    /// Which weights the penalty sees.
    pub on: PenaltyOn,
}

/// Which weights the DQ penalty sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PenaltyOn {
    /// The latent fp32 weights, as the paper (which quantizes activations only).
    Latent,
    /// The quantized weights times their scale; the gradient passes straight through to the latent ones.
    Quantized,
}

/// `[optimizer]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// Kind of optimizer.
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Momentum, in [0, 1).
    pub momentum: f64,
    /// L2 decay of conv and dense weights; never of batch norm or bias.
    pub weight_decay: f64,
    /// Nesterov momentum.
    pub nesterov: bool,
}

/// Optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// `[schedule]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Shape after the warm-up.
    pub kind: ScheduleKind,
    /// Epochs at which `step` multiplies the rate by `factor`.
    pub milestones: Vec<usize>,
    /// See `milestones`.
    pub factor: f64,
    /// Epochs of linear warm-up, fractions allowed.
    pub warmup: f64,
}

/// Shapes of the learning rate over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Constant between milestones.
    Step,
    /// Half a cosine from the peak to 0 at the last step.
    Cosine,
}

/// `[train]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// Passes over the training images. May be raised on resume: the schedule is then computed for the new length from
    /// the epoch it resumes at; epochs already trained stay as they were.
    pub epochs: usize,
    /// Images a step; the last, shorter batch of an epoch is dropped.
    pub batch: usize,
    /// Seed of initial weights, holdout, order and augmentation.
    pub seed: u64,
    /// Number format of convolutions.
    pub precision: Precision,
}

/// Number format of convolutions in training; weights, batch norm, momentum and logits are fp32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the processor multiplies it natively, else fp32.
    Auto,
    /// bfloat16.
    Bf16,
    /// float32.
    Fp32,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            name: "unnamed".to_owned(),
            data: Data::default(),
            model: Model::default(),
            bits: BitWidths::default(),
            dq: Dq::default(),
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            train: Train::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data { set: "signs".to_owned(), augment: Vec::new(), holdout: 1000 }
    }
}

impl Default for Model {
    fn default() -> Self {
        Model {
            architecture: Architecture::Vgg,
            blocks: vec![vec![32, 32], vec![64, 64], vec![128, 128]],
            dense: Vec::new(),
            kernel: 3,
            activation: Activation::Relu6,
        }
    }
}

impl Default for BitWidths {
    fn default() -> Self {
        BitWidths { weights: Bits::Int(4), activations: Bits::Int(4) }
    }
}

impl Default for Dq {
    fn default() -> Self {
        Dq { beta: 2e-3, on: PenaltyOn::Latent }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer { kind: OptimizerKind::Sgd, lr: 0.1, momentum: 0.9, weight_decay: 5e-4, nesterov: true }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { kind: ScheduleKind::Cosine, milestones: Vec::new(), factor: 0.2, warmup: 1.0 }
    }
}

impl Default for Train {
    fn default() -> Self {
        Train { epochs: 30, batch: 128, seed: 1, precision: Precision::Auto }
    }
}

/// Why a recipe was refused. `origin` is the file, or the override as it was typed.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file could not be read.
    #[error("recipe {origin}: cannot be read")]
    Unreadable {
        /// The file.
        origin: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("recipe {origin}: not valid TOML: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Where and what.
        message: String,
    },
    /// A key that no recipe has.
    #[error("recipe {origin}: unknown key `{key}`: did you mean `{nearest}`?")]
    UnknownKey {
        /// The file or override.
        origin: String,
        /// The key, dotted.
        key: String,
        /// The nearest key there is.
        nearest: String,
    },
    /// A value of the wrong type.
    #[error("recipe {origin}: {message}")]
    Type {
        /// The file.
        origin: String,
        /// Key, expected and found.
        message: String,
    },
    /// A value out of range.
    #[error("recipe {origin}: `{key}`: expected {expected}, found {found}")]
    Value {
        /// The file.
        origin: String,
        /// The key, dotted.
        key: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl Recipe {
    /// Reads, overrides (`KEY=VALUE`, dotted keys, TOML values; later ones win) and checks the recipe at `path`.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Unreadable { origin: origin.clone(), source })?;
        Recipe::parse(&text, &origin, overrides)
    }

    /// As [`load`](Recipe::load), from text; `origin` is what errors call it.
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Recipe, RecipeError> {
        let known = Table::try_from(Recipe::default()).expect("the default recipe is a table");
        let mut table: Table = toml::from_str(text).map_err(|e: toml::de::Error| RecipeError::Syntax {
            origin: origin.to_owned(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        refuse_unknown(origin, "", &table, &known)?;
        for line in overrides {
            let origin = format!("--set {line}");
            let over = override_table(line, &origin)?;
            refuse_unknown(&origin, "", &over, &known)?;
            merge(&mut table, over);
        }
        let recipe: Recipe = table.try_into().map_err(|e: toml::de::Error| RecipeError::Type {
            origin: origin.to_owned(),
            message: e.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        recipe.check(origin)?;
        Ok(recipe)
    }

    /// The recipe with every default written out, as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain tables of plain values")
    }

    fn check(&self, origin: &str) -> Result<(), RecipeError> {
        let demand = |ok: bool, key: &'static str, expected: &str, found: String| {
            if ok {
                return Ok(());
            }
            Err(RecipeError::Value { origin: origin.to_owned(), key, expected: expected.to_owned(), found })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = !self.name.is_empty() && self.name.chars().all(plain);
        demand(named, "name", "letters, digits, `-`, `_` and `.`", format!("{:?}", self.name))?;
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

/// The table that `KEY=VALUE` stands for. A value that is no TOML is taken as a bare string.
fn override_table(line: &str, origin: &str) -> Result<Table, RecipeError> {
    let (key, value) = line.split_once('=').ok_or_else(|| RecipeError::Syntax {
        origin: origin.to_owned(),
        message: "expected KEY=VALUE".to_owned(),
    })?;
    let parsed = toml::from_str::<Table>(&format!("value = {value}"));
    let mut value = match parsed {
        Ok(mut table) => table.remove("value").expect("the only key"),
        Err(_) => Value::String(value.trim().to_owned()),
    };
    let mut parts = key.trim().rsplit('.');
    let last = parts.next().expect("split gives at least one part");
    let mut name = last.to_owned();
    for part in parts {
        value = Value::Table(Table::from_iter([(name, value)]));
        name = part.to_owned();
    }
    Ok(Table::from_iter([(name, value)]))
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Refuses keys that `known` lacks; a table where `known` has a plain value is left to the type check.
fn refuse_unknown(origin: &str, prefix: &str, table: &Table, known: &Table) -> Result<(), RecipeError> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => {
                let distance = |candidate: &&String| strsim::damerau_levenshtein(key, candidate);
                let nearest = known.keys().min_by_key(distance).expect("every section has keys");
                return Err(RecipeError::UnknownKey {
                    origin: origin.to_owned(),
                    key: path,
                    nearest: format!("{prefix}{nearest}"),
                });
            }
            (Some(Value::Table(known)), Value::Table(inner)) => {
                refuse_unknown(origin, &format!("{path}."), inner, known)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, String> {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        let text = format!("{text}\ndata.set = \"cifar10\"");
        Recipe::parse(&text, "r.toml", &overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn resolved_recipe_reads_back_as_itself() {
        let recipe = parse("bits.weights = \"float\"\nschedule.milestones = [3, 5]", &[]).unwrap();
        assert_eq!(Recipe::parse(&recipe.to_toml(), "again", &[]).unwrap(), recipe);
    }

    #[test]
    fn overrides_win_and_keep_their_neighbours() {
        let recipe = parse("dq.beta = 0.5\ndq.on = \"quantized\"", &["dq.beta=0", "name=abc"]).unwrap();
        assert_eq!(recipe.dq, Dq { beta: 0.0, on: PenaltyOn::Quantized });
        assert_eq!(recipe.name, "abc");
    }

    #[test]
    fn each_mistake_gets_one_error_that_names_the_key() {
        for (text, expected) in [
            ("dq.betta = 1", "unknown key `dq.betta`: did you mean `dq.beta`?"),
            ("optimiser.lr = 1", "unknown key `optimiser`: did you mean `optimizer`?"),
            ("dq.beta = -1", "`dq.beta`: expected a number not below 0, found -1"),
            ("dq.beta = nan", "`dq.beta`"),
            ("bits.weights = 0", "expected 1 to 8 or \"float\", found 0"),
            ("bits.activations = 9", "expected 1 to 8 or \"float\", found 9"),
            ("train.epochs = \"many\"", "epochs"),
            ("train.precision = \"fp8\"", "fp8"),
            ("model.kernel = 4", "`model.kernel`: expected an odd number"),
            ("model.blocks = [[]]", "`model.blocks`"),
            ("model = 3", "model"),
            ("name = \"../up\"", "`name`"),
            ("dq.beta = ", "not valid TOML"),
        ] {
            let error = parse(text, &[]).expect_err(text);
            assert!(error.starts_with("recipe r.toml: ") && error.contains(expected), "{text}: {error}");
        }
        let error = Recipe::parse("data.set = \"imagenet\"", "r.toml", &[]).unwrap_err().to_string();
        assert!(error.contains("`data.set`: expected one of"), "{error}");
        let error = parse("", &["train.epoch=3"]).unwrap_err();
        assert!(error.contains("--set train.epoch=3: unknown key `train.epoch`"), "{error}");
        assert!(parse("", &["train.epochs"]).unwrap_err().contains("expected KEY=VALUE"));
    }
}
