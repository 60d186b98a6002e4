//! Reads recipes: TOML and overrides. Unknown keys are refused with the nearest known one, and every error
//! names the file (or the override) and the key. Never changes anything.

use std::path::Path;

use toml::{Table, Value};

use super::Recipe;

/// Size of the longest recipe that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Says why a recipe was refused. `origin` is the file, or the override as it was typed.
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
    /// The text is not TOML.
    #[error("recipe {origin}: not valid TOML: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// The place in the text, and what is wrong there.
        message: String,
    },
    /// No recipe has this key.
    #[error("recipe {origin}: unknown key `{key}`: did you mean `{nearest}`?")]
    UnknownKey {
        /// The file or the override.
        origin: String,
        /// The key, dotted.
        key: String,
        /// The nearest known key.
        nearest: String,
    },
    /// A value has the wrong type.
    #[error("recipe {origin}: {message}")]
    Type {
        /// The file.
        origin: String,
        /// The key, the expected type and the found one.
        message: String,
    },
    /// A value is out of range.
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
    /// Reads, overrides (`KEY=VALUE`, dotted keys, TOML values; later ones win) and checks the recipe at
    /// `path`.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
        let origin = path.display().to_string();
        let text = dq_net::read::text(path, MAX_BYTES)
            .map_err(|source| RecipeError::Unreadable { origin: origin.clone(), source })?;
        Recipe::parse(&text, &origin, overrides)
    }

    /// Does as [`load`](Recipe::load) from text; `origin` is what errors call it.
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

    /// Returns the recipe with every default written out, as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain tables of plain values")
    }
}

/// Returns the table that `KEY=VALUE` means. A value that is no TOML is taken as a bare string.
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
            // The keys of a table without known keys are the user's own.
            (Some(Value::Table(known)), Value::Table(inner)) if !known.is_empty() => {
                refuse_unknown(origin, &format!("{path}."), inner, known)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Dq, PenaltyOn};
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
        assert_eq!(recipe.dq, Dq { beta: 0.0, on: PenaltyOn::Quantized, ..Dq::default() });
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
            ("model.lipschitz = 0", "`model.lipschitz`: expected a number above 0"),
            ("bits.layers.conv1_1 = 9", "expected 1 to 8 or \"float\", found 9"),
            ("model.activation = \"sign\"", "`model.activation`: expected activations of 1 bit"),
            ("model.activation = \"tanh\"\nbits.activations = \"float\"", "`model.activation`"),
            ("model.activation = \"tanh\"\nbits.activation_step = \"learned\"", "`model.activation`"),
            ("adversarial.eps = 0", "`adversarial.eps`: expected above 0"),
            ("adversarial.weight = 0.3", "`adversarial.weight`: expected a number above 0, and 1 where"),
            ("adversarial.trades = 6", "`adversarial.trades`: expected attack `pgd`"),
            ("attacked.choose = \"attacked\"", "`attacked.choose`"),
            ("squeeze.bits = 9", "`squeeze.bits`"),
            ("train.ema = 1", "`train.ema`"),
            ("name = \"../up\"", "`name`"),
            ("name = \"..\"", "`name`"),
            ("name = \"\"", "`name`"),
            ("dq.beta = ", "not valid TOML"),
        ] {
            let error = parse(text, &[]).expect_err(text);
            assert!(error.starts_with("recipe r.toml: ") && error.contains(expected), "{text}: {error}");
        }
        let long = format!("name = \"{}\"", "a".repeat(101));
        assert!(parse(&long, &[]).unwrap_err().contains("at most 100"));
        let error = Recipe::parse("data.set = \"imagenet\"", "r.toml", &[]).unwrap_err().to_string();
        assert!(error.contains("`data.set`: expected one of"), "{error}");
        let error = parse("", &["train.epoch=3"]).unwrap_err();
        assert!(error.contains("--set train.epoch=3: unknown key `train.epoch`"), "{error}");
        assert!(parse("", &["train.epochs"]).unwrap_err().contains("expected KEY=VALUE"));
    }
}
