//! Tests the page that `dq report` makes: what it refuses, what it says, and how a browser shows it.

use crate::run::{fails, json, ok, root};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json as value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes reports of every kind in `folder`, and returns their names.
fn reports(folder: &Path) -> Vec<&'static str> {
    let model = |name: &str| root().join("models").join(name).display().to_string();
    let [dq, fgsm] = [model("signs-tiny-dq/model.json"), model("controls/signs-tiny-fgsm.json")];
    let signs = ["--data", "signs", "--count", "60"];
    let attack = ["--attack", "random,fgsm,pgd", "--eps", "1,2,8"];
    ok(folder, &[&["attack", &dq, "-o", "attack.json", "--save", "adv.npz"], &signs[..], &attack].concat());
    let masked = ["--attack", "fgsm,pgd,square", "--eps", "8"];
    ok(folder, &[&["attack", &fgsm, "-o", "fgsm.json"], &signs[..], &masked].concat());
    let signs = ["--data", "signs", "--count", "12"];
    ok(
        folder,
        &[&["certify", &dq, "--eps", "0,1", "--boxes", "3", "-o", "certify.json"], &signs[..]].concat(),
    );
    ok(
        folder,
        &[&["faults", &dq, &fgsm, "--flips", "3", "--trials", "2", "-o", "faults.json"], &signs[..]].concat(),
    );
    ok(folder, &[&["corrupt", &dq, &fgsm, "--severity", "1,5", "-o", "corrupt.json"], &signs[..]].concat());
    ok(
        folder,
        &[&["amplify", &dq, &fgsm, "--eps", "2,8", "-o", "amplify.json"], &signs[..], &["--bits", "1,3"]]
            .concat(),
    );
    ok(folder, &["landscape", &dq, "--data", "signs", "--count", "2", "-o", "landscape.json"]);
    ok(folder, &["emit", &dq, "--device", "ecp5-85f", "--fps", "150", "-o", "rtl"]);
    fs::copy(folder.join("rtl/report.json"), folder.join("circuit.json")).unwrap();
    fs::write(folder.join("record.json"), record().to_string()).unwrap();
    vec![
        "attack.json",
        "fgsm.json",
        "certify.json",
        "faults.json",
        "corrupt.json",
        "amplify.json",
        "landscape.json",
        "circuit.json",
        "record.json",
    ]
}

/// A board's record takes minutes to make: this one has the fields of a real one.
fn record() -> Value {
    value!({"network": "signs-tiny-dq", "hash": "3115", "dq": "0.1.0", "board": "ulx3s", "device": "ecp5-85f",
        "tools": {}, "seed": 1, "clock_khz": 50_000, "fmax_khz": 47_100, "timing_met": false,
        "critical_path": null, "utilization": {"LUT4": {"used": 7805, "available": 83_640}},
        "cycles_per_frame": 589_824, "frames_per_second": 84, "uart_frames_per_second": 3,
        "clocks_per_bit": 50, "plan": {"version": 1, "output": "scores", "clock_mhz": 50, "nodes": []}})
}

#[test]
fn a_page_holds_what_its_reports_say_and_a_browser_shows_it() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let names = reports(folder);
    let gallery = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let more = ["--adversaries", "adv.npz", "--data", "signs", "--model", &gallery, "-o", "report.html"];
    let said = json(folder, &[&["report"], &names[..], &more, &["--png", "pictures"]].concat());
    assert_eq!((said["reports"].as_u64(), said["pictures"].as_u64()), (Some(9), Some(12)), "{said}");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    let report: Value = serde_json::from_slice(&fs::read(folder.join("attack.json")).unwrap()).unwrap();
    for worst in report["worst"].as_array().unwrap() {
        let accuracy = format!("{:.2} (", 100.0 * worst["tally"]["accuracy"].as_f64().unwrap());
        assert!(page.contains(&accuracy), "{accuracy}");
    }
    let fgsm: Value = serde_json::from_slice(&fs::read(folder.join("fgsm.json")).unwrap()).unwrap();
    let doubts = fgsm["doubts"].as_array().unwrap();
    assert!(!doubts.is_empty(), "the control raises doubts");
    for doubt in doubts {
        assert!(page.contains(doubt["text"].as_str().unwrap()), "{doubt}");
    }
    let amplified: Value = serde_json::from_slice(&fs::read(folder.join("amplify.json")).unwrap()).unwrap();
    for network in amplified["networks"].as_array().unwrap() {
        let block = &network["first_block"];
        let widths = block["quantized"].as_array().unwrap().iter().map(|width| &width["distance"]);
        let last = &network["nodes"].as_array().unwrap().last().unwrap()["distance"];
        for found in widths.chain([&block["unquantized"], last]).flat_map(|all| all.as_array().unwrap()) {
            let [mean, deviation] = ["mean", "deviation"].map(|of| found[of].as_f64().unwrap());
            let text = format!("{mean:.4} ± {deviation:.4}");
            assert!(page.matches(&text).count() >= 2, "{text} stands in a figure and in a table");
        }
    }
    // The clock that is not met is a doubt too, and doubts come before figures.
    assert!(page.contains("47100 kHz"));
    assert!(page.find("id=\"doubts\"").unwrap() < page.find("id=\"headline\"").unwrap());
    pictures_are_those_of_the_page(&folder.join("pictures"), &page);
    // The same files make the same bytes.
    ok(folder, &[&["report"], &names[..], &[&more[..7], &["again.html"]].concat()].concat());
    assert!(fs::read_to_string(folder.join("again.html")).unwrap() == page);
    match browser() {
        Some(browser) => {
            shown(&browser, folder, &page);
            let opened = page.replace("<details>", "<details open>");
            assert!(opened != page, "a table is folded on the screen");
            let pages = [&page, &opened].map(|page| printed(&browser, folder, page));
            assert!(pages[0] > 3 && pages[0] == pages[1], "{pages:?}: paper holds what the screen folds");
        }
        None => eprintln!("SKIPPED: no Chromium in DQ_BROWSER or PATH, so no browser shows the page"),
    }
}

