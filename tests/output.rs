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
