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
        /// The file or override.
        origin: String,
        /// The key, the expected type and the found one.
        message: String,
    },
    /// A value is out of range.
    #[error("recipe {origin}: `{key}`: expected {expected}, found {found}")]
    Value {
        /// The file, the override, or the file with all overrides where the value follows from several.
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
        let file: Table = toml::from_str(text).map_err(|e: toml::de::Error| RecipeError::Syntax {
            origin: origin.to_owned(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        refuse_unknown(origin, "", &file, &known)?;
        let mut table = file.clone();
        for line in overrides {
            let origin = format!("--set {line}");
            let over = override_table(line, &origin)?;
            refuse_unknown(&origin, "", &over, &known)?;
            // Every key has a default, so that a wrong type shows in each override alone.
            typed(over.clone(), &origin)?;
            merge(&mut table, over);
        }
        let recipe = typed(table, origin)?;
        match recipe.check(origin) {
            Err(RecipeError::Value { key, expected, found, .. }) => {
                Err(RecipeError::Value { origin: blamed(origin, key, file, overrides), key, expected, found })
            }
            checked => checked.map(|()| recipe),
        }
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

/// Reads the values of a table, and defaults for the others.
fn typed(table: Table, origin: &str) -> Result<Recipe, RecipeError> {
    table.try_into().map_err(|e: toml::de::Error| RecipeError::Type {
        origin: origin.to_owned(),
        message: e.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// Says where the value of `key`, which is out of range, comes from: the last override of it, or all
/// overrides where the `file` is sound without them, or the file called `origin`.
fn blamed(origin: &str, key: &str, file: Table, overrides: &[String]) -> String {
    let is_of_key = |line: &&String| {
        let name = line.split_once('=').map_or("", |(name, _)| name.trim());
        key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    };
    if let Some(line) = overrides.iter().rfind(is_of_key) {
        return format!("--set {line}");
    }
    match typed(file, origin).and_then(|recipe| recipe.check(origin)) {
        Ok(()) => overrides.iter().fold(origin.to_owned(), |text, line| format!("{text} --set {line}")),
        Err(_) => origin.to_owned(),
    }
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
            ("attacked.choose = \"certified\"", "`attacked.choose`: expected `clean` or `attacked` where"),
            ("certified.eps = -1", "`certified.eps`: expected 0 to 255, found -1"),
            ("certified.eps = 256", "`certified.eps`: expected 0 to 255, found 256"),
            ("certified.epsilon = 4", "unknown key `certified.epsilon`: did you mean `certified.eps"),
            ("certified.warmup = -1", "`certified.warmup`: expected a number not below 0"),
            ("certified.ramp = inf", "`certified.ramp`: expected a number not below 0"),
            ("certified.clean = 1.5", "`certified.clean`: expected 0 to 1, found 1.5"),
            ("certified.box = 0", "`certified.box`: expected 0 < share ≤ 1, found 0"),
            ("certified.box = \"small\"", "invalid type"),
            ("certified.tightness = nan", "`certified.tightness`: expected a number not below 0"),
            ("certified.eps = 4\nadversarial.attack = \"pgd\"", "`certified.eps`: expected 0 where"),
            ("optimizer.clip = -1", "`optimizer.clip`: expected a number not below 0"),
            ("optimizer.damping = 2", "`optimizer.damping`: expected 0 to 1"),
            ("optimizer.damping_from = 1", "`optimizer.damping_from`: expected 0 ≤ share < 1"),
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

    #[test]
    fn a_bad_override_is_blamed_and_not_the_file() {
        for (overrides, expected) in [
            (&["train.epochs=0"][..], "recipe --set train.epochs=0: `train.epochs`: expected 1 to 100000"),
            (
                &["train.epochs=5", "train.epochs=0", "dq.beta=0"],
                "recipe --set train.epochs=0: `train.epochs`",
            ),
            (&["train={epochs=0}"], "recipe --set train={epochs=0}: `train.epochs`"),
            (&["dq.beta=0,5"], "recipe --set dq.beta=0,5: "),
            (&["train.seed=9223372036854775808"], "recipe --set train.seed=9223372036854775808: "),
            (&["bits.weights=9", "dq.beta=0"], "recipe --set bits.weights=9: "),
            // Either alone is sound.
            (
                &["model.activation=\"tanh\"", "bits.activation_step=\"learned\""],
                "recipe --set model.activation=\"tanh\": `model.activation`",
            ),
            (&["adversarial.trades=6", "adversarial.share=0.5"], "recipe --set adversarial.trades=6: "),
        ] {
            let error = parse("", overrides).unwrap_err();
            assert!(error.starts_with(expected), "{overrides:?}: {error}");
        }
        // What the file says goes together only with what it says itself.
        let error = parse("model.activation = \"tanh\"", &["bits.activation_step=\"learned\""]).unwrap_err();
        let expected = "recipe r.toml --set bits.activation_step=\"learned\": `model.activation`";
        assert!(error.starts_with(expected), "{error}");
        let error = parse("train.epochs = 0", &["dq.beta=0"]).unwrap_err();
        assert!(error.starts_with("recipe r.toml: `train.epochs`"), "{error}");
        assert!(parse("train.epochs = 0", &["train.epochs=1"]).is_ok(), "an override mends the file");
    }
}