/// Checks the files that `--png` writes: those of the page, and a line for each picture and network.
fn pictures_are_those_of_the_page(folder: &Path, page: &str) {
    let pictures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "png"))
        .collect();
    assert_eq!(pictures.len(), 3 * 12, "image, adversary and difference of each sample");
    for path in pictures {
        assert!(page.contains(&STANDARD.encode(fs::read(&path).unwrap())), "{}", path.display());
    }
    let verdicts = fs::read_to_string(folder.join("verdicts.csv")).unwrap();
    assert_eq!(verdicts.lines().count(), 1 + 2 * 12, "{verdicts}");
    for line in verdicts.lines().skip(1) {
        let probability: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
        assert!((0.1..=1.0).contains(&probability), "at least chance: {line}");
    }
}

/// Attacks on the same images lower what certificates leave open, and one that breaks what is certified is a doubt.
#[test]
fn certificates_are_held_against_attacks_on_the_same_images() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let dq = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let signs = ["--data", "signs", "--count", "40"];
    let weak = ["--eps", "0,8", "--boxes", "1", "--bounds", "intervals", "--attack", "random"];
    ok(folder, &[&["certify", &dq, "-o", "certify.json"], &signs[..], &weak].concat());
    ok(
        folder,
        &[&["attack", &dq, "--attack", "pgd", "--eps", "2", "-o", "attack.json"], &signs[..]].concat(),
    );
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
    let (mut certificates, attack) = (read("certify.json"), read("attack.json"));
    let letters = |of: &Value| of["outcomes"].as_str().unwrap().to_owned();
    let (proofs, outcomes) = (letters(&certificates["radii"][1]), letters(&attack["runs"][0]));
    let both = proofs.chars().zip(outcomes.chars());
    let left = both.filter(|(proof, outcome)| *proof == '?' && *outcome != 'x').count();
    assert!(left < proofs.matches('?').count(), "PGD at ε 2 breaks what noise at ε 8 does not");
    let page = |name: &str| {
        ok(folder, &["report", name, "attack.json", "-o", "report.html"]);
        fs::read_to_string(folder.join("report.html")).unwrap()
    };
    let shown = page("certify.json");
    assert!(!shown.contains("certificate-contradicted"));
    assert!(
        shown.contains(&format!("attacked, ε 8: {:.2} (", 100.0 * left as f64 / 40.0)),
        "{left} of 40 are left"
    );
    // A wrong proof of all: those that PGD broke contradict it.
    certificates["radii"][1]["outcomes"] = proofs.replace('?', "c").into();
    fs::write(folder.join("wrong.json"), certificates.to_string()).unwrap();
    let broken = outcomes.chars().zip(proofs.chars()).filter(|both| *both == ('x', '?')).count();
    let shown = page("wrong.json");
    assert!(shown.contains("certificate-contradicted"));
    assert!(shown.contains(&format!("pgd at eps 2 broke {broken} images that are certified at eps 8")));
}

