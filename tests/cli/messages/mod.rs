//! What a user reads when the configuration is wrong, through the binary: `check` and `serve` say the same.

mod absent;
mod other_programs;
mod places;
mod types;

use crate::bench::process::{Finished, run};
use crate::bench::site::{Site, keys};

/// A configuration without errors, to which rows add lines.
pub(super) const GOOD: &str = r#"issuer = "https://sts.example.com"
[server]
listen = ["127.0.0.1:0"]
[[connectors]]
id = "gitlab"
issuer = "https://gitlab.example.com"
audiences = ["https://sts.example.com"]
allow = ["true"]
"#;

/// The errors that `check` and `serve` print for a configuration file of this name, each with exit code 64.
pub(super) fn errors(name: &str, text: &str) -> Vec<String> {
    let site = Site::new("");
    site.write(name, text);
    let errors = |printed: &str| -> Vec<String> {
        let lines = printed.lines().filter(|line| line.starts_with("error: "));
        lines.map(str::to_owned).collect()
    };
    let check = site.run(&["check", "--config", name]).exits(64);
    let serve = site.run(&["serve", "--config", name]).exits(64);
    assert_eq!(errors(&check.stdout), errors(&serve.stderr));
    errors(&check.stdout)
}

/// The one error of a configuration, which has all the `words`.
pub(super) fn only(name: &str, text: &str, words: &[&str]) {
    let found = errors(name, text);
    let [error] = found.as_slice() else {
        panic!("expected one error, found {found:#?} in {text}");
    };
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

/// `check` in a folder without a configuration of its own making.
pub(super) fn check(site: &Site, code: i32) -> Finished {
    run(site.folder(), &["check"]).exits(code)
}

#[test]
fn the_good_configuration_is_good() {
    let site = Site::new(GOOD);
    assert!(!keys()["keys"].as_array().unwrap().is_empty());
    check(&site, 0);
}
