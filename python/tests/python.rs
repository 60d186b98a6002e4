//! Runs the tests in this folder, which are written in Python, on the module that cargo built.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What needs PyTorch says that it is left out.
#[test]
fn the_tests_in_python_pass() {
    run("DQ_PYTHON", "NumPy, as `cargo xtask test`");
}

/// With PyTorch and Brevitas none is left out: the notebook runs too.
#[test]
#[ignore = "takes minutes"]
fn the_tests_in_python_pass_with_pytorch() {
    run("DQ_PYTHON_TORCH", "PyTorch, as `cargo xtask test --long`");
}

/// Other people's attacks of the same settings come within two points of accuracy.
#[test]
#[ignore = "takes minutes"]
fn toolboxes_leave_what_attacks_of_the_same_settings_leave() {
    let Some(python) = std::env::var_os("DQ_PYTHON_TORCH") else {
        eprintln!("SKIPPED: DQ_PYTHON_TORCH names no Python with attack toolboxes");
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut toolboxes = Command::new(python);
    toolboxes.arg(folder.join("examples/toolboxes.py")).args(["--count", "1000", "--within", "2"]);
    toolboxes.arg(folder.join("../models/signs-tiny-dq/model.json"));
    let output = toolboxes.env("PYTHONPATH", stage(folder, "toolboxes")).output().expect("Python starts");
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{table}");
    assert!(output.status.success(), "{errors}");
    // AutoAttack's own code is no package.
    let mut left_out = table.lines().filter(|line| line.contains("left out"));
    assert!(left_out.all(|line| line.starts_with("autoattack")), "{table}");
}

/// Runs the tests with the Python that `variable` names.
fn run(variable: &str, contents: &str) {
    let Some(python) = std::env::var_os(variable) else {
        eprintln!("SKIPPED: {variable} names no Python with {contents} sets it");
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = stage(folder, variable);
    let mut tests = Command::new(python);
    tests.args(["-m", "unittest", "discover", "-v", "-s"]).arg(folder.join("tests"));
    // Elsewhere than beside the package's sources, which Python would find first.
    let output = tests.env("PYTHONPATH", &path).current_dir(&path).output().expect("Python starts");
    let text = String::from_utf8_lossy(&output.stderr);
    eprintln!("{text}");
    assert!(output.status.success() && text.contains("\nOK"), "the tests in Python did not pass: see above");
}

/// Puts the package together as a wheel has it, in a folder of the name `place`, and returns the folder where
/// Python finds it.
fn stage(folder: &Path, place: &str) -> OsString {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(place);
    let package = place.join("dqnet");
    fs::create_dir_all(&package).expect("a folder for the package");
    let program = std::env::current_exe().expect("the test's own path");
    let built = format!("{}_dqnet{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    // Cargo puts the library beside the tests that it is built for.
    let library = program.with_file_name(built);
    fs::copy(&library, package.join("_dqnet.abi3.so"))
        .unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    for file in ["__init__.py", "_torch.py"] {
        fs::copy(folder.join("dqnet").join(file), package.join(file)).expect(file);
    }
    place.into()
}
