//! Tests the foot of the page that `dq report` makes: each command there makes the report again, to the byte.

use crate::run::{ok, root};
use std::fs;
use std::path::Path;

/// Commands of every kind, with what they must be given again: sources of gradients, sets of attacks, the form of
/// bounds, kinds of faults. MODEL and OTHER stand for networks.
const COMMANDS: [&str; 12] = [
    "attack MODEL --data signs --count 8 --attack fgsm,pgd --eps 1,8 --start uniform --grad int16 --seed 5",
    "attack MODEL --data signs --count 20 --attack random,fgsm --eps 4 --from OTHER",
    "attack MODEL --data signs --count 20 --attack random,fgsm --eps 4 --also-from OTHER",
    "attack MODEL --data signs --count 4 --attack fgsm,pgd --eps 8 --ladder --shard 1/2",
    "attack MODEL --data signs --count 3 --attack auto,fgsm --eps 2",
    "attack MODEL --data signs --count 2 --attack auto-l2 --each --eps 64",
    "attack MODEL --data signs --count 20 --attack fgsm --eps 4 --detector bits=5,median",
    "certify MODEL --data signs --count 6 --eps 0,1 --boxes 3 --bounds intervals",
    "faults MODEL OTHER --data signs --count 12 --fault flips,search --rates 1e-3,0.02 --flips 2 --batch 40 --trials 2",
    "corrupt MODEL OTHER --data signs --count 8 --kind fog,jpeg --severity 1,5",
    "amplify MODEL OTHER --data signs --count 8 --eps 2,8 --bits 1,3 --all",
    "landscape MODEL --data signs --count 2 --eps 4",
];

#[test]
fn each_command_of_a_page_makes_its_report_again() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    // Commands name a network's file after the network.
    let [model, other] = ["signs-tiny-dq", "signs-tiny-vanilla"].map(|name| format!("{name}.json"));
    fs::copy(root().join("models/signs-tiny-dq/model.json"), folder.join(&model)).unwrap();
    fs::copy(root().join("models/controls/signs-tiny-fgsm.json"), folder.join(&other)).unwrap();
    for command in COMMANDS {
        let command = command.replace("MODEL", &model).replace("OTHER", &other);
        let first = made(folder, &format!("{command} -o FILE"));
        fs::write(folder.join("first.json"), &first).unwrap();
        let [again] = &commands(folder, &["first.json"])[..] else {
            panic!("{command}: one command a report")
        };
        assert!(made(folder, again) == first, "{command}: another report by `{again}`");
    }
}

#[test]
fn commands_of_circuits_name_their_plan() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = "signs-tiny-dq.json";
    fs::copy(root().join("models/signs-tiny-dq/model.json"), folder.join(model)).unwrap();
    ok(folder, &["emit", model, "--device", "ecp5-85f", "--fps", "150", "-o", "rtl"]);
    fs::copy(folder.join("rtl/plan.json"), folder.join("plan.json")).unwrap();
    let [emit] = &commands(folder, &["rtl/report.json"])[..] else { panic!("one command") };
    ok(folder, &words(&emit.replace("FOLDER", "again")));
    for name in ["plan.json", "report.json"] {
        assert!(
            fs::read(folder.join("again").join(name)).unwrap()
                == fs::read(folder.join("rtl").join(name)).unwrap()
        );
    }
    ok(
        folder,
        &["explore", model, "--device", "ecp5-85f", "--fps", "50,150", "--mhz", "50", "-o", "front.json"],
    );
    let front = fs::read(folder.join("front.json")).unwrap();
    let [explore] = &commands(folder, &["front.json"])[..] else { panic!("one command") };
    assert!(made(folder, explore) == front, "another front by `{explore}`");
}

/// Returns the commands at the foot of the page of `reports`.
fn commands(folder: &Path, reports: &[&str]) -> Vec<String> {
    ok(folder, &[&["report"], reports, &["-o", "page.html"]].concat());
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    let parts = page.split("<pre><code>dq ").skip(1);
    parts.map(|part| part.split_once("</code></pre>").unwrap().0.to_owned()).collect()
}

/// Runs a command without its program's name, and returns what it writes to FILE.
fn made(folder: &Path, command: &str) -> Vec<u8> {
    let path = folder.join("made.json");
    ok(folder, &words(&command.replace("FILE", "made.json")));
    let made = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    made
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}
