//! `kill -9` in the middle of `keys rotate`: the file is the old one or the new one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use remint::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::bench::process::remint;
use crate::bench::site::keys;
use crate::commands::{ROTATE, entries, site};
use crate::files::has_leftovers;

/// A member so large that writing the file takes long enough to be interrupted.
const PADDING: usize = 1 << 20;

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this long, wherever that falls.
    After(Duration),
    /// As soon as something half-made can be seen.
    HalfMade,
    /// As soon as the key file looks different in any way.
    Changed,
}

impl Moment {
    fn wait(self, child: &mut Child, folder: &Path) {
        let looks = || {
            let found = fs::metadata(folder.join("jwks.json")).unwrap();
            (found.ino(), found.size(), found.mtime(), found.mtime_nsec())
        };
        let before = looks();
        let come = || match self {
            Self::After(_) => true,
            Self::HalfMade => has_leftovers(folder),
            Self::Changed => looks() != before,
        };
        if let Self::After(time) = self {
            std::thread::sleep(time);
        }
        while !come() && child.try_wait().unwrap().is_none() {}
    }
}

#[test]
fn a_rotation_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let mut old: Vec<Value> = keys()["keys"].as_array().unwrap().clone();
    old[0]["x-padding"] = "x".repeat(PADDING).into();
    let before = json!({ "keys": old }).to_string();
    let site = site(&old, "");
    let clock = SystemClock::new();
    let start = clock.monotonic();
    site.run(&ROTATE).exits(0);
    let whole = clock.monotonic().saturating_sub(start);
    let spread = (0..50).map(|run| Moment::After(whole.mul_f64(f64::from(run) / 45.0)));
    let half_made = (0..25).map(|_| Moment::HalfMade);
    let changed = (0..25).map(|_| Moment::Changed);

    let (mut as_before, mut rotated, mut left_over) = (0, 0, 0);
    for moment in spread.chain(half_made).chain(changed) {
        site.write("jwks.json", &before);
        let mut child = remint(site.folder(), &ROTATE)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        moment.wait(&mut child, site.folder());
        child.kill().unwrap();
        child.wait().unwrap();
        left_over += usize::from(has_leftovers(site.folder()));
        if site.read("jwks.json") == before {
            as_before += 1;
            continue;
        }
        rotated += 1;
        let found = entries(&site);
        assert_eq!(found.len(), 3, "{moment:?}");
        assert!(found[0] == old[0], "{moment:?}");
        assert_eq!(
            found[1]["remint_signs_until"],
            found[2]["remint_signs_from"]
        );
    }
    // It was really interrupted, before and after the change.
    assert!(as_before > 10 && rotated > 10 && left_over > 0);
    // What was left behind held keys: the next run takes it away.
    site.write("jwks.json", &before);
    site.run(&ROTATE).exits(0);
    assert!(!has_leftovers(site.folder()));
    assert_eq!(entries(&site).len(), 3);
}
