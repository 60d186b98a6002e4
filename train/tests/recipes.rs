//! Tests the recipes that the project ships.

use std::path::Path;

use dq_train::Recipe;

fn load(name: &str) -> Recipe {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    Recipe::load(&folder.join(name), &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Each comparison of DQ with vanilla is of two recipes that differ in β alone.
#[test]
fn twins_differ_in_beta_and_name_alone() {
    for (dq, vanilla) in [
        ("cifar10-vgg-small.toml", "cifar10-vgg-small-vanilla.toml"),
        ("signs-tiny-dq.toml", "signs-tiny-vanilla.toml"),
    ] {
        let (dq, mut vanilla) = (load(dq), load(vanilla));
        assert!(dq.dq.beta > 0.0 && vanilla.dq.beta == 0.0 && dq.name != vanilla.name);
        vanilla.dq.beta = dq.dq.beta;
        vanilla.name.clone_from(&dq.name);
        assert_eq!(dq, vanilla);
    }
}

#[test]
fn a_missing_recipe_is_named() {
    let error = Recipe::load(Path::new("no/such.toml"), &[]).unwrap_err().to_string();
    assert!(error.contains("no/such.toml"), "{error}");
}
