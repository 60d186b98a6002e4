//! Tests where results are written: through devices, pipes and links, and into folders that are there.
#![cfg(unix)]

use crate::run::{command, fails, ok};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

#[test]
fn devices_and_pipes_are_written_through_and_links_stay() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    ok(folder, &["plan", "lenet", "-o", "plan.json"]);
    let plan = fs::read_to_string(folder.join("plan.json")).unwrap();
    ok(folder, &["plan", "lenet", "-o", "/dev/null"]);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let output = command(folder, &["plan", "lenet", "-o", "/dev/stdout", "--quiet"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(plan.trim()));
    fs::write(folder.join("target.json"), "stale").unwrap();
    symlink("target.json", folder.join("link.json")).unwrap();
    ok(folder, &["plan", "lenet", "-o", "link.json"]);
    assert_eq!(fs::read_to_string(folder.join("target.json")).unwrap(), plan);
    assert!(fs::symlink_metadata(folder.join("link.json")).unwrap().is_symlink());
    if cfg!(target_os = "linux") {
        let error = fails(folder, 1, &["plan", "lenet", "-o", "/dev/full"]);
        assert!(error.contains("/dev/full"), "{error}");
    }
}

#[test]
fn a_folder_that_is_there_is_filled_where_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rtl");
    fs::create_dir(&folder).unwrap();
    let inode = || fs::metadata(&folder).unwrap().ino();
    let before = inode();
    // The current folder is empty at first, and then full of files of an earlier call.
    ok(&folder, &["emit", "lenet", "-o", "."]);
    let count = fs::read_dir(&folder).unwrap().count();
    assert!(folder.join("top.v").exists());
    ok(&folder, &["emit", "lenet", "-o", "."]);
    ok(&folder, &["emit", "lenet", "-o", &folder.display().to_string()]);
    assert_eq!((fs::read_dir(&folder).unwrap().count(), inode()), (count, before));
    symlink("rtl", scratch.path().join("link")).unwrap();
    ok(scratch.path(), &["emit", "lenet", "-o", "link"]);
    assert!(fs::symlink_metadata(scratch.path().join("link")).unwrap().is_symlink());
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    assert!(fails(&folder, 1, &["emit", "lenet", "-o", "."]).contains("notes.txt"));
    assert!(folder.join("top.v").exists());
}

/// What a user edited in an emitted folder is not replaced; a plan that was edited in place is taken over.
#[test]
fn an_edited_file_of_an_emitted_folder_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let emit = ["emit", "lenet@1/4", "-o", "rtl"];
    ok(folder, &emit);
    let (plan, top) = (folder.join("rtl/plan.json"), folder.join("rtl/top.v"));
    let text = fs::read_to_string(&plan).unwrap();
    let mut edited: serde_json::Value = serde_json::from_str(&text).unwrap();
    edited["output"] = "label".into();
    fs::write(&plan, edited.to_string()).unwrap();
    let error = fails(folder, 1, &emit);
    assert!(error.contains("rtl: not replaced") && error.contains("`plan.json` in it was edited"), "{error}");
    assert!(error.contains("--plan"), "{error}");
    assert_eq!(fs::read_to_string(&plan).unwrap(), edited.to_string());
    ok(folder, &[&emit[..], &["--plan", "rtl/plan.json"]].concat());
    let taken: serde_json::Value = serde_json::from_str(&fs::read_to_string(&plan).unwrap()).unwrap();
    assert_eq!(taken, edited);
    let mine = fs::read_to_string(&top).unwrap() + "// mine\n";
    fs::write(&top, &mine).unwrap();
    for args in [&emit[..], &[&emit[..], &["--plan", "rtl/plan.json"]].concat()] {
        let error = fails(folder, 1, args);
        assert!(error.contains("`top.v` in it was edited"), "{error}");
    }
    assert_eq!(fs::read_to_string(&top).unwrap(), mine);
    fs::remove_file(&top).unwrap();
    ok(folder, &emit);
    assert!(!fs::read_to_string(&top).unwrap().contains("mine"));
}
