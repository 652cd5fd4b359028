//! The key file as a file: who may change it at the same time, links, and whose it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use crate::bench::process::{Finished, remint};
use crate::bench::site::{Site, keys, set_mode};
use crate::commands::{ROTATE, entries, kids, site};

/// Starts the same command several times at once.
fn at_once(site: &Site, args: &[&str], count: usize) -> Vec<Finished> {
    let start = |_| {
        let mut command = remint(site.folder(), args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let running: Vec<_> = (0..count).map(start).collect();
    let end = |child: std::process::Child| Finished::from(child.wait_with_output().unwrap());
    running.into_iter().map(end).collect()
}

#[test]
fn of_rotations_at_the_same_time_one_wins() {
    let site = site(keys()["keys"].as_array().unwrap(), "");
    let runs = at_once(&site, &ROTATE, 8);
    let (won, lost): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.code == Some(0));
    assert_eq!((won.len(), lost.len()), (1, 7), "{won:#?}");
    for run in lost {
        run.exits(1).complains(&["waits already"]);
    }
    let found = entries(&site);
    assert_eq!(kids(&found), ["rsa-1", "ec-1", won[0].stdout.trim()]);
}

#[test]
fn keys_that_are_added_at_the_same_time_are_all_there() {
    let site = site(keys()["keys"].as_array().unwrap(), "");
    for run in at_once(&site, &["keys", "generate", "--alg", "ES256"], 8) {
        run.exits(0);
    }
    assert_eq!(entries(&site).len(), 10);
}

#[test]
fn a_link_stays_a_link_unless_kubernetes_holds_it() {
    let site = site(&[], "");
    let folder = site.folder().to_owned();
    fs::remove_file(folder.join("jwks.json")).unwrap();
    fs::create_dir(folder.join("secret")).unwrap();
    site.write("secret/own.json", &keys().to_string());
    symlink("secret/own.json", folder.join("jwks.json")).unwrap();
    site.run(&ROTATE).exits(0);
    assert!(folder.join("jwks.json").is_symlink());
    assert_eq!(fs::read_dir(folder.join("secret")).unwrap().count(), 1);
    let text = site.read("secret/own.json");
    assert!(text.contains("remint_signs_from"), "{text}");

    // As kubelet lays a mounted Secret out.
    let mount = folder.join("mount");
    fs::create_dir_all(mount.join("..2026_11_22_08_00_00.1")).unwrap();
    site.write(
        "mount/..2026_11_22_08_00_00.1/jwks.json",
        &keys().to_string(),
    );
    symlink("..2026_11_22_08_00_00.1", mount.join("..data")).unwrap();
    symlink("..data/jwks.json", mount.join("jwks.json")).unwrap();
    let args = [&ROTATE[..], &["--file", "mount/jwks.json"]].concat();
    site.run(&args)
        .exits(1)
        .complains(&["Kubernetes", "update the Secret"]);
    assert_eq!(site.read("mount/jwks.json"), keys().to_string());
    assert!(!has_leftovers(&mount.join("..2026_11_22_08_00_00.1")));

    symlink("nothing.json", folder.join("dangling.json")).unwrap();
    let generate = [
        "keys",
        "generate",
        "--alg",
        "ES256",
        "--file",
        "dangling.json",
    ];
    site.run(&generate).exits(1).complains(&["dangling.json"]);
    assert!(folder.join("dangling.json").is_symlink() && !folder.join("nothing.json").exists());
}

#[test]
fn the_owner_is_kept_or_the_file_is_left_alone() {
    let site = site(keys()["keys"].as_array().unwrap(), "");
    let path = site.folder().join("jwks.json");
    if chown(&path, Some(65_534), Some(65_533)).is_err() {
        // Only root can give files away, so others cannot even try.
        return;
    }
    site.run(&ROTATE).exits(0);
    let found = fs::metadata(&path).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.mode() & 0o777),
        (65_534, 65_533, 0o600)
    );

    // Another user may replace the file in this folder, but cannot keep whose it is.
    set_mode(site.folder(), 0o777);
    set_mode(&path, 0o644);
    let program = site.folder().join("remint");
    fs::copy(env!("CARGO_BIN_EXE_remint"), &program).unwrap();
    set_mode(&program, 0o755);
    let before = site.read("jwks.json");
    let mut command = std::process::Command::new(program);
    command
        .args(["keys", "generate", "--alg", "ES256"])
        .current_dir(site.folder());
    let run = Finished::from(command.uid(1_234).gid(1_234).output().unwrap());
    run.exits(1).complains(&["user 65534 and group 65533"]);
    assert_eq!(site.read("jwks.json"), before);
    assert!(!has_leftovers(site.folder()));
}

/// Whether something half-made lies in the folder.
pub(crate) fn has_leftovers(folder: &Path) -> bool {
    let mut names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_string_lossy().contains(".remint-"))
}