#[test]
fn bad_reports_are_refused_with_file_and_field() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = ["attack", &model, "--data", "signs", "--attack", "fgsm", "--eps", "2", "--count"];
    ok(folder, &[&attack[..], &["20", "-o", "a.json"]].concat());
    ok(folder, &[&attack[..], &["30", "-o", "b.json"]].concat());
    let whole = fs::read_to_string(folder.join("a.json")).unwrap();
    let edited = |name: &str, edit: &dyn Fn(&mut Value)| {
        let mut report: Value = serde_json::from_str(&whole).unwrap();
        edit(&mut report);
        fs::write(folder.join(name), report.to_string()).unwrap();
    };
    edited("version.json", &|report| report["version"] = 9.into());
    edited("format.json", &|report| report["format"] = "dq-network".into());
    edited("none.json", &|report| drop(report.as_object_mut().unwrap().remove("format")));
    edited("lacks.json", &|report| drop(report.as_object_mut().unwrap().remove("worst")));
    edited("set.json", &|report| report["data"]["name"] = "mnist".into());
    fs::write(folder.join("cut.json"), &whole[..whole.len() / 2]).unwrap();
    ok(folder, &["plan", &model, "-o", "plan.json", "--report", "circuit.json"]);
    ok(folder, &["report", "circuit.json", "-o", "circuit.html"]);
    for (names, words) in [
        (&["version.json"][..], &["version.json", "`version`", "expected 2", "found 9"][..]),
        (&["format.json"], &["format.json", "`format`", "dq-attack-report", "dq-network"]),
        (&["none.json"], &["none.json", "`format`", "found null"]),
        (&["lacks.json"], &["lacks.json", "missing field `worst`"]),
        (&["cut.json"], &["cut.json", "cut off", "EOF"]),
        (&["a.json", "b.json"], &["b.json", "`data.digest`", "a.json", "different images"]),
        (&["a.json", "set.json"], &["set.json", "`data.name`", "`mnist`", "`signs`"]),
        (&["missing.json"], &["missing.json", "No such file"]),
        (&["plan.json"], &["plan.json", "found a plan", "report.json"]),
    ] {
        let error = fails(folder, 1, &[&["report"], names, &["-o", "page.html"]].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{names:?}: {error}");
        assert!(!folder.join("page.html").exists());
    }
    let error = fails(folder, 2, &["report", "a.json", "-o", "a.json"]);
    assert!(error.contains("would overwrite"), "{error}");
    fails(folder, 2, &["report", "-o", "page.html"]);
    fails(folder, 2, &["report", "a.json", "--adversaries", "adv.npz", "-o", "page.html"]);
}

/// Finds a Chromium.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("DQ_BROWSER") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// Opens the page at two widths, light and dark, and asks the browser what is wrong with it.
fn shown(browser: &Path, folder: &Path, page: &str) {
    // A page inside a page may be asked; it gets what it catches of errors before its own scripts run.
    let catch = "<head><script>window.caught = []; addEventListener('error', (e) => caught.push(e.message));</script>";
    let page = page.replacen("<head>", catch, 1);
    let page = serde_json::to_string(&page).unwrap().replace("</", "<\\/");
    let harness = format!(
        "<!doctype html><meta charset=\"utf-8\"><body><script>const PAGE = {page};\n{}</script></body>",
        include_str!("browser.js")
    );
    fs::write(folder.join("harness.html"), harness).unwrap();
    let mut backgrounds = vec![];
    for scheme in ["preferredColorScheme=0", "preferredColorScheme=1"] {
        let profile = folder.join(scheme);
        let output = headless(browser, &profile)
            .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--window-size=1500,1000"])
            .arg(format!("--blink-settings={scheme}"))
            .arg("--dump-dom")
            .arg(format!("file://{}", folder.join("harness.html").display()))
            .output()
            .expect("the browser starts");
        let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{console:?}");
        let found = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let found: Value =
            serde_json::from_str(found.unwrap_or_else(|| panic!("no answer: {log}")).0).unwrap();
        assert_eq!(found["frames"].as_array().unwrap().len(), 2, "{found}");
        for frame in found["frames"].as_array().unwrap() {
            assert_eq!(frame["problems"], value!([]), "{scheme}, {} pixels wide", frame["width"]);
            assert!(frame["drawings"].as_u64().unwrap() > 12, "{frame}");
        }
        backgrounds.push(found["frames"][0]["background"].clone());
    }
    assert_ne!(backgrounds[0], backgrounds[1], "light and dark differ");
}

/// Returns the number of sheets that the page takes on paper.
fn printed(browser: &Path, folder: &Path, page: &str) -> usize {
    let [html, pdf] = ["paper.html", "paper.pdf"].map(|name| folder.join(name));
    fs::write(&html, page).unwrap();
    let output = headless(browser, &folder.join("paper"))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", html.display()))
        .output()
        .expect("the browser starts");
    let log = String::from_utf8_lossy(&output.stderr);
    let pdf = fs::read(&pdf).unwrap_or_else(|error| panic!("no sheets: {error}: {log}"));
    pdf.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_end().ends_with(b"/Type /Page")).count()
}

/// Returns the browser without a window, which asks nothing of the network.
fn headless(browser: &Path, profile: &Path) -> Command {
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()));
    command
}
